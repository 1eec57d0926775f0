"""kind command: what every launcher keeps, and how commands that end are told from what they leave behind."""

import asyncio
import contextlib
import itertools
import os
import signal
import time

import pytest
from msgspec.structs import replace

from hestia.launchers.command import CommandLauncher
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import CommandLaunch
from hestia.words.run import Run, Told
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Shelf,
    Slow,
    Tells,
    WithLogs,
    started,
    until,
)

# A daemon as people write them: it goes to the background and leaves a pid file.
START = 'setsid sh -c "{body}" & echo $! > {pid}'
STOP = (
    "test -f {pid} && P=$(cat {pid}) && { kill -s KILL $P; kill -s KILL -- -$P; } 2>/dev/null; "
    "while grep -q . /proc/$P/environ 2>/dev/null; do sleep 0.01; done; rm -f {pid}; true"
)
STATUS = "test -f {pid} && kill -0 $(cat {pid}) 2>/dev/null"


def sh(script):
    return ("/bin/sh", "-c", script)


def marked(mark):
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as environ:
            if mark.encode() in environ.read():
                found.append(int(name))
    return [pid for pid in found if pid != os.getpid()]


class CommandRig:
    crash_says = "exited with code 3: no model here"
    failure_says = "no-such-program: not found"

    def __init__(self, folder):
        self.folder = folder
        self.launcher = self.new_gateway()
        self.names = (f"c{number}" for number in itertools.count())

    def new_gateway(self):
        return CommandLauncher(self.folder / "data", self.folder)

    def make(self, start, *, stop=None, status=STATUS, **env):
        owner = next(self.names)
        pid = self.folder / f"{owner}.pid"
        launch = CommandLaunch(
            start=start if isinstance(start, tuple) else sh(start.replace("{pid}", str(pid))),
            stop=sh((stop or STOP).replace("{pid}", str(pid))),
            status=sh(status.replace("{pid}", str(pid))) if status else (),
            env={"TRIAL": f"{self.folder.name}-{owner}-", **env},
        )
        return Run(id=f"{owner}-1", owner=owner, machine="local", launch=launch)

    def make_run(self):
        return self.make(START.replace("{body}", "exec sleep 1000"))

    def make_slow(self):
        return self.make("sleep 0.4; " + START.replace("{body}", "exec sleep 1000"))

    def make_crashing(self):
        return self.make("echo no model here; exit 3")

    def make_failing(self):
        return self.make(("no-such-program",))

    def make_talking(self):
        body = "echo first; echo second; echo third >&2; n=0; while :; do echo tick; sleep 0.1; done"
        return self.make(START.replace("{body}", body.replace("echo tick", "echo tick \\$\\$")))

    def make_telling(self):
        told = "echo HESTIA_BASE_URL=http://127.0.0.1:4567; echo HESTIA_HEALTH_URL=http://127.0.0.1:4567/healthz; "
        return self.make(told + START.replace("{body}", "exec sleep 1000"))

    async def running_really(self, run):
        """Sessions, not processes: a daemon and its children are one."""
        return len(
            {os.getsid(pid) for pid in marked(f"TRIAL={run.launch.env['TRIAL']}") if os.path.exists(f"/proc/{pid}")}
        )

    def clear(self):
        for pid in marked(f"TRIAL={self.folder.name}-"):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def rig(tmp_path):
    rig = CommandRig(tmp_path)
    try:
        yield rig
    finally:
        rig.clear()


class TestCommand(Lives, Cancelled, Slow, Crashing, Failing, WithLogs, Tells):
    pass


async def test_without_a_status_command_it_knows_what_it_did(rig):
    run = rig.make(START.replace("{body}", "exec sleep 1000"), status=None)
    assert await rig.launcher.state(run) == "stopped"
    run = await started(rig.launcher, run)
    assert await rig.launcher.state(run) == "running"
    other = rig.new_gateway()
    assert await other.state(run) == "running"
    assert await other.state(replace(run, handle={**run.handle, "boot": "an earlier one"})) == "stopped"
    await other.stop(run)
    assert await other.state(run) == "stopped"
    assert await rig.running_really(run) == 0


async def test_a_failed_start_is_no_start(rig):
    shelf = Shelf(rig.make("exit 4", status=None))
    with pytest.raises(LaunchFailed, match="exited with code 4"):
        await rig.launcher.start(shelf.run, shelf.record)
    assert await rig.launcher.state(shelf.kept()) == "stopped"
    assert await rig.new_gateway().state(shelf.kept()) == "stopped"


async def test_a_status_that_cannot_be_asked_is_unknown_and_starts_nothing(rig):
    run = rig.make(START.replace("{body}", "exec sleep 1000"))
    for status in (("no-such-program",), sh("exit 127"), sh("exit 126")):
        run = replace(run, launch=replace(run.launch, status=status))
        assert await rig.launcher.state(run) == "unknown"
        with pytest.raises(LaunchFailed, match="nothing was started"):
            await started(rig.launcher, run)
    assert await rig.running_really(run) == 0


