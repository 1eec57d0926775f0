"""The `systemd` kind and the real systemd."""

import contextlib
import itertools

import pytest

from hestia.launchers.systemd import Pace, SystemdLauncher
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SystemdLaunch
from hestia.words.run import Run
from tests.engines.user_manager import user_manager
from tests.support.conformance import Cancelled, Crashing, Failing, Lives, Slow, Watched, started, until

QUICK = Pace(look=0.05)


class SystemdRig:
    failure_says = r"failing@\d+.service failed \(exit-code 3\)"
    crash_says = "failed (exit-code 3)"
    numbers = itertools.count(1)

    def __init__(self, manager):
        self.manager = manager
        self.launcher = self.new_gateway()

    def new_gateway(self):
        return SystemdLauncher(
            systemctl=self.manager.command("systemctl"),
            journalctl=self.manager.command("journalctl"),
            environ=self.manager.environ,
            pace=QUICK,
        )

    def make(self, name):
        unit = f"{name}@{next(self.numbers)}.service"
        return Run(id=f"run-{unit}", owner=unit, machine="local", launch=SystemdLaunch(unit=unit, user=True))

    def make_run(self):
        return self.make("plain")

    def make_slow(self):
        return self.make("slow")

    def make_failing(self):
        return self.make("failing")

    def make_crashing(self):
        return self.make("crashing")

    async def running_really(self, run):
        return int(self.manager.ask("show", "-p", "ActiveState", "--value", run.owner).stdout.strip() == "active")

    async def kill(self, run):
        self.manager.ask("kill", "-s", "KILL", run.owner)


@pytest.fixture(scope="module")
def manager():
    with user_manager() as manager:
        yield manager


@pytest.fixture
def rig(manager):
    return SystemdRig(manager)


class TestSystemd(Lives, Cancelled, Slow, Crashing, Failing, Watched):
    pass


async def test_a_unit_that_is_not_there_is_named(rig):
    run = Run(id="1", owner="a", machine="local", launch=SystemdLaunch(unit="no-such.service", user=True))
    with pytest.raises(LaunchFailed, match="no unit no-such.service that can be started: it is not-found"):
        await started(rig.launcher, run)
    assert await rig.launcher.state(run) == "stopped"
    await rig.launcher.stop(run)


async def test_a_program_that_is_missing_is_told(rig):
    run = rig.make("missing")
    with contextlib.suppress(LaunchFailed):  # or it is up for a moment
        await started(rig.launcher, run)
    assert "exit-code 203" in await rig.launcher.gone(run)


async def test_a_unit_that_failed_too_often_is_started_again(rig):
    run = rig.make_run()
    for _ in range(6):
        await started(rig.launcher, run)
        await rig.kill(run)
        await until(lambda: _is_stopped(rig, run))


async def _is_stopped(rig, run):
    return await rig.launcher.state(run) == "stopped"


async def test_what_our_own_stop_had_to_kill_is_no_failure(rig):
    run = await started(rig.launcher, rig.make("stubborn"))
    await rig.launcher.stop(run)
    assert rig.manager.ask("show", "-p", "ActiveState", "--value", run.owner).stdout.strip() == "inactive"


async def test_a_manager_that_is_not_there_is_unknown(rig):
    launcher = SystemdLauncher(
        systemctl=rig.manager.command("systemctl"),
        environ=rig.manager.environ | {"XDG_RUNTIME_DIR": "/run/nobody"},
    )
    run = rig.make_run()
    assert await launcher.state(run) == "unknown"
    with pytest.raises(LaunchFailed, match="Failed to connect to bus"):
        await started(launcher, run)
