"""What is done in each phase: written down before it exists, told when it came of it, ended when the phase is over."""

import asyncio
import contextlib
import re
import threading
import time

import pytest

from hestia.keeper import works
from hestia.keeper.adoption import adopt
from hestia.ports import LaunchFailed, Seen
from hestia.words.run import Told
from tests.keeper.stage import staged
from tests.support.fake_launcher import FakeLauncher, target_of

LAUNCH = {"kind": "process", "command": ["serve", "{port}"]}
PORTED = {"base_url": None, "launch": LAUNCH}


# --- does it answer already?


async def test_what_answers_already_is_not_launched_and_is_not_ours():
    async with staged() as stage:
        stage.answers["http://a.test"] = Seen()
        status = await stage.commands.start("a", wait=2)
        assert (status.state, status.managed, stage.launcher.did) == ("hot", False, [])
        await stage.commands.stop("a", wait=True)
        assert (stage.state(), stage.launcher.did, stage.notebook.runs) == ("cold", [], {})


async def test_what_answers_already_and_its_launcher_knows_is_ours():
    async with staged() as stage:
        stage.launcher.world.begin("service:a:0")
        status = await stage.commands.start("a", wait=2)
        assert (status.managed, stage.launcher.did) == (True, [])
        assert len(stage.notebook.runs) == 1
        await stage.commands.stop("a", wait=True)
        assert (stage.launcher.did, stage.notebook.runs) == ([("stop", "a")], {})


async def test_a_place_whose_port_is_chosen_at_its_start_is_not_looked_for():
    async with staged({"a": PORTED}) as stage:
        stage.answers["http://127.0.0.1:20000"] = Seen()
        await stage.commands.start("a", wait=2)
        assert stage.checks == ["http://127.0.0.1:20000"]
        assert stage.launcher.did == [("start", "a")]


# --- launching


async def test_it_is_written_down_before_it_exists_and_again_with_its_handle():
    async with staged() as stage:
        stage.notebook.slow.clear()
        stage.ask()
        await stage.until(lambda: stage.commands.status("a").phase == "launching")
        await asyncio.sleep(0.01)
        assert (stage.launcher.did, stage.launcher.world.running) == ([], {})
        stage.notebook.slow.set()
        await stage.reaches("hot")
        (run,) = stage.notebook.runs.values()
        assert run.handle == {"target": "service:a:0"}


@pytest.mark.parametrize("turns", range(12))
async def test_a_start_called_off_after_any_turn_of_the_loop_leaves_nothing_and_forgets_nothing_that_runs(turns):
    async with staged({"a": {"drain_timeout": 0}}) as stage:
        stage.ask()
        for _ in range(turns):
            await asyncio.sleep(0)
        assert set(stage.launcher.world.running) <= {"service:a:0"}
        assert not stage.launcher.world.running or stage.notebook.runs
        await stage.commands.stop("a", wait=True)
        await stage.until(lambda: not stage.notebook.runs)
        assert (stage.launcher.world.running, stage.state()) == ({}, "cold")


@pytest.mark.parametrize("turns", range(12))
async def test_a_gateway_that_ends_after_any_turn_of_a_start_has_written_down_what_runs(turns):
    async with staged() as stage:
        stage.ask()
        for _ in range(turns):
            await asyncio.sleep(0)
    assert not stage.launcher.world.running or stage.notebook.runs


async def test_a_launcher_that_refuses_is_quoted():
    async with staged() as stage:
        stage.launcher.fails["a"] = "no such container"
        asker = stage.ask()
        await stage.until(lambda: asker.answered)
        assert "no such container" in asker.refusal.detail
        assert stage.notebook.runs == {}


async def test_no_free_port_fails_the_start_and_says_so():
    def none_free(_taken):
        raise LaunchFailed("no free port")

    async with staged({"a": PORTED}) as stage:
        stage.keeper.outside = stage.keeper.outside._replace(free_port=none_free)
        asker = stage.ask()
        await stage.until(lambda: asker.answered)
        assert "no free port" in asker.refusal.detail


async def test_a_told_address_is_where_it_is_checked_and_asked_and_is_written_down():
    async with staged({"a": {"base_url": None}}) as stage:
        told = Told(base_url="http://told.test", health_url="http://told.test/up")
        stage.launcher.tells["a"] = told
        stage.answers["http://told.test/up"] = Seen()
        await stage.commands.start("a", wait=2)
        assert stage.checks == ["http://told.test/up"]
        assert stage.life().way == "http://told.test"
        assert [run.told for run in stage.notebook.runs.values()] == [told]


