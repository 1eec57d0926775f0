"""Ending a whole session, and waiting for the end of a process that may not be a child of ours."""

import asyncio
import os
import signal
import subprocess
import time

import pytest

from hestia.launchers import ending
from hestia.launchers.ending import end, until_ended
from hestia.launchers.owned import Owned, members, own
from hestia.ports import LaunchFailed


async def nothing():
    pass


def spawned(script):
    child = subprocess.Popen(["/bin/sh", "-c", script], start_new_session=True, stdout=subprocess.PIPE)
    with child.stdout as said:
        said.readline()
    return child, own(child.pid)


async def test_it_returns_when_all_are_gone():
    child, owned = spawned("trap 'sleep 0.3; exit 0' TERM; echo up; while :; do sleep 0.05; done")
    await end(owned, signal.SIGTERM, 10)
    assert members(owned) == []
    assert child.wait(1) == 0


async def test_what_does_not_go_within_the_grace_is_killed():
    child, owned = spawned("trap '' TERM; echo up; while :; do sleep 0.05; done")
    begin = time.monotonic()
    await end(owned, signal.SIGTERM, 0.2)
    assert 0.2 <= time.monotonic() - begin < 5
    assert child.wait(1) == -signal.SIGKILL


async def test_one_that_forks_meanwhile_is_ended_too():
    child, owned = spawned("trap '' TERM; echo up; while :; do sleep 1000 & sleep 0.01; done")
    await end(owned, signal.SIGTERM, 0.1)
    assert members(owned) == []
    child.wait(1)


async def test_nobody_is_no_failure():
    await end(Owned(2**22 - 1, "1", "no boot of this machine"), signal.SIGTERM, 10)


async def test_one_that_the_kernel_holds_is_a_failure(monkeypatch):
    child, owned = spawned("echo up; sleep 1000")
    monkeypatch.setattr(ending, "send", lambda *_: None)
    monkeypatch.setattr(ending, "KILL_WITHIN_S", 0.05)
    with pytest.raises(LaunchFailed, match=str(child.pid)):
        await end(owned, signal.SIGTERM, 0.0)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@pytest.mark.parametrize("pidfd", [True, False])
async def test_an_end_is_awaited_with_looks_meanwhile(monkeypatch, pidfd):
    if not pidfd:
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    child, owned = spawned("echo up; sleep 0.3")
    looks = []

    async def look():
        looks.append(1)

    await asyncio.wait_for(until_ended(owned, 0.02, look), 10)
    assert child.poll() == 0
    assert looks


async def test_a_wait_that_is_cancelled_leaves_no_descriptor():
    child, owned = spawned("echo up; sleep 1000")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        wait = asyncio.ensure_future(until_ended(owned, 1, nothing))
        await asyncio.sleep(0)
        wait.cancel()
        await asyncio.gather(wait, return_exceptions=True)
    assert len(os.listdir("/proc/self/fd")) == before
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


async def test_many_can_wait_for_one():
    child, owned = spawned("echo up; sleep 1000")
    waits = [asyncio.ensure_future(until_ended(owned, 1, nothing)) for _ in range(5)]
    await asyncio.sleep(0)
    os.killpg(child.pid, signal.SIGKILL)
    await asyncio.wait_for(asyncio.gather(*waits), 10)
    child.wait()
