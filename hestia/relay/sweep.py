"""One sweep for all deadlines of the relay, and for sockets that nobody reads.

A paused transport sees neither FIN nor RST (asyncio and uvloop, measured), so paused sockets are polled here.
"""

import asyncio
import select
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

GONE = select.POLLHUP | select.POLLERR
HALF_CLOSED = getattr(select, "POLLRDHUP", 0)
"""macOS has none: there a paused client's leaving is noticed late."""
AT_ONCE = 250
"""So many connections are looked at before others have their turn: a fraction of a millisecond."""


class Watched(Protocol):
    """A connection that the sweep looks at."""

    def look(self, now: float) -> None:
        """Ends what is overdue."""

    def fileno(self) -> int: ...

    def peer_left(self, *, half: bool) -> None:
        """The poll saw a FIN (`half`) or that the connection is gone."""


class Sweep:
    """Looks at every open connection, `interval` seconds apart: no timer per request."""

    __slots__ = ("chores", "failed", "interval", "paused", "watched")

    def __init__(self, interval: float, failed: Callable[[BaseException], None]) -> None:
        self.interval = interval
        self.failed = failed
        self.watched: set[Watched] = set()
        self.paused: set[Watched] = set()
        self.chores: list[Callable[[], None]] = []

    async def run(self) -> None:
        """Until cancelled. A mistake of ours costs one look, never the sweep: without it nothing would time out."""
        while True:
            await asyncio.sleep(self.interval)
            try:
                for _ in self.looks():
                    await asyncio.sleep(0)  # 10,000 connections at once held everybody up for 7 ms
            except Exception as problem:  # noqa: BLE001 - the door of the sweep
                self.failed(problem)

    def tick(self) -> None:
        """One look at everything."""
        for _ in self.looks():
            pass

    def looks(self) -> Iterator[None]:
        """The same in slices. Who has come meanwhile is looked at next time; who has left is passed over."""
        self._poll()
        all_of_them = list(self.watched)
        for begin in range(0, len(all_of_them), AT_ONCE):
            self._look_at(all_of_them[begin : begin + AT_ONCE])
            yield
        for chore in self.chores:
            self._fenced(chore)

    def _look_at(self, some: list[Watched]) -> None:
        now = time.monotonic()
        for watched in some:
            try:
                if watched in self.watched:
                    watched.look(now)
            except Exception as problem:  # noqa: BLE001 - one connection's mistake is not the others'
                self.failed(problem)

    def _fenced(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as problem:  # noqa: BLE001 - nor is a chore's
            self.failed(problem)

    def _poll(self) -> None:
        if not self.paused:
            return
        poll = select.poll()
        by_descriptor: dict[int, Watched] = {}
        for watched in self.paused:
            descriptor = watched.fileno()
            if descriptor >= 0:
                by_descriptor[descriptor] = watched
                poll.register(descriptor, GONE | HALF_CLOSED)
        for descriptor, event in poll.poll(0):
            self._fenced(partial(by_descriptor[descriptor].peer_left, half=not event & GONE))
