from hestia.h1.address import read_address
from hestia.h1.answer import read_answer_head
from hestia.h1.crossing import Crossing, answer_block, answer_framing
from hestia.h1.request import read_request_head


def crossing(url="http://up:9/base", *, rewrite=True, preserve_host=False, put=None, remove=()):
    return Crossing(
        read_address(url), b"hestia-1", rewrite=rewrite, preserve_host=preserve_host, put=put or {}, remove=remove
    )


def head(*lines, minor=b"1"):
    return read_request_head(b"".join(line + b"\r\n" for line in (b"Host: me:8080", *lines)) + b"\r\n", minor)


def crossed(*lines, trusted=False, prefix=b"/services/a", over=None):
    block = (over or crossing()).request(head(*lines), prefix, b"192.0.2.1", trusted=trusted)
    assert block.endswith(b"\r\nX-Request-ID: ")
    return block.split(b"\r\n")[:-1]


def test_a_request_crosses_with_the_upstream_host_and_our_forwarding_fields():
    assert crossed(b"Accept: x", b"X-Forwarded-For: 1.1.1.1", b"Forwarded: for=1.1.1.1", b"X-Real-IP: 1.1.1.1") == [
        b"Host: up:9",
        b"Accept: x",
        b"X-Forwarded-For: 192.0.2.1",
        b"X-Forwarded-Proto: http",
        b"X-Forwarded-Host: me:8080",
        b"X-Forwarded-Prefix: /services/a",
        b"CDN-Loop: hestia-1",
    ]


def test_what_a_trusted_peer_forwarded_is_appended_to():
    lines = crossed(
        b"X-Forwarded-For: 1.1.1.1",
        b"Forwarded: for=1.1.1.1",
        b"X-Real-IP: 1.1.1.1",
        b"X-Forwarded-Prefix: /outer/",
        b"CDN-Loop: other",
        trusted=True,
    )
    assert b"X-Forwarded-For: 1.1.1.1, 192.0.2.1" in lines
    assert b'Forwarded: for=1.1.1.1, for=192.0.2.1;host="me:8080";proto=http' in lines
    assert b"X-Real-IP: 1.1.1.1" in lines
    assert b"X-Forwarded-Prefix: /outer/services/a" in lines
    assert b"CDN-Loop: other, hestia-1" in lines


def test_the_places_own_headers_come_last_and_replace_but_never_touch_the_framing():
    over = crossing(put={"Authorization": "Bearer ours", "Content-Length": "9"}, remove=("accept", "connection"))
    lines = crossed(b"Accept: x", b"authorization: Bearer theirs", b"Content-Length: 0", over=over)
    assert lines[-1] == b"Authorization: Bearer ours"
    assert not [line for line in lines if line.lower().startswith((b"accept", b"authorization: bearer theirs"))]
    assert [line for line in lines if line.startswith(b"Content-Length")] == [b"Content-Length: 0"]


def test_the_own_origin_becomes_the_upstreams_and_a_foreign_one_stays():
    assert b"Origin: http://up:9" in crossed(b"Origin: http://me:8080")
    assert b"Origin: http://evil.example" in crossed(b"Origin: http://evil.example")
    assert b"Origin: http://me:8080" in crossed(b"Origin: http://me:8080", over=crossing(rewrite=False))


def test_host_is_kept_where_the_operator_says_so():
    assert crossed(over=crossing(preserve_host=True))[0] == b"Host: me:8080"
    assert crossed(over=crossing(rewrite=False))[0] == b"Host: me:8080"


def test_an_answers_location_and_cookie_are_mapped_back():
    answer = read_answer_head(
        b"HTTP/1.1 302 Found\r\nLocation: http://up:9/base/x\r\nSet-Cookie: a=1; Path=/\r\nContent-Type: text/event-stream\r\n\r\n"
    )
    assert answer_block(answer, crossing(), head(), b"/services/a").split(b"\r\n") == [
        b"HTTP/1.1 302 Found",
        b"Location: http://me:8080/services/a/x",
        b"Set-Cookie: a=1; Path=/services/a/",
        b"Content-Type: text/event-stream",
        b"X-Accel-Buffering: no",
    ]


def framing(raw, *, bodyless=False, minor=b"1", keep=True):
    return answer_framing(read_answer_head(raw), bodyless=bodyless, minor=minor, keep=keep)


def test_an_answer_without_a_length_is_framed_for_who_asked():
    until_close = b"HTTP/1.1 200 OK\r\n\r\n"
    assert framing(until_close) == b"\r\nTransfer-Encoding: chunked"
    assert framing(until_close, keep=False) == b"\r\nTransfer-Encoding: chunked\r\nConnection: close"
    assert framing(until_close, minor=b"0", keep=False) == b"\r\nConnection: close"
    assert framing(until_close, bodyless=True) == b""


def test_an_answer_with_a_length_says_no_more_than_that():
    sized = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert framing(sized) == b""
    assert framing(sized, minor=b"0") == b"\r\nConnection: keep-alive"
