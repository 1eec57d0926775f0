"""Several services with one machine's room, with machines that sleep, and with what they depend on."""

import asyncio
import json
import os
import signal

import pytest

from tests.life.serving import (
    QUICK,
    api,
    ask,
    detail,
    free_port,
    launched,
    problem,
    reaches,
    running,
    state,
    told,
    until,
    waiting,
)

ONE = {"local": {"capacity": {"vram": 10}}}


def big(diary, *flags, **keys):
    """Two of these do not fit."""
    return launched(diary, *flags, **{"needs": {"vram": 8}, "min_hot": 0, "queue_timeout": "10s", **keys})


def again(answer):
    """When a refused client may come again."""
    return next((int(value) for name, value in answer.headers if name.lower() == b"retry-after"), None)


def stops(run):
    return [(event["service"], event["cause"]) for event in told(run, "service.stopped")]


async def used(run, *services):
    for service in services:
        answer = await run.ask(ask(service=service), within=12)
        assert answer.status == 200, answer


# --- room


async def test_an_idle_one_gives_way_to_one_that_needs_its_room(diaries):
    async with running({"a": big(diaries("a")), "b": big(diaries("b"))}, machines=ONE) as run:
        await used(run, "a", "b", "a")
        assert stops(run) == [("a", "room"), ("b", "room")]
        machine = json.loads((await run.ask(api("/v1/machines", "GET"))).body)["machines"][0]
        assert (machine["used"], machine["holds"]) == ({"vram": 8}, ["a"])


async def test_one_that_is_in_use_finishes_before_it_gives_way_and_takes_nothing_new(diaries):
    async with running({"a": big(diaries("a")), "b": big(diaries("b"))}, machines=ONE) as run:
        stream = await run.dial()
        await stream.send(ask("/stream?0.5", service="a"))
        await until(lambda: run.gateway.commands.status("a").leases)
        b = await waiting(run, ask(service="b"), service="b")
        later = await waiting(run, ask("/later", service="a"), service="a")
        assert (await stream.answer()).status == 200
        assert (await b.answer(within=12)).status == 200
        assert (await later.answer(within=12)).status == 200
        assert stops(run) == [("a", "room"), ("b", "room")]


async def test_no_room_says_who_has_it_and_when_to_come_again(diaries):
    async with running({"a": big(diaries("a")), "b": big(diaries("b"), queue_timeout="0.5s")}, machines=ONE) as run:
        stream = await run.dial()
        await stream.send(ask("/stream?3", service="a"))
        await until(lambda: run.gateway.commands.status("a").leases)
        answer = await run.ask(ask(service="b"))
        assert (problem(answer), again(answer)) == ((503, "no_room"), 30)
        assert "there are a (1 in use)" in detail(answer)
        assert state(run, "a") == "hot"


async def test_one_is_not_swapped_before_it_was_hot_for_min_hot(diaries):
    services = {name: big(diaries(name), min_hot="1s") for name in "ab"}
    async with running(services, machines=ONE) as run:
        await used(run, "a")
        ready_at = diaries("a").ready_at
        await used(run, "b")
        assert diaries("b").ready_at - ready_at >= 1.0


async def test_what_is_busy_keeps_its_room_and_gives_way_when_it_is_not(diaries, tmp_path):
    flag, port = tmp_path / "busy", free_port()
    flag.touch()
    busy = {"url": f"http://127.0.0.1:{port}/busy", "match": '"queue": *[1-9]'}
    services = {"a": big(diaries("a"), "--busy-while", flag, port=port, busy=busy), "b": big(diaries("b"), queue_timeout="1s")}
    async with running(services, machines=ONE) as run:
        await used(run, "a")
        answer = await run.ask(ask(service="b"))
        assert problem(answer) == (503, "no_room")
        assert "a (works without a request)" in detail(answer)
        assert [event["cause"] for event in told(run, "service.busy", "a")] == ["room"]
        flag.unlink()
        run.gateway.keeper.fleet.services["a"].lives[0].busy_until = 0.0  # as after its minute
        await used(run, "b")
        assert stops(run) == [("a", "room")]


async def test_what_never_sleeps_by_itself_gives_way_with_what_it_depends_on(diaries):
    services = {
        "models": big(diaries("models")),
        "web": launched(diaries("web"), depends_on=["models"], idle_timeout=0, min_hot=0),
        "pictures": big(diaries("pictures")),
    }
    async with running(services, machines=ONE) as run:
        await used(run, "web", "pictures")
        assert stops(run) == [("web", "room"), ("models", "room")]
        await used(run, "web")


# --- what depends on what


async def test_a_dependency_that_dies_comes_back_while_its_dependent_goes_on(diaries):
    services = {"db": launched(diaries("db")), "app": launched(diaries("app"), depends_on=["db"])}
    async with running(services) as run:
        await used(run, "app")
        os.kill(diaries("db").starts[0], signal.SIGKILL)
        await until(lambda: len(diaries("db").starts) == 2)
        await reaches(run, "hot", "db")
        await used(run, "app")
        assert len(diaries("app").starts) == 1


