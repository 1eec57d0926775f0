"""The `systemd` kind before a script that answers as systemctl does; tests/engines meets the real one."""

import asyncio
import itertools
import shutil

import pytest
from msgspec.structs import replace

from hestia.launchers.systemd import Pace, SystemdLauncher
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import CommandLaunch, SystemdLaunch
from hestia.words.run import Run
from tests.house.tree import ROOT
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Shelf,
    Slow,
    Watched,
    WithEngine,
    WithLogs,
    started,
    until,
)

QUICK = Pace(look=0.02)
DOUBLE = ROOT / "tests" / "support" / "systemctl_double.sh"


class SystemdRig:
    failure_says = r"failing-\d+.service failed \(exit-code 3\): no model here"
    crash_says = "failed (exit-code 3): it fell over"

    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count(1)
        self.programs = {}
        for name in ("systemctl", "journalctl"):
            self.programs[name] = (str(folder / name),)
            shutil.copy(DOUBLE, folder / name)
        self.units = folder / "units"
        self.units.mkdir()
        self.environ = {"PATH": "/usr/bin:/bin", "UNITS": str(self.units), "SEMAPHORE_API_TOKEN": "x"}
        self.launcher = self.new_gateway()

    def new_gateway(self):
        return SystemdLauncher(**self.programs, environ=self.environ, pace=QUICK)

    def make(self, name):
        unit = f"{name}-{next(self.numbers)}.service"
        return Run(id=f"run-{unit}", owner=unit, machine="local", launch=SystemdLaunch(unit=unit))

    def make_run(self):
        return self.make("plain")

    def make_slow(self):
        return self.make("slow")

    def make_failing(self):
        return self.make("failing")

    def make_crashing(self):
        return self.make("crashing")

    def make_talking(self):
        run = self.make("talking")
        (self.units / run.owner).mkdir()
        (self.units / run.owner / "journal").write_text("first\nsecond\nthird\n")
        return run

    async def running_really(self, run):
        count = self.units / run.owner / "count"
        return int(count.read_text()) if count.exists() else 0

    async def kill(self, run):
        (self.units / run.owner / "count").write_text("0")
        (self.units / run.owner / "result").write_text("signal")
        (self.units / run.owner / "active").write_text("failed")

    async def break_engine(self):
        (self.units / "down").touch()

    async def heal_engine(self):
        (self.units / "down").unlink()


@pytest.fixture
def rig(tmp_path):
    return SystemdRig(tmp_path)


class TestSystemd(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, Watched):
    pass


class TestJournal(WithLogs):
    @pytest.fixture
    async def rig(self, tmp_path):

        rig = SystemdRig(tmp_path)

        async def tick():
            for number in itertools.count():
                await asyncio.sleep(0.05)
                for journal in rig.units.glob("*/journal"):
                    with journal.open("a") as out:
                        out.write(f"tick {number}\n")

        ticking = asyncio.ensure_future(tick())
        yield rig
        ticking.cancel()


async def test_a_unit_that_is_not_there_is_named(rig):
    with pytest.raises(LaunchFailed, match=r"systemd has no unit lost-1.service that can be started: it is not-found"):
        await started(rig.launcher, rig.make("lost"))
    run = rig.make("lost")
    assert await rig.launcher.state(run) == "stopped"
    await rig.launcher.stop(run)


async def test_a_unit_that_failed_too_often_is_started_again(rig):
    run = await started(rig.launcher, rig.make_run())
    await rig.kill(run)
    await started(rig.launcher, run)
    assert await rig.launcher.state(run) == "running"


async def test_what_our_own_stop_had_to_kill_is_no_failure(rig):
    run = await started(rig.launcher, rig.make("stubborn"))
    await rig.launcher.stop(run)
    assert (rig.units / run.owner / "active").read_text() == "inactive\n"


async def test_a_stop_that_is_refused_is_told(rig):
    run = await started(rig.launcher, rig.make("holding"))
    with pytest.raises(LaunchFailed, match=r"systemctl said of holding-1.service: Access denied"):
        await rig.launcher.stop(run)


async def test_no_manager_is_told_in_its_own_words(rig):
    await rig.break_engine()
    with pytest.raises(LaunchFailed, match="Failed to connect to bus: No medium found"):
        await started(rig.launcher, rig.make_run())


async def test_no_systemctl_is_unknown_and_told(tmp_path):
    launcher = SystemdLauncher(systemctl=(str(tmp_path / "systemctl"),))
    run = Run(id="1", owner="a", machine="local", launch=SystemdLaunch(unit="a.service"))
    assert await launcher.state(run) == "unknown"
    with pytest.raises(LaunchFailed, match="systemctl cannot be run: no such file or directory"):
        await started(launcher, run)


@pytest.mark.parametrize("unit", ["-rf.service", "a b.service", "a.service;x", "a", "", "../a.service", "a.service\n"])
async def test_what_is_no_units_name_is_never_handed_on(rig, unit):
    run = replace(rig.make_run(), launch=SystemdLaunch(unit=unit))
    with pytest.raises(LaunchFailed, match="is no unit's name, such as jellyfin.service"):
        await started(rig.launcher, run)
    assert await rig.launcher.state(run) == "unknown"


async def test_a_users_unit_is_asked_of_the_users_manager_without_our_secrets(rig, tmp_path):
    spy = tmp_path / "spy"
    spy.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/words\nenv >> {tmp_path}/words\nexec {tmp_path}/systemctl "$@"\n'
    )
    spy.chmod(0o755)
    launcher = SystemdLauncher(**(rig.programs | {"systemctl": (str(spy),)}), environ=rig.environ)
    await started(launcher, replace(rig.make_run(), launch=SystemdLaunch(unit="u@1.service", user=True)))
    words = (tmp_path / "words").read_text()
    assert "--user --no-ask-password --no-pager start -- u@1.service\n" in words
    assert "LC_ALL=C\n" in words
    assert "SEMAPHORE" not in words


async def test_a_crash_loop_is_something_that_runs_and_can_be_stopped(rig):
    run = await started(rig.launcher, rig.make_run())
    (rig.units / run.owner / "active").write_text("activating")
    assert await rig.launcher.state(run) == "running"
    await rig.launcher.stop(run)
    assert await rig.launcher.state(run) == "stopped"


async def test_it_stops_what_another_launcher_started(rig):
    run = await started(rig.launcher, rig.make_run())
    await rig.launcher.stop(replace(run, launch=CommandLaunch(start=("true",)), stop_with=run.launch))
    assert await rig.running_really(run) == 0


async def test_while_systemd_cannot_be_asked_nothing_has_ended(rig):

    run = await started(rig.launcher, rig.make_run())
    await rig.break_engine()
    gone = asyncio.ensure_future(rig.launcher.gone(run))
    done, _ = await asyncio.wait({gone}, timeout=0.2)
    assert not done
    await rig.kill(run)
    await rig.heal_engine()
    assert "failed (signal)" in await asyncio.wait_for(gone, 10)


async def test_without_a_journal_there_is_no_line(rig):
    run = await started(rig.launcher, rig.make_run())
    assert await rig.launcher.lines(run, 10) == []
    await rig.break_engine()
    assert await rig.launcher.lines(run, 10) == []


async def test_it_needs_no_handle(rig):
    shelf = Shelf(rig.make_run())
    await rig.launcher.start(shelf.run, shelf.record)
    assert shelf.handles == []
    await until(lambda: rig.running_really(shelf.run))
