"""The upstream's side of an exchange: when its connection is used again, and what its ends mean."""

import pytest

from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.wire import (
    FIN,
    HALF,
    RST,
    BrokenError,
    Upstream,
    answering,
    in_pieces,
    in_turn,
    reply,
    saying,
    turns,
)

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def service(upstream, **keys):
    return {"a": {"base_url": upstream.base_url, **keys}}


async def test_a_head_may_come_byte_by_byte():
    async with Upstream(saying(*in_pieces(reply(b"x", b"X-A: 1")))) as upstream, running(service(upstream)) as gateway:
        answer = await gateway.ask(req())
        assert (answer.body, answer.get(b"x-a")) == (b"x", b"1")


@pytest.mark.parametrize("version", (b"1.1", b"1.0"))
async def test_a_body_until_close_becomes_chunks_and_its_end_is_the_last_chunk(version):
    async with Upstream(saying(b"HTTP/" + version + b" 200 OK\r\n\r\n", b"ab", b"c", FIN)) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req())
        answer = await client.answer()
        assert (answer.body, answer.framing) == (b"abc", "chunked")
        await client.send(req())  # the client's connection is none the worse for it
        assert (await client.answer()).status == 200


async def test_an_empty_body_until_close_is_empty():
    async with Upstream(saying(b"HTTP/1.1 200 OK\r\n\r\n", FIN)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).body == b""


async def test_a_body_until_close_that_ends_by_a_reset_is_broken():
    async with Upstream(saying(b"HTTP/1.1 200 OK\r\n\r\nabc", RST)) as upstream, running(service(upstream)) as gateway:
        with pytest.raises(BrokenError):
            await gateway.ask(req())


async def test_an_upstream_of_http_1_0_that_keeps_alive_is_used_again():
    async def script(wire):
        for _ in range(2):
            await wire.message()
            wire.transport.write(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx")

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        for _ in range(2):
            answer = await gateway.ask(req())
            assert (answer.body, answer.get(b"connection")) == (b"x", None)
        assert len(upstream.wires) == 1


async def test_an_upstream_that_answers_before_it_is_asked_is_not_believed():
    async def greedy(wire):
        wire.transport.write(reply(b"hasty"))
        await answering(wire)

    async with Upstream(greedy) as upstream, running(service(upstream), strict=False) as gateway:
        answer = await gateway.ask(req())
        # a fresh connection whose answer came with the connection: it belongs to this request or to none
        assert answer.status in (200, 502)
        assert (await gateway.ask(req(target=b"/services/a/2"))).body != b"GET|/x||"


async def test_an_answer_before_the_end_of_the_upload_ends_both_connections():
    async def early(wire):
        await wire.through(b"\r\n\r\n")
        wire.transport.write(reply(b"enough"))
        await wire.until(lambda: wire.lost, 600)

    async with Upstream(in_turn(early, answering)) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 100", body=b"x" * 10))
        assert (await client.answer(b"POST")).body == b"enough"
        wire = upstream.wires[0]
        await wire.until(lambda: wire.ended)
        await client.until(lambda: client.ended)
        assert (await gateway.ask(req())).body == b"GET|/x||"
        assert len(upstream.wires) == 2


async def test_a_half_close_of_the_upstream_before_its_answer_is_a_failure():
    async with Upstream(saying(HALF)) as upstream, running(service(upstream)) as gateway:
        assert (await gateway.ask(req())).status == 502


async def test_an_upstream_that_resets_in_mid_upload_is_a_502():
    async def script(wire):
        await wire.through(b"\r\n\r\n")
        wire.rst()

    async with Upstream(script) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 1000", body=b"x"))
        assert (await client.answer(b"POST")).status == 502


async def test_an_upstream_may_be_silent_in_mid_answer_as_long_as_it_likes():
    limits = {"idle_connection": 0.2, "stall_timeout": 0.2, "head_timeout": 0.2}

    async def script(wire):
        await wire.message()
        wire.transport.write(CHUNKED + b"1\r\na\r\n")
        with pytest.raises(AssertionError):
            await wire.until(lambda: wire.ended, 0.8)
        wire.transport.write(b"1\r\nb\r\n0\r\n\r\n")

    async with Upstream(script) as upstream, running(service(upstream, response_timeout=0.3), limits=limits) as gateway:
        assert (await gateway.ask(req())).body == b"ab"


async def test_the_body_of_a_head_answer_is_never_taken_for_the_next_answer():
    async with Upstream(in_turn(saying(reply(b"poison"), then=answering), answering)) as upstream, running(service(upstream)) as gateway:
        client = await gateway.dial()
        await client.send(req(method=b"HEAD"))
        assert (await client.answer(b"HEAD")).status in (200, 502)
        await turns(2)
        assert (await gateway.ask(req(target=b"/services/a/next"))).body == b"GET|/next||"
        assert len(upstream.wires) == 2
