"""Heads of every kind, against a second opinion written here: what crosses, and that no memo of a connection changes it."""

import asyncio
import contextlib
import re
from itertools import permutations

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hestia.h1.address import read_address
from hestia.h1.answer import AnswerMemo, read_answer_head
from hestia.h1.crossing import Crossing, answer_block, answer_framing
from hestia.h1.grammar import BadMessage
from hestia.h1.request import read_request_head
from tests.hostile.fuzz import tries
from tests.hostile.fuzz_lines import BAD_LINES, HOST, KNOWN, LINES, TOKENS, TRACES, VALUES, sequences
from tests.support.gateway import running
from tests.support.wire import BrokenError, Upstream, read_message, reply

# --- what crosses, by a second opinion

DROPPED = {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate", b"proxy-authorization", b"te", b"upgrade", b"http2-settings", b"x-forwarded-port", b"x-forwarded-scheme", b"x-forwarded-server", b"x-forwarded-ssl", b"hestia-wait"}  # fmt: skip
WRITTEN = {b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-prefix", b"x-forwarded-proto", b"x-real-ip", b"forwarded", b"origin", b"referer", b"cdn-loop", b"expect", b"x-request-id"}  # fmt: skip
READ = {b"x-api-key", b"authorization", b"traceparent", b"purpose", b"sec-purpose"}
PEER, PREFIX = b"192.0.2.1", b"/services/a"


def split(lines):
    return [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]


def crossing_fields(lines, gone):
    """The end-to-end fields in their order: what came, less hop-by-hop, less what is ours, less what the place says."""
    fields = split(lines)
    named = {word.strip(b" \t").lower() for name, value in fields if name == b"connection" for word in value.split(b",")}
    special = DROPPED | WRITTEN | READ
    kept = []
    for name, value in fields:
        if name in DROPPED | WRITTEN or name in gone or (b"_" in name and name.replace(b"_", b"-") in special):
            continue
        if name in named and name not in special and not name.startswith((b"content-", b"x-forwarded-")):
            continue
        kept.append((name, value))
    return kept


def written_fields(lines, minor, *, trusted, host, request_id):
    """What the gateway itself says, by the contract."""
    came = {}
    for name, value in split(lines):
        came[name] = came[name] + b", " + value if name in came else value
    own = came[b"host"]
    believed = came if trusted else {}
    said = {b"host": host, b"x-request-id": request_id, b"x-forwarded-proto": b"http", b"x-forwarded-host": own}
    said[b"x-forwarded-for"] = believed[b"x-forwarded-for"] + b", " + PEER if believed.get(b"x-forwarded-for") else PEER
    said[b"x-forwarded-prefix"] = believed.get(b"x-forwarded-prefix", b"").rstrip(b"/") + PREFIX
    said[b"cdn-loop"] = came[b"cdn-loop"] + b", tag" if came.get(b"cdn-loop") else b"tag"
    for name in (b"content-length", b"transfer-encoding"):
        if name in came:
            said[name] = came[name].lower()
    if b"x-real-ip" in believed:
        said[b"x-real-ip"] = believed[b"x-real-ip"]
    if b"forwarded" in believed:
        said[b"forwarded"] = believed[b"forwarded"] + b', for=192.0.2.1;host="' + own + b'";proto=http'
    body = came.get(b"content-length", b"0").strip(b"0") or b"transfer-encoding" in came
    if b"expect" in came and minor == b"1" and body:
        said[b"expect"] = b"100-continue"
    for name in (b"origin", b"referer"):
        if name in came:
            mapped = host != own and (came[name].split(b"/")[2:3] == [own] if name == b"referer" else came[name] == b"http://" + own)
            said[name] = came[name].replace(b"//" + own, b"//" + host, 1) if mapped else came[name]
    return said


class Seen:
    def __init__(self):
        self.fields, self.url, self.complete = [], b"", False

    def on_url(self, url):
        self.url += url

    def on_header(self, name, value):
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self):
        self.complete = True


def seen_by_another(raw):
    seen = Seen()
    with contextlib.suppress(httptools.HttpParserUpgrade):
        httptools.HttpRequestParser(seen).feed_data(raw)
    assert seen.complete
    return seen


def block_of(lines):
    return b"".join(line + b"\r\n" for line in lines) + b"\r\n"


@tries(150)
@given(lines=st.lists(LINES.filter(lambda line: not line.lower().startswith(b"host:")), max_size=9), minor=st.sampled_from((b"1", b"1", b"0")), trusted=st.booleans(), preserve=st.booleans(), own=st.booleans())  # fmt: skip
@example(lines=[b"Origin: http://localhost", b"Referer: http://localhost/x", b"Connection: X-A, x-b", b"X-A: 1", b"x-b: 2"], minor=b"1", trusted=False, preserve=False, own=True)  # fmt: skip
def test_exactly_what_came_end_to_end_crosses_and_what_we_write_beside_it(lines, minor, trusted, preserve, own):
    lines = [HOST, *lines]
    put, gone = ({"X-Set": "ours"}, {b"x-set", b"x-b"}) if own else ({}, set())
    try:
        head = read_request_head(block_of(lines), minor)
    except BadMessage:
        return
    place = Crossing(read_address("http://up:9"), b"tag", rewrite=True, preserve_host=preserve, put=put, remove=["X-B"] if own else [])  # fmt: skip
    block = place.request(head, PREFIX, PEER, trusted=trusted)
    raw = b"GET /x HTTP/1.1\r\n" + block + b"id-1\r\n\r\n"
    seen = seen_by_another(raw)
    assert seen.fields == split(raw.split(b"\r\n")[1:-2])
    ours = WRITTEN | {b"connection", b"upgrade"} | ({b"x-set"} if own else set())
    assert [field for field in seen.fields if field[0] not in ours] == crossing_fields(lines, gone)
    said = [field for field in seen.fields if field[0] in ours - {b"connection", b"upgrade"}]
    host = b"localhost" if preserve else b"up:9"
    assert len(said) == len(dict(said))
    expected = written_fields(lines, minor, trusted=trusted, host=host, request_id=b"id-1")
    assert dict(said) == expected | ({b"x-set": b"ours"} if own else {})
    hop = [field for field in seen.fields if field[0] in {b"connection", b"upgrade"}]
    assert hop == ([(b"connection", b"Upgrade"), (b"upgrade", head.upgrade)] if head.upgrade is not None else [])


# --- a connection that has seen other heads before answers as a fresh one

KEYS = [{"name": "all", "key": "right-right-right", "services": ["*"]}, {"name": "few", "key": "few-few-few-few-few", "services": ["a"]}]
MADE_UP = re.compile(rb"\b[0-9a-f]{18}\b")  # a request id of the gateway's
TARGETS = (b"/services/a/x", b"/services/b/x?y=1", b"/routed", b"/services/a/x", b"/services/b/probe", b"/__health", b"/services/nope/", b"/services/a", b"/bad%zz")
METHODS = (b"GET", b"GET", b"POST", b"OPTIONS", b"HEAD", b"DELETE")


class Pair:
    """A gateway, and what two connections get for the same requests: one that keeps, and a new one for each."""

    def __init__(self, **top):
        self.top = top
        self.kept = None

    @contextlib.asynccontextmanager
    async def open(self):
        async with Upstream(echo) as up:
            special = {"headers": {"set": {"X-Set": "ours"}, "remove": ["X-B"]}, "no_wake": [{"header": {"X-A": "1"}}, {"user_agent": "prober*"}]}
            services = {"a": {"base_url": up.base_url}, "b": {"base_url": up.base_url, **special}, "c": {"base_url": up.base_url, "preserve_host": True, "hosts": ["c.lan"]}}
            async with running(services, routes=[{"match": {"header": {"X-Route": "c"}}, "service": "c"}, {"match": {"path": "/routed"}, "service": "b"}], **self.top) as self.gateway:
                sessions = self.gateway.gateway.shared.sessions
                self.session = sessions.names[0] + b"=" + sessions.begin("admin", b"").encode()
                yield

    async def both(self, sequence):
        self.gateway.lines.clear()
        for raw, method in sequence:
            raw = raw.replace(b"hestia_session=x", self.session)
            if self.kept is None or self.kept.ended:
                self.kept = await self.gateway.dial()
            kept = await outcome(self.kept, raw, method)
            fresh_wire = await self.gateway.dial()
            fresh = await outcome(fresh_wire, raw, method)
            fresh_wire.transport.abort()
            assert kept == fresh, (raw, kept, fresh)
            if fresh[0] is None or fresh[3]:
                self.kept.transport.abort()
                self.kept = None
        if self.kept is not None:
            self.kept.transport.abort()
            self.kept = None


async def echo(wire):
    """Answers with the head that it saw."""
    while True:
        try:
            message = await wire.message(within=600)
        except BrokenError:
            wire.close()
            return
        sent = reply(message.raw)
        wire.transport.write(sent[: sent.index(b"\r\n\r\n") + 4] if message.method == b"HEAD" else sent)


async def outcome(wire, raw, method):
    """(status, header fields, body, whether the connection ends), with the ids that were made up left out."""
    wire.transport.write(raw)
    try:
        message = await wire.answer(method, 20.0)
    except BrokenError as broken:
        return None, broken.got, b"", True
    body = MADE_UP.sub(b"?", message.body)
    fields = [(name, value) for name, value in message.headers if name.lower() not in {b"x-request-id", b"date", b"content-length"} or not MADE_UP.fullmatch(value)]
    fields = [(name, value) for name, value in fields if name.lower() != b"date"]
    ends = any(name.lower() == b"connection" and value.lower() == b"close" for name, value in fields)
    return message.status, fields, body, ends


def request_of(method, target, minor, lines):
    lowered = [line.lower().replace(b" ", b"").replace(b"\t", b"") for line in lines]
    body = b""
    if b"transfer-encoding:chunked" in lowered:
        body = b"3\r\nabc\r\n0\r\n\r\n"
    elif any(line in {b"content-length:3", b"content-length:03"} for line in lowered):
        body = b"abc"
    return method + b" " + target + b" HTTP/1." + minor + b"\r\n" + block_of(lines) + body


def whole(lines):
    """A key of ours is long; the short words of the table stand for it."""
    return [line.replace(b"right", b"right-right-right").replace(b": few", b": few-few-few-few-few") for line in lines]


@st.composite
def conversations(draw):
    found = []
    method, target, minor = draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS)), b"1"
    bad = st.one_of(LINES, LINES, LINES, LINES, BAD_LINES)
    first = st.lists(LINES.filter(lambda line: not line.lower().startswith((b"host:", b"hestia-wait:"))), max_size=6).map(lambda lines: [HOST, *lines])
    for lines in draw(sequences(first, bad)):
        if draw(st.integers(0, 3)) == 0:
            method, target, minor = draw(st.sampled_from(METHODS)), draw(st.sampled_from(TARGETS)), draw(st.sampled_from((b"1", b"1", b"1", b"0")))
        found.append((request_of(method, target, minor, whole(lines)), method))
    return found


