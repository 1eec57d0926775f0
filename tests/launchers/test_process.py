"""kind process: what every launcher keeps, and what is its own: groups, the gate, adoption, strangers, output."""

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time

import pytest
from msgspec.structs import replace

from hestia.launchers.process import ProcessLauncher
from hestia.ports import HasLogs, HasOwner, LaunchFailed, Telling, Watchable
from hestia.words.launch_spec import ProcessLaunch
from hestia.words.run import Run, Told
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Shelf,
    Tells,
    Watched,
    WithLogs,
    started,
    until,
)

SLEEPS = ("sleep", "1000")


def sh(script):
    return ("/bin/sh", "-c", script)


def pids_with(mark):
    """Living processes that have `mark` in their variables: as seen from outside."""
    found = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError), open(f"/proc/{name}/environ", "rb") as environ:
            if mark.encode() in environ.read():
                found.append(int(name))
    return [pid for pid in found if pid != os.getpid()]


class ProcessRig:
    crash_says = "exited with code 3: no model here"
    failure_says = "no-such-program: not found"

    def __init__(self, folder):
        self.folder = folder
        self.launcher = self.new_gateway()
        self.names = (f"p{number}" for number in itertools.count())

    def new_gateway(self):
        return ProcessLauncher(self.folder / "data", self.folder)

    def make(self, command, **launch):
        owner = next(self.names)
        env = {"TRIAL": f"{self.folder.name}-{owner}-", **launch.pop("env", {})}
        return Run(
            id=f"{owner}-1",
            owner=owner,
            machine="local",
            launch=ProcessLaunch(command=command, env=env, stop_grace=launch.pop("stop_grace", 5.0), **launch),
        )

    def make_run(self):
        return self.make(SLEEPS)

    def make_crashing(self):
        return self.make(sh("echo no model here; exit 3"))

    def make_failing(self):
        return self.make(("no-such-program", "--port", "1"))

    def make_talking(self):
        return self.make(
            sh("echo first; echo second; echo third >&2; n=0; while :; do echo tick $n; n=$((n+1)); sleep 0.1; done")
        )

    def make_telling(self):
        return self.make(
            sh(
                "echo HESTIA_BASE_URL=http://127.0.0.1:4567; echo HESTIA_HEALTH_URL=http://127.0.0.1:4567/healthz; sleep 999"
            )
        )

    def living(self, run):
        return pids_with(f"TRIAL={run.launch.env['TRIAL']}")

    async def running_really(self, run):
        return len(self.living(run))

    async def kill(self, run):
        """An environment cannot be read in the middle of an exec, so one look may see nobody."""
        for pid in await until(lambda: self.living(run)):
            os.kill(pid, signal.SIGKILL)

    def clear(self):
        for pid in pids_with(f"TRIAL={self.folder.name}-"):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture
def rig(tmp_path):
    rig = ProcessRig(tmp_path)
    try:
        yield rig
    finally:
        rig.clear()


class TestProcess(Lives, Cancelled, Crashing, Failing, Watched, WithLogs, Tells):
    pass


def test_it_has_all_that_a_process_can_give(rig):
    for protocol in (Watchable, Telling, HasOwner, HasLogs):
        assert isinstance(rig.launcher, protocol)


async def test_a_stop_ends_grandchildren_too_also_those_that_ignore_the_signal(rig):
    run = rig.make(sh("(trap '' TERM; sleep 1000 & wait; sleep 1000) & sleep 1000 & wait"), stop_grace=0.3)
    run = await started(rig.launcher, run)
    await until(lambda: len(rig.living(run)) >= 4)
    begin = time.monotonic()
    await rig.launcher.stop(run)
    assert rig.living(run) == []
    assert time.monotonic() - begin < 5


async def test_what_a_dead_parent_left_is_ended_by_stop_and_no_zombie_stays(rig):
    run = rig.make(sh("sh -c 'trap \"\" TERM; sleep 1000 & wait' & sleep 0.1; exit 0"), stop_grace=0.2)
    run = await started(rig.launcher, run)
    assert (await asyncio.wait_for(rig.launcher.gone(run), 10)).startswith("exited with code 0")
    assert await rig.launcher.state(run) == "stopped"
    assert rig.living(run)
    await rig.launcher.stop(run)
    assert rig.living(run) == []
    assert not os.path.exists(f"/proc/{run.handle['pid']}")


