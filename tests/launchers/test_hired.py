"""A command that is run to its end."""

import asyncio
import os
import signal

import pytest

from hestia.launchers.hired import Hired
from hestia.launchers.output import Output
from hestia.launchers.owned import members
from hestia.ports import LaunchFailed

ENV = {"PATH": os.defpath}


def hired(folder, script, **more):
    return Hired(("/bin/sh", "-c", script), ENV, str(folder), Output(folder / "a.log"), **more)


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", -9)])
async def test_its_code(tmp_path, script, code):
    assert await hired(tmp_path, script).run() == code


async def test_what_it_prints_is_kept_or_not(tmp_path):
    await hired(tmp_path, "echo out; echo err >&2").run()
    await hired(tmp_path, "echo not kept", keep=False).run()
    assert (tmp_path / "a.log").read_text() == "out\nerr\n"


async def test_a_child_in_the_background_does_not_hold_it_and_lives_on(tmp_path):
    owned = []

    async def record(one):
        owned.append(one)

    await asyncio.wait_for(hired(tmp_path, "sleep 1000 & exit 0").run(record), 10)
    left = members(owned[0])
    assert len(left) == 1
    os.kill(left[0].pid, signal.SIGKILL)


async def test_cancelled_it_ends_with_all_its_processes(tmp_path):
    owned = []

    async def record(one):
        owned.append(one)

    work = asyncio.ensure_future(hired(tmp_path, "trap '' TERM; sleep 1000 & echo up; wait; sleep 1000").run(record))
    output = Output(tmp_path / "a.log")
    while output.tail(1) != ["up"]:
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert members(owned[0]) == []
    assert not os.path.exists(f"/proc/{owned[0].pid}")


async def test_what_cannot_be_written_down_does_not_run(tmp_path):
    async def record(_):
        raise LaunchFailed("no")

    with pytest.raises(LaunchFailed, match="no"):
        await hired(tmp_path, "echo ran > ran").run(record)
    assert not (tmp_path / "ran").exists()


async def test_a_missing_program_is_told(tmp_path):
    with pytest.raises(LaunchFailed, match="no-such: not found"):
        await Hired(("no-such",), ENV, str(tmp_path), Output(tmp_path / "a.log")).run()