@pytest.fixture(scope="module", params=("free", "keyed", "trusting"))
def pair(request):
    top = {"free": {}, "keyed": {"auth": {"api_keys": KEYS}}, "trusting": {"trusted_proxies": ["127.0.0.1"], "allowed_hosts": ["other.lan"]}}[request.param]
    one, stack = Pair(**top), contextlib.AsyncExitStack()
    with asyncio.Runner() as runner:
        one.runner = runner
        runner.run(stack.enter_async_context(one.open()))
        try:
            yield one
        finally:
            runner.run(stack.aclose())


GOOD = request_of(b"GET", b"/services/a/x", b"1", [HOST, b"Accept: text/html", b"X-Request-ID: mine-1", b"Origin: http://localhost"])
TRACED = {trace: request_of(b"GET", b"/services/a/x", b"1", [HOST, b"traceparent: " + trace]) for trace in TRACES}


@tries(40)
@given(sequence=conversations())
@example(sequence=[(GOOD, b"GET"), (request_of(b"GET", b"/services/a/x", b"1", [b"Accept: */*"]), b"GET")])  # no Host header
@example(sequence=[(GOOD, b"GET"), (request_of(b"GET", b"/services/a/x", b"0", [HOST, b"Accept: */*", b"Transfer-Encoding: chunked"]), b"GET")])
@example(sequence=[(TRACED[trace], b"GET") for trace in (*TRACES, *TRACES)])
def test_what_a_connection_saw_before_changes_nothing_of_what_it_gets_now(pair, sequence):
    pair.runner.run(pair.both(sequence))


