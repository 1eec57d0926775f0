"""Whatever head we forward, a second parser (httptools, the parser of Node) reads the same; what it would not, we refuse.

The heads are good ones with a few bytes changed, and garbage. They go through the readers and the crossing as the relay does it.
"""

import httptools
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hestia.h1.address import read_address
from hestia.h1.answer import UNTIL_CLOSE, find_answer_head, read_answer_head
from hestia.h1.crossing import Crossing, answer_block, answer_framing
from hestia.h1.framing import Chunked, refuse_trailer
from hestia.h1.grammar import BadMessage
from hestia.h1.request import CHUNKED, find_request_line, read_request_head
from hestia.h1.target import check_target

MANY = settings(max_examples=800, deadline=None, suppress_health_check=list(HealthCheck))
LONGEST = 65536

GOOD_REQUESTS = (
    b"GET /x?y HTTP/1.1\r\nHost: h\r\nAccept: */*\r\nX-A:\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: h:80\r\nContent-Length: 12\r\nContent-Type: a/b\r\n\r\n",
    b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, X-B\r\nUpgrade: websocket\r\nX-B: 1\r\nX_C: 2\r\n\r\n",
    b"OPTIONS http://h/%2e HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\nCookie: a=b; c=d\r\nX-Forwarded-For: 1\r\n\r\n",
)
GOOD_ANSWERS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nServer: x\r\nSet-Cookie: a=b\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\nX-A: \r\n\r\n",
    b"HTTP/1.0 302 Found\r\nLocation: /x\r\nConnection: X-B\r\nX-B: 1\r\n\r\n",
    b'HTTP/1.1 304 \r\nETag: "x"\r\nContent-Length: 5\r\n\r\n',
)
SPARKS = (
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"\x0b", b"\x7f", b"\xff", b"\xa0", b"+", b"-", b"0", b"0x", b"_", b"chunked", b"Chunked, ", b"gzip, ",
    b"\r\n ", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"transfer-encoding:\tchunked\r\n", b"Transfer_Encoding: chunked\r\n", b"Host: i\r\n", b"Connection: close, content-length\r\n",
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"#", b"%00", b"\\", b"..", b"@", b"Expect: 100-continue\r\n", b"Upgrade: h2c\r\n", b"Content-Length:\r\n",
)  # fmt: skip


@st.composite
def mutated(draw, good):
    data = draw(st.sampled_from(good))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 3))
        data = data[:at] + draw(st.one_of(st.sampled_from(SPARKS), st.binary(max_size=3))) + data[at + gone :]
    return data


class Seen:
    """What httptools told of a head."""

    def __init__(self):
        self.headers = []
        self.url = b""
        self.complete = False

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        self.headers.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self):
        self.complete = True


def crossing():
    return Crossing(read_address("http://127.0.0.1:9/base"), b"hestia-x", rewrite=True, preserve_host=False, put={}, remove=())


def forwarded(data):
    """(head, method, target, the bytes for the upstream), or None where we refuse or wait."""
    try:
        found = find_request_line(data, LONGEST)
        if found is None:
            return None
        method, target, minor, begin, end = found
        head = read_request_head(data[begin:end], minor)
        path, _ = check_target(target, method)
    except (BadMessage, OverflowError):
        return None
    block = crossing().request(head, b"/services/a", b"127.0.0.1", trusted=False)
    return head, method, path, b"%b %b HTTP/1.1\r\n%b1\r\n\r\n" % (method, path, block)


def names_and_values(raw):
    return [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in raw.split(b"\r\n")[1:-2])]


def judge_request(data):
    result = forwarded(data)
    if result is None:
        return False
    head, method, path, raw = result
    seen = Seen()
    parser = httptools.HttpRequestParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        assert head.upgrade is not None or method == b"CONNECT"
    except httptools.HttpParserInvalidMethodError:
        return False  # it knows a list of methods, we any token
    assert seen.complete
    assert (parser.get_method(), seen.url, parser.get_http_version()) == (method, path, "1.1")
    assert seen.headers == names_and_values(raw)
    lengths = [value for name, value in seen.headers if name == b"content-length"]
    codings = [value.lower() for name, value in seen.headers if name == b"transfer-encoding"]
    assert len(lengths) + len(codings) <= 1
    assert codings == ([b"chunked"] if head.length == CHUNKED else [])
    assert [int(length) for length in lengths] == ([head.length] if head.length > 0 or lengths else [])
    return True


