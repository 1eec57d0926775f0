"""The table of broken, hostile and odd upstream answers, with what the client must see of each.

Ids such as PXY-3 name cases of the fault catalogue. Whatever the row, the next client gets its own answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.hostile_requests import post, req
from tests.support.wire import FIN, RST, Message, reply


@dataclass(frozen=True)
class View:
    """What the client got: a whole answer, or the bytes of one that was broken off; `reset` if by RST."""

    message: Message | None
    got: bytes
    reset: bool = False


Judge = Callable[[View], bool]


@dataclass(frozen=True)
class Row:
    name: str
    rule: str
    steps: tuple[bytes | str, ...]
    view: Judge
    request: bytes = req()

    def __str__(self) -> str:
        return f"{self.rule}:{self.name}"

    @property
    def method(self) -> bytes:
        return self.request.split(b" ", 1)[0]


def failed(view: View) -> bool:
    """Our own 502, whole."""
    message = view.message
    return message is not None and message.status == 502 and b"upstream_failed" in message.body


def whole(judge: Callable[[Message], object]) -> Judge:
    return lambda view: view.message is not None and bool(judge(view.message))


def exactly(body: bytes, status: int = 200) -> Judge:
    return whole(lambda m: m.status == status and m.body == body)


def cut(body: bytes) -> Judge:
    """The head and these bytes of the body, then the end of the connection: never a whole answer."""

    def judge(view: View) -> bool:
        return view.message is None and view.got.startswith(b"HTTP/1.1 200") and body in view.got and not view.got.endswith(b"0\r\n\r\n")

    return judge


def cut_or_failed(view: View) -> bool:
    """Broken before or after the head went out: either is honest."""
    return failed(view) or (view.message is None and not view.got.endswith(b"0\r\n\r\n"))


def no_header(*names: bytes) -> Judge:
    return whole(lambda m: m.status == 200 and not any(m.all(name) for name in names))


def head(*lines: bytes, status: bytes = b"200 OK", version: bytes = b"HTTP/1.1") -> bytes:
    return version + b" " + status + b"\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"


CHUNKED = b"Transfer-Encoding: chunked"
SECOND = reply(b"poison")
HEAD = req(method=b"HEAD")
HTTP10 = req(version=b"HTTP/1.0")

ENDS = (
    Row("PXY-1 closes before a byte", "no_answer", (FIN,), failed),
    Row("PXY-1 resets before a byte", "no_answer", (RST,), failed),
    Row("PXY-1 closes before a byte of a POST's answer", "no_answer", (FIN,), failed, post(b"Content-Length: 1", body=b"x")),
    Row("PXY-2 half a status line", "half_head", (b"HTTP/1.1 20", FIN), failed),
    Row("PXY-2 half a header block", "half_head", (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", FIN), failed),
    Row("PXY-2 half a header block, reset", "half_head", (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", RST), failed),
    Row("an interim answer, then the end", "half_head", (b"HTTP/1.1 103 Early Hints\r\n\r\n", FIN), failed),
)

STATUS_LINES = (
    Row("PXY-2 garbage", "status_line", (b"garbage\r\n\r\n",), failed),
    Row("PXY-2 garbage without a line end", "status_line", (b"\x00" * 300, FIN), failed),
    Row("PXY-2 status abc", "status_line", (head(b"Content-Length: 0", status=b"abc OK"),), failed),
    Row("PXY-2 status 20", "status_line", (head(b"Content-Length: 0", status=b"20 OK"),), failed),
    Row("status 099", "status_line", (head(b"Content-Length: 0", status=b"099 OK"),), failed),
    Row("status 2000", "status_line", (head(b"Content-Length: 0", status=b"2000 OK"),), failed),
    Row("status +20", "status_line", (head(b"Content-Length: 0", status=b"+20 OK"),), failed),
    Row("HTTP/2.0", "status_line", (head(b"Content-Length: 0", version=b"HTTP/2.0"),), failed),
    Row("lower case", "status_line", (head(b"Content-Length: 0", version=b"http/1.1"),), failed),
    Row("leading space", "status_line", (b" " + reply(b"x"),), failed),
    Row("two spaces", "status_line", (head(b"Content-Length: 0", status=b" 200 OK"),), failed),
    Row("CVE-2026-34519 CR in the reason", "status_line", (head(b"Content-Length: 0", status=b"200 O\rSet-Cookie: x=y"),), failed),
    Row("NUL in the reason", "status_line", (head(b"Content-Length: 0", status=b"200 O\x00K"),), failed),
    Row("an ICY stream", "status_line", (b"ICY 200 OK\r\n\r\n",), failed),
    Row("no reason, but its space", "reason", (head(b"Content-Length: 1", status=b"200 ") + b"x",), exactly(b"x")),
    Row("a status of its own", "reason", (head(b"Content-Length: 1", status=b"799 Own") + b"x",), exactly(b"x", 799)),
)  # fmt: skip

FIELDS = (
    Row("PXY-11 CR in a value", "answer_control", (head(b"X-A: 1\rX-B: 2", b"Content-Length: 0"),), failed),
    Row("PXY-11 NUL in a value", "answer_control", (head(b"X-A: 1\x00", b"Content-Length: 0"),), failed),
    Row("PXY-11 space before the colon", "answer_name", (head(b"X-A : 1", b"Content-Length: 0"),), failed),
    Row("no colon", "answer_name", (head(b"X-A", b"Content-Length: 0"),), failed),
    Row("empty name", "answer_name", (head(b": 1", b"Content-Length: 0"),), failed),
    Row("folded", "answer_fold", (head(b"X-A: 1", b" 2", b"Content-Length: 0"),), failed),
    Row("folded, with a colon", "answer_fold", (head(b"X-A: 1", b" X-B: 2", b"Content-Length: 0"),), failed),
    Row("folded first", "answer_fold", (head(b" X-A: 1", b"Content-Length: 0"),), failed),
    Row("bare LF between headers", "answer_lf", (b"HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 0\r\n\r\n",), failed),
    Row("bare LF ends the status line", "answer_lf", (b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",), failed),
    Row("bare LF throughout", "answer_lf", (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",), failed),
    Row("100 KB of a value", "answer_size", (head(b"X-A: " + b"a" * 100_000, b"Content-Length: 0"),), failed),
    Row("a head without end", "answer_size", (b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 12_000,), failed),
    Row("PXY-10 16 KB of a value", "answer_room", (head(b"X-A: " + b"a" * 16_384, b"Content-Length: 1") + b"x",), whole(lambda m: m.body == b"x" and len(m.get(b"x-a") or b"") == 16_384)),
    Row("PXY-10 300 headers", "answer_room", (head(*(b"X-%d: 1" % i for i in range(300)), b"Content-Length: 1") + b"x",), whole(lambda m: m.get(b"x-299") == b"1")),
    Row("8-bit bytes stay", "answer_room", (head(b"X-A: caf\xe9", b"Content-Length: 0"),), whole(lambda m: m.get(b"x-a") == b"caf\xe9")),
)  # fmt: skip

FRAMING = (
    Row("PXY-9 two lengths", "answer_length_twice", (head(b"Content-Length: 3", b"Content-Length: 5") + b"abcde",), failed),
    Row("PXY-9 length and coding", "answer_both", (head(b"Content-Length: 3", CHUNKED) + b"0\r\n\r\n",), failed),
    Row("PXY-9 unknown coding", "answer_te", (head(b"Transfer-Encoding: foo") + b"abc", FIN), failed),
    Row("gzip, chunked", "answer_te", (head(b"Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", FIN), failed),
    Row("chunked, chunked", "answer_te", (head(b"Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n", FIN), failed),
    Row("empty coding", "answer_te", (head(b"Transfer-Encoding:", b"Content-Length: 1") + b"x", FIN), failed),
    Row("two codings", "answer_te_twice", (head(CHUNKED, CHUNKED) + b"0\r\n\r\n", FIN), failed),
    Row("coding in HTTP/1.0", "answer_te10", (head(CHUNKED, version=b"HTTP/1.0") + b"0\r\n\r\n", FIN), failed),
    Row("PXY-9 negative length", "answer_digits", (head(b"Content-Length: -1"), FIN), failed),
    Row("plus", "answer_digits", (head(b"Content-Length: +1") + b"x", FIN), failed),
    Row("hex", "answer_digits", (head(b"Content-Length: 0x1") + b"x", FIN), failed),
    Row("list", "answer_digits", (head(b"Content-Length: 1, 1") + b"x", FIN), failed),
    Row("empty", "answer_digits", (head(b"Content-Length:") + b"x", FIN), failed),
    Row("unicode digit", "answer_digits", (head(b"Content-Length: \xd9\xa1") + b"x", FIN), failed),
    Row("2^64", "answer_huge", (head(b"Content-Length: 18446744073709551616") + b"x", FIN), failed),
    Row("Content_Length is no length", "answer_underscore", (head(b"Content_Length: 1", b"Content-Length: 2") + b"ab",), exactly(b"ab")),
)  # fmt: skip

CUTS = (
    Row("PXY-3 sized, closed early", "cut_length", (head(b"Content-Length: 100") + b"a" * 50, FIN), cut(b"a" * 50)),
    Row("PXY-4 sized, reset early", "cut_length", (head(b"Content-Length: 100") + b"a" * 50, RST), lambda v: v.message is None),
    Row("sized, nothing came", "cut_length", (head(b"Content-Length: 100"), FIN), cut(b"")),
    Row("one byte short", "cut_length", (head(b"Content-Length: 2") + b"a", FIN), cut(b"a")),
    Row("PXY-5 no last chunk", "cut_chunked", (head(CHUNKED) + b"3\r\nabc\r\n", FIN), cut(b"abc")),
    Row("PXY-5 inside a chunk", "cut_chunked", (head(CHUNKED) + b"5\r\nabc", FIN), cut(b"abc")),
    Row("PXY-5 inside a chunk, reset", "cut_chunked", (head(CHUNKED) + b"5\r\nabc", RST), lambda v: v.message is None),
    Row("inside a size line", "cut_chunked", (head(CHUNKED) + b"3\r\nabc\r\n1", FIN), cut(b"abc")),
    Row("inside the trailers", "cut_chunked", (head(CHUNKED) + b"3\r\nabc\r\n0\r\nX-A: 1\r\n", FIN), lambda v: v.message is None),
    Row("before the trailers end", "cut_chunked", (head(CHUNKED) + b"3\r\nabc\r\n0\r\n", FIN), lambda v: v.message is None),
    Row("until close, reset", "cut_close", (head() + b"abc", RST), lambda v: v.message is None),
    Row("chunked, to HTTP/1.0: a reset", "cut_http10", (head(CHUNKED) + b"3\r\nabc\r\n", FIN), lambda v: v.reset, HTTP10),
    Row("sized, to HTTP/1.0", "cut_http10", (head(b"Content-Length: 100") + b"abc", FIN), lambda v: v.message is None, HTTP10),
    Row("until close, reset, to HTTP/1.0: a reset", "cut_http10", (head() + b"abc", RST), lambda v: v.reset, HTTP10),
)  # fmt: skip

BAD_CHUNKS = (
    Row("PXY-6 size in letters", "answer_chunk_size", (head(CHUNKED) + b"zz\r\n",), cut_or_failed),
    Row("minus", "answer_chunk_size", (head(CHUNKED) + b"-1\r\n",), cut_or_failed),
    Row("0x", "answer_chunk_size", (head(CHUNKED) + b"0x1\r\nx\r\n0\r\n\r\n",), cut_or_failed),
    Row("2^64 - 1", "answer_chunk_huge", (head(CHUNKED) + b"ffffffffffffffff\r\nx",), cut_or_failed),
    Row("PXY-39 size in letters, later", "answer_chunk_size", (head(CHUNKED) + b"3\r\nabc\r\n", b"zz\r\n"), cut(b"abc")),
    Row("PXY-39 no line end after the data, later", "answer_chunk_end", (head(CHUNKED) + b"3\r\nabc\r\n", b"1\r\nxx\r\n0\r\n\r\n"), lambda v: v.message is None),
    Row("PXY-39 bare LF after the size, later", "answer_chunk_line", (head(CHUNKED) + b"3\r\nabc\r\n", b"1\nx\r\n0\r\n\r\n"), cut(b"abc")),
    Row("PXY-39 LF in an extension, later", "answer_chunk_line", (head(CHUNKED) + b"3\r\nabc\r\n", b"1;a=\nb\r\nx\r\n0\r\n\r\n"), cut(b"abc")),
    Row("PXY-39 bad trailer, later", "answer_trailer_form", (head(CHUNKED) + b"3\r\nabc\r\n", b"0\r\nX-A : 1\r\n\r\n"), lambda v: v.message is None),
    Row("trailer folded", "answer_trailer_form", (head(CHUNKED) + b"3\r\nabc\r\n", b"0\r\nX-A: 1\r\n 2\r\n\r\n"), lambda v: v.message is None),
    Row("trailers without end", "answer_trailer_size", (head(CHUNKED) + b"3\r\nabc\r\n0\r\n" + b"X-A: 1\r\n" * 20_000,), cut_or_failed),
)  # fmt: skip

SURPLUS = (
    Row("PXY-8 longer than its length", "surplus", (head(b"Content-Length: 3") + b"abcdef",), exactly(b"abc")),
    Row("PXY-8 a second answer", "surplus", (reply(b"abc") + SECOND,), exactly(b"abc")),
    Row("PXY-8 a second answer, later", "surplus", (reply(b"abc"), SECOND), exactly(b"abc")),
    Row("after the last chunk", "surplus", (head(CHUNKED) + b"3\r\nabc\r\n0\r\n\r\n" + SECOND,), exactly(b"abc")),
    Row("PXY-12 204 with a body", "surplus_none", (head(b"Content-Length: 3", status=b"204 No Content") + b"abc",), whole(lambda m: m.status in (204, 502))),
    Row("PXY-12 204 and a second answer", "surplus_none", (head(status=b"204 No Content") + SECOND,), whole(lambda m: m.status in (204, 502))),
    Row("PXY-12 HEAD with a body", "surplus_none", (reply(b"abc"),), whole(lambda m: m.status in (200, 502)), HEAD),
    Row("PXY-12 HEAD and a second answer", "surplus_none", (head(b"Content-Length: 3") + SECOND,), whole(lambda m: m.status in (200, 502)), HEAD),
    Row("304 and a second answer", "surplus_none", (head(b"Content-Length: 1234", status=b"304 Not Modified") + SECOND,), whole(lambda m: m.status in (304, 502))),
    Row("204 with chunks", "surplus_none", (head(CHUNKED, status=b"204 No Content") + b"3\r\nabc\r\n0\r\n\r\n",), whole(lambda m: m.status in (204, 502))),
)  # fmt: skip

INTERIM = (
    Row("PXY-15 101 unasked", "switch_unasked", (head(b"Connection: Upgrade", b"Upgrade: foo", status=b"101 Switching Protocols") + b"raw",), failed),
    Row("PXY-14 100 unasked", "interim", (head(status=b"100 Continue") + reply(b"x"),), exactly(b"x")),
    Row("PXY-14 103 with a header", "interim", (head(b"Link: </a>", status=b"103 Early Hints") + reply(b"x"),), exactly(b"x")),
    Row("PXY-14 two thousand 102", "interim", (head(status=b"102 Processing") * 2000 + reply(b"x"),), exactly(b"x")),
    Row("to HTTP/1.0 none", "interim10", (head(status=b"103 Early Hints") + reply(b"x"),), lambda v: b"103" not in v.got and v.message is not None and v.message.body == b"x", HTTP10),
    Row("interim with a bad header", "interim", (head(b"X-A : 1", status=b"103 Early Hints") + reply(b"x"),), failed),
)  # fmt: skip

AS_IT_IS = (
    Row("PXY-7 until close, 1.1", "until_close", (head() + b"abc", FIN), exactly(b"abc")),
    Row("PXY-7 until close, 1.0", "until_close", (head(version=b"HTTP/1.0") + b"abc", FIN), exactly(b"abc")),
    Row("PXY-7 until close to HTTP/1.0", "until_close", (head() + b"abc", FIN), exactly(b"abc"), HTTP10),
    Row("PXY-13 304 keeps its length", "no_body", (head(b"Content-Length: 1234", status=b"304 Not Modified"),), whole(lambda m: m.status == 304 and m.get(b"content-length") in (b"1234", None))),
    Row("PXY-13 HEAD keeps its length", "no_body", (head(b"Content-Length: 1234"),), whole(lambda m: m.get(b"content-length") == b"1234"), HEAD),
    Row("HEAD of a chunked answer", "no_body", (head(CHUNKED),), whole(lambda m: m.status == 200), HEAD),
    Row("PXY-20 gzip stays", "untouched", (head(b"Content-Encoding: gzip", b'ETag: "1"', b"Content-Length: 4") + b"\x1f\x8b\x00\xff",), whole(lambda m: m.body == b"\x1f\x8b\x00\xff" and m.get(b"content-encoding") == b"gzip" and m.get(b"etag") == b'"1"')),
    Row("PXY-22 three cookies, in order", "untouched", (reply(b"x", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Set-Cookie: c=3"),), whole(lambda m: m.all(b"set-cookie") == [b"a=1", b"b=2", b"c=3"])),
    Row("PXY-23 a redirect is passed on", "untouched", (reply(b"", b"Location: http://elsewhere.example/", status=b"302 Found"),), whole(lambda m: m.status == 302 and m.get(b"location") == b"http://elsewhere.example/")),
    Row("PXY-26 nothing is invented", "untouched", (reply(b"x"),), no_header(b"server", b"content-type", b"date", b"via")),
    Row("PXY-24 hop-by-hop dropped", "answer_hop", (reply(b"x", b"Keep-Alive: timeout=5", b"Proxy-Connection: close", b"Upgrade: h2c"),), no_header(b"keep-alive", b"proxy-connection", b"upgrade")),
    Row("PXY-24 Connection-named dropped", "answer_named", (reply(b"x", b"Connection: X-Foo, keep-alive", b"X-Foo: 1"),), no_header(b"x-foo")),
    Row("Connection names Content-Length", "answer_named", (reply(b"abc", b"Connection: Content-Length"),), exactly(b"abc")),
    Row("PXY-28 trailers and extensions", "answer_trailers", (head(CHUNKED) + b"3;e=1\r\nabc\r\n0;x\r\nX-Sum: 7\r\n\r\n",), whole(lambda m: m.body == b"abc" and m.trailers == [(b"X-Sum", b"7")])),
    Row("forbidden trailers are dropped", "answer_trailer_names", (head(CHUNKED) + b"3\r\nabc\r\n0\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\nX-Request-ID: evil\r\nX-Sum: 7\r\n\r\n",), whole(lambda m: m.body == b"abc" and m.trailers == [(b"X-Sum", b"7")])),
    Row("X-Request-ID is ours", "answer_request_id", (reply(b"x", b"X-Request-ID: theirs"),), whole(lambda m: len(m.all(b"x-request-id")) == 1)),
)  # fmt: skip

ROWS = (*ENDS, *STATUS_LINES, *FIELDS, *FRAMING, *CUTS, *BAD_CHUNKS, *SURPLUS, *INTERIM, *AS_IT_IS)
