"""Who keeps a service awake and who does not; and that it sleeps when nobody does."""

import asyncio
import json
import os
import time

import pytest

from tests.life.serving import (
    alive,
    api,
    ask,
    free_port,
    launched,
    navigation,
    problem,
    reaches,
    running,
    state,
    told,
    until,
    waiting,
)
from tests.support.wire import DEADLINE

IDLE = 0.3
UPGRADE = ("Connection: Upgrade", "Upgrade: echo")


def sleepy(diary, *flags, **keys):
    return {"a": launched(diary, *flags, **{"idle_timeout": f"{IDLE}s", **keys})}


async def stays_hot(run, seconds):
    """For so long; looked at all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert state(run) == "hot"
        await asyncio.sleep(0.02)


async def open_tunnel(run):
    tunnel = await run.dial()
    await tunnel.send(ask("/switch", *UPGRADE))
    assert (await tunnel.answer()).status == 101
    return tunnel


# --- idle time


async def test_it_is_stopped_when_its_idle_time_is_over_and_the_next_request_starts_it_again(diary):
    async with running(sleepy(diary)) as run:
        await run.ask(ask())
        began = time.monotonic()
        await reaches(run, "cold")
        assert IDLE - 0.05 <= time.monotonic() - began < IDLE + 1
        assert not alive(diary.starts[0])
        assert [event["cause"] for event in told(run, "service.stopped")] == ["idle"]
        assert (await run.ask(ask())).status == 200
        assert len(diary.starts) == 2


async def test_idle_time_counts_from_the_end_of_the_last_request(diary):
    async with running(sleepy(diary)) as run:
        await run.ask(ask())
        for _ in range(4):
            await asyncio.sleep(IDLE * 0.6)
            assert (await run.ask(ask())).status == 200
        assert len(diary.starts) == 1


async def test_an_idle_time_of_nothing_means_never(diary):
    async with running(sleepy(diary, idle_timeout=0)) as run:
        await run.ask(ask())
        await stays_hot(run, 0.5)
        assert run.gateway.keeper.fleet.services["a"].lives[0].due is None


async def test_a_stream_longer_than_the_idle_time_keeps_it_awake_to_its_end(diary):
    async with running(sleepy(diary)) as run:
        client = await run.dial()
        await client.send(ask("/stream?0.9"))
        answer = await client.answer()
        assert (answer.status, answer.body.count(b"data: x")) == (200, 9)
        assert (state(run), len(diary.starts)) == ("hot", 1)
        await reaches(run, "cold")


async def test_an_upload_longer_than_the_idle_time_keeps_it_awake_to_its_end(diary):
    async with running(sleepy(diary)) as run:
        client = await run.dial()
        await client.send(ask("/sum", "Content-Length: 9", method="POST"))
        for _ in range(9):
            await asyncio.sleep(IDLE / 3)
            await client.send(b"x")
        assert (await client.answer(b"POST")).body.startswith(b"9 ")
        assert len(diary.starts) == 1
        await reaches(run, "cold")


async def test_a_request_that_thinks_for_longer_than_the_idle_time_is_answered(diary):
    async with running(sleepy(diary)) as run:
        assert (await run.ask(ask("/slow?0.8"))).status == 200
        assert len(diary.starts) == 1


async def test_an_open_tunnel_that_says_nothing_keeps_it_awake_for_ever(diary):
    async with running(sleepy(diary)) as run:
        tunnel = await open_tunnel(run)
        await stays_hot(run, IDLE * 3)
        await tunnel.send(b"still here")
        assert await tunnel.count(10) == b"still here"
        tunnel.close()
        await reaches(run, "cold")


async def test_a_tunnel_silent_for_longer_than_tunnel_idle_is_closed_with_the_service(diary):
    async with running(sleepy(diary, tunnel_idle="1s")) as run:
        run.gateway.shared.sweep.interval = 0.05
        tunnel = await open_tunnel(run)
        await stays_hot(run, 0.8)
        await until(lambda: tunnel.ended, 4)
        await reaches(run, "cold")


async def test_a_tunnel_that_speaks_again_keeps_it_awake_again(diary):
    async with running(sleepy(diary, tunnel_idle="1500ms", idle_timeout="2s")) as run:
        tunnel = await open_tunnel(run)
        leases = lambda: run.gateway.commands.status("a").leases
        await until(lambda: not leases(), 5)
        await tunnel.send(b"x")
        await until(lambda: leases() == 1, 3)
        assert state(run) == "hot"


@pytest.mark.parametrize("path", ("/v1/services", "/v1/services/a/status", "/__health", "/metrics"))
async def test_looking_at_it_keeps_nothing_awake(diary, path):
    async with running(sleepy(diary)) as run:
        await run.ask(ask())
        end = time.monotonic() + DEADLINE
        while state(run) != "cold":
            assert time.monotonic() < end
            assert (await run.ask(api(path, "GET"))).status == 200
        assert len(diary.starts) == 1


async def test_a_clock_of_the_wall_that_jumps_stops_nothing_early_and_holds_nothing_up(diary):
    async with running(sleepy(diary)) as run:
        keeper = run.gateway.keeper
        await run.ask(ask())
        for days in (1, -1):
            keeper.outside = keeper.outside._replace(wall=lambda days=days: time.time() + days * 86400)
            keeper.tick()
            assert state(run) == "hot"
        await reaches(run, "cold")
        assert (await run.ask(ask())).status == 200


async def test_a_request_in_the_instant_of_the_stop_is_answered_and_delivered_once(diaries):
    """Many tries round the moment when idle time is over: by GET on new connections, by POST on one that stays."""
    books = {f"s{number}": diaries(str(number)) for number in range(3)}
    quick = {"idle_timeout": "30ms", "health_interval": "5ms"}
    async with running({id_: launched(book, **quick) for id_, book in books.items()}) as run:
        await asyncio.gather(*(twenty_tries(run, id_) for id_ in books))
        for book in books.values():
            assert book.requests == [f"{method} /{number}" for number in range(10) for method in ("GET", "POST")]
            assert len(book.starts) > 3


async def twenty_tries(run, service):
    client = await run.dial()
    for number in range(10):
        answer = await run.ask(ask(f"/{number}", service=service))
        assert answer.status == 200, answer
        await asyncio.sleep(0.028 + number * 0.0006)
        await client.send(ask(f"/{number}", service=service, method="POST", body=b"x"))
        assert (await client.answer(b"POST")).status == 200
        await asyncio.sleep(0.028 + number * 0.0006)


# --- what says that it works without a request


async def test_what_says_that_it_is_busy_is_not_stopped(diary, tmp_path):
    flag = tmp_path / "busy"
    flag.touch()
    port = free_port()
    busy = {"url": f"http://127.0.0.1:{port}/busy", "match": '"queue": *[1-9]'}
    async with running(sleepy(diary, "--busy-while", flag, port=port, busy=busy)) as run:
        await run.ask(ask())
        await until(lambda: told(run, "service.busy"))
        assert state(run) == "hot"
        flag.unlink()
        life = run.gateway.keeper.fleet.services["a"].lives[0]
        assert life.due - time.monotonic() > 50  # asked again each minute
        life.due = life.busy_until = time.monotonic()
        run.gateway.keeper.fleet.look()
        await reaches(run, "cold")


# --- keep_warm


async def test_what_is_always_kept_warm_runs_without_a_request_and_comes_back_after_its_death(diary):
    async with running(sleepy(diary, keep_warm=["always"])) as run:
        await reaches(run, "hot")
        await stays_hot(run, IDLE * 2)
        assert [event["cause"] for event in told(run, "service.starting")] == ["keep_warm"]
        end_hard(diary.starts[0])
        await until(lambda: len(diary.starts) == 2, 10)
        await reaches(run, "hot")


async def test_a_stop_by_command_holds_for_the_rest_of_the_window_and_ends_with_the_next_request(diary):
    async with running(sleepy(diary, keep_warm=["always"])) as run:
        await reaches(run, "hot")
        await run.gateway.commands.stop("a", wait=True)
        run.gateway.keeper.tick()
        run.gateway.keeper.tick()
        assert (state(run), len(diary.starts)) == ("cold", 1)
        assert (await run.ask(ask())).status == 200
        await stays_hot(run, IDLE * 2)


# --- what wakes nothing


def no_wake(diary, *rules, **keys):
    return {"a": launched(diary, no_wake=list(rules), **keys)}


MONITOR = "User-Agent: Uptime-Kuma/1.2"


async def test_a_request_that_a_rule_names_wakes_nothing_and_is_relayed_while_it_is_hot(diary):
    async with running(no_wake(diary, {"user_agent": "Uptime-Kuma/*"})) as run:
        assert problem(await run.ask(ask("/x", MONITOR))) == (503, "cold")
        assert (state(run), diary.starts) == ("cold", [])
        assert (await run.ask(ask())).status == 200
        assert (await run.ask(ask("/x", MONITOR))).status == 200
        assert diary.requests == ["GET /x", "GET /x"]


async def test_a_request_that_a_rule_names_keeps_nobody_awake(diary):
    async with running(no_wake(diary, {"path": "/stream*"}, idle_timeout=f"{IDLE}s")) as run:
        await run.ask(ask())
        client = await run.dial()
        await client.send(ask("/stream?30"))
        await client.through(b"data: x")
        await reaches(run, "cold")
        await until(lambda: client.ended)


async def test_a_rule_may_answer_in_its_stead(diary):
    answer = {"status": 200, "json": {"idle": True}}
    async with running(no_wake(diary, {"path": "/api/state", "method": ["GET"], "answer": answer})) as run:
        got = await run.ask(ask("/api/state"))
        assert (got.status, json.loads(got.body), got.get(b"x-hestia-state")) == (200, {"idle": True}, b"cold")
        assert diary.starts == []
        assert (await run.ask(ask("/api/state", method="POST", body=b"x"))).status == 200
        assert len(diary.starts) == 1


async def test_a_rule_may_answer_with_the_last_good_answer_and_its_age(diary):
    async with running(no_wake(diary, {"user_agent": "Uptime*", "answer": "last"})) as run:
        assert problem(await run.ask(ask("/x", MONITOR))) == (503, "cold")
        hot = await run.ask(ask("/x"))
        assert (await run.ask(ask("/x", MONITOR))).body == hot.body
        await run.gateway.commands.stop("a", wait=True)
        last = await run.ask(ask("/x", MONITOR))
        assert (last.status, last.body, last.get(b"x-hestia-state")) == (200, hot.body, b"cold")
        assert int(last.get(b"age")) >= 0
        assert problem(await run.ask(ask("/other", MONITOR))) == (503, "cold")
        assert len(diary.starts) == 1


@pytest.mark.parametrize("line", ("Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "Purpose: prefetch"))
async def test_a_prefetch_wakes_nothing(diary, line):
    async with running(no_wake(diary)) as run:
        assert problem(await run.ask(ask("/x", line))) == (503, "cold")
        assert problem(await run.ask(navigation("/x", line)))[0] == 503
        assert diary.starts == []
        await run.ask(ask())
        assert (await run.ask(ask("/x", line))).status == 200


async def test_while_it_starts_a_request_that_wakes_nothing_is_answered_as_when_it_is_cold(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, no_wake=[{"user_agent": "Uptime*"}])}) as run:
        client = await waiting(run, ask())
        assert problem(await run.ask(ask("/x", MONITOR))) == (503, "cold")
        gate.touch()
        assert (await client.answer()).status == 200


async def test_a_quiet_request_to_what_has_just_died_does_not_start_it(diary):
    async with running(no_wake(diary, {"user_agent": "Uptime*"})) as run:
        await run.ask(ask())
        life = run.gateway.keeper.fleet.services["a"].lives[0]
        for task in run.gateway.keeper._ends.values():
            task.cancel()  # nobody tells of its end: the request finds out
        end_hard(diary.starts[0])
        await until(lambda: not alive(diary.starts[0]))
        life.way.pool.close()
        answer = await run.ask(ask("/x", MONITOR))
        assert problem(answer)[0] in (502, 503)
        assert len(diary.starts) == 1


def end_hard(pid):
    os.kill(pid, 9)