@MANY
@given(data=mutated(GOOD_REQUESTS))
@example(data=GOOD_REQUESTS[0])
@example(data=GOOD_REQUESTS[3])
def test_a_request_head_that_we_forward_is_read_the_same_by_another_parser(data):
    judge_request(data)


@settings(MANY, max_examples=200)
@given(data=st.binary(max_size=200))
def test_garbage_is_refused_or_read_the_same(data):
    judge_request(data + b"\r\n\r\n")


def test_the_good_heads_are_forwarded():
    assert all(judge_request(data) for data in GOOD_REQUESTS[:4])
    assert forwarded(GOOD_REQUESTS[4]) is None
    assert all(answered(data) is not None for data in GOOD_ANSWERS)


def answered(data):
    """(head, the bytes for the client), or None where we refuse or wait."""
    try:
        end = find_answer_head(data, LONGEST)
        if not end:
            return None
        head = read_answer_head(data[:end])
    except BadMessage:
        return None
    request = read_request_head(b"Host: localhost\r\n\r\n", b"1")
    bodyless = head.status in (204, 304)
    block = answer_block(head, crossing(), request, b"/services/a")
    framing = answer_framing(head, bodyless=bodyless, minor=b"1", keep=True)
    return head, b"%b%b\r\nX-Request-ID: 1\r\n\r\n" % (block, framing)


@MANY
@given(data=mutated(GOOD_ANSWERS))
def test_an_answers_head_that_we_forward_is_read_the_same_by_another_parser(data):
    result = answered(data)
    if result is None or result[0].status < 200:
        return
    head, raw = result
    seen = Seen()
    parser = httptools.HttpResponseParser(seen)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        raise AssertionError("an upgrade that is none") from None
    assert seen.complete
    assert (parser.get_status_code(), parser.get_http_version()) == (head.status, "1.1")
    assert seen.headers == names_and_values(raw)
    lengths = [int(value) for name, value in seen.headers if name == b"content-length"]
    codings = [value for name, value in seen.headers if name == b"transfer-encoding"]
    assert len(lengths) + len(codings) <= 1
    if head.status not in (204, 304):
        assert codings == ([b"chunked"] if head.length in (CHUNKED, UNTIL_CLOSE) else [])
        assert lengths == ([head.length] if head.length >= 0 else [])


class Body(Seen):
    def __init__(self):
        super().__init__()
        self.body = b""
        self.whole = False

    def on_body(self, body):
        self.body += body

    def on_message_complete(self):
        self.whole = True


GOOD_BODIES = (b"3\r\nabc\r\n0\r\n\r\n", b"a;x=y\r\n0123456789\r\n1\r\nz\r\n0\r\nX-A: 1\r\n\r\n", b"0\r\n\r\n", b"00f\r\n0123456789abcde\r\n000\r\nA:b\r\nC: d\r\n\r\n")


@MANY
@given(data=mutated(GOOD_BODIES), cut=st.integers(1, 60))
def test_a_chunked_body_that_we_forward_is_read_the_same_by_another_parser(data, cut):
    plain, decoded = Chunked(refuse_trailer), Chunked(refuse_trailer, decode=True)
    raw, content, rest = b"", b"", None
    try:
        for begin in range(0, len(data), cut):
            piece = data[begin : begin + cut]
            passed, rest = plain.feed(piece)
            raw += passed
            content += decoded.feed(piece)[0]
            if rest is not None:
                break
    except BadMessage:
        return
    seen = Body()
    parser = httptools.HttpRequestParser(seen)
    parser.feed_data(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + raw)
    assert seen.body == content
    assert seen.whole is (rest is not None)
