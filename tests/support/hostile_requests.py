"""The table of hostile, malformed and ambiguous requests. Ids such as HTTP-1 name cases of the fault catalogue.

A row is judged by two sides: what the client is answered, and what bytes reach the upstream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.wire import Message

NOTHING = None  # the upstream sees no byte
Seen = Callable[[list[Message]], bool]


@dataclass(frozen=True)
class Row:
    """One case: `rule` is what it pins, `status` the statuses that are right (0: closed without an answer)."""

    name: str
    rule: str
    raw: bytes
    status: tuple[int, ...]
    seen: Seen | str | None = NOTHING  # None: no byte; "aborted": at most an unfinished request; or a judge of the requests
    closes: bool = True

    def __str__(self) -> str:
        return f"{self.rule}:{self.name}"


HOST = b"Host: localhost"
PATH = b"/services/a/x"


def req(*lines: bytes, method: bytes = b"GET", target: bytes = PATH, version: bytes = b"HTTP/1.1", host: bytes | None = HOST, body: bytes = b"") -> bytes:
    """A request of these lines; the host line first unless it is None."""
    block = b"".join(line + b"\r\n" for line in ((host, *lines) if host is not None else lines))
    return b"%s %s %s\r\n%s\r\n%s" % (method, target, version, block, body)


def post(*lines: bytes, body: bytes = b"", **kw: bytes) -> bytes:
    return req(*lines, method=b"POST", body=body, **kw)


def chunked(body: bytes, *lines: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *lines, body=body)


def bad(rule: str, name: str, raw: bytes, *status: int, seen: Seen | str | None = NOTHING) -> Row:
    return Row(name, rule, raw, status or (400,), seen)


def aborted(rule: str, name: str, raw: bytes) -> Row:
    """The head may have gone on, the body never becomes whole; 400 or a bare close."""
    return Row(name, rule, raw, (400, 0), "aborted")


def fine(rule: str, name: str, raw: bytes, judge: Seen, *, closes: bool = False) -> Row:
    return Row(name, rule, raw, (200,), judge, closes)


def _one(judge: Callable[[Message], object]) -> Seen:
    return lambda seen: len(seen) == 1 and bool(judge(seen[0]))


def _without(*names: bytes) -> Seen:
    return _one(lambda m: not any(m.all(name) for name in names))


def _target(target: bytes) -> Seen:
    return _one(lambda m: m.target == target)


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
ZERO = b"0\r\n\r\n"

BOTH_LENGTHS = (
    bad("both_lengths", "HTTP-1 cl-te", post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=ZERO)),
    bad("both_lengths", "HTTP-1 te-cl", post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=ZERO)),
    bad("both_lengths", "HTTP-1 smuggling", post(b"Content-Length: %d" % len(ZERO + SMUGGLED), b"transfer-encoding: chunked", body=ZERO + SMUGGLED)),
    bad("both_lengths", "HTTP-1 cl 0 and te", post(b"Content-Length: 0", b"Transfer-Encoding: chunked", body=ZERO)),
)

LENGTHS = (
    bad("length_twice", "HTTP-2 doubled", post(b"Content-Length: 3", b"Content-Length: 3", body=b"abc")),
    bad("length_twice", "HTTP-2 two values", post(b"Content-Length: 3", b"Content-Length: 5", body=b"abcde")),
    bad("length_digits", "HTTP-2 list", post(b"Content-Length: 3, 3", body=b"abc")),
    bad("length_digits", "HTTP-2 plus", post(b"Content-Length: +3", body=b"abc")),
    bad("length_digits", "HTTP-2 minus", post(b"Content-Length: -3", body=b"abc")),
    bad("length_digits", "HTTP-2 hex", post(b"Content-Length: 0x3", body=b"abc")),
    bad("length_digits", "HTTP-2 underscore", post(b"Content-Length: 1_0", body=b"abc")),
    bad("length_digits", "HTTP-2 inner space", post(b"Content-Length: 3 3", body=b"abc")),
    bad("length_digits", "HTTP-2 unicode digit", post(b"Content-Length: \xd9\xa3", body=b"abc")),
    bad("length_digits", "HTTP-2 superscript latin-1", post(b"Content-Length: \xb3", body=b"abc")),
    bad("length_digits", "HTTP-2 empty", post(b"Content-Length:", body=b"abc")),
    bad("length_digits", "HTTP-2 point", post(b"Content-Length: 3.0", body=b"abc")),
    bad("length_digits", "HTTP-2 vertical tab", post(b"Content-Length: \x0b3", body=b"abc")),
    bad("length_huge", "HTTP-3 2^63", post(b"Content-Length: 9223372036854775808"), 400, 413),
    bad("length_huge", "HTTP-2 2^64", post(b"Content-Length: 18446744073709551616"), 400, 413),
    bad("length_huge", "HTTP-2 a hundred digits", post(b"Content-Length: " + b"1" * 100), 400, 413),
)

CODINGS = (
    bad("te_twice", "HTTP-4 doubled", chunked(ZERO, b"Transfer-Encoding: chunked")),
    bad("te_twice", "HTTP-4 second is identity", chunked(ZERO, b"Transfer-Encoding: identity")),
    bad("te_exact", "HTTP-4 chunked, chunked", post(b"Transfer-Encoding: chunked, chunked", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-4 identity", post(b"Transfer-Encoding: identity", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-4 xchunked", post(b"Transfer-Encoding: xchunked", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-4 quoted", post(b'Transfer-Encoding: "chunked"', body=ZERO), 400, 501),
    bad("te_exact", "HTTP-4 vertical tab", post(b"Transfer-Encoding: \x0bchunked", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-4 no-break space", post(b"Transfer-Encoding: chunked\xa0", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-4 chunked, gzip", post(b"Transfer-Encoding: chunked, gzip", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-5 gzip, chunked", post(b"Transfer-Encoding: gzip, chunked", body=ZERO), 400, 501),
    bad("te_exact", "parameter", post(b"Transfer-Encoding: chunked;q=1", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-6 empty", post(b"Transfer-Encoding:", body=ZERO), 400, 501),
    bad("te_exact", "HTTP-6 empty beside a length", post(b"Transfer-Encoding:", b"Content-Length: 5", body=ZERO), 400, 501),
    bad("te_http10", "in HTTP/1.0", post(b"Transfer-Encoding: chunked", version=b"HTTP/1.0", body=ZERO)),
    fine("te_case", "upper case is the same word", post(b"TRANSFER-ENCODING: CHUNKED", body=b"1\r\nx\r\n" + ZERO), _one(lambda m: m.body == b"x" and m.framing == "chunked")),
)

FIELDS = (
    bad("obs_fold", "HTTP-7 with a space", req(b"X-A: 1", b" folded")),
    bad("obs_fold", "HTTP-7 with a tab", req(b"X-A: 1", b"\tfolded")),
    bad("obs_fold", "HTTP-7 first header folded", req(b" X-A: 1", HOST, host=None)),
    bad("obs_fold", "folded transfer-encoding", post(b"Transfer-Encoding:", b" chunked", body=ZERO)),
    bad("obs_fold", "an empty-looking fold", req(b"X-A: 1", b" ")),
    bad("bare_lf", "HTTP-8 header line", b"GET /services/a/x HTTP/1.1\r\nHost: localhost\nX: 1\r\n\r\n"),
    bad("bare_lf", "HTTP-8 request line", b"GET /services/a/x HTTP/1.1\nHost: localhost\r\n\r\n"),
    bad("bare_lf", "HTTP-8 all lines", b"GET /services/a/x HTTP/1.1\nHost: localhost\n\n"),
    bad("bare_lf", "HTTP-8 the empty line", b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n\n" + SMUGGLED),
    bad("bare_lf", "a header hidden behind one", post(b"X: 1\nTransfer-Encoding: chunked", b"Content-Length: 5", body=ZERO)),
    bad("control", "HTTP-8 bare CR in a value", req(b"X-A: 1\rX-B: 2")),
    bad("control", "HTTP-8 CR CR LF", req(b"X-A: 1\r")),
    bad("control", "HTTP-12 NUL in a value", req(b"X-A: a\x00b")),
    bad("control", "HTTP-12 BEL in a value", req(b"X-A: a\x07b")),
    bad("control", "HTTP-12 DEL in a value", req(b"X-A: a\x7fb")),
    bad("control", "HTTP-12 ESC in a value", req(b"X-A: a\x1b[2Jb")),
    bad("field_name", "HTTP-12 space before the colon", post(b"Content-Length : 3", body=b"abc")),
    bad("field_name", "tab before the colon", post(b"Transfer-Encoding\t: chunked", body=ZERO)),
    bad("field_name", "HTTP-12 no colon", req(b"X-A 1")),
    bad("field_name", "HTTP-12 empty name", req(b": 1")),
    bad("field_name", "HTTP-12 parenthesis", req(b"X(A): 1")),
    bad("field_name", "HTTP-12 NUL", req(b"X\x00A: 1")),
    bad("field_name", "HTTP-12 8-bit", req(b"X-\xe9: 1")),
    bad("field_name", "HTTP-12 inner space", req(b"X A: 1")),
    bad("field_name", "quote", req(b'"Host": evil.example')),
    Row("HTTP-13 8-bit value keeps its bytes or is refused", "value_bytes", req(b"X-A: caf\xe9 ad\xffmin"), (200, 400), lambda seen: not seen or seen[0].get(b"x-a") == b"caf\xe9 ad\xffmin", closes=False),
)

HOSTS = (
    bad("host_needed", "HTTP-14 none", req(host=None)),
    bad("host_twice", "HTTP-14 two", req(HOST, host=b"Host: 127.0.0.1")),
    bad("host_twice", "HTTP-14 the same twice", req(HOST)),
    bad("host_form", "HTTP-15 empty", req(host=b"Host:")),
    bad("host_form", "HTTP-15 user@", req(host=b"Host: user@localhost")),
    bad("host_form", "HTTP-15 space", req(host=b"Host: a b")),
    bad("host_form", "HTTP-15 slash", req(host=b"Host: localhost/b")),
    bad("host_form", "HTTP-15 comma", req(host=b"Host: localhost,localhost")),
    bad("host_form", "port is a word", req(host=b"Host: localhost:abc")),
    bad("host_form", "port too large", req(host=b"Host: localhost:99999")),
    bad("host_form", "two ports", req(host=b"Host: localhost:80:80")),
    bad("host_form", "open bracket", req(host=b"Host: [::1")),
    bad("host_form", "question mark", req(host=b"Host: localhost?x")),
    bad("host_form", "number sign", req(host=b"Host: localhost#x")),
    bad("host_form", "backslash", req(host=b"Host: localhost\\x")),
    bad("host_form", "8-bit", req(host=b"Host: local\xe9host")),
    bad("host_form", "HTTP/1.0 too", req(host=b"Host: a b", version=b"HTTP/1.0")),
    Row("a name that nobody allowed", "host_allowed", req(host=b"Host: evil.example"), (421,), NOTHING, closes=False),
    Row("a name that only ends like localhost", "host_allowed", req(host=b"Host: evil-localhost.example"), (421,), NOTHING, closes=False),
    Row("an address in a name", "host_allowed", req(host=b"Host: 127.0.0.1.evil.example"), (421,), NOTHING, closes=False),
)

TARGETS = (
    fine("absolute_form", "HTTP-20 own authority", req(target=b"http://localhost/services/a/x?q"), _target(b"/x?q")),
    bad("absolute_form", "HTTP-20 foreign authority", req(target=b"http://evil.example/services/a/x")),
    bad("absolute_form", "HTTP-20 other port", req(target=b"http://localhost:1/services/a/x")),
    bad("absolute_form", "HTTP-20 user info", req(target=b"http://user@localhost/services/a/x")),
    bad("absolute_form", "HTTP-20 empty authority", req(target=b"http:///services/a/x")),
    bad("absolute_form", "other scheme", req(target=b"ftp://localhost/services/a/x")),
    bad("absolute_form", "dot segment in it", req(target=b"http://localhost/services/a/../b")),
    bad("origin_form", "HTTP-21 star with GET", req(target=b"*")),
    Row("HTTP-21 star with OPTIONS", "origin_form", req(method=b"OPTIONS", target=b"*"), (400, 404, 200, 204, 405), NOTHING, closes=False),
    bad("origin_form", "HTTP-21 no leading slash", req(target=b"services/a/x")),
    bad("origin_form", "authority form with GET", req(target=b"localhost:80")),
    bad("origin_form", "fragment", req(target=b"/services/a/x#frag")),
    bad("dot_segment", "HTTP-22 ..", req(target=b"/services/a/../b/x")),
    bad("dot_segment", "HTTP-22 .. at the end", req(target=b"/services/a/..")),
    bad("dot_segment", "HTTP-22 .", req(target=b"/services/a/./x")),
    bad("dot_segment", "HTTP-22 . at the end", req(target=b"/services/a/.")),
    bad("dot_segment", "HTTP-22 .. before a query", req(target=b"/services/a/..?x")),
    bad("dot_segment_encoded", "HTTP-22 %2e%2e", req(target=b"/services/a/%2e%2e/b/x")),
    bad("dot_segment_encoded", "HTTP-22 %2E.", req(target=b"/services/a/%2E./b/x")),
    bad("dot_segment_encoded", "HTTP-22 .%2e", req(target=b"/services/a/.%2e/b/x")),
    bad("dot_segment_encoded", "HTTP-22 %2e", req(target=b"/services/a/%2e/x")),
    bad("dot_segment_beside", "HTTP-22 ..%2f", req(target=b"/services/a/..%2fb%2fx")),
    bad("dot_segment_beside", "HTTP-22 %2F..", req(target=b"/services/a/y%2F../x")),
    bad("dot_segment_beside", "HTTP-22 %2f%2e%2e%2f", req(target=b"/services/a/y%2f%2e%2e%2fx")),
    bad("dot_segment_beside", "HTTP-22 ..\\", req(target=b"/services/a/..\\b")),
    bad("dot_segment_beside", "HTTP-22 ..%5c", req(target=b"/services/a/..%5cb")),
    bad("dot_segment_beside", "HTTP-22 ..;", req(target=b"/services/a/..;x/b")),
    bad("dot_segment_beside", "HTTP-22 ..%3b", req(target=b"/services/a/..%3bx/b"), 400, 200, seen=lambda seen: not seen or seen[0].target == b"/..%3bx/b"),
    fine("dot_names", "names that only have dots", req(target=b"/services/a/.well-known/..x/.../x.."), _target(b"/.well-known/..x/.../x..")),
    fine("dot_names", "dots in a query", req(target=b"/services/a/x?/../%2e%2e/"), _target(b"/x?/../%2e%2e/")),
    bad("percent_nul", "HTTP-25 %00", req(target=b"/services/a/x%00y")),
    bad("percent_form", "%zz", req(target=b"/services/a/x%zz")),
    bad("percent_form", "one digit", req(target=b"/services/a/x%4")),
    bad("percent_form", "none", req(target=b"/services/a/x%")),
    bad("percent_form", "cut by the query", req(target=b"/services/a/x%2?0")),
    fine("query_bytes", "broken percent in a query passes", req(target=b"/services/a/x?%zz%00%"), _target(b"/x?%zz%00%")),
    bad("target_bytes", "HTTP-25 8-bit path", req(target=b"/services/a/caf\xe9")),
    bad("target_bytes", "HTTP-25 8-bit query", req(target=b"/services/a/x?caf\xc3\xa9")),
    bad("target_bytes", "HTTP-25 control in the path", req(target=b"/services/a/x\x01y")),
    bad("target_bytes", "HTTP-25 NUL in the path", req(target=b"/services/a/x\x00y")),
    bad("target_bytes", "HTTP-25 DEL in the query", req(target=b"/services/a/x?\x7f")),
    bad("target_bytes", "HTTP-25 tab in the query", req(target=b"/services/a/x?\t")),
    fine("byte_for_byte", "HTTP-23 encodings", req(target=b"/services/a/%2F%252F%2f%7e+%20%2B%26%3D%23%25;a=b//x//y?a=%2f&&b=+?"), _target(b"/%2F%252F%2f%7e+%20%2B%26%3D%23%25;a=b//x//y?a=%2f&&b=+?")),
    fine("byte_for_byte", "HTTP-23 lone question mark", req(target=b"/services/a/x?"), _target(b"/x?")),
    fine("byte_for_byte", "HTTP-23 an authority as path", req(target=b"/services/a//evil.example/x"), _target(b"//evil.example/x")),
    fine("byte_for_byte", "HTTP-24 encoded line end", req(target=b"/services/a/x%0d%0aX:1"), _target(b"/x%0d%0aX:1")),
    fine("byte_for_byte", "odd but visible", req(target=b"/services/a/|{}^`'\"<>"), _target(b"/|{}^`'\"<>")),
    Row("HTTP-26 encoded id", "unknown_id", req(target=b"/services/%61/x"), (404, 200), lambda seen: len(seen) < 2, closes=False),
    Row("HTTP-26 id with an encoded slash", "unknown_id", req(target=b"/services/a%2Fx/"), (404,), NOTHING, closes=False),
    Row("HTTP-26 empty id", "unknown_id", req(target=b"/services//x"), (404,), NOTHING, closes=False),
    Row("HTTP-26 id with an at sign", "unknown_id", req(target=b"/services/a@evil.example/x"), (404,), NOTHING, closes=False),
    Row("HTTP-26 long id", "unknown_id", req(target=b"/services/" + b"a" * 300 + b"/x"), (404,), NOTHING, closes=False),
)

START_LINES = (
    bad("version", "HTTP-18 no version", b"GET /services/a/x\r\n\r\n"),
    bad("version", "HTTP-18 0.9", req(version=b"HTTP/0.9")),
    bad("version", "HTTP-18 2.0", req(version=b"HTTP/2.0")),
    bad("version", "HTTP-18 1.2", req(version=b"HTTP/1.2")),
    bad("version", "HTTP-18 9.9", req(version=b"HTTP/9.9")),
    bad("version", "HTTP-18 lower case", req(version=b"http/1.1")),
    bad("version", "one digit", req(version=b"HTTP/1")),
    bad("version", "three digits", req(version=b"HTTP/1.10")),
    bad("start_line", "HTTP-19 trailing space", req(version=b"HTTP/1.1 ")),
    bad("start_line", "HTTP-19 double space", req(target=b" /services/a/x")),
    bad("start_line", "HTTP-19 tab", b"GET\t/services/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    bad("start_line", "HTTP-19 leading space", b" " + req()),
    bad("start_line", "space in the target", req(target=b"/services/a/x y")),
    bad("start_line", "no target", b"GET HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    bad("method_token", "HTTP-17 not a token", req(method=b"GE(T")),
    bad("method_token", "HTTP-17 8-bit", req(method=b"G\xc9T")),
    bad("method_token", "HTTP-17 empty", req(method=b"")),
    Row("HTTP-17 TRACE", "method_allowed", req(method=b"TRACE"), (405,), NOTHING, closes=False),
    Row("HTTP-17 CONNECT", "method_allowed", req(method=b"CONNECT", target=b"localhost:80"), (405, 400), NOTHING),
    Row("HTTP-17 CONNECT with a path", "method_allowed", req(method=b"CONNECT"), (405, 400), NOTHING),
    fine("method_any", "HTTP-17 an unknown method passes", req(method=b"PROPFIND-X"), _one(lambda m: m.method == b"PROPFIND-X")),
    bad("start_line", "HTTP-27 HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    bad("start_line", "HTTP-27 TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(200)) + b"\r\n\r\n", 400, 0),
    bad("start_line", "HTTP-27 every byte", bytes(range(256)) + b"\r\n\r\n", 400, 0),
)

SIZES = (
    bad("header_bytes", "HTTP-16 long target", req(target=b"/services/a/" + b"a" * 100_000), 431),
    bad("header_bytes", "HTTP-16 long value", req(b"X-A: " + b"a" * 100_000), 431),
    bad("header_bytes", "HTTP-16 long name", req(b"a" * 100_000 + b": 1"), 431),
    bad("header_bytes", "HTTP-16 long method", req(method=b"A" * 100_000), 431, 400),
    bad("header_bytes", "HTTP-16 ten thousand headers", req(*(b"X-%d: 1" % i for i in range(10_000))), 431),
    bad("header_bytes", "HTTP-16 no end in sight", b"GET /services/a/x HTTP/1.1\r\n" + b"X-A: 1\r\n" * 12_000, 431),
)

CHUNKS = (
    aborted("chunk_size", "HTTP-32 letters", chunked(b"zz\r\n" + ZERO)),
    aborted("chunk_size", "minus", chunked(b"-1\r\nx\r\n" + ZERO)),
    aborted("chunk_size", "plus", chunked(b"+1\r\nx\r\n" + ZERO)),
    aborted("chunk_size", "0x", chunked(b"0x1\r\nx\r\n" + ZERO)),
    aborted("chunk_size", "leading space", chunked(b" 1\r\nx\r\n" + ZERO)),
    aborted("chunk_size", "underscore", chunked(b"1_0\r\nx\r\n" + ZERO)),
    aborted("chunk_size", "empty line", chunked(b"\r\nx\r\n" + ZERO)),
    aborted("chunk_size", "comma", chunked(b"1,1\r\nx\r\n" + ZERO)),
    aborted("chunk_huge", "HTTP-3 2^64 - 1", chunked(b"ffffffffffffffff\r\nx")),
    aborted("chunk_huge", "seventeen digits", chunked(b"10000000000000001\r\nx\r\n" + ZERO)),
    aborted("chunk_huge", "zeros without end", chunked(b"0" * 20_000 + b"1\r\nx\r\n" + ZERO)),
    aborted("chunk_end", "HTTP-32 missing", chunked(b"1\r\nxx\r\n" + ZERO)),
    aborted("chunk_end", "LF alone", chunked(b"1\r\nx\n" + ZERO)),
    aborted("chunk_end", "CR alone", chunked(b"1\r\nx\r" + ZERO)),
    aborted("chunk_end", "two other bytes (h11 CVE-2025-43859)", chunked(b"1\r\nxab" + ZERO)),
    aborted("chunk_line", "HTTP-8 LF after the size", chunked(b"1\nx\r\n" + ZERO)),
    aborted("chunk_line", "CR after the size", chunked(b"1\rx\r\n" + ZERO)),
    aborted("chunk_line", "last chunk by LF", chunked(b"1\r\nx\r\n0\n\r\n")),
    aborted("chunk_extension", "HTTP-9 LF inside", chunked(b"1;a=\nb\r\nx\r\n" + ZERO)),
    aborted("chunk_extension", "HTTP-9 CR inside", chunked(b"1;a=\rb\r\nx\r\n" + ZERO)),
    aborted("chunk_extension", "HTTP-9 LF ends the line (Kestrel CVE-2025-55315)", chunked(b"1;a\nxx\r\n" + ZERO)),
    aborted("chunk_extension", "HTTP-9 quoted LF", chunked(b'1;a="\n"\r\nx\r\n' + ZERO)),
    aborted("chunk_extension", "NUL inside", chunked(b"1;a=\x00\r\nx\r\n" + ZERO)),
    aborted("chunk_extension", "HTTP-10 without end", chunked(b"1;" + b"a" * 100_000 + b"\r\nx\r\n" + ZERO)),
    fine("chunk_extension", "HTTP-9 a clean one, dropped or passed", chunked(b'1;a=b;c="d"\r\nx\r\n0;e\r\n\r\n'), _one(lambda m: m.body == b"x")),
)

TRAILERS = (
    fine("trailers", "HTTP-11 one passes as a trailer", chunked(b"1\r\nx\r\n0\r\nX-Sum: 7\r\n\r\n"), _one(lambda m: m.trailers == [(b"X-Sum", b"7")] and not m.all(b"x-sum"))),
    *(
        aborted("trailer_names", f"HTTP-11 {name.decode()}", chunked(b"1\r\nx\r\n0\r\n" + name + b": 1\r\n\r\n"))
        for name in (
            b"Content-Length", b"Transfer-Encoding", b"Host", b"Authorization", b"X-Forwarded-For", b"X-Request-ID",
            b"x-forwarded-prefix", b"Connection", b"Cookie", b"X-API-Key",
        )
    ),
    aborted("trailer_form", "folded", chunked(b"1\r\nx\r\n0\r\nX-A: 1\r\n 2\r\n\r\n")),
    aborted("trailer_form", "HTTP-8 bare LF", chunked(b"1\r\nx\r\n0\r\nX-A: 1\nX-B: 2\r\n\r\n")),
    aborted("trailer_form", "HTTP-8 LF ends it", chunked(b"1\r\nx\r\n0\r\nX-A: 1\r\n\n")),
    aborted("trailer_form", "NUL", chunked(b"1\r\nx\r\n0\r\nX-A: \x00\r\n\r\n")),
    aborted("trailer_form", "no colon", chunked(b"1\r\nx\r\n0\r\nGET / HTTP/1.1\r\n\r\n")),
    aborted("trailer_form", "space before the colon", chunked(b"1\r\nx\r\n0\r\nX-A : 1\r\n\r\n")),
    aborted("trailer_size", "HTTP-11 100 KB", chunked(b"1\r\nx\r\n0\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n")),
    aborted("trailer_size", "HTTP-11 twenty thousand", chunked(b"1\r\nx\r\n0\r\n" + b"X-A: 1\r\n" * 20_000 + b"\r\n")),
)

CROSSING = (
    fine("underscore", "X_Forwarded_For", req(b"X_Forwarded_For: 6.6.6.6"), _one(lambda m: b"6.6.6.6" not in m.raw)),
    fine("underscore", "X-Forwarded_Host", req(b"X-Forwarded_Host: evil.example"), _one(lambda m: b"evil" not in m.raw)),
    fine("underscore", "X_Request_ID", req(b"X_Request_ID: evil"), _one(lambda m: b"evil" not in m.raw)),
    fine("underscore", "Content_Length and Transfer_Encoding", req(b"Content_Length: 5", b"Transfer_Encoding: chunked"), _without(b"content_length", b"transfer_encoding")),
    fine("underscore", "one of its own passes", req(b"X_My_Own: 1"), _one(lambda m: m.get(b"x_my_own") == b"1")),
    fine("forwarded", "PXY-37 replaced or removed", req(b"X-Forwarded-For: 6.6.6.6", b"X-Forwarded-Host: 6.6.6.6", b"X-Forwarded-Proto: 6.6.6.6", b"X-Forwarded-Prefix: /6.6.6.6", b"Forwarded: for=6.6.6.6", b"X-Real-IP: 6.6.6.6"), _one(lambda m: b"6.6.6.6" not in m.raw)),
    fine("connection_named", "PXY-24 dropped", req(b"Connection: X-Foo, keep-alive", b"X-Foo: 1", b"Keep-Alive: 5"), _without(b"x-foo", b"keep-alive")),
    fine("connection_named", "in any case, over two lines", req(b"Connection: x-FOO", b"Connection: X-Bar", b"X-Foo: 1", b"X-Bar: 1"), _without(b"x-foo", b"x-bar")),
    fine("connection_named", "PXY-25 ours survive", req(b"Connection: X-Forwarded-For, X-Request-ID, CDN-Loop, X-Forwarded-Proto"), _one(lambda m: m.get(b"x-forwarded-for") == b"127.0.0.1" and m.get(b"x-request-id") and m.get(b"cdn-loop") and m.get(b"x-forwarded-proto") == b"http")),
    fine("connection_named", "Host and Content-* stay", post(b"Connection: Host, Content-Length, Content-Type", b"Content-Type: t", b"Content-Length: 3", body=b"abc"), _one(lambda m: m.body == b"abc" and m.get(b"content-type") == b"t" and len(m.all(b"host")) == 1)),
    fine("connection_named", "Transfer-Encoding stays", chunked(b"1\r\nx\r\n" + ZERO, b"Connection: Transfer-Encoding"), _one(lambda m: m.body == b"x")),
    fine("hop_by_hop", "PXY-24 dropped", req(b"Keep-Alive: 5", b"Proxy-Connection: keep-alive", b"TE: trailers", b"Proxy-Authorization: Basic eDp5", b"Upgrade: foo"), _without(b"keep-alive", b"proxy-connection", b"te", b"proxy-authorization", b"upgrade")),
    fine("h2c", "the request goes on without it", req(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"), _without(b"upgrade", b"http2-settings")),
    fine("h2c", "in any case", req(b"Connection: upgrade, http2-settings", b"Upgrade: H2C", b"HTTP2-Settings: AAMAAABkAAQAAP__"), _without(b"upgrade", b"http2-settings")),
    fine("h2c", "hidden in a list", req(b"Connection: Upgrade", b"Upgrade: websocket, h2c"), _one(lambda m: b"h2c" not in m.raw.lower())),
    fine("upgrade_http10", "HTTP/1.0 cannot upgrade", req(b"Connection: Upgrade", b"Upgrade: websocket", version=b"HTTP/1.0"), _without(b"upgrade"), closes=True),
    fine("request_id", "an insane one is replaced", req(b"X-Request-ID: " + b"a" * 200), _one(lambda m: 0 < len(m.get(b"x-request-id") or b"") <= 128)),
    fine("request_id", "one with a space is replaced", req(b"X-Request-ID: a b"), _one(lambda m: m.get(b"x-request-id") not in (None, b"a b"))),
    fine("request_id", "two are not both passed", req(b"X-Request-ID: one", b"X-Request-ID: two"), _one(lambda m: len(m.all(b"x-request-id")) == 1)),
    fine("loop", "another gateway's mark passes", req(b"CDN-Loop: hestia-other"), _one(lambda m: any(b"hestia-other" in v for v in m.all(b"cdn-loop")))),
    bad("expect", "an expectation that nobody meets", post(b"Expect: miracles", b"Content-Length: 1", body=b"x"), 400, 417),
    fine("body_is_body", "HTTP-29 a request as body", post(b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED), _one(lambda m: m.body == SMUGGLED)),
    fine("body_is_body", "a request in a chunk", chunked(b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)), _one(lambda m: m.body == SMUGGLED)),
    fine("body_is_body", "a GET may have one", req(b"Content-Length: 3", body=b"abc"), _one(lambda m: m.body == b"abc")),
)

ROWS = (
    *BOTH_LENGTHS, *LENGTHS, *CODINGS, *FIELDS, *HOSTS, *TARGETS, *START_LINES, *SIZES, *CHUNKS, *TRAILERS, *CROSSING,
)  # fmt: skip
