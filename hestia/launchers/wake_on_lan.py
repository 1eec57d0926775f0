"""The `wake_on_lan` kind: a magic packet wakes a machine. It has no answer, and it puts nothing to sleep."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from hestia.ports import LaunchFailed
from hestia.words.launch_spec import WakeOnLanLaunch
from hestia.words.run import Told

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hestia.ports import Record, RunState
    from hestia.words.run import Run

SENT = {"wake_on_lan": "sent"}


class Pace(NamedTuple):
    """Packets get lost, and one that comes while the machine still falls asleep does nothing."""

    packets: int = 3
    apart: float = 0.1
    again: float = 5.0
    limit: float = 3600.0  # the caller's own comes first


PACE = Pace()


class WakeOnLan:
    """With `ready`, packets are sent every few seconds until it says that the machine is awake; else once.

    Nobody can be asked whether the machine runs. The state is what this run did: `running` once a packet was sent,
    before that `stopped`, never `unknown`, for then nothing would be started. A readiness check tells the rest.
    """

    def __init__(self, *, ready: Callable[[Run], Awaitable[bool]] | None = None, pace: Pace = PACE) -> None:
        self._ready = ready
        self._pace = pace

    async def start(self, run: Run, record: Record) -> Told:
        """A second start sends once more, which wakes nobody twice."""
        launch = run.launch
        if not isinstance(launch, WakeOnLanLaunch):
            raise LaunchFailed("no magic packet has a part in it")
        address = await _address(launch)
        await record(SENT)
        clock = asyncio.get_running_loop().time
        end = clock() + self._pace.limit
        await self._burst(address, launch)
        while self._ready is not None and not await self._ready(run):
            if clock() >= end:
                raise LaunchFailed(f"it did not wake within {self._pace.limit:g}s")
            await asyncio.sleep(self._pace.again)
            await self._burst(address, launch)
        return Told()

    async def stop(self, run: Run) -> None:
        """What was never woken here needs no stop; everything else needs another launcher."""
        if run.handle:
            raise LaunchFailed("wake_on_lan cannot put a machine to sleep: set stop_with, such as kind ssh")

    async def state(self, run: Run) -> RunState:
        return "running" if run.handle else "stopped"

    async def _burst(self, address: Any, launch: WakeOnLanLaunch) -> None:
        packet = magic_packet(launch.mac)
        for number in range(self._pace.packets):
            if number:
                await asyncio.sleep(self._pace.apart)
            try:
                _send(packet, address)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise LaunchFailed(f"no packet can be sent to {launch.broadcast}: {reason.lower()}") from error


def magic_packet(mac: str) -> bytes:
    """Six times 0xFF, then the hardware address sixteen times; aa:bb..., aa-bb... and aabb.ccdd... are all known."""
    address = bytes.fromhex("".join(digit for digit in mac if digit not in ":-."))
    return b"\xff" * 6 + address * 16


async def _address(launch: WakeOnLanLaunch) -> Any:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(launch.broadcast, launch.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        raise LaunchFailed(f"{launch.broadcast}: {error.strerror or 'not known'}".lower()) from error
    return found[0]


def _send(packet: bytes, address: Any) -> None:
    """A datagram of 102 bytes waits for nothing; where the kernel has no room for it, it is one that got lost."""
    family, _kind, _protocol, _name, target = address
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        channel.sendto(packet, target)
