import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.h1.problem import METHODS, problem, problem_body, problem_headers
from hestia.words.refusal import REFUSALS, Refusal

NOBODY = frozenset()
HOMEPAGE = frozenset({"https://home.example"})


def answer(refusal, **keys):
    """The refusal as a second parser reads it: status, fields in lower case, body."""
    asked = {
        "service": "ollama",
        "request_id": "r-1",
        "keep_alive": True,
        "head": False,
        "navigation": False,
        "origin": None,
        "cors_origins": NOBODY,
    }
    return Read(problem(refusal, **(asked | keys)))


class Read:
    def __init__(self, data):
        self.fields, self.body, self.whole = {}, b"", False
        self.head, _, self.sent = data.partition(b"\r\n\r\n")
        self.parser = httptools.HttpResponseParser(self)
        self.parser.feed_data(data)
        self.status = self.parser.get_status_code()

    def on_header(self, name, value):
        assert name.lower() not in self.fields
        self.fields[name.decode().lower()] = value.decode()

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.whole = True
        self.keep_alive = self.parser.should_keep_alive()  # the parser knows it here only


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("navigation", [False, True])
def test_every_refusal_is_one_whole_answer_that_a_second_parser_reads(code, navigation):
    read = answer(Refusal(code, "why"), navigation=navigation)
    assert read.whole
    assert read.status == REFUSALS[code].status
    assert read.fields["proxy-status"] == f"hestia; error={REFUSALS[code].error}"
    assert read.fields["x-request-id"] == "r-1"
    assert read.fields["cache-control"] == "no-store"
    assert read.fields["content-length"] == str(len(read.body))


def test_the_body_has_exactly_the_promised_fields():
    read = answer(Refusal("unknown_service", "no service is called 'x'"), service=None)
    assert read.fields["content-type"] == "application/problem+json"
    assert json.loads(read.body) == {
        "type": "urn:hestia:error:unknown_service",
        "title": "Unknown service",
        "status": 404,
        "detail": "no service is called 'x'",
        "code": "unknown_service",
        "service": None,
        "request_id": "r-1",
        "error": {"message": "no service is called 'x'", "type": "invalid_request_error", "code": "unknown_service"},
    }


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("bad_request", "invalid_request_error"),
        ("unauthorized", "authentication_error"),
        ("forbidden", "permission_error"),
        ("too_many_tries", "rate_limit_error"),
        ("queue_full", "server_error"),
        ("internal", "server_error"),
    ],
)
def test_openai_clients_read_the_kind_of_failure(code, word):
    assert json.loads(answer(Refusal(code, "x")).body)["error"]["type"] == word


def test_retry_after_stands_where_waiting_helps_and_nowhere_else():
    assert answer(Refusal("queue_full", "x")).fields["retry-after"] == "5"
    assert answer(Refusal("held", "x", retry_after=90)).fields["retry-after"] == "90"
    assert answer(Refusal("queue_full", "x", retry_after=0)).fields["retry-after"] == "0"
    assert "retry-after" not in answer(Refusal("bad_request", "x")).fields


def test_a_405_always_says_which_methods_are_taken():
    assert answer(Refusal("method_not_allowed", "x", allow="GET, HEAD")).fields["allow"] == "GET, HEAD"
    assert answer(Refusal("method_not_allowed", "x")).fields["allow"] == METHODS
    assert "allow" not in answer(Refusal("not_found", "x")).fields


def test_a_401_asks_for_a_bearer_key():
    assert answer(Refusal("unauthorized", "x")).fields["www-authenticate"] == "Bearer"
    assert "www-authenticate" not in answer(Refusal("forbidden", "x")).fields


def test_the_closer_reason_of_a_failed_upstream_is_told_to_proxies():
    refusal = Refusal("upstream_unreachable", "x", error="connection_refused")
    assert answer(refusal).fields["proxy-status"] == "hestia; error=connection_refused"


def test_a_listed_origin_may_read_the_answer_and_no_other():
    listed = answer(Refusal("cold", "x"), origin="https://home.example", cors_origins=HOMEPAGE).fields
    assert listed["access-control-allow-origin"] == "https://home.example"
    assert "X-Request-ID" in listed["access-control-expose-headers"]
    assert listed["vary"] == "Origin"
    for origin in (None, "https://evil.example", "null", "https://home.example:443", ""):
        other = answer(Refusal("cold", "x"), origin=origin, cors_origins=HOMEPAGE).fields
        assert "access-control-allow-origin" not in other
        assert other["vary"] == "Origin"  # or a cache would give this one's answer to the listed origin


