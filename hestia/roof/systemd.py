"""What a service manager tells us and wants to know: sockets that it has opened for us, and how we are.

Without a service manager nobody listens, and that is no error.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from typing import Final

from hestia.roof.listen import CannotStart

FIRST_DESCRIPTOR: Final = 3
ABSTRACT: Final = "@"


class Notify:
    """Tells the manager at `NOTIFY_SOCKET`; without one it does nothing."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith(ABSTRACT) else path
        self.watchdog_s = _watchdog(environ)

    def ready(self) -> None:
        self._say("READY=1")

    def reloading(self) -> None:
        """READY=1 ends it, whether the new configuration was taken or not."""
        self._say(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._say("STOPPING=1")

    def alive(self) -> None:
        """The loop turns."""
        self._say("WATCHDOG=1")

    def _say(self, words: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(words.encode(), self._address)


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """How often the manager wants a sign of life, if it is from us that it wants one."""
    with contextlib.suppress(ValueError):
        meant = environ.get("WATCHDOG_PID")
        if meant is None or int(meant) == os.getpid():
            return int(environ.get("WATCHDOG_USEC", "")) / 1e6
    return None


def inherited(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that the manager has opened for us. What we launch does not get them.

    Raises CannotStart for a descriptor that is none.
    """
    try:
        mine = int(environ.get("LISTEN_PID", "")) == os.getpid()
        count = int(environ.get("LISTEN_FDS", ""))
    except ValueError:
        return []
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    found = []
    for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + count) if mine else ():
        try:
            os.set_inheritable(descriptor, False)
            sock = socket.socket(fileno=descriptor)
        except OSError as error:
            raise CannotStart(f"LISTEN_FDS says that descriptor {descriptor} is a socket: {error.strerror}") from error
        sock.setblocking(False)
        found.append(sock)
    return found


async def show_life(notify: Notify) -> None:
    """Until cancelled: a sign of life, as long as the loop turns."""
    while notify.watchdog_s is not None:
        notify.alive()
        await asyncio.sleep(notify.watchdog_s / 2)
