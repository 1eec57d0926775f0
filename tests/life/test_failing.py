"""A start that comes to nothing: how often it is tried, what everybody is told, and when it may be tried again."""

import asyncio
import time
from pathlib import Path

import pytest

from tests.life.serving import (
    QUICK,
    alive,
    ask,
    detail,
    free_port,
    launched,
    problem,
    reaches,
    running,
    somebody,
    state,
    told,
    until,
    waiting,
)


@pytest.mark.parametrize("code", (0, 1, 3))
async def test_a_process_that_exits_fails_the_attempt_at_once_with_its_code_and_last_words(diary, code):
    async with running({"a": launched(diary, "--crash", code, start_attempts=2, retry_delay="100ms")}) as run:
        began = time.monotonic()
        answer = await run.ask(ask())
        assert 0.1 <= time.monotonic() - began < 2
        assert problem(answer) == (503, "start_failed")
        assert f"code {code}" in detail(answer)
        assert "it cannot go on" in detail(answer)
        assert len(diary.starts) == 2
        assert [event["attempt"] for event in told(run, "place.retry")] == [2]


async def test_attempts_grow_apart_and_then_it_has_failed(diary):
    async with running({"a": launched(diary, "--crash", 1, start_attempts=3, retry_delay="100ms")}) as run:
        assert problem(await run.ask(ask())) == (503, "start_failed")
        first, second = (event["delay_s"] for event in told(run, "place.retry"))
        assert 0.1 <= first <= 0.125
        assert 0.2 <= second <= 0.25
        assert len(diary.starts) == 3
        status = run.gateway.commands.status("a")
        assert (status.state, status.starts) == ("failed", 1)


async def test_what_runs_and_is_never_ready_is_killed_at_its_start_timeout(diary):
    async with running({"a": launched(diary, "--never", 1, "--leave", 2, start_timeout="400ms")}) as run:
        began = time.monotonic()
        answer = await run.ask(ask())
        assert 0.4 <= time.monotonic() - began < 2
        assert problem(answer) == (503, "start_failed")
        assert "not ready within 0.4 s" in detail(answer)
        assert "connection refused" in detail(answer)
        assert state(run) == "failed"
        assert not any(map(alive, [*diary.starts, *diary.children]))


async def test_a_failed_attempt_is_gone_before_the_next_begins(diary):
    service = launched(diary, "--ignore-term", 1, "--never", 1, start_attempts=2, start_timeout="200ms", launch={"stop_grace": "200ms"})
    async with running({"a": service}) as run:
        client = await waiting(run, ask())
        await until(lambda: len(diary.starts) == 2)
        assert not alive(diary.starts[0])
        assert problem(await client.answer()) == (503, "start_failed")


async def test_a_start_that_prints_much_is_drained_and_bounded(diary):
    async with running({"a": launched(diary, "--flood", 100)}) as run:
        answer = await run.ask(ask(), within=20)
        assert answer.status == 200
        await until(lambda: sum(path.stat().st_size for path in Path(run.folder, "logs").iterdir()) <= 3 * 10 * 1024 * 1024)


async def test_a_wrong_status_of_the_check_is_quoted(diary):
    service = launched(diary, "--health", "404 No", health_url="http://127.0.0.1:{port}/health", start_timeout="1s")
    async with running({"a": service}) as run:
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert "health answered 404: set health_status" in detail(answer)


async def test_a_program_that_is_not_there_is_named(diary):
    async with running({"a": {**QUICK, "launch": {"kind": "process", "command": ["no-such-program", "{port}"]}}}) as run:
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert "no-such-program" in detail(answer)


async def test_every_waiter_is_told_the_reason(diary, gate):
    async with running({"a": launched(diary, "--gate", gate, "--crash", 5)}) as run:
        clients = [await waiting(run, ask(), number + 1) for number in range(5)]
        gate.touch()
        answers = await asyncio.gather(*(client.answer() for client in clients))
        assert {problem(answer) for answer in answers} == {(503, "start_failed")}
        assert all("code 5" in detail(answer) for answer in answers)
        assert {answer.get(b"retry-after") for answer in answers} == {b"10"}
        assert diary.requests == []


# --- the cool-down


