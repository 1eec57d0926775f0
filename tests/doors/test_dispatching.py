"""The dispatcher, POST /v1/requests, over real sockets."""

import asyncio
import base64
import json
from time import perf_counter
from typing import Any

import pytest

from tests.doors.test_auth import log_in
from tests.doors.test_choosing import AUTH, SOME, get, named, post, problem, until
from tests.support.gateway import running
from tests.support.wire import Upstream, answering, in_pieces, reply, saying, turns

JSON = "Content-Type: application/json"


def asks(*lines: str, chunked: bool = False, **fields: Any) -> bytes:
    return post(json.dumps({"method": "GET", "path": "/x", **fields}).encode(), JSON, *lines, target="/v1/requests", chunked=chunked)


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_request_in_the_body_is_relayed_and_its_answer_streamed(chunked):
    async with Upstream() as a, running(named(a)) as gateway:
        raw = asks(service="a", method="put", path="/p%2f", query={"n": [1, 2.5], "t": "a b", "f": True, "none": None},
                   headers={"X-Token": "t", "Host": "elsewhere.example"}, body={"k": [1.50]}, chunked=chunked)  # fmt: skip
        client = await gateway.dial()
        await client.send_pieces(in_pieces(raw))
        answer = await client.answer(b"POST")
        assert answer.body == b'PUT|/p%2f?n=1&n=2.5&t=a+b&f=true|t|{"k": [1.5]}'
        (request,) = a.requests()
        assert request.get(b"host") == f"127.0.0.1:{a.port}".encode()
        assert request.get(b"content-type") == b"application/json"
        assert request.get(b"x-forwarded-prefix") == b"/services/a"
        assert request.get(b"x-forwarded-for") == b"127.0.0.1"
        assert request.get(b"user-agent") is None
        await client.send(get("/services/a/next"))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize(
    ("given", "body", "kind"),
    [
        ({"body": {"a": "ü"}}, b'{"a": "\\u00fc"}', b"application/json"),
        ({"body": 1.10}, b"1.1", b"application/json"),
        ({"body": None}, b"", None),
        ({"body_text": "ü"}, "ü".encode(), b"text/plain; charset=utf-8"),
        ({"body_base64": base64.b64encode(b"\x00\xff").decode()}, b"\x00\xff", b"application/octet-stream"),
        ({"body_text": "x", "headers": {"content-type": "text/x"}}, b"x", b"text/x"),
        ({"body_text": ""}, b"", b"text/plain; charset=utf-8"),
        ({}, b"", None),
    ],
)
async def test_each_kind_of_body_arrives_as_it_is(given, body, kind):
    async with Upstream() as a, running(named(a)) as gateway:
        assert (await gateway.ask(asks(service="a", method="POST", **given))).status == 200
        (request,) = a.requests()
        assert (request.body, request.get(b"content-type")) == (body, kind)
        assert request.get(b"content-length") == (None if kind is None else b"%d" % len(body))


async def test_an_answer_streams_while_it_comes():
    events = saying(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", then=quiet)
    async with Upstream(events) as a, running(named(a)) as gateway:
        client = await gateway.dial()
        await client.send(asks(service="a"))
        await client.through(b"data: 1\n\n")


async def quiet(wire: Any) -> None:
    await wire.until(lambda: wire.ended, 600)


@pytest.mark.parametrize("framed", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"ETag: x"])
async def test_a_head_has_no_body_and_the_connection_goes_on(framed):
    async def heads(wire: Any) -> None:
        await wire.message()
        await wire.send(b"HTTP/1.1 200 OK\r\n" + framed + b"\r\nX-A: 1\r\n\r\n")
        await answering(wire)

    async with Upstream(heads) as a, running(named(a)) as gateway:
        client = await gateway.dial()
        await client.send(asks(service="a", method="HEAD"))
        answer = await client.answer(b"POST")
        assert (answer.status, answer.get(b"x-a"), answer.get(b"content-length"), answer.body) == (200, b"1", b"0", b"")
        await client.send(asks(service="a"))
        assert (await client.answer(b"POST")).body == b"GET|/x||"


