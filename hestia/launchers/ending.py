"""How a process is awaited and how a whole session of processes is ended, whoever started it."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from hestia.launchers.owned import Owned, Stat, alive, members, send, still
from hestia.ports import LaunchFailed

FIRST_LOOK_S, LAST_LOOK_S = 0.005, 0.1
POLL_S: Final = 0.25
KILL_WITHIN_S: Final = 10.0


async def end(owned: Owned, ask: signal.Signals, grace: float) -> None:
    """Ask all of its processes to end, kill what is left after the grace; returns when none is left.

    Raises LaunchFailed when the kernel does not let one go. Cancelled, it may be called again.
    """
    left = members(owned)
    if not left:
        return
    send(ask, owned, left)
    send(signal.SIGCONT, owned, left)  # one that is stopped takes its signal only when it goes on
    if not await _gone(owned, left, grace):
        await _kill(owned)


async def _kill(owned: Owned) -> None:
    end_at = asyncio.get_running_loop().time() + KILL_WITHIN_S
    while left := members(owned):  # again and again: a member may fork between the look and the stroke
        send(signal.SIGKILL, owned, left)
        if asyncio.get_running_loop().time() > end_at:
            raise LaunchFailed(_why_still_there(left[0].pid))
        await _gone(owned, left, 1.0)


def _why_still_there(pid: int) -> str:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return f"process {pid} runs as another user and cannot be ended; give the launch a `stop_command` that can"
    except OSError:
        pass
    return f"process {pid} was killed and is still there: it waits in the kernel for a device"


async def _gone(owned: Owned, left: list[Stat], limit: float) -> bool:
    """A look at all processes is dear on a large machine: only when those known are gone, it looks for others."""
    end_at = asyncio.get_running_loop().time() + limit
    while left:
        if not await _all_ended(left, end_at):
            return False
        left = members(owned)
    return True


async def _all_ended(left: list[Stat], end_at: float) -> bool:
    look = FIRST_LOOK_S
    while any(still(each) for each in left):
        remaining = end_at - asyncio.get_running_loop().time()
        if remaining <= 0:
            return False
        await asyncio.sleep(min(look, remaining))
        look = min(look * 1.5, LAST_LOOK_S)
    return True


async def until_ended(owned: Owned, every: float, meanwhile: Callable[[], Awaitable[None]]) -> None:
    """Waits for the end of the process itself (its children may live on); does something now and then meanwhile."""
    descriptor = _descriptor(owned)
    if descriptor is None:
        while alive(owned):
            await asyncio.sleep(min(POLL_S, every))
            await meanwhile()
        return
    ended, loop = asyncio.Event(), asyncio.get_running_loop()
    try:
        loop.add_reader(descriptor, ended.set)
        while not ended.is_set() and alive(owned):  # after the opening: it is that of this very process
            if not await _within(ended, every):
                await meanwhile()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _within(event: asyncio.Event, limit: float) -> bool:
    try:
        async with asyncio.timeout(limit):
            return await event.wait()
    except TimeoutError:
        return False


def _descriptor(owned: Owned) -> int | None:
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(owned.pid)
    except OSError:  # gone; or a kernel, or a sandbox, that has no such call
        return None