async def test_an_address_may_be_told_while_it_is_probed():
    async with staged({"a": {"base_url": None}}) as stage:
        asker = stage.ask()
        await stage.until(lambda: "HESTIA_BASE_URL" in (stage.life().reason or ""))
        stage.launcher.tells["a"] = Told(base_url="http://told.test")
        stage.answers["http://told.test"] = Seen()
        await stage.until(lambda: asker.answered)
        assert stage.life().way == "http://told.test"


# --- probing


async def test_it_is_asked_again_and_again_until_it_is_ready():
    async with staged() as stage:
        stage.answers["http://a.test"] = Seen("connection refused")
        asker = stage.ask()
        await stage.until(lambda: len(stage.checks) > 5)
        assert not asker.answered
        stage.answers["http://a.test"] = Seen()
        await stage.until(lambda: asker.answered)


async def test_a_stranger_on_its_port_fails_the_start():
    async with staged() as stage:
        stage.launcher.strangers["a"] = "nginx (pid 12)"
        asker = stage.ask()
        await stage.until(lambda: asker.answered)
        assert "nginx (pid 12)" in asker.refusal.detail
        assert stage.launcher.world.running == {}


async def test_a_thing_that_ends_while_it_starts_fails_the_attempt_with_its_last_words():
    async with staged({"a": {"start_attempts": 2, "retry_delay": "10ms"}}) as stage:
        stage.launcher.crashes["a"] = "exited with code 3: no GPU"
        asker = stage.ask()
        await stage.until(lambda: asker.answered)
        assert "exited with code 3: no GPU" in asker.refusal.detail
        assert stage.launcher.did.count(("start", "a")) == 2


# --- hot


async def test_the_end_of_what_was_launched_is_a_death_at_once():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        stage.launcher.world.end("service:a:0", "was ended by signal SIGKILL")
        await stage.until(lambda: "service.died" in stage.kinds())
        assert stage.state() == "cold"
        await stage.until(lambda: not stage.notebook.runs)


async def test_the_end_of_an_earlier_life_ends_nothing():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        await stage.commands.restart("a")
        await stage.reaches("hot")
        await asyncio.sleep(0.01)
        assert stage.state() == "hot"
        assert "service.died" not in stage.kinds()


async def test_what_its_launcher_watches_is_not_asked_while_it_is_hot():
    async with staged({"a": {"watch_interval": "5ms"}}) as stage:
        await stage.commands.start("a", wait=2)
        checks = len(stage.checks)
        await asyncio.sleep(0.03)
        assert len(stage.checks) == checks


async def test_what_nobody_else_watches_is_asked_while_it_is_hot_and_two_failed_checks_are_a_death():
    async with staged({"a": {"launch": None, "base_url": "http://w.test", "watch_interval": "5ms"}}) as stage:
        stage.answers["http://w.test"] = Seen()
        await stage.commands.start("a", wait=2)
        stage.answers["http://w.test"] = Seen("answered 500")
        await stage.until(lambda: "service.died" in stage.kinds())
        assert stage.state() in ("cold", "hot")


# --- stopping


async def test_what_cannot_be_stopped_says_so_and_is_tried_again():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        stage.launcher.fails_to_stop["a"] = "permission denied"
        await stage.commands.stop("a")
        await stage.until(lambda: stage.life().reason)
        assert "could not be stopped: permission denied" in stage.life().reason
        assert len(stage.notebook.runs) == 1
        del stage.launcher.fails_to_stop["a"]
        stage.ahead += 6
        stage.keeper._due()
        await stage.reaches("cold")
        await stage.until(lambda: not stage.notebook.runs)


async def test_a_request_during_a_slow_stop_is_served_by_one_new_start_after_it():
    async with staged() as stage:
        await stage.commands.start("a", wait=2)
        stage.launcher.stop_delay["a"] = 0.05
        await stage.commands.stop("a")
        asker = stage.ask()
        await stage.until(lambda: asker.answered)
        assert stage.launcher.did == [("start", "a"), ("stop", "a"), ("start", "a")]


async def test_another_launcher_may_stop_what_one_started():
    asked = []

    async with staged({"a": {"stop_with": {"kind": "command", "start": ["x"], "stop": ["halt"]}}}) as stage:
        launcher_for = stage.keeper.outside.launcher_for
        stage.keeper.outside = stage.keeper.outside._replace(launcher_for=lambda launch: asked.append(launch.__class__.__name__) or launcher_for(launch))
        await stage.commands.start("a", wait=2)
        asked.clear()
        await stage.commands.stop("a", wait=True)
        assert asked[-1:] == ["CommandLaunch"] or "CommandLaunch" in asked


