"""A request's head: when it is complete, and what is kept of it."""

import pytest

from hestia.h1.grammar import BadMessage
from hestia.h1.request import CHUNKED, find_request_line, read_request_head

LONGEST = 1000


def head(*lines, minor=b"1"):
    return read_request_head(b"".join(line + b"\r\n" for line in lines) + b"\r\n", minor)


def test_a_head_is_found_when_its_empty_line_is_there_and_not_before():
    data = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\nrest"
    method, target, minor, begin, end = find_request_line(data, LONGEST)
    assert (method, target, minor) == (b"GET", b"/x", b"1")
    assert (data[begin:end], data[end:]) == (b"Host: h\r\n\r\n", b"rest")
    for cut in range(len(data) - 4):
        assert find_request_line(data[:cut], LONGEST) is None


def test_a_head_without_any_header_is_found():
    data = b"GET /x HTTP/1.0\r\n\r\n"
    found = find_request_line(data, LONGEST)
    assert found is not None
    assert found[4] == len(data)


@pytest.mark.parametrize("data", (b"\x16\x03", b"GET  ", b"GET /x HTTP/2", b"GET /x\r", b"GET /x HTTP/1.1\n", b"GET /x HTTP/1.1\r\nA: 1\nB", b"GET /x HTTP/1.1\r\nA: 1\rB", b" "))
def test_what_cannot_become_a_head_is_refused_without_waiting(data):
    with pytest.raises(BadMessage):
        find_request_line(data, LONGEST)


@pytest.mark.parametrize("data", (b"GET /" + b"x" * LONGEST, b"GET / HTTP/1.1\r\nA: " + b"x" * LONGEST, b"GET / HTTP/1.1\r\nA: " + b"x" * LONGEST + b"\r\n\r\n"))
def test_a_head_beyond_the_limit_overflows(data):
    with pytest.raises(OverflowError):
        find_request_line(data, LONGEST)


def test_other_headers_cross_as_they_came():
    lines = (b"aCCept:  x ", b"X-A:", b"X-A: 2", b"Content-Type: t", b"Cookie: a=\xe9")
    assert head(b"Host: h", *lines).fields == list(lines)


@pytest.mark.parametrize("name", (b"X_Forwarded_For", b"x-forwarded_host", b"X_Request_ID", b"Content_Length", b"Transfer_Encoding", b"CDN_Loop", b"X_Real_IP"))
def test_a_name_that_would_read_as_ours_is_dropped(name):
    assert head(b"Host: h", name + b": 1").fields == []


@pytest.mark.parametrize("lines", ((b"Host: a", b"Host: a"), (b"Content-Length: 1", b"Content-Length: 1"), (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), (b"Content-Length: 1", b"Transfer-Encoding: chunked"), (b"Content-Length: +1",), (b"Content-Length: 1, 1",), (b"Content-Length:",), (b"Transfer-Encoding: gzip, chunked",), (b"Transfer-Encoding:",), (b"Expect: more",), (b"A : 1",), (b"A: 1", b" 2"), (b"A: \x00",)))
def test_a_head_that_is_ambiguous_is_refused(lines):
    with pytest.raises(BadMessage):
        head(*lines)


def test_chunks_are_not_for_http_1_0():
    with pytest.raises(BadMessage):
        head(b"Transfer-Encoding: chunked", minor=b"0")


@pytest.mark.parametrize(
    ("lines", "length"),
    (((), 0), ((b"Content-Length: 0",), 0), ((b"content-length:17 ",), 17), ((b"Transfer-Encoding: Chunked",), CHUNKED)),
)
def test_the_length_is_read(lines, length):
    assert head(*lines).length == length


@pytest.mark.parametrize(
    ("lines", "minor", "keep"),
    (
        ((), b"1", True), ((b"Connection: close",), b"1", False), ((b"Connection: x, CLOSE",), b"1", False),
        ((), b"0", False), ((b"Connection: Keep-Alive",), b"0", True), ((b"Connection: close, keep-alive",), b"0", False),
    ),
)  # fmt: skip
def test_whether_the_connection_stays(lines, minor, keep):
    assert head(*lines, minor=minor).keep is keep


@pytest.mark.parametrize(
    ("lines", "minor", "upgrade"),
    (
        ((b"Connection: Upgrade", b"Upgrade: websocket"), b"1", b"websocket"),
        ((b"Connection: keep-alive, upgrade", b"Upgrade: a/1, b"), b"1", b"a/1, b"),
        ((b"Upgrade: websocket",), b"1", None),
        ((b"Connection: Upgrade",), b"1", None),
        ((b"Connection: Upgrade", b"Upgrade: websocket"), b"0", None),
        ((b"Connection: Upgrade", b"Upgrade: h2c"), b"1", None),
        ((b"Connection: Upgrade", b"Upgrade: H2C, websocket"), b"1", b"websocket"),
        ((b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 3"), b"1", None),
    ),
)
def test_an_upgrade_needs_both_headers_and_http_1_1_and_is_never_h2c(lines, minor, upgrade):
    assert head(*lines, minor=minor).upgrade == upgrade


def test_what_connection_names_is_dropped_but_not_what_the_gateway_needs():
    lines = (b"Connection: X-A, Content-Type, X-Forwarded-For, Host", b"X-A: 1", b"Content-Type: t", b"Host: h")
    read = head(*lines)
    assert read.fields == [b"Content-Type: t"]
    assert read.host == b"h"


@pytest.mark.parametrize(("value", "kept"), ((b"abc", b"abc"), (b"a" * 128, b"a" * 128), (b"a" * 129, None), (b"a b", None), (b"", None), (b"\xe9", None)))
def test_a_sane_request_id_is_kept(value, kept):
    assert head(b"X-Request-ID: " + value).request_id == kept


@pytest.mark.parametrize(
    ("lines", "navigation"),
    (
        ((b"Accept: text/html",), True), ((), False), ((b"Accept: */*",), False), ((b"Sec-Fetch-Mode: navigate",), True), ((b"Sec-Fetch-Mode: cors", b"Accept: text/html"), False),
        ((b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: iframe"), False), ((b"Sec-Fetch-Mode: navigate", b"Sec-Purpose: prefetch"), False), ((b"Accept: text/html", b"Purpose: prefetch"), False),
    ),
)  # fmt: skip
def test_a_navigation_is_a_browser_that_opens_a_page(lines, navigation):
    assert head(*lines).navigation is navigation