async def test_a_status_that_hangs_is_unknown(rig, monkeypatch):
    monkeypatch.setattr("hestia.launchers.command.STATUS_S", 0.2)
    run = rig.make("true", status="sleep 1000")
    assert await rig.launcher.state(run) == "unknown"
    assert await rig.running_really(run) == 0


async def test_what_runs_already_is_not_started_again(rig):
    run = rig.make("echo started >> starts; exit 0", status="true")
    await started(rig.launcher, run)
    assert not (rig.folder / "starts").exists()


async def test_a_failing_stop_is_told_with_its_last_lines(rig):
    run = rig.make("true", stop="echo device busy; exit 5", status=None)
    run = await started(rig.launcher, run)
    with pytest.raises(LaunchFailed, match="its stop command exited with code 5: device busy"):
        await rig.launcher.stop(run)


async def test_a_stop_whose_code_is_bad_counts_when_the_status_says_stopped(rig):
    run = await started(rig.launcher, rig.make(START.replace("{body}", "exec sleep 1000"), stop=f"{STOP}; exit 1"))
    await rig.launcher.stop(run)
    assert await rig.running_really(run) == 0


async def test_without_a_stop_command_a_stop_says_so(rig):
    run = rig.make("true", status=None)
    run = await started(rig.launcher, replace(run, launch=replace(run.launch, stop=())))
    with pytest.raises(LaunchFailed, match="no `stop` command"):
        await rig.launcher.stop(run)


async def test_a_stop_that_hangs_is_killed_and_told(rig, monkeypatch):
    monkeypatch.setattr("hestia.launchers.command.STOP_S", 0.2)
    run = await started(rig.launcher, rig.make("true", stop="sleep 1000", status=None))
    with pytest.raises(LaunchFailed, match="did not end within"):
        await rig.launcher.stop(run)
    assert await rig.running_really(run) == 0


async def test_a_start_that_hangs_is_ended_by_a_stop_and_says_so(rig):
    shelf = Shelf(rig.make("(trap '' TERM; sleep 1000) & sleep 1000"))
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await until(lambda: shelf.handles)
    await rig.launcher.stop(shelf.kept())
    with pytest.raises(LaunchFailed, match="stopped while it started"):
        await start
    assert await rig.running_really(shelf.run) == 0


async def test_a_stop_while_the_start_still_asks_for_the_status_is_not_overtaken(rig):
    shelf = Shelf(rig.make("echo ran > ran; sleep 1000"))
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await asyncio.sleep(0)
    await rig.launcher.stop(shelf.run)
    with pytest.raises(LaunchFailed, match="stopped while it started"):
        await start
    assert not (rig.folder / "ran").exists()


async def test_a_hanging_start_of_a_gateway_that_was_killed_is_ended_by_the_next(rig):
    shelf = Shelf(rig.make("sleep 1000"))
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await until(lambda: shelf.handles)
    await rig.new_gateway().stop(shelf.kept())
    assert await rig.running_really(shelf.run) == 0
    with pytest.raises(LaunchFailed, match="was ended by signal SIGTERM"):
        await start


async def test_what_a_start_leaves_in_the_background_lives_on_and_its_output_is_kept(rig):
    run = rig.make("(sleep 0.3; echo from the background; exec sleep 1000) & echo done", stop="true", status=None)
    run = await started(rig.launcher, run)
    await until(lambda: _said(rig, run, "from the background"))
    assert await rig.running_really(run) == 1


async def _said(rig, run, line):
    return line in await rig.launcher.lines(run, 100)


async def test_a_hundred_megabytes_of_output_are_bounded_and_hold_nobody(rig):
    run = rig.make(
        "head -c 100000000 /dev/zero | tr '\\0' x; echo; echo HESTIA_BASE_URL=http://127.0.0.1:9", status=None
    )
    shelf, worst, last = Shelf(run), 0.0, time.perf_counter()

    async def ticks():
        nonlocal worst, last
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            worst, last = max(worst, now - last), now

    clock = asyncio.ensure_future(ticks())
    told = await rig.launcher.start(run, shelf.record)
    await rig.launcher.state(shelf.kept())
    clock.cancel()
    assert told in {Told(), Told(base_url="http://127.0.0.1:9")}
    kept = sum(path.stat().st_size for path in (rig.folder / "data" / "logs").iterdir())
    assert kept <= 3 * 10 * 1024 * 1024 + 100
    assert worst < 1.0


async def test_start_stop_and_status_get_the_same_variables_and_folder(rig):
    run = rig.make("echo start $WORD $PWD", stop="echo stop $WORD $PWD", status=None, WORD="said")
    run = replace(run, launch=replace(run.launch, cwd="/usr"))
    run = await started(rig.launcher, run)
    await rig.launcher.stop(run)
    assert await rig.launcher.lines(run, 10) == ["start said /usr", "stop said /usr"]