# --- a machine


async def test_a_machine_without_a_check_is_ready_when_its_launcher_says_so():
    machine = {"desk": {"launch": {"kind": "command", "start": ["wake"], "stop": ["sleep"], "status": ["is-awake"]}}}
    async with staged({"a": {"machine": "desk"}}, machines=machine) as stage:
        await stage.commands.start("a", wait=2)
        assert stage.launcher.did == [("start", "desk"), ("start", "a")]
        assert [machine.state for machine in stage.commands.machines() if machine.id == "desk"] == ["hot"]


async def test_a_machine_with_a_check_is_ready_when_that_passes():
    machine = {"desk": {"health": "tcp://desk.test:22", "launch": {"kind": "wake_on_lan", "mac": "aa:bb:cc:dd:ee:ff"}}}
    async with staged({"a": {"machine": "desk"}}, machines=machine) as stage:
        stage.answers["tcp://desk.test:22"] = Seen("no answer")
        asker = stage.ask()
        await stage.until(lambda: stage.checks.count("tcp://desk.test:22") > 1)
        assert stage.commands.status("a").phase == "waking_machine"
        stage.answers["tcp://desk.test:22"] = Seen()
        await stage.until(lambda: asker.answered, 4)
        assert asker.lease.hot_at <= time.monotonic()


async def test_who_listens_at_a_port_is_looked_up_beside_the_loop():
    """It reads the tables of all sockets and processes: with ten thousand connections that takes a while."""
    threads = []
    async with staged() as stage:
        stage.launcher.stranger = lambda _run, _url: threads.append(threading.current_thread())
        await stage.commands.start("a", wait=2)
    assert threads
    assert threading.main_thread() not in threads


# --- what an engine does beside us


class Engine(FakeLauncher):
    """Somebody else may start its things too, and `stop` only pauses them."""

    async def came(self, run):
        while target_of(run) not in self.world.running:
            await asyncio.sleep(0.005)

    def __init__(self, world=None):
        super().__init__(world)
        self.asleep = set()

    def pauses(self, run):
        return True

    async def paused(self, run):
        await asyncio.sleep(0)
        return target_of(run) in self.asleep

    async def start(self, run, record):
        self.asleep.discard(target_of(run))
        return await super().start(run, record)

    async def stop(self, run):
        if target_of(run) in self.world.running:
            self.asleep.add(target_of(run))
        await super().stop(run)

    async def end(self, run):
        self.asleep.discard(target_of(run))
        await super().stop(run)
        self.did[-1] = ("end", run.owner)


@contextlib.asynccontextmanager
async def with_engine(services=None, engine=None, **top):
    """A stage whose launcher is such an engine from the start."""
    async with staged(services, **top) as stage:
        stage.launcher = engine or Engine()
        for life in stage.keeper.fleet.places():
            stage.keeper._notice(life)
        yield stage


async def test_what_somebody_else_started_is_found_and_falls_asleep():
    async with with_engine({"a": {"idle_timeout": "50ms"}}) as stage:
        stage.launcher.world.begin("service:a:0")
        await stage.reaches("hot")
        await stage.reaches("cold")
        assert stage.launcher.did == [("stop", "a")]


async def test_an_idle_stop_that_pauses_keeps_the_room_and_a_command_ends_it_for_good():
    capacity = {"local": {"capacity": {"v": 1}}}
    async with with_engine({"a": {"idle_timeout": "50ms", "needs": {"v": 1}}}, machines=capacity) as stage:
        await stage.commands.start("a", wait=2)
        await stage.reaches("cold")
        assert stage.commands.machines()[0].used == {"v": 1}
        await stage.commands.stop("a")
        await stage.until(lambda: stage.launcher.did[-1] == ("end", "a"))
        await stage.until(lambda: stage.commands.machines()[0].used == {"v": 0})


