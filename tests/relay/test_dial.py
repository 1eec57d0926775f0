"""Connections to upstreams: TCP, unix sockets, TLS, and what is said when none comes about."""

import asyncio
import socket

import pytest

from hestia.relay import sending
from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.tls import CERTIFICATE, client_side, server_side
from tests.support.wire import Upstream, dial, turns


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def test_a_service_that_is_only_watched_and_is_not_there_is_a_503_that_says_all_of_it():
    port = free_port()
    async with running({"a": {"base_url": f"http://127.0.0.1:{port}"}}) as gateway:
        answer = await gateway.ask(req())
        assert answer.status == 503
        assert answer.get(b"content-type") == b"application/problem+json"
        assert answer.get(b"proxy-status").startswith(b"hestia; error=")
        for word in (b'"start_failed"', b'"service": "a"', b"127.0.0.1:%d" % port, b"connection refused", b"no `launch`"):
            assert word in answer.body


async def test_after_a_refused_connection_the_client_may_go_on_and_the_service_may_come_back():
    port = free_port()
    async with running({"a": {"base_url": f"http://127.0.0.1:{port}", "failure_cooldown": 0}}) as gateway:
        client = await gateway.dial()
        await client.send(req())
        assert (await client.answer()).status == 503
        async with Upstream(port=port):
            await client.send(req())
            assert (await client.answer()).status == 200


async def test_an_upload_to_one_that_is_not_there_gets_its_503_too():
    async with running({"a": {"base_url": f"http://127.0.0.1:{free_port()}"}}) as gateway:
        client = await gateway.dial()
        client.transport.write(post(b"Content-Length: 1000000", body=b"x" * 500_000))
        assert (await client.answer(b"POST")).status == 503
        await client.until(lambda: client.ended)


async def test_a_connection_that_nobody_takes_is_given_up_in_time():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(8)]  # a full queue: further SYNs are dropped
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        async with running({"a": {"base_url": f"http://127.0.0.1:{port}", "connect_timeout": 0.3}}) as gateway:
            answer = await gateway.ask(req())
            assert (answer.status, b"upstream_unreachable" in answer.body) == (502, True)
        for filler in fillers:
            filler.close()


async def test_a_name_that_nobody_knows_is_a_502():
    async with running({"a": {"base_url": "http://no-such-host.invalid:1"}}) as gateway:
        assert (await gateway.ask(req())).status == 502


async def test_an_upstream_on_a_unix_socket(tmp_path):
    path = str(tmp_path / "app.sock")
    async with Upstream(path=path) as upstream, running({"a": {"base_url": f"http+unix://{path}"}}) as gateway:
        assert (await gateway.ask(req())).body == b"GET|/x||"
        assert (await gateway.ask(post(b"Content-Length: 1", body=b"y"))).body == b"POST|/x||y"
        assert len(upstream.wires) == 1
        assert len(upstream.requests()[0].all(b"host")) == 1


async def test_a_missing_unix_socket_is_said(tmp_path):
    async with running({"a": {"base_url": f"http+unix://{tmp_path}/none.sock"}}) as gateway:
        answer = await gateway.ask(req())
        assert (answer.status, b"its socket does not exist" in answer.body.lower()) == (503, True)


async def test_an_upstream_that_speaks_tls_with_a_certificate_of_a_ca_file():
    async with Upstream(tls=server_side()) as upstream, running({"a": {"base_url": upstream.base_url, "tls_verify": CERTIFICATE}}) as gateway:
        for _ in range(2):
            assert (await gateway.ask(post(b"Content-Length: 3", body=b"abc"))).body == b"POST|/x||abc"
        assert len(upstream.wires) == 1
        assert upstream.requests()[0].get(b"host") == b"localhost:%d" % upstream.port
        assert upstream.requests()[0].get(b"x-forwarded-proto") == b"http"


async def test_a_certificate_that_nobody_vouches_for_is_refused_and_taken_where_that_is_wanted():
    async with Upstream(tls=server_side()) as upstream:
        async with running({"a": {"base_url": upstream.base_url}}) as gateway:
            answer = await gateway.ask(req())
            assert (answer.status, b"certificate" in answer.body) == (502, True)
        async with running({"a": {"base_url": upstream.base_url, "tls_verify": False}}) as gateway:
            assert (await gateway.ask(req())).status == 200


