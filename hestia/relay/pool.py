"""The idle connections to one place, the one used last on top."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hestia.relay.upstream import Upstream

CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""It goes on while the machine sleeps, unlike the loop's: what idled through a suspend is dead at the other end."""
LONGEST_IDLE = 30.0
MOST_IDLE = 128


boottime = partial(time.clock_gettime, CLOCK)
"""Seconds since the boot, those asleep included."""


class Pool:
    """Last in, first out: the connections on top stay warm, those at the bottom grow old and are closed."""

    __slots__ = ("idle",)

    def __init__(self) -> None:
        self.idle: list[Upstream] = []

    def take(self) -> Upstream | None:
        """A connection that is open and silent: its socket is looked at, for what the loop has not read yet may be
        the end of it, or an answer that nobody asked for and that the next request must not get.
        """
        idle = self.idle
        while idle:
            upstream = idle.pop()
            if not upstream.alive:
                continue
            if boottime() - upstream.idle_since < LONGEST_IDLE and not upstream.poll(0):
                return upstream
            upstream.close()
        return None

    def put(self, upstream: Upstream) -> None:
        """Keeps a connection whose exchange ended cleanly."""
        if len(self.idle) >= MOST_IDLE:
            upstream.close()
            return
        upstream.used = True
        upstream.idle_since = boottime()
        self.idle.append(upstream)

    def forget(self, upstream: Upstream) -> None:
        """An idle connection was closed by the other side."""
        if upstream in self.idle:
            self.idle.remove(upstream)

    def prune(self) -> None:
        """Closes what idled for too long: they lie at the bottom."""
        oldest = boottime() - LONGEST_IDLE
        while self.idle and self.idle[0].idle_since < oldest:
            self.idle.pop(0).close()

    def close(self) -> None:
        """Closes them all."""
        while self.idle:
            self.idle.pop().close()
