import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from hestia.doors.pages import FIELD, frame_answer, look_answer, our_page, own_page, page_answer
from hestia.h1.request import read_request_head
from hestia.rules.waiting_words import WaitingView
from hestia.words.status import STATES
from tests.doors.test_cold import Read

EVIL = "<script>alert(1)</script>\"'&{{name}}"
PAGE = our_page()
VOID = {"meta", "link", "input"}


def asked(*lines):
    return read_request_head(b"".join(line + b"\r\n" for line in (b"Host: box", *lines)) + b"\r\n", b"1")


def view(state="starting", **more):
    return WaitingView(**({"name": "ollama", "state": state} | more))


def page(shown=None, page=PAGE, method=b"GET"):
    data = page_answer(page, shown or view(), asked(), method, b"r-1", keep=True, wall=0.0)
    return Read(data) if method == b"GET" else data


class Outline(HTMLParser):
    """The page's elements by id, with their text; every tag must be closed."""

    def __init__(self, text):
        super().__init__()
        self.by_id, self.texts, self.open, self.tags = {}, {}, [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in VOID:
            self.open.append((tag, attrs.get("id")))
        if "id" in attrs:
            self.by_id[attrs["id"]] = attrs

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if "id" in dict(attrs):
            self.by_id[dict(attrs)["id"]] = dict(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        for tag, id_ in self.open[-1:]:
            self.texts[id_ or tag] = self.texts.get(id_ or tag, "") + data


@pytest.mark.parametrize("state", STATES)
def test_the_page_is_one_small_whole_answer_in_every_state(state):
    read = page(view(state, logs=("line",) * 20, error="exited with code 3"))
    assert (read.status, read.whole) == (503, True)
    assert len(read.body) < 12 * 1024
    Outline(read.body.decode())
    assert read.fields["cache-control"] == "no-store"
    assert read.fields["content-type"] == "text/html; charset=utf-8"
    assert read.fields["x-content-type-options"] == "nosniff"
    assert int(read.fields["retry-after"]) >= 1
    assert FIELD.search(read.body.decode()) is None


def test_its_policy_names_its_own_style_and_script_and_lets_nothing_else_run():
    read = page()
    text, policy = read.body.decode(), read.fields["content-security-policy"]
    for kind in ("style", "script"):
        inside = re.search(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)[1]
        assert f"{kind}-src 'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'" in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert " style=" not in text
    assert re.search(r"\son[a-z]+=", text) is None


def test_it_loads_nothing_from_anywhere():
    links = [
        value
        for _, attrs in Outline(page().body.decode()).tags
        for name, value in attrs.items()
        if name in {"src", "href", "action"}
    ]
    assert [link for link in links if not link.startswith("data:")] == []


@pytest.mark.parametrize("state", STATES)
def test_nothing_of_the_view_gets_out_of_its_place(state):
    shown = view(state, name=EVIL, error=EVIL, in_the_way=EVIL, logs=(EVIL,), held_until=EVIL, phase="making_room")
    for state_view in (shown, view(state, name=EVIL, error=EVIL, logs=(EVIL,), in_the_way=EVIL)):
        text = page(state_view).body.decode()
        assert "<script>alert" not in text
        assert len([tag for tag, _ in Outline(text).tags if tag == "script"]) == 1


def test_a_screen_reader_hears_the_state_and_can_ask_for_the_progress():
    outline = Outline(page(view(started_s=3, expected_s=12, phase="probing")).body.decode())
    assert outline.by_id["bar"] | {"role": "progressbar", "aria-valuenow": "25"} == outline.by_id["bar"]
    assert outline.by_id["bar"]["aria-valuetext"] == "About 9 seconds left"
    assert any(attrs.get("role") == "status" for _, attrs in outline.tags)
    assert outline.texts["phase"] == "Launched; waiting for its first answer"
    assert dict(outline.tags)["html"] == {"lang": "en"}


def test_without_past_starts_the_bar_says_no_figure():
    outline = Outline(page(view(started_s=3)).body.decode())
    assert "aria-valuenow" not in outline.by_id["bar"]
    assert outline.by_id["fill"]["class"] == "unknown"


def test_without_scripts_it_comes_again_while_it_starts_and_not_when_that_would_start_it():
    again = '<noscript><meta http-equiv="refresh" content="5"></noscript>'
    assert again in page().body.decode()
    assert "http-equiv" not in page(view("failed")).body.decode()


def test_without_scripts_retry_is_a_form_to_the_pages_own_url():
    outline = Outline(page(view("failed", error="boom")).body.decode())
    assert outline.by_id["retry"] == {"id": "retry", "method": "post"}
    assert ("input", {"type": "hidden", "name": "hestia_wait", "value": "retry"}) in outline.tags
    assert outline.texts["again"] == "Retry"
    assert outline.texts["why"] == "boom"
    assert "hidden" in outline.by_id["cancel"]


@pytest.mark.parametrize("shown", [view(), view("cold", held_until="forever"), view("hot")])
def test_no_retry_where_there_is_nothing_to_try(shown):
    assert "hidden" in Outline(page(shown).body.decode()).by_id["retry"]


def test_a_head_gets_the_same_without_the_page():
    head, whole = page(method=b"HEAD"), page()
    assert head.endswith(b"\r\n\r\n")
    assert head == whole.head + b"\r\n\r\n"


def test_an_operator_who_holds_it_for_ever_promises_no_time():
    assert "retry-after" not in page(view("cold", held_until="forever")).fields


# --- a frame


def test_a_frame_gets_plain_words_that_come_again():
    data = frame_answer(view(started_s=3, expected_s=12), asked(), b"GET", b"r-1", keep=True, wall=0.0)
    read = Read(data)
    assert (read.status, read.fields["content-type"]) == (503, "text/plain; charset=utf-8")
    assert read.body.decode() == "ollama is starting\nAbout 9 seconds left\n"
    assert read.fields["refresh"] == "5"
    assert "content-security-policy" not in read.fields


# --- the look


def test_a_look_tells_the_state_as_json():
    head = asked(b"Origin: https://home.example")
    data = look_answer(
        view(waiters=2, expected_s=9), head, b"GET", b"r-1", frozenset({"https://home.example"}), keep=True
    )
    read = Read(data)
    told = json.loads(read.body)
    assert (read.status, told["state"], told["waiters"], told["expected_s"]) == (200, "starting", 2, 9)
    assert read.fields["access-control-allow-origin"] == "https://home.example"
    assert read.fields["cache-control"] == "no-store"


def test_the_script_shows_every_word_that_a_look_brings():
    told = json.loads(Read(look_answer(view(), asked(), b"GET", b"r", frozenset(), keep=True)).body)
    script = re.search(r"<script>(.*?)</script>", PAGE.text, re.DOTALL)[1]
    assert [word for word in told["page"] if word not in script] == []


# --- the operator's own page

OWN = "<h1>{{name}}</h1><p>{{phase}} {{waiters}} {{expected_s}} {{error}} {{other}}"


def test_the_operators_page_shows_the_same_fields_escaped():
    read = page(view(name=EVIL, phase="launching", waiters=2, expected_s=8.6), own_page(OWN))
    assert "<script>" not in read.body.decode()
    shown = page(view(phase="launching", waiters=2, expected_s=8.6), own_page(OWN)).body
    assert shown == b"<h1>ollama</h1><p>launching 2 9  {{other}}"
    failed = page(view("failed", error="<b>"), own_page("{{phase}} {{error}}"))
    assert failed.body == b"failed &lt;b&gt;"


def test_an_operators_page_that_does_not_come_again_by_itself_is_made_to():
    assert page(page=own_page(OWN)).fields["refresh"] == "5"
    assert "refresh" not in page(view("failed"), own_page(OWN)).fields
    for text in ('<meta http-equiv="Refresh" content="2">', "<script>1</script>"):
        assert "refresh" not in page(page=own_page(text)).fields


def test_an_operators_scripts_run_as_they_stand_in_the_file():
    read = page(page=own_page("<script>go()\r\n</script><script>\nx < 1 && y</script>"))
    policy = read.fields["content-security-policy"]
    for inside in ("go()\n", "\nx < 1 && y"):
        assert f"'sha256-{b64encode(sha256(inside.encode()).digest()).decode()}'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'none'" in page(page=own_page(OWN)).fields["content-security-policy"]
