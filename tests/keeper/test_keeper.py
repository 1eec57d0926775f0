"""Effects are performed in their order, each life has one task at most, and time and mistakes strand nobody."""

import asyncio
import time

import pytest

from hestia.core.line import Waiter
from hestia.ports import Seen
from hestia.words.refusal import Refusal
from tests.keeper.stage import Asker, Stage, staged


async def test_a_request_is_granted_when_its_service_is_ready():
    async with staged() as stage:
        asker = stage.ask()
        await stage.until(lambda: asker.answered)
        assert asker.lease is stage.life()
        assert asker.waited is not None
        assert stage.life().leases == 1
        assert stage.launcher.did == [("start", "a")]
        assert stage.life().way == "http://a.test"


async def test_who_waited_for_a_turn_alone_did_not_wait_for_a_start():
    async with staged({"a": {"max_concurrency": 1}}) as stage:
        first = stage.ask()
        await stage.until(lambda: first.answered)
        second = stage.ask()
        assert not second.answered
        first.lease.release(time.monotonic())
        await stage.until(lambda: second.answered)
        assert (second.lease is stage.life(), second.waited) == (True, None)


async def test_many_waiters_are_granted_in_their_order_in_one_step():
    order = []

    class Counting(Asker):
        def granted(self, lease, waited):
            order.append(self)

    async with staged({"a": {"queue_size": 1000}}) as stage:
        askers = [Counting() for _ in range(1000)]
        for asker in askers:
            stage.service().ask(Waiter(asker, "r"))
        stage.keeper.fleet.settle()
        await stage.until(lambda: order)
        assert order == askers


async def test_a_mistake_of_one_who_is_granted_strands_nobody_else():
    class Bad(Asker):
        def granted(self, lease, waited):
            raise RuntimeError("mine")

    async with staged(mistakes=True) as stage:
        first, second = Bad(), Asker()
        for asker in (first, second):
            stage.service().ask(Waiter(asker, "r"))
        stage.keeper.fleet.settle()
        await stage.until(lambda: second.answered)
        assert [str(problem) for problem in stage.mistakes] == ["mine"]


# --- one task for each life


async def test_entering_another_phase_ends_the_work_of_the_one_before():
    async with staged() as stage:
        stage.answers["http://a.test"] = Seen("not yet")
        stage.ask()
        await stage.until(lambda: stage.commands.status("a").phase == "probing" and stage.launcher.did)
        work = stage.keeper._works[stage.life()]
        await stage.commands.stop("a", wait=True)
        assert work.done()
        assert stage.launcher.did == [("start", "a"), ("stop", "a")]
        assert stage.launcher.world.running == {}


async def test_a_stop_waits_for_the_launch_that_it_calls_off():
    """Cancelled in the middle, it has written down what it began; only then it is stopped."""
    async with staged() as stage:
        stage.launcher.delay["a"] = 30
        stage.ask()
        await stage.until(lambda: stage.launcher.did)
        await stage.commands.stop("a", wait=True)
        assert stage.launcher.did == [("start", "a"), ("stop", "a")]
        assert (stage.launcher.world.running, stage.notebook.runs) == ({}, {})


async def test_what_a_work_tells_too_late_is_not_heard():
    async with staged() as stage:
        stage.answers["http://a.test"] = Seen("not yet")
        stage.ask()
        await stage.until(lambda: stage.life().reason == "not yet")
        await stage.commands.stop("a", wait=True)
        stage.answers.clear()
        await asyncio.sleep(0.02)
        assert stage.state() == "cold"