async def test_tls_to_a_plain_port_is_a_502():
    async with Upstream() as upstream, running({"a": {"base_url": f"https://localhost:{upstream.port}", "connect_timeout": 1}}, strict=False) as gateway:
        assert (await gateway.ask(req())).status == 502


async def test_large_bodies_over_tls_on_both_sides(tmp_path):
    from tests.support.tls import KEY

    body = bytes(range(256)) * 8192
    tls = {"certificate": CERTIFICATE, "key": KEY}
    async with Upstream(tls=server_side()) as upstream, running({"a": {"base_url": upstream.base_url, "tls_verify": CERTIFICATE}}, tls=tls) as gateway:
        client = await dial(gateway.port, tls=client_side())
        client.transport.write(post(b"Content-Length: %d" % len(body), body=body))
        assert (await client.answer(within=20)).body == b"POST|/x||" + body
        assert upstream.requests()[0].get(b"x-forwarded-proto") == b"https"
        client.transport.abort()


async def test_an_upstream_that_is_named_localhost_is_found_on_the_address_that_listens():
    async with Upstream() as upstream, running({"a": {"base_url": f"http://localhost:{upstream.port}"}}) as gateway:
        assert (await gateway.ask(req())).status == 200


async def test_many_slow_requests_do_not_keep_a_fast_one_waiting():
    async def script(wire):
        request = await wire.message()
        if request.target == b"/fast":
            from tests.support.wire import reply

            wire.transport.write(reply(b"fast"))
        await wire.until(lambda: wire.lost, 600)

    async with Upstream(script) as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        slow = [await gateway.dial() for _ in range(150)]
        for client in slow:
            client.transport.write(req())
        assert (await gateway.ask(req(target=b"/services/a/fast"))).body == b"fast"
        for client in slow:
            client.transport.abort()


@pytest.mark.parametrize("tries", (20,))
async def test_many_connections_at_once_each_get_their_own_answer(tries):
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:

        async def one(number):
            client = await gateway.dial()
            for step in range(tries):
                token = b"%d-%d" % (number, step)
                await client.send(req(b"X-Token: " + token))
                assert (await client.answer()).body == b"GET|/x|" + token + b"|"
            client.transport.abort()

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(one(number))
        assert len(upstream.wires) <= 30


async def test_an_upload_waits_bounded_until_the_connection_is_made(monkeypatch):
    go = asyncio.Event()
    inner = sending.dial

    async def late(*args):
        await go.wait()
        return await inner(*args)

    monkeypatch.setattr(sending, "dial", late)
    body = bytes(range(256)) * 40_000
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        client = await gateway.dial()
        client.transport.write(post(b"Content-Length: %d" % len(body), body=body))
        await turns(50)
        (front,) = gateway.gateway.shared.fronts
        assert sum(map(len, front.exchange.pending)) < 1_000_000
        assert not front.reading
        go.set()
        assert (await client.answer(b"POST", 20)).body == b"POST|/x||" + body


async def test_a_client_that_leaves_while_its_connection_is_made_is_noticed_though_it_is_not_read(monkeypatch):
    gone = asyncio.Event()

    async def never(*_):
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()

    monkeypatch.setattr(sending, "dial", never)
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        client = await gateway.dial()
        client.transport.write(post(b"Content-Length: 10000000", body=b"x" * 5_000_000))
        await turns(50)
        client.rst()
        async with asyncio.timeout(1.5):
            await gone.wait()


async def test_a_mistake_of_ours_is_answered_500_and_logged_with_its_trace(monkeypatch):
    async def mistaken(*_):
        raise LookupError("a bug")

    monkeypatch.setattr("hestia.relay.sending.dial", mistaken)
    async with running({"a": {"base_url": "http://127.0.0.1:9"}}, strict=False) as gateway:
        answer = await gateway.ask(b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.status == 500
        assert b'"code": "internal"' in answer.body
        assert any("a bug" in event.get("trace", "") for event in gateway.events)
        assert gateway.gateway.busy()["leases"] == 0
