"""The line of a service: who waits, in which order, for how long, and with how much of a body in memory."""

import asyncio
import json
import socket
import time
import zlib

import pytest

from hestia.relay.exchange import Exchange
from tests.life.serving import api, ask, detail, launched, problem, reaches, running, state, until, waiting
from tests.support.wire import FIN, RST, turns

HELD = 65536


def waiters(run, service="a"):
    return run.gateway.commands.status(service).waiters


async def test_more_than_the_line_holds_are_refused_at_once_and_those_in_it_are_served(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, queue_size=5)}) as run:
        clients = [await waiting(run, ask(f"/{number}"), number + 1) for number in range(5)]
        for _ in range(3):
            began = time.monotonic()
            refused = await run.ask(ask())
            assert time.monotonic() - began < 0.05
            assert problem(refused) == (503, "queue_full")
            assert int(refused.get(b"retry-after")) >= 1
        gate.touch()
        answers = await asyncio.gather(*(client.answer() for client in clients))
        assert [answer.status for answer in answers] == [200] * 5
        assert sorted(diary.requests) == [f"GET /{number}" for number in range(5)]
        assert waiters(run) == 0


async def test_who_waits_too_long_is_told_so_and_the_start_goes_on(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, queue_timeout="300ms")}) as run:
        began = time.monotonic()
        answer = await run.ask(ask())
        assert 0.3 <= time.monotonic() - began < 0.8
        assert problem(answer) == (504, "wait_timeout")
        assert (state(run), waiters(run)) == ("starting", 0)
        gate.touch()
        await reaches(run, "hot")
        assert (await run.ask(ask())).status == 200
        assert (len(diary.starts), diary.requests) == (1, ["GET /x"])


async def test_a_start_goes_on_when_its_last_waiter_left(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await waiting(run, ask())
        client.rst()
        await until(lambda: not waiters(run))
        gate.touch()
        await reaches(run, "hot")
        assert diary.requests == []


@pytest.mark.parametrize("leaving", (FIN, RST))
@pytest.mark.parametrize("body", (0, 1024, HELD + 1, 4_000_000))
async def test_a_client_that_leaves_frees_its_place_within_a_second(diary, gate, leaving, body):
    """Also while its body is not read any further. (A FIN behind a full buffer is seen when that is read.)"""
    async with running({"a": launched(diary, "--gate", gate, queue_size=1)}) as run:
        client = await run.dial()
        client.transport.write(ask(method="POST", body=b"x" * body) if body else ask())
        await until(lambda: waiters(run) == 1)
        if leaving == FIN and body > 1_000_000:
            leaving = RST
        await turns(20)
        began = time.monotonic()
        await client.play([leaving])
        await until(lambda: not waiters(run), 2.0)
        assert time.monotonic() - began < 1.2
        gate.touch()
        assert (await run.ask(ask("/next"))).status == 200
        assert diary.requests == ["GET /next"]


async def test_others_keep_their_order_when_one_leaves_from_the_middle(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, max_concurrency=1)}) as run:
        clients = [await waiting(run, ask(f"/{number}"), number + 1) for number in range(6)]
        for number in (0, 3):
            clients[number].rst()
        await until(lambda: waiters(run) == 4)
        gate.touch()
        await asyncio.gather(*(clients[number].answer() for number in (1, 2, 4, 5)))
        assert diary.requests == ["GET /1", "GET /2", "GET /4", "GET /5"]


async def test_two_hundred_waiters_are_released_in_their_order_within_a_second(diary, gate, monkeypatch):
    count, granted, as_before = 200, [], Exchange.granted
    monkeypatch.setattr(Exchange, "granted", lambda self, *more: [granted.append(self.target), as_before(self, *more)])
    async with running({"a": launched(diary, "--gate", gate, queue_size=count)}) as run:
        clients = [await waiting(run, ask(f"/{number}"), number + 1) for number in range(count)]
        gate.touch()
        for client in clients:
            assert (await client.answer()).status == 200
        assert time.monotonic() - diary.ready_at < 1.5
        assert granted == [b"/%d" % number for number in range(count)]


# --- bodies


