"""What an operator can have done, and what each verb refuses."""

import asyncio
import time
from math import inf

import pytest

from hestia.ports import Seen
from hestia.words.refusal import Refusal
from tests.keeper.stage import staged

DESK = {"desk": {"launch": {"kind": "command", "start": ["wake"], "stop": ["sleep"], "status": ["is-awake"]}}}


def refuses(code):
    return pytest.raises(Refusal, check=lambda refusal: refusal.code == code)


# --- start


async def test_a_start_comes_back_at_once_and_with_a_wait_when_it_is_ready():
    async with staged() as stage:
        assert (await stage.commands.start("a")).state == "starting"
        status = await stage.commands.start("a", wait=2)
        assert (status.state, status.readiness, status.starts) == ("hot", "ready", 1)
        assert [note.cause for note in stage.notes if note.kind == "service.starting"] == ["command"]


async def test_a_start_that_fails_says_why_to_who_waits():
    async with staged() as stage:
        stage.launcher.fails["a"] = "no such container"
        with refuses("start_failed") as refused:
            await stage.commands.start("a", wait=2)
        assert "no such container" in refused.value.detail


async def test_who_waits_no_longer_is_told_that_the_start_goes_on():
    async with staged() as stage:
        stage.answers["http://a.test"] = Seen("not yet")
        with refuses("wait_timeout"):
            await stage.commands.start("a", wait=0.02)
        assert stage.state() == "starting"


async def test_a_start_that_somebody_else_stops_is_told_to_who_waits():
    async with staged() as stage:
        stage.answers["http://a.test"] = Seen("not yet")
        start = asyncio.create_task(stage.commands.start("a", wait=2))
        await stage.reaches("starting")
        await stage.commands.stop("a")
        with refuses("stopped"):
            await start


async def test_a_start_ends_the_cool_down_and_the_hold():
    async with staged() as stage:
        stage.launcher.fails["a"] = "no"
        with refuses("start_failed"):
            await stage.commands.start("a", wait=2)
        assert stage.state() == "failed"
        stage.launcher.fails.clear()
        assert (await stage.commands.start("a", wait=2)).state == "hot"
        await stage.commands.stop("a", hold=inf, wait=True)
        assert (await stage.commands.start("a", wait=2)).held_until is None
        assert stage.notebook.holds == {"service/a": None}


@pytest.mark.parametrize("verb", ("status", "start", "stop", "restart"))
async def test_an_unknown_service_is_refused(verb):
    async with staged() as stage:
        with refuses("unknown_service"):
            said = getattr(stage.commands, verb)("nobody")
            await said if verb != "status" else None


# --- stop


async def test_a_stop_with_a_wait_comes_back_when_it_is_cold():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        stage.launcher.stop_delay["a"] = 0.02
        assert (await stage.commands.stop("a")).state == "stopping"
        assert (await stage.commands.stop("a", wait=True)).state == "cold"


async def test_a_stop_of_what_is_cold_is_no_failure():
    async with staged() as stage:
        assert (await stage.commands.stop("a", wait=True)).state == "cold"
        assert stage.launcher.did == []


async def test_a_stop_ends_first_what_depends_on_it():
    async with staged({"a": {}, "b": {"depends_on": ["a"]}}) as stage:
        await stage.commands.start("b", wait=2)
        await stage.commands.stop("a", wait=True)
        await stage.reaches("cold", "b")
        assert stage.launcher.did == [("start", "a"), ("start", "b"), ("stop", "b"), ("stop", "a")]


async def test_a_hold_is_written_down_and_ends_by_the_calendar():
    async with staged() as stage:
        status = await stage.commands.stop("a", hold=60)
        assert status.held_until is not None
        assert 55 < stage.notebook.holds["service/a"] - time.time() <= 60
        refusal = stage.ask().refusal
        assert (refusal.code, 55 < refusal.retry_after <= 60) == ("held", True)
        stage.wall_ahead = 61
        assert stage.commands.status("a").held_until is None
        asker = stage.ask()
        await stage.until(lambda: asker.lease)


async def test_a_hold_for_ever_has_no_time_to_retry():
    async with staged() as stage:
        assert (await stage.commands.stop("a", hold=inf)).held_until == "forever"
        assert stage.ask().refusal.code == "held"
        (note,) = [note for note in stage.notes if note.kind == "service.held"]
        assert note.more == {"until": "forever"}