async def test_they_start_in_order_sleep_in_the_other_and_a_command_stops_the_dependent_first(diaries):
    quick = {"idle_timeout": "0.2s"}
    services = {
        "c": launched(diaries("c"), "--delay", 0.1, **quick),
        "b": launched(diaries("b"), depends_on=["c"], **quick),
        "a": launched(diaries("a"), depends_on=["b"], **quick),
    }
    async with running(services) as run:
        await used(run, "a")
        await reaches(run, "cold", "c", within=15)
        assert [event["service"] for event in told(run, "service.ready")] == ["c", "b", "a"]
        assert stops(run) == [("a", "idle"), ("b", "idle"), ("c", "idle")]
        await used(run, "a")
        await run.gateway.commands.stop("c", wait=True)
        assert stops(run)[3:] == [("a", "command"), ("b", "command"), ("c", "command")]


async def test_a_dependency_that_does_not_start_is_named_and_nothing_else_is_launched(diaries):
    services = {"db": launched(diaries("db"), "--crash", 4), "app": launched(diaries("app"), depends_on=["db"])}
    async with running(services) as run:
        answer = await run.ask(ask(service="app"))
        assert problem(answer) == (503, "start_failed")
        assert "db, which it depends on, did not start: exited with code 4: it cannot go on" in detail(answer)
        assert diaries("app").starts == []


async def test_while_what_it_depends_on_is_held_it_is_refused_as_held_and_starts_right_after(diaries):
    services = {"db": launched(diaries("db")), "app": launched(diaries("app"), depends_on=["db"])}
    async with running(services) as run:
        await run.gateway.commands.stop("db", hold=60, wait=True)
        answer = await run.ask(ask(service="app"))
        assert (problem(answer), again(answer)) == ((503, "held"), 60)
        await run.gateway.commands.start("db")
        await used(run, "app")


# --- machines


def desk(tmp_path, **more):
    """A machine that is awake while a file is there."""
    file = str(tmp_path / "awake")
    launch = {"kind": "command", "start": ["touch", file], "stop": ["rm", "-f", file], "status": ["test", "-e", file]}
    return {"desk": {"launch": launch, **more}}


async def test_a_machine_is_woken_for_its_service_and_sleeps_after_it(diary, tmp_path):
    awake = tmp_path / "awake"
    async with running({"a": launched(diary, machine="desk", idle_timeout="0.2s")}, machines=desk(tmp_path, idle_timeout="0.2s")) as run:
        await used(run, "a")
        assert awake.exists()
        await until(lambda: not awake.exists())
        order = [event["event"] for event in run.events if event["event"] in {"machine.awake", "service.ready", "service.stopped", "machine.asleep"}]
        assert order == ["machine.awake", "service.ready", "service.stopped", "machine.asleep"]


async def test_a_held_machine_refuses_and_its_wake_ends_the_hold(diary, tmp_path):
    async with running({"a": launched(diary, machine="desk")}, machines=desk(tmp_path)) as run:
        await used(run, "a")
        await run.gateway.commands.hold_machine("desk", 60)
        await until(lambda: not (tmp_path / "awake").exists())
        answer = await run.ask(ask())
        assert (problem(answer), again(answer)) == ((503, "held"), 60)
        await run.gateway.commands.wake("desk")
        await used(run, "a")


@pytest.mark.parametrize("waits", (False, True))
async def test_a_hold_of_a_machine_leaves_alone_what_can_be_elsewhere(diaries, gate, tmp_path, waits):
    places = [
        {"launch": launched(diaries("desk"), "--gate", gate)["launch"], "machine": "desk"},
        {"launch": launched(diaries("local"))["launch"]},
    ]
    async with running({"a": {**QUICK, "places": places}}, machines={"desk": {}}) as run:
        if waits:
            client = await waiting(run, ask())
            await until(lambda: diaries("desk").starts)
            await run.gateway.commands.hold_machine("desk")
            assert (await client.answer()).status == 200
            return
        await run.gateway.commands.hold_machine("desk")
        await used(run, "a")
        await run.gateway.commands.hold_machine("desk")
        await asyncio.sleep(0.1)
        assert (state(run), diaries("desk").starts) == ("hot", [])


async def test_a_machine_that_does_not_wake_is_named(diary):
    machines = {"desk": {"launch": {"kind": "command", "start": ["false"], "stop": ["true"]}, "start_attempts": 1}}
    async with running({"a": launched(diary, machine="desk")}, machines=machines) as run:
        answer = await run.ask(ask())
        assert problem(answer) == (503, "start_failed")
        assert "the machine desk did not wake: its start command exited with code 1" in detail(answer)


async def test_a_fallback_to_the_next_place_goes_on_as_one_start(diaries):
    places = [
        {"launch": launched(diaries("one"), "--crash", 3)["launch"], "start_timeout": "1s"},
        {"launch": launched(diaries("two"))["launch"], "headers": {"set": {"x-place": "two"}}},
    ]
    async with running({"a": {**QUICK, "places": places}}) as run:
        await used(run, "a")
        assert [event["state"] for event in told(run, "place.fallback")] == ["starting"]
        assert len(told(run, "service.starting")) == 1