async def test_without_a_service_the_routes_choose():
    routes = [{"match": {"host": "b.lan"}, "service": "b"}, {"match": {"path": "/v1/*"}, "strategy": "by_model"}]
    async with Upstream() as a, Upstream() as b, running(named(a, b), routes=routes) as gateway:
        assert (await gateway.ask(asks(headers={"Host": "b.lan:80"}))).status == 200
        assert (await gateway.ask(asks(method="POST", path="/v1/chat", body={"model": "model-a"}))).status == 200
        assert (await gateway.ask(asks(path="/services/b/y"))).status == 200
        assert [request.target for up in (a, b) for request in up.requests()] == [b"/v1/chat", b"/x", b"/y"]
        assert problem(await gateway.ask(asks(path="/v1/chat", method="POST", body={"model": "z"}))) == (404, "unknown_model")
        assert problem(await gateway.ask(asks(path="/none"))) == (404, "not_found")
        assert json.loads((await gateway.ask(asks(path="/v1/models"))).body)["object"] == "list"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"service": "none"}, (404, "unknown_service")),
        ({"service": "a", "path": "//evil"}, (400, "bad_request")),
        ({"service": "a", "path": "/\\evil"}, (400, "bad_request")),
        ({"service": "a", "path": "http://evil/"}, (400, "bad_request")),
        ({"service": "a", "path": "@evil"}, (400, "bad_request")),
        ({"service": "a", "path": ""}, (400, "bad_request")),
        ({"service": "a", "path": "/a/../b"}, (400, "bad_request")),
        ({"service": "a", "path": "/a b"}, (400, "bad_request")),
        ({"service": "a", "path": "/ü"}, (400, "bad_request")),
        ({"service": "a", "path": "/a\r\nX: y"}, (400, "bad_request")),
        ({"service": "a", "path": "/a?b", "query": "c"}, (400, "bad_request")),
        ({"service": "a", "query": "a\r\nb"}, (400, "bad_request")),
        ({"service": "a", "method": "TRACE"}, (400, "bad_request")),
        ({"service": "a", "method": "GET /"}, (400, "bad_request")),
        ({"service": "a", "headers": {"Transfer-Encoding": "chunked"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"content-length": "0"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"Connection": "x"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"Upgrade": "websocket"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"X": "a\r\nY: b"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"X Y": "a"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"X": "\ud83d\ude00"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"Host": "a b"}}, (400, "bad_request")),
        ({"service": "a", "headers": {"X": 1}}, (400, "bad_request")),
        ({"service": "a", "body": 1, "body_text": "x"}, (400, "bad_request")),
        ({"service": "a", "body_base64": "?"}, (400, "bad_request")),
        ({"service": "a", "timeout": "soon"}, (400, "bad_request")),
        ({"service": "a", "timeout": 0}, (400, "bad_request")),
        ({"service": "a", "timeout": -1}, (400, "bad_request")),
        ({"service": 5}, (400, "bad_request")),
        ({"service": "a", "url": "http://evil/"}, (400, "bad_request")),
        ({"path": "/v1/requests"}, (404, "not_found")),
        ({"path": "/__health"}, (404, "not_found")),
    ],
)
async def test_what_may_not_be_asked_is_refused_and_reaches_nobody(given, said):
    async with Upstream() as a, running(named(a)) as gateway:
        assert problem(await gateway.ask(asks(**given))) == said
    assert not a.wires


@pytest.mark.parametrize("body", [b"", b"[]", b"no", b'{"method": "GET"}', b'{"service":' + b"[" * 10_000, b'{"service": "' + b"a" * 1_000_000 + b'"}', b"\xff"])
async def test_what_is_no_such_object_is_400_at_once(body):
    async with running({}) as gateway:
        begun = perf_counter()
        answer = await gateway.ask(post(body, JSON, target="/v1/requests"))
        assert problem(answer) == (400, "bad_request")
        assert perf_counter() - begun < 0.5


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_beyond_its_limit_is_413(chunked):
    async with Upstream() as a, running(named(a), limits={"api_body": 1000}) as gateway:
        assert problem(await gateway.ask(asks(service="a", body_text="x" * 1000, chunked=chunked))) == (413, "payload_too_large")
        assert (await gateway.ask(asks(service="a", body_text="x" * 700, chunked=chunked))).status == 200


async def test_a_large_body_arrives_whole():
    async with Upstream() as a, running(named(a)) as gateway:
        text = "A" * 6_000_000
        assert (await gateway.ask(asks(service="a", method="POST", body_text=text), within=20)).status == 200
        assert a.requests()[0].body == text.encode()
        await until(lambda: gateway.gateway.shared.room.used == 0)


async def test_an_answer_that_does_not_begin_in_time_is_504():
    async with Upstream(quiet) as a, running(named(a)) as gateway:
        answer = await gateway.ask(asks(service="a", timeout="100ms"))
        assert problem(answer) == (504, "upstream_timeout")