async def test_another_gateway_ends_what_a_dead_parent_left(rig):
    run = rig.make(sh("sh -c 'trap \"\" TERM; sleep 1000 & wait' & sleep 0.1; exit 0"), stop_grace=0.2)
    run = await started(rig.launcher, run)
    await rig.launcher.gone(run)
    await rig.new_gateway().stop(run)
    assert rig.living(run) == []


async def test_a_stop_waits_for_a_clean_end_and_says_nothing_of_its_code(rig):
    run = rig.make(sh("trap 'sleep 0.3; echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"))
    run = await started(rig.launcher, run)
    await until(lambda: _said(rig, run, "up"))
    await rig.launcher.stop(run)
    assert "bye" in await rig.launcher.lines(run, 5)


async def _said(rig, run, line):
    return line in await rig.launcher.lines(run, 100)


async def test_two_stops_at_once_send_one_signal(rig):
    run = rig.make(
        sh("n=0; trap 'n=$((n+1)); echo term $n; sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    )
    run = await started(rig.launcher, run)
    await until(lambda: _said(rig, run, "up"))
    await asyncio.gather(rig.launcher.stop(run), rig.launcher.stop(run))
    assert [line for line in await rig.launcher.lines(run, 100) if line.startswith("term")] == ["term 1"]


async def test_the_signal_is_the_one_that_was_asked_for(rig):
    run = rig.make(
        sh("trap 'echo interrupted; exit 0' INT; echo up; while :; do sleep 0.05; done"), stop_signal="SIGINT"
    )
    run = await started(rig.launcher, run)
    await until(lambda: _said(rig, run, "up"))
    await rig.launcher.stop(run)
    assert "interrupted" in await rig.launcher.lines(run, 5)


async def test_a_process_that_was_stopped_by_a_signal_can_end_too(rig):
    run = await started(rig.launcher, rig.make_run())
    os.kill(run.handle["pid"], signal.SIGSTOP)
    begin = time.monotonic()
    await rig.launcher.stop(run)
    assert time.monotonic() - begin < 4


async def test_the_stop_command_runs_first_with_the_same_variables(rig):
    run = rig.make(
        sh("trap 'echo asked; exit 0' USR1; echo $$ > pid; while :; do sleep 0.05; done"),
        stop_command=sh("kill -USR1 $(cat pid); echo ran with $TRIAL; sleep 0.5"),
    )
    run = await started(rig.launcher, run)
    await until(lambda: (rig.folder / "pid").exists() and (rig.folder / "pid").read_text().strip())
    await rig.launcher.stop(run)
    lines = await rig.launcher.lines(run, 10)
    assert "asked" in lines
    assert f"ran with {run.launch.env['TRIAL']}" in lines


@pytest.mark.parametrize("command", [("no-such-program",), sh("exit 3"), sh("sleep 1000")])
async def test_whatever_comes_of_the_stop_command_the_signal_follows(rig, command):
    run = await started(rig.launcher, rig.make(SLEEPS, stop_command=command, stop_grace=0.2))
    await rig.launcher.stop(run)
    assert rig.living(run) == []


async def test_a_number_that_is_somebody_elses_now_is_neither_adopted_nor_ended(rig):
    stranger = await started(rig.launcher, rig.make_run())
    for change in (
        {"start": "1"},
        {"boot": "another"},
        {"start": ""},
        {"start": None},
        {"pid": 0},
        {"pid": 1},
        {"pid": -1},
    ):
        run = replace(rig.make_run(), handle={**stranger.handle, **change})
        other = rig.new_gateway()
        assert await other.state(run) == "stopped", change
        await other.stop(run)
        assert await asyncio.wait_for(other.gone(run), 5)
    assert len(rig.living(stranger)) == 1


async def test_nothing_runs_before_it_is_written_down(rig):
    run = rig.make(sh("echo ran > ran; sleep 1000"))
    seen = []

    async def record(handle):
        await asyncio.sleep(0.2)
        seen.append((rig.folder / "ran").exists())
        assert os.path.exists(f"/proc/{handle['pid']}")

    await rig.launcher.start(run, record)
    assert seen == [False]
    await until((rig.folder / "ran").exists)
    await rig.launcher.stop(run)


async def test_what_cannot_be_written_down_never_runs(rig):
    run = rig.make(sh("echo ran > ran"))

    async def record(handle):
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk"):
        await rig.launcher.start(run, record)
    await rig.launcher.stop(run)
    assert rig.living(run) == []
    assert not (rig.folder / "ran").exists()


KILLED = """
import asyncio, os, sys
from pathlib import Path
from hestia.launchers.process import ProcessLauncher
from hestia.words.launch_spec import ProcessLaunch
from hestia.words.run import Run

async def record(handle):
    Path("handle").write_text(str(handle["pid"]))
    os.kill(os.getpid(), 9)

launch = ProcessLaunch(command=("/bin/sh", "-c", "echo ran > ran; sleep 1000"), env={"TRIAL": sys.argv[1]})
run = Run(id="x-1", owner="x", machine="local", launch=launch)
asyncio.run(ProcessLauncher(Path("data"), Path(".")).start(run, record))
"""


async def test_a_gateway_that_is_killed_before_it_wrote_down_leaves_nothing(rig):
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    gateway = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, f"{rig.folder.name}-x-", cwd=rig.folder, env=env
    )
    assert await asyncio.wait_for(gateway.wait(), 30) == -9
    pid = (rig.folder / "handle").read_text()
    await until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert pids_with(f"TRIAL={rig.folder.name}-") == []
    assert not (rig.folder / "ran").exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: {"command": ("no-such",)}, "no-such: not found; install it"),
        (lambda folder: {"command": ("./no-such",)}, "./no-such: not found"),
        (lambda folder: {"command": (str(folder),)}, "is a folder"),
        (lambda folder: {"command": (str(folder / "plain"),)}, "not executable"),
        (lambda folder: {"command": SLEEPS, "cwd": str(folder / "none")}, "no such folder"),
        (lambda folder: {"command": SLEEPS, "cwd": str(folder / "plain")}, "not a folder"),
        (lambda folder: {"command": ()}, "empty"),
        (lambda folder: {"command": ("sleep", "1\0")}, "NUL"),
        (lambda folder: {"command": SLEEPS, "env": {"a-b": "1"}}, "a-b"),
    ],
)
async def test_what_cannot_start_says_why(rig, make, words):
    (rig.folder / "plain").write_text("no program")
    run = rig.make(**make(rig.folder))
    with pytest.raises(LaunchFailed, match=words):
        await started(rig.launcher, run)
    await rig.launcher.stop(run)