@pytest.mark.parametrize("killed", ("after the pause", "before it was written down"))
async def test_what_a_killed_gateway_paused_keeps_its_room_until_that_is_needed(killed):
    services = {id_: {"idle_timeout": "50ms", "needs": {"v": 1}} for id_ in ("a", "b")}
    top = {"machines": {"local": {"capacity": {"v": 1}}}}
    async with with_engine(services, **top) as stage:
        await stage.commands.start("a", wait=2)
        runs = dict(stage.notebook.runs)
        await stage.reaches("cold")
        await stage.until(lambda: not stage.notebook.runs)
        engine, notebook = stage.launcher, stage.notebook
    notebook.runs = runs if killed == "before it was written down" else {}
    engine.did.clear()
    async with with_engine(services, engine, notebook=notebook, **top) as stage:
        await adopt(stage.keeper, list(notebook.runs.values()))
        assert stage.commands.machines()[0].used == {"v": 1}
        assert (stage.state(), stage.life().dozes, ("end", "a") in engine.did) == ("cold", True, False)
        await stage.commands.start("b", wait=2)
        assert ("end", "a") in engine.did
        assert engine.did.index(("end", "a")) < engine.did.index(("start", "b"))
        assert (engine.asleep, stage.mistakes) == (set(), [])


async def test_what_a_killed_gateway_left_running_and_nobody_configures_is_ended_for_good():
    async with with_engine({"a": {}}) as stage:
        await stage.commands.start("a", wait=2)
        engine, notebook = stage.launcher, stage.notebook
    async with with_engine({"b": {}}, engine, notebook=notebook) as stage:
        await adopt(stage.keeper, list(notebook.runs.values()))
        assert engine.did[-1] == ("end", "a")
        assert (engine.asleep, notebook.runs) == (set(), {})


async def test_a_gateway_that_ends_ends_what_it_paused():
    async with with_engine({"a": {"idle_timeout": "50ms"}}) as stage:
        await stage.commands.start("a", wait=2)
        await stage.reaches("cold")
        await stage.keeper.stop_all_for_good()
        assert stage.launcher.did[-1] == ("end", "a")


async def test_what_is_held_is_not_taken_up_before_the_hold_is_over(monkeypatch):
    monkeypatch.setattr(works, "UNWANTED_ASKED_AGAIN", 0.02)
    async with with_engine() as stage:
        await stage.commands.stop("a", hold=60)
        stage.launcher.world.begin("service:a:0")
        await asyncio.sleep(0.05)
        assert (stage.state(), stage.notebook.runs, stage.life().run) == ("cold", {}, None)
        stage.wall_ahead = 61
        await stage.reaches("hot")


async def test_a_place_that_came_with_a_new_configuration_is_found_and_one_that_went_is_not(monkeypatch):
    monkeypatch.setattr(works, "UNWANTED_ASKED_AGAIN", 0.02)
    async with with_engine({"a": {}}) as stage:
        old = stage.life()
        stage.reload({"b": {}})
        assert "a" not in stage.keeper.fleet.services
        stage.launcher.world.begin("service:b:0")
        stage.launcher.world.begin("service:a:0")
        await stage.reaches("hot", "b")
        stage.keeper.tick()
        assert (old.hot, [run.owner for run in stage.notebook.runs.values()]) == (False, ["b"])


async def test_a_place_that_was_changed_is_found_as_it_is_now():
    async with with_engine({"a": {}}) as stage:
        stage.reload({"a": {"health_url": "http://a.test/health"}})
        stage.launcher.world.begin("service:a:0")
        await stage.reaches("hot")
        assert stage.checks[-1] == "http://a.test/health"


# --- where it is


async def test_what_has_neither_launcher_nor_check_is_reached_where_it_was_said():
    async with staged({"a": {"launch": None, "warmup": "10ms"}}) as stage:
        asker = stage.ask()
        await stage.until(lambda: asker.lease)
        assert asker.lease.way == "http://a.test"


async def test_the_words_in_braces_of_an_address_are_replaced_for_what_is_only_watched():
    async with staged({"a": {"launch": None, "base_url": "http://{service}.test"}}) as stage:
        stage.answers["http://a.test"] = Seen()
        await stage.commands.look()
        assert (stage.life().way, stage.commands.status("a").base_url) == ("http://a.test", "http://a.test")


async def test_a_check_that_hangs_to_the_end_of_the_start_is_told_as_such(monkeypatch):
    async with staged({"a": {"start_timeout": "300ms"}}) as stage:
        first = stage.probe

        async def hangs(check):
            if len(stage.checks) > 2:
                await asyncio.sleep(60)
            await first(check)
            return Seen("connection refused")

        stage.keeper.outside = stage.keeper.outside._replace(probe=hangs)
        asker = stage.ask()
        await stage.until(lambda: asker.refusal)
        assert re.search(r"not ready within 0.3 s \(`start_timeout`\): no answer within 0\.[123]s", asker.refusal.detail)