@pytest.mark.parametrize("size", (1, 1024, HELD, HELD + 1, 10 * 1024 * 1024))
async def test_a_body_that_came_while_it_was_cold_arrives_whole(diary, gate, size):
    body = bytes(range(256)) * (size // 256) + b"z" * (size % 256)
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await run.dial()
        client.transport.write(ask("/sum", method="POST", body=body))
        await until(lambda: waiters(run) == 1)
        gate.touch()
        answer = await client.answer(b"POST", 20)
        assert (answer.status, answer.body) == (200, b"%d %d" % (size, zlib.crc32(body)))


async def test_chunks_that_came_while_it_was_cold_arrive_whole(diary, gate):
    piece = b"0123456789abcdef" * 1000
    chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await run.dial()
        client.transport.write(ask("/sum", "Transfer-Encoding: chunked", method="POST") + chunk * 20)
        await until(lambda: waiters(run) == 1)
        gate.touch()
        client.transport.write(chunk * 20 + b"0\r\n\r\n")
        answer = await client.answer(b"POST", 20)
        assert (answer.status, answer.body) == (200, b"%d %d" % (40 * len(piece), zlib.crc32(piece * 40)))


async def test_of_a_body_that_waits_only_so_much_is_read_as_is_kept(diary, gate):
    """The rest stays in the kernel, and with the client when that is full."""
    async with running({"a": launched(diary, "--gate", gate, queue_size=40)}) as run:
        clients = []
        for number in range(20):
            client = await run.dial()
            client.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
            client.transport.write(ask("/sum", method="POST", body=b"x" * 10_000_000))
            clients.append(client)
            await until(lambda count=number + 1: waiters(run) == count)
        await until(lambda: len(run.gateway.shared.sweep.paused) == 20)
        kept = [sum(map(len, front.exchange.pending)) for front in run.gateway.shared.fronts]
        assert max(kept) <= HELD + 256 * 1024  # the loop reads 256 KiB at a time
        assert all(client.transport.get_write_buffer_size() > 1_000_000 for client in clients)
        for client in clients[1:]:
            client.rst()
        gate.touch()
        assert (await clients[0].answer(b"POST", 20)).body.startswith(b"10000000 ")


async def test_a_request_that_asks_before_it_sends_is_told_to_go_on_only_when_the_service_is_ready(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        raw = ask("/sum", "Expect: 100-continue", "Content-Length: 3", method="POST")
        client = await waiting(run, raw)
        await turns(50)
        assert not client.received
        gate.touch()
        assert (await client.message(b"POST")).status == 100
        assert time.monotonic() >= diary.ready_at
        await client.send(b"abc")
        assert (await client.answer(b"POST")).body == b"3 891568578"


async def test_a_large_body_and_a_small_one_wait_in_one_line_in_their_order(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, max_concurrency=1)}) as run:
        large = await waiting(run, ask("/large", method="POST", body=b"x" * 1_000_000))
        small = await waiting(run, ask("/small"), 2)
        gate.touch()
        await asyncio.gather(large.answer(b"POST"), small.answer())
        assert diary.requests == ["POST /large", "GET /small"]


# --- max_concurrency


async def test_no_more_than_so_many_run_at_a_time_and_nobody_overtakes(diary):
    async with running({"a": launched(diary, max_concurrency=2)}) as run:
        await run.ask(ask())
        clients = []
        for number in range(6):
            client = await run.dial()
            await client.send(ask(f"/slow?0.1{number}"))
            clients.append(client)
            await until(lambda count=number + 1: run.gateway.commands.status("a").leases + waiters(run) >= count, 1.0)
        assert run.gateway.commands.status("a").leases <= 2
        for client in clients:
            assert (await client.answer()).status == 200
        assert diary.requests == ["GET /x", *(f"GET /slow?0.1{number}" for number in range(6))]


async def test_a_tunnel_holds_a_lease_and_no_slot(diary):
    async with running({"a": launched(diary, max_concurrency=1)}) as run:
        tunnel = await run.dial()
        await tunnel.send(ask("/switch", "Connection: Upgrade", "Upgrade: echo"))
        assert (await tunnel.answer()).status == 101
        assert run.gateway.commands.status("a").leases == 1
        assert (await run.ask(ask())).status == 200
        await tunnel.send(b"still here")
        assert await tunnel.count(10) == b"still here"


# --- others who wait


async def test_a_waiter_that_is_cancelled_by_the_operator_is_told(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await waiting(run, ask())
        await run.gateway.commands.stop("a")
        assert problem(await client.answer()) == (503, "stopped")
        await reaches(run, "cold")


async def test_who_waits_is_counted_in_the_status(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        for count in range(1, 4):
            await waiting(run, ask(), count)
        answer = await run.ask(api("/v1/services/a/status", "GET"))
        assert {"state": "starting", "waiters": 3, "leases": 0, "readiness": "not_ready"}.items() <= json.loads(answer.body).items()


async def test_pipelined_requests_to_a_cold_service_are_answered_in_order(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await waiting(run, ask("/1") + ask("/2") + ask("/3"))
        gate.touch()
        assert [(await client.answer()).status for _ in range(3)] == [200] * 3
        assert diary.requests == ["GET /1", "GET /2", "GET /3"]


async def test_a_first_request_that_is_an_upgrade_waits_as_others_do(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await waiting(run, ask("/switch", "Connection: Upgrade", "Upgrade: echo"))
        gate.touch()
        assert (await client.answer()).status == 101
        await client.send(b"ping")
        assert await client.count(4) == b"ping"


async def test_an_upgrade_that_waits_too_long_gets_a_plain_refusal(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, queue_timeout="200ms")}) as run:
        answer = await run.ask(ask("/switch", "Connection: Upgrade", "Upgrade: echo"))
        assert problem(answer) == (504, "wait_timeout")
        assert "`queue_timeout`" in detail(answer)


# --- replicas


async def test_the_first_replica_that_is_ready_releases_the_line_and_all_of_them_serve(diaries, tmp_path):
    first, second = diaries("first"), diaries("second")
    places = [
        {"launch": launched(first)["launch"]},
        {"launch": launched(second, "--gate", tmp_path / "gate")["launch"], "machine": "desk"},
    ]
    service = {"start_timeout": "5s", "health_interval": "20ms", "replicas": 2, "places": places}
    async with running({"a": service}, machines={"desk": {}}) as run:
        assert int((await run.ask(ask())).body) == first.starts[0]
        (tmp_path / "gate").touch()
        await until(lambda: [place.state for place in run.gateway.commands.status("a").places] == ["hot", "hot"])
        slow = await run.dial()
        await slow.send(ask("/slow?0.3"))
        await until(lambda: run.gateway.commands.status("a").leases == 1)
        assert int((await run.ask(ask())).body) == second.starts[0]
        assert (await slow.answer()).status == 200
        await run.gateway.commands.stop("a", wait=True)
        assert state(run) == "cold"