def one_field_changes(name, target, beside):
    """The same request with each value of a field behind each other one."""
    values = KNOWN[name]
    lines = [HOST] if name != b"Host" else []
    order = [value for pair in permutations(values, 2) for value in pair] or [*values, *values]
    return [(request_of(b"GET", target, b"1", whole([*lines, *beside, name + b": " + value])), b"GET") for value in order]


@pytest.mark.parametrize("name", sorted(KNOWN), ids=bytes.decode)
def test_a_field_that_changes_alone_has_no_memory_either(pair, name):
    for target, beside in ((b"/routed", []), (b"/services/b/x", [b"X-API-Key: right", b"X-A: 2"])):
        pair.runner.run(pair.both(one_field_changes(name, target, beside)))


# --- the same of an upstream's connection

ANSWERED = {
    b"Content-Length": (b"5", b"50", b"005", b"6"),
    b"Transfer-Encoding": (b"chunked",),
    b"Connection": (b"close", b"X-A", b"keep-alive"),
    b"X-A": (b"1", b"2"),
    b"Date": (b"Mon", b"Tue"),
    b"Location": (b"/x", b"http://up:9/y"),
    b"Content-Location": (b"/z",),
    b"Set-Cookie": (b"a=1; Path=/", b"b=2; Domain=up"),
    b"Content-Type": (b"text/plain", b"text/event-stream", b"image/png"),
    b"X-Accel-Buffering": (b"no", b"yes"),
    b"X-Request-ID": (b"theirs",),
    b"ETag": (b"1", b"2"),
    b"Keep-Alive": (b"timeout=5",),
    b"Upgrade": (b"websocket",),
}
KNOWN_ANSWER_LINES = st.sampled_from([name + b": " + value for name, values in ANSWERED.items() for value in values])
ANSWER_LINES = st.one_of(KNOWN_ANSWER_LINES, KNOWN_ANSWER_LINES, st.builds(lambda name, value: name + b": " + value, TOKENS, VALUES))
STATUS_LINES = (b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.0 200 OK", b"HTTP/1.1 204 No Content", b"HTTP/1.1 304 Not Modified", b"HTTP/1.1 404 Not Found", b"HTTP/1.1 103 Early", b"HTTP/1.1 999 x")


@st.composite
def answer_sequences(draw):
    found, status = [], draw(st.sampled_from(STATUS_LINES))
    for lines in draw(sequences(st.lists(ANSWER_LINES, max_size=6), st.one_of(ANSWER_LINES, ANSWER_LINES, BAD_LINES), 6, ANSWERED)):
        if draw(st.integers(0, 4)) == 0:
            status = draw(st.sampled_from(STATUS_LINES))
        found.append(status + b"\r\n" + block_of(lines))
    return found


ASKED = read_request_head(b"Host: localhost\r\n\r\n", b"1")
PLACE = Crossing(read_address("http://up:9"), b"tag", rewrite=True, preserve_host=False, put={}, remove=())


def crossed_answer(read, raw):
    """All that is made of an answer's head, or that it is none."""
    try:
        answer = read(raw)
    except BadMessage as problem:
        return str(problem)
    kept = [getattr(answer, name) for name in ("status", "length", "keep", "upgrade", "events", "accel")]
    bodyless = answer.status in (204, 304)
    return kept, answer_block(answer, PLACE, ASKED, PREFIX), answer_framing(answer, bodyless=bodyless, minor=b"1", keep=True)


@tries(200)
@given(sequence=answer_sequences())
@example(sequence=[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: Mon\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\nDate: Tue\r\n\r\n"])
@example(sequence=[b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 005\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"])
def test_an_answer_is_read_the_same_whatever_came_over_its_connection_before(sequence):
    memo = AnswerMemo()
    for raw in sequence:
        assert crossed_answer(memo.read, raw) == crossed_answer(read_answer_head, raw)


@tries(100)
@given(lines=st.lists(ANSWER_LINES, max_size=8), status=st.sampled_from(STATUS_LINES))
def test_an_answers_fields_cross_as_they_came_less_what_ends_here(lines, status):
    raw = status + b"\r\n" + block_of(lines)
    try:
        answer = read_answer_head(raw)
    except BadMessage:
        return
    if answer.status < 200 or answer.mapped:
        return
    bodyless = answer.status in (204, 304)
    sent = answer_block(answer, PLACE, ASKED, PREFIX) + answer_framing(answer, bodyless=bodyless, minor=b"1", keep=True) + b"\r\n\r\n"
    message = read_message(sent, b"HEAD")
    assert message is not None
    fields = split(lines)
    named = {word.strip(b" \t").lower() for name, value in fields if name == b"connection" for word in value.split(b",")}
    ours = DROPPED | {b"content-length", b"transfer-encoding", b"x-request-id"}
    special = (ours - {b"hestia-wait"}) | {b"content-type", b"x-accel-buffering", b"location", b"content-location", b"set-cookie"}
    never = special | {name for name in named if name.startswith((b"content-", b"x-forwarded-"))}
    kept = [field for field in fields if field[0] not in ours - {b"hestia-wait"} and not (field[0] in named and field[0] not in never)]
    kept += [(b"x-accel-buffering", b"no")] if (answer.events and not answer.accel) else []
    crossed = [(name.lower(), value) for name, value in message.headers if name.lower() not in ours]
    assert crossed == [field for field in kept if field[0] not in ours]