def test_without_listed_origins_nothing_speaks_of_them():
    fields = answer(Refusal("cold", "x"), origin="https://home.example").fields
    assert not [name for name in fields if name.startswith("access-control") or name == "vary"]


@pytest.mark.parametrize(
    ("keep_alive", "http10", "connection"),
    [(True, False, None), (False, False, "close"), (True, True, "keep-alive"), (False, True, "close")],
)
def test_the_connection_says_whether_it_stays(keep_alive, http10, connection):
    read = answer(Refusal("not_found", "x"), keep_alive=keep_alive, http10=http10)
    assert read.fields.get("connection") == connection
    assert read.keep_alive is keep_alive


@pytest.mark.parametrize("navigation", [False, True])
def test_a_head_gets_the_same_fields_without_the_body(navigation):
    refusal = Refusal("not_found", "x")
    full = answer(refusal, navigation=navigation)
    head = problem(
        refusal,
        service="ollama",
        request_id="r-1",
        keep_alive=True,
        head=True,
        navigation=navigation,
        origin=None,
        cors_origins=NOBODY,
    )
    assert head == full.head + b"\r\n\r\n"
    assert full.body


class Seen(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def test_a_navigation_gets_a_page_with_the_same_words():
    read = answer(Refusal("start_failed", "exit code 1"), navigation=True)
    assert read.fields["content-type"] == "text/html; charset=utf-8"
    page = Seen(read.body.decode())
    for word in ("Start failed", "exit code 1", "503", "start_failed", "ollama", "r-1"):
        assert word in page.text


def test_the_page_runs_nothing_loads_nothing_and_may_not_be_framed():
    read = answer(Refusal("cold", "x"), navigation=True)
    policy = read.fields["content-security-policy"]
    style = re.search(r"<style>(.*)</style>", read.body.decode())[1]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert f"style-src 'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert "unsafe" not in policy
    assert read.fields["x-content-type-options"] == "nosniff"
    page = Seen(read.body.decode())
    assert not {"script", "img", "link", "iframe", "form", "a"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name in {"src", "href", "style"} or name.startswith("on")]


def test_the_page_is_light_and_dark_and_fits_a_phone():
    page = answer(Refusal("cold", "x"), navigation=True).body.decode()
    assert "color-scheme:light dark" in page
    assert 'name="viewport"' in page
    assert '<html lang="en">' in page


HOSTILE = "</p><script>alert(1)</script><img src=x onerror=alert(1)>\"'&{0}{detail}%s"


def test_nothing_in_the_detail_or_the_service_becomes_markup():
    plain = answer(Refusal("cold", "x"), navigation=True, service="x").body.decode()
    read = answer(Refusal("cold", HOSTILE), navigation=True, service=HOSTILE, request_id="&<r>")
    page = Seen(read.body.decode())
    assert page.tags == Seen(plain).tags
    assert page.text.count(HOSTILE) == 2
    assert "&<r>" in page.text


@given(detail=st.text(max_size=80), navigation=st.booleans())
def test_no_detail_can_break_the_head_or_the_body(detail, navigation):
    refusal = Refusal("start_failed", detail)
    read = answer(refusal, navigation=navigation)
    assert read.whole
    assert read.head == answer(refusal, navigation=navigation).head
    assert len(read.head.split(b"\r\n")) == len(answer(Refusal("start_failed", "x"), navigation=navigation).fields) + 1
    if not navigation:
        assert json.loads(read.body)["detail"] == detail


@pytest.mark.parametrize("navigation", [False, True])
def test_even_text_that_no_encoding_takes_is_answered(navigation):
    assert answer(Refusal("internal", "bytes \udcff of a log"), navigation=navigation).whole


def test_the_parts_for_another_server_are_those_of_the_whole():
    refusal = Refusal("queue_full", "x")
    read = answer(refusal, origin="https://home.example", cors_origins=HOMEPAGE)
    fields = problem_headers(refusal, request_id="r-1", origin="https://home.example", cors_origins=HOMEPAGE)
    assert {name.lower(): value for name, value in fields} | {"content-length": str(len(read.body))} == read.fields
    assert problem_body(refusal, service="ollama", request_id="r-1") == read.body