async def test_an_answer_that_began_in_time_may_go_on():
    async def slow(wire: Any) -> None:
        await wire.message()
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na")
        await asyncio.sleep(0.3)
        await wire.send(b"b")

    async with Upstream(slow) as a, running(named(a)) as gateway:
        assert (await gateway.ask(asks(service="a", timeout=0.1))).body == b"ab"


async def test_a_cold_service_is_waited_for_and_never_shown_as_a_page():
    async with Upstream() as a:
        services = {"a": {**named(a)["a"], "waiting": "page", "start_timeout": "5s", "health_interval": "50ms"}}
        async with running(services, hot=False, strict=False) as gateway:
            answer = await gateway.ask(asks(service="a", headers={"Accept": "text/html"}))
            assert answer.body == b"GET|/x||"


async def test_a_session_in_the_inner_headers_goes_nowhere():
    auth = {"dashboard": {"password": "pw"}}
    async with Upstream() as a, running(named(a), auth=auth) as gateway:
        cookie = await log_in(gateway)
        session = cookie.decode().partition("hestia_session")[2]
        inner = cookie.decode().removeprefix("Cookie: ")
        answer = await gateway.ask(asks(cookie.decode(), service="a", headers={"Cookie": inner, "X-Token": "t"}))
        assert answer.status == 200
        assert session.encode() not in a.seen
        (request,) = [each for each in a.requests() if each.get(b"user-agent") != b"hestia-probe"]
        assert request.get(b"cookie") == b"theme=dark"


async def test_only_a_key_for_everything_may_use_it_and_it_goes_nowhere():
    async with Upstream() as a, running(named(a), auth=AUTH) as gateway:
        key = "k" * 20
        assert problem(await gateway.ask(asks(SOME, service="a"))) == (403, "forbidden")
        assert problem(await gateway.ask(asks(service="a"))) == (401, "unauthorized")
        for lines, headers in (([f"X-API-Key: {key}"], {"Authorization": "Bearer mine"}), ([f"Authorization: Bearer {key}"], {"X-API-Key": key})):
            assert (await gateway.ask(asks(*lines, service="a", headers=headers))).status == 200
        assert key.encode() not in a.seen
        assert b"Authorization: Bearer mine" in a.seen


async def test_bodies_of_another_type_and_other_methods_are_refused():
    async with running({}) as gateway:
        assert problem(await gateway.ask(post(b"{}", target="/v1/requests"))) == (400, "bad_request")
        answer = await gateway.ask(get("/v1/requests"))
        assert (problem(answer), answer.get(b"allow")) == ((405, "method_not_allowed"), b"POST, OPTIONS")


async def test_a_client_that_waits_for_our_word_gets_it():
    async with Upstream() as a, running(named(a)) as gateway:
        raw = asks("Expect: 100-continue", service="a")
        head, _, body = raw.partition(b"\r\n\r\n")
        client = await gateway.dial()
        await client.send(head + b"\r\n\r\n")
        assert (await client.message(b"POST")).status == 100
        await client.send(body)
        assert (await client.message(b"POST")).status == 200


async def test_a_loop_through_the_dispatcher_is_seen():
    async with Upstream() as a, running(named(a)) as gateway:
        await gateway.ask(asks("CDN-Loop: other", service="a"))
        (request,) = a.requests()
        mark = request.get(b"cdn-loop")
        assert mark is not None
        assert mark.startswith(b"other, hestia-")
        assert problem(await gateway.ask(asks("CDN-Loop: " + mark.decode(), service="a"))) == (508, "loop")


async def test_redirects_are_passed_on_and_not_followed():
    moved = saying(reply(b"", b"Location: http://169.254.169.254/", status=b"302 Found"))
    async with Upstream(moved) as a, running(named(a)) as gateway:
        answer = await gateway.ask(asks(service="a"))
        assert (answer.status, answer.get(b"location")) == (302, b"http://169.254.169.254/")


async def test_a_client_that_leaves_in_mid_body_leaves_nothing_behind():
    async with Upstream() as a, running(named(a)) as gateway:
        client = await gateway.dial()
        await client.send(asks(service="a", body_text="x" * 10_000)[:5_000])
        await until(lambda: gateway.gateway.shared.room.used)
        client.close()
        await until(lambda: not gateway.gateway.shared.fronts)
        await turns(2)
        assert gateway.gateway.shared.room.used == 0
