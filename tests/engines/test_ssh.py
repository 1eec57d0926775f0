"""The `ssh` kind, the real ssh and the real sshd."""

import asyncio
import getpass
import subprocess
import tempfile
from pathlib import Path

import pytest

from hestia.launchers.ssh import SshLauncher
from hestia.ports import LaunchFailed
from tests.engines.sshd import sshd
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
from tests.support.ssh_rig import SshRig


class RealRig(SshRig):
    def __init__(self, server, folder, control):
        self.server, self.control = server, control
        super().__init__(folder, f"{getpass.getuser()}@127.0.0.1")

    def new_gateway(self):
        return SshLauncher(self.control, ssh=self.server.command())

    async def break_engine(self):
        self.server.close()

    async def heal_engine(self):
        self.server.open()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with sshd(tmp_path_factory.mktemp("sshd")) as one:
        yield one


@pytest.fixture
def control(server):
    """A short path, as a unix socket needs; shared connections end with the test."""
    with tempfile.TemporaryDirectory(prefix="hs", dir="/tmp") as folder:
        yield Path(folder)
        for socket in Path(folder).iterdir():
            argv = [*server.command(), "-o", f"ControlPath={socket}", "-O", "exit", "127.0.0.1"]
            subprocess.run(argv, check=False, capture_output=True)


@pytest.fixture
def rig(server, tmp_path, control):
    rig = RealRig(server, tmp_path, control)
    yield rig
    rig.clear()


class TestSsh(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, Tells):
    pass


async def test_connections_are_shared(rig):
    run = await started(rig.launcher, rig.make_run())
    assert len(list(rig.control.iterdir())) == 1
    log = rig.server.folder / "log"
    before = log.read_text().count("Accepted publickey")
    for _ in range(5):
        assert await rig.launcher.state(run) == "running"
    assert log.read_text().count("Accepted publickey") == before
    await rig.launcher.stop(run)


async def test_a_start_that_is_given_up_ends_on_the_other_side(rig):
    shelf = Shelf(rig.make(f"echo $$ >{rig.folder}/slow; sleep 1000"))
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await until(lambda: (rig.folder / "slow").exists() and (rig.folder / "slow").read_text())
    pid = int((rig.folder / "slow").read_text())
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await until(lambda: not Path(f"/proc/{pid}").exists(), "its end over there")


async def test_a_connection_that_drops_during_the_stop_has_put_the_machine_to_sleep(rig):
    """The stop command kills its own sshd, as a machine does that powers off."""
    run = await started(rig.launcher, rig.make("true", status="true", stop="kill -9 $PPID; sleep 5"))
    await rig.launcher.stop(run)


async def test_a_host_key_that_is_not_known_is_told(rig):
    known = rig.server.folder / "known"
    text = known.read_text()
    known.write_text("")
    try:
        with pytest.raises(LaunchFailed, match="Host key verification failed"):
            await started(rig.launcher, rig.make_run())
    finally:
        known.write_text(text)


async def test_a_key_that_is_not_accepted_is_told(rig):
    authorized = rig.server.folder / "user.pub"
    text = authorized.read_text()
    authorized.write_text("")
    try:
        with pytest.raises(LaunchFailed, match="Permission denied"):
            await started(rig.launcher, rig.make_run())
    finally:
        authorized.write_text(text)
