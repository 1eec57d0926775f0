"""Deadlines: one sweep keeps them all, and whoever is slow for a good reason is left alone."""

import asyncio
import socket

import pytest

from hestia.doors import connection
from hestia.relay.sweep import AT_ONCE, Sweep
from tests.support.gateway import running
from tests.support.hostile_requests import post, req
from tests.support.wire import Upstream, reply, saying, turns

LONG = {"head_timeout": 30, "idle_connection": 30, "stall_timeout": 30}


def service(upstream, **keys):
    return {"a": {"base_url": upstream.base_url, **keys}}


async def test_an_idle_connection_is_closed_without_a_word():
    async with Upstream() as upstream, running(service(upstream), limits={**LONG, "idle_connection": 0.3}) as gateway:
        silent, used = await gateway.dial(), await gateway.dial()
        await used.send(req())
        await used.answer()
        for client in (silent, used):
            await client.until(lambda client=client: client.ended, 1.5)
            assert client.unread == b""


@pytest.mark.parametrize("begun", (b"G", b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n", b"\r"))
async def test_a_head_that_does_not_end_is_closed_in_time(begun):
    async with Upstream() as upstream, running(service(upstream), limits={**LONG, "head_timeout": 0.3}) as gateway:
        client = await gateway.dial()
        await client.send(begun)
        await client.until(lambda: client.ended, 1.5)
        assert upstream.wires == []


async def test_a_head_that_trickles_is_closed_in_time_too():
    async with Upstream() as upstream, running(service(upstream), limits={**LONG, "head_timeout": 0.4}) as gateway:
        client = await gateway.dial()
        await client.send(b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(20):
            await client.send(b"X-A: 1\r\n")
            try:
                await client.until(lambda: client.ended, 0.1)
                break
            except AssertionError:
                continue
        assert client.ended
        assert upstream.wires == []


async def test_a_body_that_is_wanted_and_does_not_come_ends_the_exchange_without_an_answer():
    async with Upstream() as upstream, running(service(upstream), limits={**LONG, "stall_timeout": 0.3}) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 10", body=b"x"))
        await client.until(lambda: client.ended, 1.5)
        assert client.unread == b""
        wire = upstream.wires[0]
        await wire.until(lambda: wire.ended)
        assert upstream.requests() == []


async def test_a_body_that_moves_slowly_is_no_stall():
    async with Upstream() as upstream, running(service(upstream), limits={**LONG, "stall_timeout": 0.4}) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 8"))
        for _ in range(8):
            await client.send(b"x")
            with pytest.raises(AssertionError):
                await client.until(lambda: client.ended, 0.15)
        assert (await client.answer(b"POST")).status == 200


async def test_a_reader_that_takes_nothing_ends_its_exchange():
    async def script(wire):
        await wire.message()
        wire.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 50_000_000)
        await wire.until(lambda: wire.lost, 600)

    async with Upstream(script) as upstream, running(service(upstream), limits={**LONG, "stall_timeout": 0.3}) as gateway:
        client = await gateway.dial()
        client.transport.pause_reading()
        client.transport.write(req())
        wire = await upstream.wire()
        await wire.until(lambda: wire.lost, 3)
        client.transport.abort()


async def test_a_slow_reader_of_the_last_bytes_of_an_answer_is_not_idle():
    body = b"x" * 12_000_000
    limits = {"idle_connection": 0.3, "head_timeout": 0.3, "stall_timeout": 5}
    async with Upstream(saying(reply(body))) as upstream, running(service(upstream), limits=limits) as gateway:
        client = await gateway.dial()
        await client.send(req() + req()[:20])  # and the beginning of a next request
        (front,) = gateway.gateway.shared.fronts
        while front.exchange is not None or not client.received:  # until the gateway has all of the answer
            client.transport.resume_reading()
            await turns(2)
            client.transport.pause_reading()
        with pytest.raises(AssertionError):
            await client.until(lambda: client.lost, 0.8)
        client.transport.resume_reading()
        assert len((await client.answer(within=10)).body) == len(body)


async def test_an_upstream_that_never_begins_is_a_504_where_that_is_wanted():
    async with Upstream(saying()) as upstream, running(service(upstream, response_timeout=0.3), limits=LONG) as gateway:
        client = await gateway.dial()
        await client.send(req())
        answer = await client.answer(within=2)
        assert (answer.status, b'"upstream_timeout"' in answer.body) == (504, True)
        wire = upstream.wires[0]
        await wire.until(lambda: wire.ended)
        await client.send(req())
        assert (await client.answer(within=2)).status == 504


async def test_an_upload_is_not_part_of_the_first_bytes_time():
    async def script(wire):
        await wire.message()
        wire.transport.write(reply(b"x"))

    async with Upstream(script) as upstream, running(service(upstream, response_timeout=0.4), limits=LONG) as gateway:
        client = await gateway.dial()
        await client.send(post(b"Content-Length: 8"))
        for _ in range(7):
            await client.send(b"x")
            with pytest.raises(AssertionError):
                await client.until(lambda: client.ended or client.received, 0.12)
        await client.send(b"x")
        assert (await client.answer(b"POST")).status == 200


async def test_an_upstream_that_thinks_is_left_alone_by_default():
    limits = {"head_timeout": 0.2, "idle_connection": 0.2, "stall_timeout": 0.2}

    async def script(wire):
        await wire.message()
        with pytest.raises(AssertionError):
            await wire.until(lambda: wire.ended, 0.7)
        wire.transport.write(reply(b"thought"))

    async with Upstream(script) as upstream, running(service(upstream), limits=limits) as gateway:
        assert (await gateway.ask(req())).body == b"thought"


async def test_a_client_that_does_not_close_after_a_refusal_is_cut_off(monkeypatch):
    monkeypatch.setattr(connection, "LONGEST_LINGER", 0.2)
    async with running({}, limits={**LONG, "head_timeout": 1}) as gateway:
        client = await gateway.dial()
        await client.send(b"garbage\r\n\r\n")
        assert (await client.answer()).status == 400
        await client.until(lambda: client.eof)
        shared = gateway.gateway.shared
        async with asyncio.timeout(2):
            while shared.fronts:  # a FIN alone is all that the client sees of it
                await turns(1)


class Thing:
    def __init__(self, *, fails=False):
        self.looks = 0
        self.fails = fails

    def look(self, now):
        self.looks += 1
        if self.fails:
            raise ValueError("a bug")

    def fileno(self):
        return -1

    def peer_left(self, *, half):
        raise AssertionError("nobody left")


def test_one_connections_mistake_is_not_the_others():
    failed = []
    sweep = Sweep(1, failed.append)
    things = [Thing(), Thing(fails=True), Thing()]
    sweep.watched.update(things)
    sweep.paused.update(things)
    sweep.tick()
    sweep.tick()
    assert [thing.looks for thing in things] == [2, 2, 2]
    assert len(failed) == 2


def test_chores_are_done_at_every_look():
    done = []
    sweep = Sweep(1, done.append)
    sweep.chores.append(lambda: done.append("chore"))
    sweep.tick()
    assert done == ["chore"]


def test_a_mistake_about_one_who_left_and_one_in_a_chore_are_nobody_elses():
    failed: list[BaseException] = []
    done: list[str] = []
    ours, theirs = socket.socketpair()
    theirs.close()

    class Gone(Thing):
        def fileno(self):
            return ours.fileno()

    def broken() -> None:
        raise LookupError("a chore")

    sweep = Sweep(1, failed.append)
    gone, other = Gone(), Thing()
    sweep.watched.update((gone, other))
    sweep.paused.add(gone)
    sweep.chores += [broken, lambda: done.append("the next one")]
    with ours:
        sweep.tick()
    assert (gone.looks, other.looks, done) == (1, 1, ["the next one"])
    assert [type(each) for each in failed] == [AssertionError, LookupError]


async def test_a_mistake_in_one_look_never_ends_the_sweep():
    failed: list[str] = []
    looks: list[str] = []
    enough = asyncio.Event()

    class Good:
        def look(self, now: float) -> None:
            looks.append("looked")
            if len(looks) > 2:
                enough.set()

    class Bad:
        def look(self, now: float) -> None:
            raise LookupError("one connection")

    def chore() -> None:
        raise LookupError("a chore")

    sweep = Sweep(0.01, lambda problem: failed.append(str(problem)))
    sweep.watched |= {Bad(), Good()}
    sweep.chores.append(chore)
    task = asyncio.ensure_future(sweep.run())
    try:
        async with asyncio.timeout(5):
            await enough.wait()
    finally:
        task.cancel()
    assert {"one connection", "a chore"} <= set(failed)


def test_a_crowd_is_looked_at_in_slices_and_the_loop_turns_between_them():
    sweep = Sweep(1, lambda problem: None)
    things = [Thing() for _ in range(AT_ONCE * 3 + 1)]
    sweep.watched.update(things)
    seen = [sum(thing.looks for thing in things) for _ in sweep.looks()]
    assert seen == [AT_ONCE, 2 * AT_ONCE, 3 * AT_ONCE, 3 * AT_ONCE + 1]


def test_who_left_between_two_slices_is_not_looked_at():
    sweep = Sweep(1, lambda problem: None)
    things = [Thing() for _ in range(AT_ONCE + 1)]
    sweep.watched.update(things)
    looks = sweep.looks()
    next(looks)
    late = next(thing for thing in things if not thing.looks)
    sweep.watched.discard(late)
    list(looks)
    assert late.looks == 0