@pytest.mark.parametrize("verb", ("start", "stop"))
async def test_a_launcher_that_breaks_is_told_to_the_log_and_ends_the_wait(verb, monkeypatch):
    async def breaks(*_):
        raise RuntimeError("a bug")

    async with staged({"a": {"start_timeout": "1s"}}, mistakes=True) as stage:
        monkeypatch.setattr(stage.launcher, verb, breaks)
        asker = stage.ask()
        if verb == "stop":
            await stage.until(lambda: asker.answered)
            asker.lease.release(time.monotonic())
            await stage.commands.stop("a")
            later = stage.ask()
            await stage.until(lambda: later.answered)
            assert stage.state() in ("hot", "failed")
        else:
            await stage.until(lambda: asker.answered)
            assert asker.refusal.code == "start_failed"
            assert "mistake" in asker.refusal.detail
            assert stage.state() == "failed"


async def test_a_check_that_breaks_starts_it_all_the_same(monkeypatch):
    async with staged(mistakes=True) as stage:
        works, stage.keeper.outside = stage.probe, stage.keeper.outside._replace(probe=None)
        asker = stage.ask()
        await stage.until(lambda: stage.mistakes)
        stage.keeper.outside = stage.keeper.outside._replace(probe=works)
        await stage.until(lambda: asker.answered)


# --- time


async def test_the_timer_follows_what_is_due_next():
    async with staged({"a": {"idle_timeout": "100ms"}}) as stage:
        await stage.commands.start("a", wait=2)
        began = time.monotonic()
        await stage.reaches("cold")
        assert 0.05 < time.monotonic() - began < 1
        assert stage.kinds()[-2:] == ["service.idle", "service.stopped"]


async def test_a_jump_of_the_clock_stops_what_was_idle_and_no_more():
    """As after a suspend of the machine, on a system whose monotonic clock goes on meanwhile."""
    async with staged({"a": {"idle_timeout": "1h"}, "b": {"idle_timeout": "1h"}}) as stage:
        await stage.commands.start("a", wait=2)
        await stage.commands.start("b", wait=2)
        lease = stage.service("b").lease_nowait()
        checks = len(stage.checks)
        stage.ahead = 7200
        stage.keeper._due()
        await stage.reaches("cold", "a")
        assert stage.state("b") == "hot"
        assert len(stage.checks) - checks < 5
        lease.release(time.monotonic() + stage.ahead)
        assert stage.state("b") == "hot"


async def test_the_calendar_is_looked_at_in_the_zone_of_the_configuration(monkeypatch):
    async with staged({"a": {"keep_warm": ["always"]}}) as stage:
        stage.keeper.tick()
        await stage.reaches("hot")
        assert [note.cause for note in stage.notes if note.kind == "service.starting"] == ["keep_warm"]


async def test_a_mistake_in_a_tick_costs_one_look(monkeypatch):
    monkeypatch.setattr("hestia.keeper.keeper.TICK", 0.005)
    async with staged(mistakes=True) as stage:
        ticks, as_before = [], stage.keeper.tick

        def tick():
            ticks.append(1)
            if len(ticks) == 1:
                raise RuntimeError("once")
            as_before()

        monkeypatch.setattr(stage.keeper, "tick", tick)
        await stage.until(lambda: len(ticks) > 2)
        assert [str(problem) for problem in stage.mistakes] == ["once"]


# --- busy


BUSY = {"idle_timeout": "50ms", "busy": {"url": "http://a.test/queue", "match": "running"}}


async def test_what_is_busy_stays_and_is_asked_again_in_a_minute():
    async with staged({"a": BUSY}) as stage:
        stage.busy["http://a.test/queue"] = "1 running"
        await stage.commands.start("a", wait=2)
        await stage.until(lambda: "service.busy" in stage.kinds())
        assert stage.state() == "hot"
        stage.busy["http://a.test/queue"] = "nothing"
        stage.ahead += 61
        stage.keeper._due()
        await stage.reaches("cold")


async def test_the_port_that_was_chosen_stands_in_what_is_asked():
    service = {**BUSY, "base_url": "http://a.test:{port}", "busy": {"url": "http://a.test:{port}/{service}", "match": "running"}}
    async with staged({"a": service}) as stage:
        stage.busy["http://a.test:20000/a"] = "1 running"
        await stage.commands.start("a", wait=2)
        await stage.until(lambda: "service.busy" in stage.kinds())