async def test_during_the_cool_down_requests_are_refused_at_once_and_after_it_it_is_tried_again(diary):
    async with running({"a": launched(diary, "--crash", 1, failure_cooldown="600ms")}) as run:
        assert problem(await run.ask(ask())) == (503, "start_failed")
        again = await run.ask(ask())
        assert (problem(again), again.get(b"retry-after")) == ((503, "start_failed"), b"1")
        assert (state(run), len(diary.starts)) == ("failed", 1)
        assert 0 < run.gateway.commands.status("a").cooldown_s <= 0.6
        await reaches(run, "cold")
        await run.ask(ask())
        assert len(diary.starts) == 2


async def test_a_start_by_command_ends_the_cool_down(diary, gate):
    async with running({"a": launched(diary, "--needs", gate)}) as run:
        assert problem(await run.ask(ask())) == (503, "start_failed")
        gate.touch()
        status = await run.gateway.commands.start("a", wait=5)
        assert (status.state, status.cooldown_s) == ("hot", None)
        assert (await run.ask(ask())).status == 200


# --- more than one place


async def test_when_every_attempt_at_the_first_place_failed_the_next_place_is_tried(diaries):
    here, there = diaries("here"), diaries("there")
    first = launched(here, "--crash", 1)["launch"]
    second = launched(there)["launch"]
    service = {**QUICK, "start_attempts": 2, "places": [{"launch": first}, {"machine": "desk", "launch": second}]}
    async with running({"a": service}, machines={"desk": {}}) as run:
        answer = await run.ask(ask())
        assert (answer.status, int(answer.body)) == (200, there.starts[0])
        assert (len(here.starts), len(there.starts)) == (2, 1)
        (fallback,) = told(run, "place.fallback")
        assert (fallback["machine"], fallback["to"]) == ("local", "desk")
        assert run.gateway.commands.status("a").machine == "desk"


async def test_when_every_place_failed_the_refusal_names_each(diaries):
    first, second = (launched(diaries(name), "--crash", code)["launch"] for name, code in (("x", 4), ("y", 5)))
    service = {**QUICK, "places": [{"launch": first}, {"machine": "desk", "launch": second}]}
    async with running({"a": service}, machines={"desk": {}}) as run:
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert detail(answer).index("local: exited with code 4") < detail(answer).index("desk: exited with code 5")


# --- watched only


async def test_a_service_that_is_only_watched_fails_with_its_address_the_reason_and_what_it_lacks():
    async with running({"a": {"base_url": "http://127.0.0.1:1", "start_timeout": "300ms"}}, hot=False) as run:
        began = time.monotonic()
        answer = await run.ask(ask())
        assert 0.3 <= time.monotonic() - began < 1.5
        assert problem(answer) == (503, "start_failed")
        for words in ("http://127.0.0.1:1", "connection refused", "no `launch`"):
            assert words in detail(answer)


async def test_a_service_that_is_only_watched_waits_for_one_who_starts_it(diary):
    port = free_port()
    service = {"base_url": f"http://127.0.0.1:{port}", "start_timeout": "5s", "health_interval": "20ms"}
    async with running({"a": service}, hot=False) as run:
        client = await waiting(run, ask())
        async with somebody(diary, port):
            assert (await client.answer()).status == 200


async def test_a_status_shows_a_service_that_runs_already_as_hot_without_a_request(diary):
    port = free_port()
    async with somebody(diary, port):
        await until(lambda: diary.lines("listen"))
        async with running({"a": {"base_url": f"http://127.0.0.1:{port}"}}, hot=False) as run:
            answer = await run.ask(b"GET /v1/services/a/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b'"state":"hot"' in answer.body
            assert (await run.ask(ask())).status == 200


async def test_a_check_that_hangs_is_quoted_and_not_what_was_seen_before_it(diary):
    port = free_port()
    health = f"http://127.0.0.1:{port}/health"
    async with running({"a": launched(diary, "--health-body", "hangs", port=port, health_url=health, start_timeout="1s")}) as run:
        assert "not ready within 1 s (`start_timeout`): no answer within 0." in detail(await run.ask(ask()))


async def test_a_told_address_that_is_none_is_named_and_its_secrets_are_not(diary):
    words = "echo HESTIA_BASE_URL=http://me:secret@host; sleep 100"
    launch = {"kind": "process", "command": ["sh", "-c", words]}
    async with running({"a": {**QUICK, "launch": launch, "start_timeout": "0.5s"}}) as run:
        said = detail(await run.ask(ask()))
        assert "what its output told is no address: HESTIA_BASE_URL must hold no user name or password" in said
        assert "secret" not in said
