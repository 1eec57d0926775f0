"""How a service ends by the operator's word: drained, held, whole process group and all, whatever is under way."""

import asyncio
import time
from math import inf

import pytest

from tests.life.serving import (
    QUICK,
    alive,
    ask,
    detail,
    free_port,
    launched,
    navigation,
    problem,
    program,
    reaches,
    running,
    state,
    told,
    until,
    waiting,
)
from tests.support.gateway import running as gateway_of

# --- by command


async def test_a_stop_lets_running_requests_finish_and_takes_no_new_ones(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        slow = await run.dial()
        await slow.send(ask("/slow?0.4"))
        await until(lambda: run.gateway.commands.status("a").leases)
        stopping = asyncio.create_task(run.gateway.commands.stop("a", wait=True))
        await reaches(run, "stopping")
        later = await waiting(run, ask("/later"))
        answer = await slow.answer()
        assert (answer.status, int(answer.body)) == (200, diary.starts[0])
        assert int((await later.answer()).body) == diary.starts[1]
        await stopping
        assert diary.requests == ["GET /x", "GET /slow?0.4", "GET /later"]


async def test_what_does_not_finish_within_the_drain_time_is_broken_off(diary):
    async with running({"a": launched(diary, drain_timeout="200ms")}) as run:
        await run.ask(ask())
        stream, silent = await run.dial(), await run.dial()
        await stream.send(ask("/stream?30"))
        await silent.send(ask("/slow?30"))
        await stream.through(b"data: x")
        began = time.monotonic()
        await run.gateway.commands.stop("a", wait=True)
        assert 0.2 <= time.monotonic() - began < 1.5
        assert not (await stream.end()).endswith(b"0\r\n\r\n")
        assert problem(await silent.answer()) == (503, "stopped")
        assert not alive(diary.starts[0])


async def test_a_tunnel_is_closed_when_its_service_stops(diary):
    async with running({"a": launched(diary, drain_timeout="100ms")}) as run:
        tunnel = await run.dial()
        await tunnel.send(ask("/switch", "Connection: Upgrade", "Upgrade: echo"))
        assert (await tunnel.answer()).status == 101
        await run.gateway.commands.stop("a", wait=True)
        await tunnel.until(lambda: tunnel.ended)


async def test_a_start_that_is_stopped_tells_its_waiters_and_leaves_no_process(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, "--leave", 2)}) as run:
        clients = [await waiting(run, ask(), number + 1) for number in range(3)]
        await until(lambda: len(diary.children) == 2)
        await run.gateway.commands.stop("a", wait=True)
        answers = [await client.answer() for client in clients]
        assert {problem(answer) for answer in answers} == {(503, "stopped")}
        assert state(run) == "cold"
        assert not any(map(alive, [*diary.starts, *diary.children]))
        assert not told(run, "service.start_failed")


async def test_a_request_during_a_stop_waits_for_its_end_and_for_one_new_start(diary):
    async with running({"a": launched(diary, "--slow-term", 0.4)}) as run:
        await run.ask(ask())
        await run.gateway.commands.stop("a")
        assert state(run) == "stopping"
        clients = [await waiting(run, ask(f"/{number}"), number + 1) for number in range(3)]
        answers = await asyncio.gather(*(client.answer() for client in clients))
        assert {int(answer.body) for answer in answers} == {diary.starts[1]}
        assert len(diary.starts) == 2
        assert diary.ready_at >= float(diary.lines("term")[0][0]) + 0.4


async def test_a_request_on_a_fixed_port_during_a_stop_never_meets_the_one_that_ends(diary):
    port = free_port()
    async with running({"a": launched(diary, "--slow-term", 0.3, port=port)}) as run:
        for _ in range(2):
            first = int((await run.ask(ask())).body)
            await run.gateway.commands.stop("a")
            assert int((await run.ask(ask())).body) != first
            await run.gateway.commands.stop("a", wait=True)


async def test_stops_that_cross_starts_end_as_the_last_word_said(diary):
    async with running({"a": launched(diary, "--delay", 0.05)}) as run:
        commands = run.gateway.commands
        for number in range(12):
            await commands.start("a")
            await asyncio.sleep(0.012 * number)
            await commands.stop("a")
        await reaches(run, "cold")
        await until(lambda: not any(map(alive, diary.starts)))
        await commands.start("a", wait=5)
        assert state(run) == "hot"
        assert sum(map(alive, diary.starts)) == 1