@pytest.mark.parametrize("said", (None, "", "x" * 65536 + "running"))
async def test_what_gives_no_such_answer_is_not_busy(said):
    async with staged({"a": BUSY}) as stage:
        stage.busy["http://a.test/queue"] = said
        await stage.commands.start("a", wait=2)
        await stage.reaches("cold")


# --- its end


async def test_at_the_end_all_that_was_launched_is_stopped_and_nothing_starts_any_more():
    async with staged({"a": {}, "b": {}, "c": {}}) as stage:
        for id_ in "ab":
            await stage.commands.start(id_, wait=2)
        await stage.keeper.stop_all_for_good()
        assert (stage.launcher.world.running, stage.notebook.runs) == ({}, {})
        asker = stage.ask("c")
        assert asker.refusal.code == "stopped"


async def test_what_shall_go_on_is_left():
    async with staged({"a": {"launch": {"kind": "process", "command": ["x"], "keep_running": True}}, "b": {}}) as stage:
        for id_ in "ab":
            await stage.commands.start(id_, wait=2)
        await stage.keeper.stop_all_for_good()
        assert list(stage.launcher.world.running) == ["service:a:0"]
        assert len(stage.notebook.runs) == 1


async def test_a_machine_is_put_to_sleep_when_its_places_are_gone():
    machine = {"desk": {"launch": {"kind": "command", "start": ["wake"], "stop": ["sleep"], "status": ["is-awake"]}}}
    async with staged({"a": {"machine": "desk"}}, machines=machine) as stage:
        await stage.commands.start("a", wait=2)
        await stage.keeper.stop_all_for_good()
        assert [did for did, _ in stage.launcher.did] == ["start", "start", "stop", "stop"]
        assert stage.launcher.world.running == {}


async def test_closing_ends_every_task_and_leaves_what_runs():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        await stage.keeper.close()
        assert not stage.keeper.fence.tasks
        assert list(stage.launcher.world.running) == ["service:a:0"]


# --- for those who ask


async def test_an_unknown_service_is_refused_and_its_name_cannot_break_a_line():
    async with staged() as stage:
        with pytest.raises(Refusal, match=r"no service is called 'x\\n") as refused:
            stage.keeper.service("x\n" * 100)
        assert len(refused.value.detail) < 200


async def test_logs_are_those_of_what_runs_and_else_of_the_last_life():
    async with staged() as stage:
        stage.launcher.world.printed["a"] = ["one", "two"]
        for _ in range(2):
            launcher, run = stage.keeper.logs(stage.service())
            assert await launcher.lines(run, 1) == ["two"]
            await stage.commands.start("a", wait=2)


async def test_what_has_no_launcher_has_no_logs():
    async with staged({"a": {"launch": None}}) as stage:
        assert stage.keeper.logs(stage.service()) is None


async def test_two_starts_at_once_get_two_ports():
    spec = {"base_url": None, "launch": {"kind": "process", "command": ["serve", "{port}"]}}
    async with staged({"a": spec, "b": spec}) as stage:
        stage.answers |= {f"http://127.0.0.1:{port}": Seen() for port in (20000, 20001)}
        for id_ in "ab":
            stage.ask(id_)
        await stage.reaches("hot", "a")
        await stage.reaches("hot", "b")
        assert {stage.life(id_).run.port for id_ in "ab"} == {20000, 20001}
        assert {stage.life(id_).way for id_ in "ab"} == {"http://127.0.0.1:20000", "http://127.0.0.1:20001"}


async def test_another_address_of_the_same_place_hangs_up_the_connections_to_the_one_before():
    stage: Stage
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        stage.hung_up.clear()
        stage.keeper.set_way(stage.life())
        assert stage.hung_up == []
        stage.keeper._ways[stage.life()] = "http://before.test"
        stage.keeper.set_way(stage.life())
        assert stage.hung_up == [("a", False)]
