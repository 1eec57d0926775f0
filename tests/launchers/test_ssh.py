"""The `ssh` kind before a script that runs the commands here; tests/engines meets the real sshd."""

import asyncio
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from hestia.launchers.ssh import Pace, SshLauncher
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import CommandLaunch, SshLaunch
from hestia.words.run import Run
from tests.house.tree import ROOT
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Shelf,
    Slow,
    Tells,
    WithEngine,
    started,
    until,
)
from tests.support.ssh_rig import START, SshRig


class DoubleRig(SshRig):
    def new_gateway(self):
        environ = {"PATH": "/usr/bin:/bin", "OTHER": str(self.folder), "SEMAPHORE_API_TOKEN": "tok-1"}
        return SshLauncher(self.folder / "c", ssh=(str(self.folder / "ssh"),), environ=environ)

    async def break_engine(self):
        (self.folder / "down").touch()

    async def heal_engine(self):
        (self.folder / "down").unlink()

    def words(self):
        return (self.folder / "words").read_text().splitlines()


class RigWithoutStatus(DoubleRig):
    with_status = False


def made(kind, folder):
    shutil.copy(ROOT / "tests" / "support" / "ssh_double.sh", folder / "ssh")
    return kind(folder)


@pytest.fixture
def rig(tmp_path):
    rig = made(DoubleRig, tmp_path)
    yield rig
    rig.clear()


class TestSsh(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, Tells):
    pass


class TestWithoutStatus(Lives, Slow, Failing, Tells):
    @pytest.fixture
    def rig(self, tmp_path):
        rig = made(RigWithoutStatus, tmp_path)
        yield rig
        rig.clear()

    async def test_another_gateway_sees_what_ended(self, rig):
        """It cannot: to it a run that is written down runs, and stopping that once more does no harm."""
        run = await started(rig.launcher, rig.make_run())
        await rig.launcher.stop(run)
        assert await rig.new_gateway().state(run) == "running"
        await rig.new_gateway().stop(run)


async def test_a_start_that_is_given_up_ends_on_the_other_side(rig):
    shelf = Shelf(rig.make("echo $$ >slow; sleep 1000"))
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await until(lambda: (rig.folder / "slow").exists() and (rig.folder / "slow").read_text())
    pid = int((rig.folder / "slow").read_text())
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await until(lambda: not Path(f"/proc/{pid}").exists(), "its end over there")


async def test_a_start_that_ignores_its_end_is_killed_over_there(rig):
    shelf = Shelf(rig.make("trap : TERM; echo $$ >slow; while :; do sleep 0.2; done"))
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await until(lambda: (rig.folder / "slow").exists() and (rig.folder / "slow").read_text())
    pid = int((rig.folder / "slow").read_text())
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await until(lambda: not Path(f"/proc/{pid}").exists(), "its end over there")


async def test_a_stop_whose_connection_drops_has_put_the_machine_to_sleep(rig):
    run = await started(rig.launcher, rig.make(START, stop="touch asleep"))
    await rig.launcher.stop(run)


async def test_a_machine_that_cannot_be_reached_is_told_in_sshs_words(rig):
    run = await started(rig.launcher, rig.make_run())
    await rig.break_engine()
    with pytest.raises(
        LaunchFailed, match="could not be run on box: ssh: connect to host box port 22: Connection refused"
    ):
        await rig.launcher.stop(run)
    with pytest.raises(LaunchFailed, match=r"nothing was started, for its status is unknown: .*Connection refused"):
        await started(rig.launcher, rig.make_run())


async def test_a_status_that_cannot_be_run_is_unknown(rig):
    run = replace(rig.make_run(), launch=SshLaunch(host="box", start="true", status="no-such-program"))
    assert await rig.launcher.state(run) == "unknown"


async def test_a_status_that_hangs_is_unknown(rig):
    launcher = SshLauncher(
        ssh=(str(rig.folder / "ssh"),),
        environ={"PATH": "/usr/bin:/bin", "OTHER": str(rig.folder)},
        pace=Pace(state=0.2),
    )
    run = replace(rig.make_run(), launch=SshLaunch(host="box", start="true", status="sleep 5"))
    assert await launcher.state(run) == "unknown"


async def test_ssh_asks_no_question_and_gets_no_secret(rig):
    run = await started(rig.launcher, rig.make("env >environment; " + START))
    await rig.launcher.stop(run)
    start, stop = (next(line for line in rig.words() if part in line) for part in ("env >env", "hestia-ssh-began"))
    for option in ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", f"ControlPath={rig.folder}"):
        assert option in start or len(str(rig.folder)) > 44
    assert "-T -- box sh -c" in start
    assert "ControlPath=none" in stop
    assert "tok-1" not in (rig.folder / "environment").read_text()


async def test_connections_are_shared_in_a_folder_of_our_own(tmp_path, rig):
    words = SshLauncher(tmp_path / "c")._sharing(shared=True) if len(str(tmp_path)) < 40 else None
    short = SshLauncher(tmp_path.parents[-2] / ("x" * 60))._sharing(shared=True)
    assert words is None or (tmp_path / "c").stat().st_mode & 0o777 == 0o700
    assert short == ("ControlMaster=no", "ControlPath=none")


@pytest.mark.parametrize("host", ["-oProxyCommand=touch x", ""])
async def test_a_host_is_never_an_option(rig, host):
    run = replace(rig.make_run(), launch=SshLaunch(host=host, start="true"))
    with pytest.raises(LaunchFailed, match="is no host"):
        await started(rig.launcher, run)
    assert not (rig.folder / "words").exists()


@pytest.mark.parametrize("keys, verb", [({"start": None}, "start"), ({"stop": None}, "stop")])
async def test_what_is_not_configured_is_said(rig, keys, verb):
    run = rig.make(START)
    run = replace(run, launch=replace(run.launch, **keys))
    with pytest.raises(LaunchFailed, match=f"launch.{verb} is not set"):
        await rig.launcher.stop(await started(rig.launcher, run))


async def test_it_stops_what_another_launcher_started(rig):
    run = await started(rig.launcher, rig.make_run())
    other = Run(
        id="desk",
        of="machine",
        owner="desk",
        machine="desk",
        launch=CommandLaunch(start=("true",)),
        stop_with=run.launch,
    )
    await rig.launcher.stop(replace(other, stop_with=replace(run.launch, status=None)))
    assert await rig.running_really(run) == 0


async def test_no_ssh_is_told(tmp_path):
    launcher = SshLauncher(ssh=(str(tmp_path / "ssh"),))
    run = Run(id="1", owner="a", machine="box", launch=SshLaunch(host="box", start="true", status="true"))
    assert await launcher.state(run) == "unknown"
    with pytest.raises(LaunchFailed, match="ssh cannot be run: no such file or directory"):
        await started(launcher, run)
