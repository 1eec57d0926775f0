"""Whatever is valid passes unchanged, however its bytes are cut: requests one way, answers the other."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.loop import stage
from tests.support.wire import BrokenError, reply, turns

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
OURS = ("connection", "content-length", "transfer-encoding", "host", "upgrade", "te", "trailer", "expect", "forwarded", "x-forwarded", "x-request-id", "x-real-ip", "keep-alive")
OURS += ("proxy-", "cdn-loop", "origin", "referer", "location", "content-location", "set-cookie", "http2-settings", "content-type", "x-accel", "authorization", "cookie", "hestia-", "max-", "via")

methods = st.sampled_from((b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"M-SEARCH", b"x'y", b"PROPFIND"))
names = st.text(TOKEN, min_size=1, max_size=20).filter(lambda name: not name.lower().replace("_", "-").startswith(OURS)).map(str.encode)
values = st.binary(max_size=40).map(lambda raw: bytes(byte for byte in raw if byte > 31 and byte != 127)).map(lambda raw: raw.strip(b" \t"))
headers = st.lists(st.tuples(names, values), max_size=8)
segments = st.text("!$&'()*+,-.:;=@_~[]|{}<>\"\\^`" + "aZ09", max_size=12).filter(lambda text: not text.replace("\\", "/").startswith(".") and "." not in text).map(str.encode)
escapes = st.sampled_from((b"%2F", b"%2f", b"%20", b"%0d%0a", b"%C3%A9", b"%25", b"%ff", b"x"))
paths = st.lists(st.one_of(segments, escapes), max_size=6).map(lambda parts: b"/" + b"/".join(parts))
queries = st.one_of(st.just(b""), st.binary(max_size=30).map(lambda raw: b"?" + bytes(byte for byte in raw if 33 <= byte <= 126)))
chunks = st.lists(st.binary(min_size=1, max_size=300), max_size=5)
bodies = st.one_of(st.none(), st.binary(max_size=700), st.tuples(chunks, headers))
cuts = st.one_of(st.just([]), st.just(list(range(1, 4000))), st.lists(st.integers(1, 3000), max_size=12))


@pytest.fixture(scope="module")
def scene():
    with stage() as one:
        yield one


def framed(body):
    """The framing header and the bytes of a body: none, sized, or chunks with trailers."""
    if body is None:
        return b"", b""
    if isinstance(body, bytes):
        return b"Content-Length: %d\r\n" % len(body), body
    parts, trailers = body
    data = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"Transfer-Encoding: chunked\r\n", data + b"0\r\n" + lines(trailers) + b"\r\n"


def lines(fields):
    return b"".join(name + b": " + value + b"\r\n" for name, value in fields)


def content(body):
    return b"".join(body[0]) if isinstance(body, tuple) else body or b""


def pieces(data, places):
    places = sorted({place for place in places if place < len(data)})
    return [data[begin:end] for begin, end in zip([0, *places], [*places, len(data)], strict=True)]


def own(message, fields):
    """The message's headers among those that the example sent, in their order."""
    known = {name.lower() for name, _ in fields}
    return [(name, value) for name, value in message.headers if name.lower() in known]


@FEW
@given(method=methods, path=paths, query=queries, fields=headers, body=bodies, places=cuts)
def test_a_valid_request_passes_unchanged_however_it_is_cut(scene, method, path, query, fields, body, places):
    framing, data = framed(body)
    raw = method + b" /services/a" + path + query + b" HTTP/1.1\r\nHost: localhost\r\n" + lines(fields) + framing + b"\r\n" + data

    async def play():
        scene.forget()
        client = await scene.gateway.dial()
        await client.send_pieces(pieces(raw, places))
        message = await client.answer(method)
        client.transport.abort()
        await turns(2)
        assert message.body == b"done"

    async def done(wire):
        wire.transport.write(reply(b"done"))

    scene.answer = done
    scene.run(play())
    (seen,) = scene.upstream.requests()
    assert (seen.method, seen.target) == (method, path + query)
    assert own(seen, fields) == fields
    assert seen.body == content(body)
    assert seen.framing == {type(None): "none", bytes: "length", tuple: "chunked"}[type(body)]
    assert seen.trailers == (body[1] if isinstance(body, tuple) else [])


@FEW
@given(
    status=st.sampled_from((200, 201, 206, 302, 400, 404, 418, 500, 503, 599)),
    reason=st.sampled_from((b"OK", b"", b"Because of \xe9")),
    fields=headers,
    body=bodies,
    places=cuts,
    minor=st.sampled_from((b"1", b"0")),
)
def test_a_valid_answer_passes_unchanged_however_it_is_cut(scene, status, reason, fields, body, places, minor):
    if minor == b"0" and isinstance(body, tuple):
        body = content(body)
    framing, data = framed(body if body is not None else b"")
    raw = b"HTTP/1.%b %d %b\r\n" % (minor, status, reason) + lines(fields) + framing + b"\r\n" + data

    async def answer(wire):
        await wire.send_pieces(pieces(raw, places))
        if minor == b"0":
            wire.close()

    async def play():
        scene.forget()
        client = await scene.gateway.dial()
        await client.send(b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        message = await client.answer()
        await turns(2)
        assert client.unread == b""
        client.transport.abort()
        return message

    scene.answer = answer
    message = scene.run(play())
    assert message.start == (b"%d" % status, reason)
    assert own(message, fields) == fields
    assert message.body == content(body)
    assert message.trailers == (body[1] if isinstance(body, tuple) else [])


@FEW
@given(fields=headers, body=st.tuples(chunks.filter(bool), headers), places=cuts, end=st.integers(1, 2000))
def test_a_chunked_answer_that_is_cut_off_anywhere_is_never_whole(scene, fields, body, places, end):
    framing, data = framed(body)
    head = b"HTTP/1.1 200 OK\r\n" + lines(fields) + framing + b"\r\n"
    raw = head + data[: min(end, len(data)) - 1]

    async def answer(wire):
        await wire.send_pieces(pieces(raw, places))
        wire.close()

    async def play():
        scene.forget()
        client = await scene.gateway.dial()
        await client.send(b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(BrokenError):
            await client.answer()
        client.transport.abort()

    scene.answer = answer
    scene.run(play())
