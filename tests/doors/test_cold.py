import json

import httptools
import pytest

from hestia.doors.cold import Recording, kept_answer, request_lines, said_answer, same_get, see_other
from hestia.h1.answer import read_answer_head
from hestia.h1.crossing import answer_framing
from hestia.h1.request import read_request_head
from hestia.rules.last_answers import LONGEST, LastAnswers
from hestia.words.spec import Answer

HOMEPAGE = frozenset({"https://home.example"})


def asked(*lines, minor=b"1"):
    return read_request_head(b"".join(line + b"\r\n" for line in (b"Host: box", *lines)) + b"\r\n", minor)


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


def said(answer, head=None, method=b"GET", **more):
    return Read(said_answer(answer, head or asked(), method, b"r-1", HOMEPAGE, **({"keep": True} | more)))


def test_a_rules_answer_is_its_status_and_its_json():
    read = said(Answer(json={"status": "up", "ü": 1}))
    assert (read.status, read.whole, json.loads(read.body)) == (200, True, {"status": "up", "ü": 1})
    assert read.fields["content-type"] == "application/json"
    assert read.fields["x-request-id"] == "r-1"
    assert read.fields["x-hestia-state"] == "cold"
    assert read.fields["cache-control"] == "no-store"


def test_a_head_gets_the_length_and_no_body():
    data = said_answer(Answer(json=[1]), asked(), b"HEAD", b"r-1", HOMEPAGE, keep=True)
    assert data.endswith(b"Content-Length: 3\r\n\r\n")


@pytest.mark.parametrize("status, length", [(204, None), (304, None), (200, "0"), (299, "0")])
def test_an_answer_without_json_has_no_body(status, length):
    read = said(Answer(status=status))
    assert (read.status, read.body, read.whole) == (status, b"", True)
    assert read.fields.get("content-length") == length
    assert "content-type" not in read.fields


@pytest.mark.parametrize(
    "minor, keep, connection", [(b"1", True, None), (b"1", False, "close"), (b"0", True, "keep-alive")]
)
def test_the_answer_says_whether_the_connection_stays(minor, keep, connection):
    assert said(Answer(), asked(minor=minor), keep=keep).fields.get("connection") == connection


def test_an_allowed_origin_may_read_it():
    read = said(Answer(), asked(b"Origin: https://home.example"))
    assert read.fields["access-control-allow-origin"] == "https://home.example"
    assert "access-control-allow-origin" not in said(Answer(), asked(b"Origin: https://evil.example")).fields


def test_after_the_form_the_page_is_asked_for_again():
    read = Read(see_other(b"/services/a/x?q=%20", asked(), b"POST", b"r-1", keep=True))
    assert (read.status, read.fields["location"]) == (303, "/services/a/x?q=%20")


def relayed(answers, head, raw, body_parts, *, minor=b"1", end=True):
    """What an exchange tells of one answer."""
    answer = read_answer_head(raw)
    recording = Recording(answers, same_get(head, b"/services/a", b"/h"), request_lines(head))
    framing = answer_framing(answer, bodyless=False, minor=minor, keep=True)
    recording.begins(answer, b"\r\n".join(answer.lines), framing)
    for part in body_parts:
        recording.more(part)
    if end:
        recording.ended(100.0)


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    "framing, parts, minor",
    [
        (b"Content-Length: 5\r\n\r\n", [b"he", b"llo"], b"1"),
        (b"Transfer-Encoding: chunked\r\n\r\n", [b"2\r\nhe\r\n3\r", b"\nllo\r\n0\r\n\r\n"], b"1"),
        (b"Transfer-Encoding: chunked\r\n\r\n", [b"he", b"llo"], b"0"),
        (b"\r\n", [b"5\r\nhello\r\n", b"0\r\n\r\n"], b"1"),
    ],
)
def test_the_last_answer_comes_back_whole_whatever_its_framing_was(framing, parts, minor):
    answers, head = LastAnswers(), asked(b"Accept: */*")
    relayed(answers, head, OK + framing, parts, minor=minor)
    kept = answers.find(same_get(head, b"/services/a", b"/h"), request_lines(head))
    read = Read(kept_answer(kept, head, b"GET", b"r-2", 107.0, keep=True))
    assert (read.status, read.body, read.whole) == (200, b"hello", True)
    assert read.fields["age"] == "7"
    assert read.fields["x-hestia-state"] == "cold"
    assert read.fields["content-type"] == "text/plain"
    assert read.fields["content-length"] == "5"
    assert read.fields["x-request-id"] == "r-2"


def test_what_breaks_off_or_is_too_long_is_not_kept():
    answers, head = LastAnswers(), asked()
    relayed(answers, head, OK + b"Content-Length: 5\r\n\r\n", [b"he"], end=False)
    relayed(answers, head, OK + b"Content-Length: %d\r\n\r\n" % (LONGEST + 1), [b"he"])
    relayed(answers, head, OK + b"\r\n", [b"%x\r\n%b\r\n" % (LONGEST, b"x" * LONGEST), b"1\r\nx\r\n0\r\n\r\n"])
    relayed(answers, head, OK + b"Transfer-Encoding: chunked\r\n\r\n", [b"zz\r\n"])
    assert len(answers) == 0


def test_an_answer_to_one_origin_is_not_given_to_another():
    answers, home = LastAnswers(), asked(b"Origin: https://home.example")
    relayed(answers, home, OK + b"Vary: Origin\r\nContent-Length: 0\r\n\r\n", [])
    key = same_get(home, b"/services/a", b"/h")
    assert answers.find(key, request_lines(home)) is not None
    assert answers.find(key, request_lines(asked(b"Origin: https://else.example"))) is None