async def test_a_script_whose_interpreter_is_missing_is_told_by_its_end(rig):
    script = rig.folder / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o700)
    run = await started(rig.launcher, rig.make((str(script),)))
    assert "not found" in await asyncio.wait_for(rig.launcher.gone(run), 10)


async def test_its_end_is_told_with_its_last_lines_of_this_life_only(rig):
    run = rig.make(sh("echo one of an earlier life; exit 1"))
    await rig.launcher.gone(await started(rig.launcher, run))
    run = replace(
        run, id="again", launch=replace(run.launch, command=sh("printf 'a\\n\\033[31mred\\033[0m\\n\\001\\n'; exit 4"))
    )
    run = await started(rig.launcher, run)
    assert await rig.launcher.gone(run) == "exited with code 4: a | red | \\x01"


async def test_its_signal_is_told(rig):
    run = await started(rig.launcher, rig.make(sh("echo loading; kill -9 $$")))
    assert await asyncio.wait_for(rig.launcher.gone(run), 10) == "was ended by signal SIGKILL: loading"


async def test_no_value_of_a_secret_variable_is_told(rig):
    run = rig.make(sh("echo wrong key $API_TOKEN; exit 1"), env={"API_TOKEN": "hunter2hunter2"})
    run = await started(rig.launcher, run)
    assert await rig.launcher.gone(run) == "exited with code 1: wrong key ***"