async def test_a_restart_is_a_stop_and_a_start_and_who_comes_meanwhile_waits(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        await run.gateway.commands.restart("a")
        answer = await run.ask(ask())
        assert int(answer.body) == diary.starts[1]
        assert not alive(diary.starts[0])


# --- how


async def test_what_ignores_its_signal_is_killed_after_the_grace_with_all_it_left(diary):
    service = launched(diary, "--ignore-term", 1, "--leave", 3, launch={"stop_grace": "300ms"})
    async with running({"a": service}) as run:
        await run.ask(ask())
        assert len(diary.children) == 3
        began = time.monotonic()
        await run.gateway.commands.stop("a", wait=True)
        assert 0.3 <= time.monotonic() - began < 1.5
        assert not any(map(alive, [*diary.starts, *diary.children]))


async def test_what_forks_and_whose_parent_exits_is_no_service_and_leaves_nothing(diary):
    async with running({"a": launched(diary, "--fork", 1)}) as run:
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert "code 0" in detail(answer)
    # the fixture looks for what is left


async def test_a_stop_command_comes_before_the_signal(diary, tmp_path):
    said = tmp_path / "said"
    service = launched(diary, launch={"stop_command": ["sh", "-c", f"echo {{service}} > {said}"]})
    async with running({"a": service}) as run:
        await run.ask(ask())
        await run.gateway.commands.stop("a", wait=True)
        assert said.read_text() == "a\n"


async def test_another_signal_may_be_asked_for(diary):
    service = launched(diary, "--ignore-term", 1, launch={"stop_signal": "SIGINT", "stop_grace": "10s"})
    async with running({"a": service}) as run:
        await run.ask(ask())
        began = time.monotonic()
        await run.gateway.commands.stop("a", wait=True)
        assert time.monotonic() - began < 3
        assert not alive(diary.starts[0])


async def test_what_our_own_stop_ended_is_no_failure(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        await run.gateway.commands.stop("a", wait=True)
        assert not told(run, "service.died")
        assert [event["cause"] for event in told(run, "service.stopped")] == ["command"]
        assert run.gateway.commands.status("a").last_error is None


# --- holds


async def test_a_held_service_refuses_until_its_time_is_over(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        status = await run.gateway.commands.stop("a", hold=1, wait=True)
        assert (status.state, status.held_until[-1]) == ("cold", "Z")
        refused = await run.ask(ask())
        assert (problem(refused), refused.get(b"retry-after")) == ((503, "held"), b"1")
        assert [event["service"] for event in told(run, "service.held")] == ["a"]
        await until(lambda: run.gateway.commands.status("a").held_until is None, 3)
        assert (await run.ask(ask())).status == 200


async def test_a_hold_without_a_time_lasts_until_the_start(diary):
    async with running({"a": launched(diary)}) as run:
        await run.gateway.commands.stop("a", hold=inf)
        assert run.gateway.commands.status("a").held_until == "forever"
        assert problem(await run.ask(ask())) == (503, "held")
        page = await run.ask(navigation())
        assert (page.status, b"held" in page.body.lower() or b"hold" in page.body.lower()) == (503, True)
        assert diary.starts == []
        await run.gateway.commands.start("a")
        assert (await run.ask(ask())).status == 200


async def test_a_hold_ends_the_wait_of_those_who_wait(diary, gate):
    async with running({"a": launched(diary, "--gate", gate)}) as run:
        client = await waiting(run, ask())
        await run.gateway.commands.stop("a", hold=60)
        answer = await client.answer()
        assert answer.status == 503
        assert problem(answer)[1] in ("held", "stopped")
        assert problem(await run.ask(ask())) == (503, "held")


async def test_keep_warm_waits_while_it_is_held(diary):
    async with running({"a": launched(diary, keep_warm=["always"])}) as run:
        await reaches(run, "hot")
        await run.gateway.commands.stop("a", hold=60, wait=True)
        run.gateway.keeper.tick()
        assert (state(run), len(diary.starts)) == ("cold", 1)
        await run.gateway.commands.start("a", wait=5)
        assert state(run) == "hot"


async def test_everything_may_be_held_at_once(diaries):
    services = {name: launched(diaries(name)) for name in ("a", "b")}
    async with running(services) as run:
        await run.ask(ask(service="a"))
        await run.gateway.commands.stop_all(hold=inf)
        for name in services:
            assert problem(await run.ask(ask(service=name))) == (503, "held")
            assert run.gateway.commands.status(name).held_until == "forever"


# --- the gateway's own end


async def test_a_gateway_that_closes_answers_those_who_wait_and_stops_what_it_launched(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, "--leave", 2)}) as run:
        clients = [await waiting(run, ask(), number + 1) for number in range(3)]
        await until(lambda: len(diary.children) == 2)
        closing = asyncio.create_task(run.gateway.close(5))
        for client in clients:
            answer = await client.answer()
            assert (problem(answer), answer.get(b"connection")) == ((503, "stopped"), b"close")
            client.close()
        await closing
        assert not any(map(alive, [*diary.starts, *diary.children]))


async def test_a_gateway_that_closes_lets_a_stream_finish_before_it_stops_the_service(diary):
    async with running({"a": launched(diary)}) as run:
        client = await run.dial()
        await client.send(ask("/stream?0.5"))
        await client.through(b"data: x")
        closing = asyncio.create_task(run.gateway.close(5))
        assert (await client.end()).endswith(b"0\r\n\r\n")
        await closing
        assert not alive(diary.starts[0])


@pytest.mark.parametrize("phase", ("launching", "probing", "warming"))
async def test_a_gateway_that_closes_in_the_middle_of_a_start_leaves_nothing(diary, gate, phase):
    service = {
        "launching": {**QUICK, "launch": {"kind": "command", "start": program(diary, "--gate", gate), "stop": ["true"]}},
        "probing": launched(diary, "--gate", gate),
        "warming": launched(diary, warmup="5s", health_url="http://127.0.0.1:{port}/health"),
    }[phase]
    async with running({"a": service}) as run:
        client = await waiting(run, ask())
        await until(lambda: run.gateway.commands.status("a").phase == phase)
        client.rst()
    # the fixture looks for what is left


@pytest.mark.parametrize("target", ("/slow?60", "/stream?60", "/switch"))
async def test_a_gateway_that_closes_waits_for_no_client_beyond_its_grace(diary, target):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask())
        client = await run.dial()
        await client.send(ask(target, "Connection: Upgrade", "Upgrade: echo"))
        await until(lambda: run.gateway.commands.status("a").leases)
        client.transport.pause_reading()
        began = time.monotonic()
        await run.gateway.close(0.3)
        assert 0.3 <= time.monotonic() - began < 2
        assert not alive(diary.starts[0])
        client.transport.abort()


async def test_a_closed_gateway_may_be_closed_again(diary):
    async with gateway_of({"a": launched(diary)}) as run:
        await run.ask(ask())
        await run.gateway.close(0)