async def test_all_may_be_stopped_and_held_at_once():
    async with staged({"a": {}, "b": {}}) as stage:
        await stage.commands.start("a", wait=2)
        await stage.commands.stop_all(inf)
        await stage.reaches("cold")
        assert {stage.ask(id_).refusal.code for id_ in "ab"} == {"held"}
        assert stage.notebook.holds == {"all": inf}


@pytest.mark.parametrize("leaves", (False, True))
async def test_one_that_is_started_ends_the_hold_of_all_for_itself_alone_however_slow_the_disk_is(leaves):
    async with staged({"a": {}, "b": {}, "c": {}}) as stage:
        await stage.commands.stop_all(inf)
        stage.notebook.slow.clear()
        start = asyncio.ensure_future(stage.commands.start("a"))
        await stage.until(lambda: len(stage.notebook.holds) > 1)
        assert {stage.ask(id_).refusal.code for id_ in "bc"} == {"held"}
        if leaves:
            start.cancel()
        stage.notebook.slow.set()
        await asyncio.wait({start})
        await stage.until(lambda: stage.notebook.holds == {"all": None, "service/b": inf, "service/c": inf})
        await stage.until(lambda: stage.ask().answered)


async def test_what_a_reload_took_away_while_its_hold_ended_is_not_started():
    async with staged({"a": {}, "b": {}}) as stage:
        await stage.commands.stop("a", hold=60)
        stage.notebook.slow.clear()
        start = asyncio.ensure_future(stage.commands.start("a"))
        await stage.until(lambda: stage.notebook.holds == {"service/a": None})
        stage.reload({"b": {}})
        stage.notebook.slow.set()
        with refuses("unknown_service"):
            await start
        assert stage.launcher.did == []


async def test_a_machine_that_a_reload_took_away_while_its_hold_ended_is_not_woken():
    async with staged({"a": {}}, machines=DESK) as stage:
        await stage.commands.hold_machine("desk")
        stage.notebook.slow.clear()
        wake = asyncio.ensure_future(stage.commands.wake("desk"))
        await stage.until(lambda: stage.notebook.holds == {"machine/desk": None})
        stage.reload({"a": {}})
        stage.notebook.slow.set()
        with refuses("not_found"):
            await wake
        assert stage.launcher.did == []


async def test_a_restart_stops_and_starts_once():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        await stage.commands.restart("a")
        await stage.reaches("hot")
        assert stage.launcher.did == [("start", "a"), ("stop", "a"), ("start", "a")]


async def test_statuses_are_in_the_order_of_the_configuration():
    async with staged({"b": {}, "a": {}}) as stage:
        assert [status.id for status in stage.commands.statuses()] == ["b", "a"]


# --- machines


async def test_a_machine_wakes_and_sleeps_by_command():
    async with staged({"a": {"machine": "desk"}}, machines=DESK) as stage:
        await stage.commands.wake("desk")
        desk = stage.keeper.fleet.machines["desk"]
        await stage.until(lambda: desk.state == "hot")
        await stage.commands.sleep("desk")
        await stage.until(lambda: desk.state == "cold")
        assert stage.launcher.did == [("start", "desk"), ("stop", "desk")]


async def test_a_machine_that_sleeps_stops_its_services_first():
    async with staged({"a": {"machine": "desk"}}, machines=DESK) as stage:
        await stage.commands.start("a", wait=2)
        await stage.commands.sleep("desk")
        desk = stage.keeper.fleet.machines["desk"]
        await stage.until(lambda: desk.state == "cold")
        assert stage.launcher.did[2:] == [("stop", "a"), ("stop", "desk")]


async def test_a_machine_that_is_always_awake_cannot_sleep_and_waking_it_does_nothing():
    async with staged() as stage:
        assert (await stage.commands.wake("local")).state == "hot"
        with refuses("bad_request"):
            await stage.commands.sleep("local")


async def test_nothing_starts_on_a_machine_that_is_held_until_it_is_woken():
    async with staged({"a": {"machine": "desk"}}, machines=DESK) as stage:
        await stage.commands.start("a", wait=2)
        status = await stage.commands.hold_machine("desk")
        assert status.held_until == "forever"
        await stage.reaches("cold")
        assert stage.ask().refusal.code == "held"
        with refuses("held"):
            await stage.commands.start("a")
        await stage.commands.wake("desk")
        assert stage.notebook.holds == {"machine/desk": None}
        assert (await stage.commands.start("a", wait=2)).state == "hot"


@pytest.mark.parametrize("verb", ("wake", "sleep", "hold_machine"))
async def test_an_unknown_machine_is_refused(verb):
    async with staged() as stage:
        with refuses("not_found"):
            await getattr(stage.commands, verb)("nowhere")