async def test_it_gets_the_environment_without_what_is_the_gateways_own(rig, monkeypatch):
    for name in (
        "HESTIA_CONFIG",
        "HESTIA__LOG__LEVEL",
        "SEMAPHORE_API_TOKEN",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "WATCHDOG_USEC",
        "OUR_KEY",
    ):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("KEPT", "kept")
    launcher = ProcessLauncher(rig.folder / "data", rig.folder, secrets={"OUR_KEY"})
    run = rig.make(sh("env; echo done"), env={"MINE": "mine", "HESTIA_MINE": "said by the operator"})
    run = await started(launcher, run)
    await until(lambda: _said(rig, run, "done"))
    lines = await launcher.lines(run, 1000)
    assert {"KEPT=kept", "MINE=mine", "HESTIA_MINE=said by the operator"} <= set(lines)
    assert not [line for line in lines if "leaked" in line]
    await launcher.stop(run)


async def test_its_files_are_its_own(rig):
    run = replace(rig.make_talking(), number=2)
    run = await started(rig.launcher, run)
    path = rig.folder / "data" / "logs" / f"{run.owner}@2.log"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    await rig.launcher.stop(run)


async def test_it_inherits_nothing_of_ours(rig):
    run = await started(rig.launcher, rig.make(SLEEPS))
    await until(lambda: os.readlink(f"/proc/{run.handle['pid']}/exe").endswith(("sleep", "coreutils", "busybox")))
    descriptors = sorted(os.listdir(f"/proc/{run.handle['pid']}/fd"))
    assert descriptors == ["0", "1", "2"]
    assert os.readlink(f"/proc/{run.handle['pid']}/fd/0") == "/dev/null"
    await rig.launcher.stop(run)


async def test_a_log_folder_that_cannot_be_written_stops_no_service(rig):
    (rig.folder / "data").write_text("a file where a folder should be")
    run = await started(rig.launcher, rig.make_run())
    assert await rig.launcher.state(run) == "running"
    assert await rig.launcher.lines(run, 10) == []
    assert rig.launcher.told(run) == Told()
    await rig.launcher.stop(run)


async def test_an_output_that_grows_is_turned_over_while_it_runs(rig, monkeypatch):
    monkeypatch.setattr("hestia.launchers.output.FILE_BYTES", 100_000)
    monkeypatch.setattr("hestia.launchers.process.TIDY_EVERY_S", 0.05)
    run = rig.make(
        sh(
            "n=0; while [ $n -lt 100 ]; do head -c 20000 /dev/zero | tr '\\0' x; echo; n=$((n+1)); done; while :; do echo last; sleep 0.2; done"
        )
    )
    run = await started(rig.launcher, run)
    watch = asyncio.ensure_future(rig.launcher.gone(run))
    logs = rig.folder / "data" / "logs"
    await until(lambda: _said(rig, run, "last"))
    await until(lambda: (logs / f"{run.owner}.log").stat().st_size <= 100_000)
    assert (logs / f"{run.owner}.log.1").stat().st_size <= 100_000
    assert not (logs / f"{run.owner}.log.3").exists()
    watch.cancel()
    await rig.launcher.stop(run)


async def test_an_address_is_heard_after_much_other_output_and_only_of_this_life(rig):
    first = rig.make(sh("echo HESTIA_BASE_URL=http://127.0.0.1:1; exit 0"))
    await rig.launcher.gone(await started(rig.launcher, first))
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo HESTIA_BASE_URL=http://127.0.0.1:2; echo HESTIA_HEALTH_URL=ftp://no; sleep 1000"
    run = replace(first, id="second", launch=replace(first.launch, command=sh(script)))
    run = await started(rig.launcher, run)
    assert rig.launcher.told(run).base_url is None
    await until(lambda: rig.launcher.told(run).base_url)
    assert rig.launcher.told(run).base_url == "http://127.0.0.1:2"
    assert rig.launcher.told(run).health_url is None
    await rig.launcher.stop(run)


