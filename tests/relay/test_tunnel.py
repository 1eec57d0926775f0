"""Upgrades: an opaque tunnel with half-close both ways; what is refused stays plain HTTP."""

import asyncio

import pytest

from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.wire import Upstream, answering, reply, saying, turns

UPGRADE = (b"Connection: keep-alive, Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: eA==", b"Sec-WebSocket-Protocol: a, b", b"Origin: http://localhost")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: b\r\n\r\n"


def service(upstream, **keys):
    return {"a": {"base_url": upstream.base_url, **keys}}


async def switching(wire):
    await wire.message()
    wire.transport.write(SWITCH)
    await wire.until(lambda: wire.lost, 600)


async def opened(gateway, upstream):
    client = await gateway.dial()
    await client.send(req(*UPGRADE))
    answer = await client.message(b"GET")
    assert answer.status == 101
    wire = await upstream.wire()
    wire.at = len(wire.received)
    return client, wire, answer


async def test_the_handshake_passes_both_ways_and_then_every_byte():
    async with Upstream(switching) as upstream, running(service(upstream)) as gateway:
        client, wire, answer = await opened(gateway, upstream)
        seen = upstream.requests()[0]
        assert (seen.get(b"upgrade"), seen.get(b"connection").lower()) == (b"websocket", b"upgrade")
        assert (seen.get(b"sec-websocket-key"), seen.get(b"sec-websocket-protocol")) == (b"eA==", b"a, b")
        assert (answer.get(b"sec-websocket-protocol"), answer.get(b"upgrade")) == (b"b", b"websocket")
        every = bytes(range(256)) * 1000
        client.transport.write(every)
        wire.transport.write(every)
        assert await wire.count(len(every)) == every
        assert await client.count(len(every)) == every


async def test_bytes_right_behind_the_handshake_are_the_tunnels():
    async def script(wire):
        await wire.message()
        wire.transport.write(SWITCH + b"early")
        await wire.until(lambda: wire.lost, 600)

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(*UPGRADE) + b"GET / HTTP/1.1\r\n\r\n")
        assert (await client.message(b"GET")).status == 101
        assert await client.count(5) == b"early"
        wire = await upstream.wire()
        await wire.until(lambda: wire.received.endswith(b"GET / HTTP/1.1\r\n\r\n"))


async def test_a_half_close_of_the_client_passes_and_the_other_way_stays_open():
    async with Upstream(switching) as upstream, running(service(upstream)) as gateway:
        client, wire, _ = await opened(gateway, upstream)
        client.transport.write(b"last")
        client.half_close()
        assert await wire.end() == b"last"
        wire.transport.write(b"answer")
        assert await client.count(6) == b"answer"
        assert not client.ended
        wire.half_close()
        await client.until(lambda: client.ended)


async def test_a_half_close_of_the_upstream_passes_and_the_other_way_stays_open():
    async with Upstream(switching) as upstream, running(service(upstream)) as gateway:
        client, wire, _ = await opened(gateway, upstream)
        wire.transport.write(b"last")
        wire.half_close()
        assert await client.end() == b"last"
        client.transport.write(b"answer")
        assert await wire.count(6) == b"answer"
        assert not wire.ended
        client.half_close()
        await wire.until(lambda: wire.ended)


@pytest.mark.parametrize("how", ("close", "rst"))
async def test_whoever_leaves_ends_the_other_side_within_a_second(how):
    async with Upstream(switching) as upstream, running(service(upstream)) as gateway:
        client, wire, _ = await opened(gateway, upstream)
        getattr(client, how)()
        await wire.until(lambda: wire.ended, 1)
    async with Upstream(switching) as upstream, running(service(upstream)) as gateway:
        client, wire, _ = await opened(gateway, upstream)
        getattr(wire, how)()
        await client.until(lambda: client.ended, 1)


async def test_what_was_read_is_written_before_the_tunnel_ends():
    async with Upstream(switching) as upstream, running(service(upstream)) as gateway:
        client, wire, _ = await opened(gateway, upstream)
        wire.transport.write(b"x" * 3_000_000)
        wire.close()
        await client.until(lambda: client.ended)
        assert len(client.unread) == 3_000_000


@pytest.mark.parametrize("slow", ("client", "upstream"))
async def test_a_slow_side_holds_the_other_back(slow):
    async with Upstream(switching) as upstream, running(service(upstream)) as gateway:
        client, wire, _ = await opened(gateway, upstream)
        reader, writer = (client, wire) if slow == "client" else (wire, client)
        reader.transport.pause_reading()
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100_000_000:
                writer.transport.write(b"x" * 100_000)
                sent += 100_000
                await asyncio.wait_for(writer._writable.wait(), 0.3)
        assert sent < 30_000_000
        reader.transport.resume_reading()
        await reader.until(lambda: len(reader.unread) == sent, 10)


async def test_a_refused_upgrade_is_a_plain_answer_and_both_connections_stay_usable():
    async with Upstream(saying(reply(b"no", status=b"403 Forbidden"), then=answering)) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(*UPGRADE))
        answer = await client.answer()
        assert (answer.status, answer.body) == (403, b"no")
        await client.send(req())
        assert (await client.answer()).body == b"GET|/x||"


async def test_a_request_pipelined_behind_a_declined_upgrade_is_answered():
    async with Upstream() as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(b"Connection: Upgrade", b"Upgrade: foo") + req(target=b"/services/a/second"))
        assert (await client.answer()).body == b"GET|/x||"
        assert (await client.answer()).body == b"GET|/second||"


async def test_a_switch_that_nobody_asked_for_is_a_failed_upstream():
    for request in (req(), post(b"Content-Length: 1", body=b"x"), req(b"Upgrade: websocket"), req(b"Connection: Upgrade", b"Upgrade: h2c")):
        async with Upstream(saying(SWITCH)) as upstream, running(service(upstream)) as gateway:
            answer = await gateway.ask(request)
            assert (answer.status, b"upstream_failed" in answer.body) == (502, True)
            wire = await upstream.wire()
            await wire.until(lambda wire=wire: wire.ended)


async def test_an_upgrade_of_another_protocol_passes_too():
    switch = SWITCH.replace(b"websocket", b"ts-derp/1")
    async with Upstream(saying(switch)) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(b"Connection: upgrade", b"Upgrade: ts-derp/1"))
        answer = await client.message(b"GET")
        assert (answer.status, answer.get(b"upgrade")) == (101, b"ts-derp/1")


async def test_a_stale_pooled_connection_does_not_lose_an_upgrade():
    async def stale(wire):
        first = await wire.message()
        wire.transport.write(reply(first.target))
        wire.close()

    scripts = [stale, switching]

    async def script(wire):
        await scripts.pop(0)(wire)

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        await gateway.ask(req())
        await turns(3)
        client = await gateway.dial()
        await client.send(req(*UPGRADE))
        assert (await client.message(b"GET")).status == 101


async def test_a_tunnel_is_neither_idle_nor_stalled():
    limits = {"idle_connection": 0.2, "stall_timeout": 0.2, "head_timeout": 0.2}
    async with Upstream(switching) as upstream, running(service(upstream), limits=limits) as gateway:
        client, wire, _ = await opened(gateway, upstream)
        with pytest.raises(AssertionError):
            await client.until(lambda: client.ended, 0.8)
        wire.transport.write(b"still there")
        assert await client.count(11) == b"still there"
