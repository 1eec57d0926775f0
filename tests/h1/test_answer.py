"""An upstream's head: when it is complete, and what is kept of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.h1.answer import UNTIL_CLOSE, AnswerHead, AnswerMemo, find_answer_head, read_answer_head
from hestia.h1.grammar import BadMessage
from hestia.h1.request import CHUNKED

LONGEST = 1000


def answer(*lines, start=b"HTTP/1.1 200 OK"):
    return read_answer_head(start + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n")


def test_a_head_is_found_when_its_empty_line_is_there_and_not_before():
    data = b"HTTP/1.1 200 OK\r\nA: 1\r\n\r\nrest"
    assert data[find_answer_head(data, LONGEST) :] == b"rest"
    for cut in range(len(data) - 4):
        assert find_answer_head(data[:cut], LONGEST) == 0


@pytest.mark.parametrize("data", (b"garbage", b"HTTP/2", b"http/1.1", b"\x00", b"HTTP/1.1 200 OK\nA", b"HTTP/1.1 200 OK\r\nA: 1\rB", b"H" * 5000, b"HTTP/1.1 200 OK\r\nA: " + b"x" * LONGEST))
def test_what_cannot_become_a_head_is_refused_without_waiting(data):
    with pytest.raises(BadMessage):
        find_answer_head(data, LONGEST)


@pytest.mark.parametrize("start", (b"HTTP/1.1 20 OK", b"HTTP/1.1 abc OK", b"HTTP/1.1 099 OK", b"HTTP/1.1 2000", b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\x00K", b"ICY 200 OK", b"HTTP/1.1 +20 OK"))
def test_a_bad_status_line_is_refused(start):
    with pytest.raises(BadMessage):
        answer(start=start)


@pytest.mark.parametrize(("start", "line"), ((b"HTTP/1.1 200", b"HTTP/1.1 200 "), (b"HTTP/1.1 404 ", b"HTTP/1.1 404 "), (b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK"), (b"HTTP/1.1 200 caf\xe9", b"HTTP/1.1 200 caf\xe9")))
def test_the_status_line_is_written_anew(start, line):
    assert answer(start=start).lines[0] == line


@pytest.mark.parametrize(
    "lines",
    (
        (b"Content-Length: 1", b"Content-Length: 2"), (b"Content-Length: 1", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding: foo",), (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), (b"Transfer-Encoding:",), (b"Content-Length: -1",), (b"Content-Length: 1, 1",), (b"Content-Length:",),
        (b"Content-Length: " + b"9" * 19,), (b"A : 1",), (b"A",), (b": 1",), (b"A: 1", b" 2"), (b"A: \x00",), (b"A: a\rb",),
    ),
)  # fmt: skip
def test_an_ambiguous_head_is_refused(lines):
    with pytest.raises(BadMessage):
        answer(*lines)


def test_chunks_are_not_for_http_1_0():
    with pytest.raises(BadMessage):
        answer(b"Transfer-Encoding: chunked", start=b"HTTP/1.0 200 OK")


@pytest.mark.parametrize(("lines", "length"), (((), UNTIL_CLOSE), ((b"Content-Length: 0",), 0), ((b"content-LENGTH:17",), 17), ((b"Transfer-Encoding: CHUNKED",), CHUNKED)))
def test_the_length_is_read(lines, length):
    assert answer(*lines).length == length


@pytest.mark.parametrize(
    ("start", "lines", "keep"),
    (
        (b"HTTP/1.1 200 OK", (), True), (b"HTTP/1.1 200 OK", (b"Connection: Close",), False), (b"HTTP/1.0 200 OK", (), False),
        (b"HTTP/1.0 200 OK", (b"Connection: keep-alive",), True), (b"HTTP/1.1 200 OK", (b"Connection: keep-alive, close",), False),
    ),
)  # fmt: skip
def test_whether_the_upstream_stays(start, lines, keep):
    assert answer(*lines, start=start).keep is keep


def test_headers_cross_as_they_came_but_those_of_one_hop_and_those_that_connection_names():
    read = answer(b"X-A:  1 ", b"Keep-Alive: 5", b"Connection: X-B, Content-Type", b"X-B: 2", b"Content-Type: t", b"set-cookie: a", b"Set-Cookie: b", b"X-Request-ID: theirs")
    assert read.lines[1:] == [b"X-A:  1 ", b"Content-Type: t", b"set-cookie: a", b"Set-Cookie: b"]
    assert [read.lines[at] for at, _ in read.mapped] == [b"set-cookie: a", b"Set-Cookie: b"]


def test_lines_that_name_an_origin_are_remembered_by_place():
    read = answer(b"A: 1", b"Location: /x", b"Content-Location: /y", b"Set-Cookie: c")
    assert read.mapped == [(2, b"location"), (3, b"content-location"), (4, b"set-cookie")]


@pytest.mark.parametrize(("value", "events"), ((b"text/event-stream", True), (b"Text/Event-Stream; charset=utf-8", True), (b"text/html", False)))
def test_server_sent_events_are_known_by_their_type(value, events):
    assert answer(b"Content-Type: " + value).events is events


def test_a_switch_says_to_what():
    assert answer(b"Upgrade: foo", b"Connection: upgrade", start=b"HTTP/1.1 101 Switching Protocols").upgrade == b"foo"


# --- a connection remembers its last head

STARTS = st.sampled_from((b"HTTP/1.1 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.0 200 OK", b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 304 Not Modified"))
LINES = st.sampled_from(
    (
        b"Date: 1", b"Date: 2", b"date: 1", b"Date:", b"ETag: a", b"ETag: b", b"Content-Length: 5", b"Content-Length: 6", b"content-length: 5", b"Content-Length: x",
        b"Content-Length:7", b"Content-Length: 007", b"Content-Type: text/html", b"Content-Type: text/event-stream", b"Connection: close", b"Connection: etag",
        b"Transfer-Encoding: chunked", b"Location: http://a", b"Location: http://b", b"Set-Cookie: a=1", b"Set-Cookie: a=2", b"X-Accel-Buffering: no",
        b"X-Request-ID: 1", b"X-Request-ID: 2", b"X: a\rb", b"X: \x00", b"no colon", b"",
    )
)  # fmt: skip
HEADS = st.tuples(STARTS, st.lists(LINES, max_size=5))


def all_of(answer):
    """Everything that a head holds, as it is now."""
    return {name: list(value) if isinstance(value := getattr(answer, name), list) else value for name in AnswerHead.__slots__}


def read_by(read, head):
    try:
        return all_of(read(head))
    except BadMessage as problem:
        return str(problem)


@given(HEADS, st.data())
def test_a_memo_reads_every_head_as_if_it_were_the_first(first, data):
    memo = AnswerMemo()
    start, lines = first
    for _ in range(4):
        head = b"\r\n".join((start, *lines, b"", b""))
        assert read_by(memo.read, head) == read_by(read_answer_head, head)
        lines = [data.draw(LINES) if data.draw(st.integers(0, 3)) == 0 else line for line in lines]
        start = data.draw(STARTS) if data.draw(st.integers(0, 9)) == 0 else start


def test_a_memo_keeps_what_stands_for_the_next_head():
    memo = AnswerMemo()
    first = memo.read(b"HTTP/1.1 200 OK\r\nDate: 1\r\nContent-Length: 5\r\n\r\n")
    second = memo.read(b"HTTP/1.1 200 OK\r\nDate: 2\r\nContent-Length: 17\r\n\r\n")
    assert second is first
    assert (second.length, second.lines) == (17, [b"HTTP/1.1 200 OK", b"Date: 2", b"Content-Length: 17"])