LISTENS = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print('up', s.getsockname()[1], flush=True); time.sleep(1000)"


async def test_a_stranger_on_its_port_is_named_and_it_itself_is_none(rig):
    ours = await started(rig.launcher, rig.make((sys.executable, "-c", LISTENS, "0")))
    lines = await until(lambda: rig.launcher.lines(ours, 1))
    port = int(lines[0].split()[1])
    url = f"http://127.0.0.1:{port}/path"
    late = await started(rig.launcher, rig.make_run())
    assert rig.launcher.stranger(ours, url) is None
    named = rig.launcher.stranger(late, url)
    assert named is not None
    assert f"pid {ours.handle['pid']}" in named
    assert rig.launcher.stranger(late, "http://192.0.2.1:80/") is None
    await rig.launcher.stop(ours)
    assert rig.launcher.stranger(late, url) is None
    await rig.launcher.stop(late)


async def test_twenty_at_once_do_not_hold_the_loop(rig):
    worst, last = 0.0, time.perf_counter()
    runs = [rig.make_run() for _ in range(20)]

    async def ticks():
        nonlocal worst, last
        while True:
            await asyncio.sleep(0)
            now = time.perf_counter()
            worst, last = max(worst, now - last), now

    clock = asyncio.ensure_future(ticks())
    runs = await asyncio.gather(*(started(rig.launcher, run) for run in runs))
    await asyncio.gather(*(rig.launcher.stop(run) for run in runs))
    clock.cancel()
    assert pids_with(f"TRIAL={rig.folder.name}-") == []
    assert worst < 1.0  # a busy machine; 0.03 s on an idle one


async def test_many_lives_leave_no_descriptor_and_no_zombie(rig):
    run = rig.make_run()

    async def live(number):
        life = await started(rig.launcher, replace(run, id=f"life-{number}"))
        watch = asyncio.ensure_future(rig.launcher.gone(life))
        await asyncio.sleep(0)
        await rig.launcher.stop(life)
        await watch

    await live("first")
    before, zombies_before = len(os.listdir("/proc/self/fd")), zombies()
    for number in range(50):
        await live(number)
    assert len(os.listdir("/proc/self/fd")) == before
    assert zombies() <= zombies_before
    assert not rig.launcher._lives
    assert not rig.launcher._ears


def zombies():
    own = os.getpid()
    with open(f"/proc/{own}/task/{own}/children") as file:
        return {pid for pid in file.read().split() if state_of(pid) == "Z"}


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return ""


async def test_a_stop_that_comes_right_after_the_start_began_is_not_overtaken(rig):
    shelf = Shelf(rig.make_run())
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await asyncio.sleep(0)  # one step: nothing is spawned yet
    await rig.launcher.stop(shelf.run)
    with pytest.raises(LaunchFailed, match="stopped while it started"):
        await start
    assert rig.living(shelf.run) == []


async def test_a_start_that_is_stopped_meanwhile_says_so(rig):
    shelf = Shelf(rig.make_run())
    going = asyncio.Event()

    async def record(handle):
        await shelf.record(handle)
        await going.wait()

    start = asyncio.ensure_future(rig.launcher.start(shelf.run, record))
    await until(lambda: shelf.handles)
    await rig.launcher.stop(shelf.kept())
    going.set()
    with pytest.raises(LaunchFailed, match="stopped while it started"):
        await start
    assert rig.living(shelf.run) == []


async def test_without_pidfd_its_end_is_noticed_too(rig, monkeypatch):
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    run = await started(rig.launcher, rig.make_run())
    gone = asyncio.ensure_future(rig.launcher.gone(run))
    await rig.kill(run)
    assert await asyncio.wait_for(gone, 10) == "was ended by signal SIGKILL"
    run = await started(rig.launcher, rig.make(sh("trap '' TERM; sleep 1000 & wait; sleep 1000"), stop_grace=0.1))
    await rig.launcher.stop(run)
    assert rig.living(run) == []
