"""A request's head: when it is complete, and what is kept of it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.h1.address import read_address
from hestia.h1.crossing import Crossing
from hestia.h1.grammar import BadMessage
from hestia.h1.request import CHUNKED, RequestHead, find_request_line, read_request_head, renew

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


# --- a head that is made of the last one

CROSSING = Crossing(read_address("http://up:9"), b"hestia-1", rewrite=True, preserve_host=False, put={}, remove=())
LINES = st.sampled_from(
    (
        b"traceparent: 00-" + b"1" * 32 + b"-0123456789abcdef-01", b"traceparent: 00-" + b"2" * 32 + b"-0123456789abcdef-01", b"traceparent:", b"Traceparent: 00-1", b"X-A: 1", b"X-A: 2", b"x-a: 1", b"X_A: 1",
        b"Connection: x-a", b"Connection: close", b"Content-Length: 5", b"Content-Length: 6", b"Transfer-Encoding: chunked", b"Cookie: a=1", b"Cookie: a=2",
        b"Authorization: Bearer 1", b"Authorization: Bearer 2", b"X-Request-ID: 1", b"X-Request-ID: 2", b"Sec-Fetch-Site: cross-site", b"Sec-Fetch-Site: none",
        b"Purpose: prefetch", b"Purpose: none", b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For: 2.2.2.2", b"Origin: http://a", b"Origin: http://b", b"Host: other",
        b"X-Bare: a\rb", b"X-Nul: \x00", b"no colon", b" X-Space: 1", b"X-Space : 1", b"", b"X-B: a\nb",
    )
)  # fmt: skip


def block_of(lines):
    return b"".join(line + b"\r\n" for line in (b"Host: h", *lines)) + b"\r\n"


def crossed(head):
    return CROSSING.request(head, b"/services/a", b"192.0.2.1", trusted=False)


def all_of(head):
    """Everything that a head holds, with what is made of it."""
    kept = {name: getattr(head, name) for name in RequestHead.__slots__ if name not in {"cross_for", "crossed", "fields", "named"}}
    return kept, list(head.fields), dict(head.named), crossed(head)


@given(st.lists(LINES, max_size=5), st.data())
def test_a_renewed_head_is_what_a_fresh_one_would_be(first, data):
    second = [data.draw(LINES) if data.draw(st.booleans()) else line for line in first]
    second = data.draw(st.sampled_from((second, second[:-1], second[::-1])))
    before, block = block_of(first), block_of(second)
    with contextlib.suppress(BadMessage):
        head = read_request_head(before, b"1")
        head.cross_for, head.crossed = "somewhere", crossed(head)
        if renew(head, before.split(b"\r\n"), block.split(b"\r\n")):
            fresh = read_request_head(block, b"1")  # BadMessage here would be a renewed head that is none
            assert all_of(head) == all_of(fresh)
            assert head.cross_for is None or head.crossed == crossed(fresh)
        else:
            assert all_of(head) == all_of(read_request_head(before, b"1"))


@given(st.lists(LINES, max_size=5), st.data())
def test_what_is_no_head_is_never_renewed(first, data):
    second = [data.draw(LINES) if data.draw(st.booleans()) else line for line in first]
    before, block = block_of(first), block_of(second)
    try:
        head = read_request_head(before, b"1")
    except BadMessage:
        return
    try:
        read_request_head(block, b"1")
    except BadMessage:
        assert not renew(head, before.split(b"\r\n"), block.split(b"\r\n"))


@pytest.mark.parametrize(
    ("first", "second", "renewed"),
    (
        ([b"traceparent: 1"], [b"traceparent: 2"], True),
        ([b"A: 1", b"B: 1"], [b"A: 2", b"B: 2"], True),
        ([b"A: 1", b"B: 1", b"C: 1", b"D: 1", b"E: 1"], [b"A: 2", b"B: 2", b"C: 2", b"D: 2", b"E: 2"], False),
        ([b"traceparent: 1", b"Traceparent: 2"], [b"traceparent: 1", b"Traceparent: 3"], False),
        ([b"A: 1"], [b"B: 1"], False),
        ([b"A: 1"], [b"A: 1", b"B: 1"], False),
        ([b"A: 1", b"A: 1"], [b"A: 1", b"A: 2"], False),
        ([b"A: 1", b"A: 2"], [b"A: 2", b"A: 1"], False),
        ([b"A: 1"], [b"a: 2"], False),
        ([b"Cookie: a"], [b"Cookie: b"], False),
        ([b"Authorization: a"], [b"Authorization: b"], False),
        ([b"Content-Length: 1"], [b"Content-Length: 2"], False),
        ([b"Connection: A", b"A: 1"], [b"Connection: A", b"A: 2"], False),
        ([b"A: 1"], [b"A: \x00"], False),
    ),
)  # fmt: skip
def test_only_lines_that_merely_cross_may_change(first, second, renewed):
    before, block = block_of(first), block_of(second)
    head = read_request_head(before, b"1")
    assert renew(head, before.split(b"\r\n"), block.split(b"\r\n")) is renewed
