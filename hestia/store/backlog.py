"""What waits to be written. Bounded for events; what a restart depends on is few, goes first and is never left out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

EVENTS_KEPT = 100_000  # while the disk fails: about 60 MiB at most, and months of a home's events


class Op(NamedTuple):
    """One statement. `done` hears how many rows it changed, once that is on disk; cancelled, it need not be written."""

    sql: str
    row: tuple[Any, ...] = ()
    done: asyncio.Future[int] | None = None
    urgent: bool = False


class Backlog:
    """Two lines: the urgent one first, each in the order of its coming."""

    def __init__(self, bound: int = EVENTS_KEPT) -> None:
        self.lost = 0
        self._bound = bound
        self._urgent: deque[Op] = deque()
        self._events: deque[Op] = deque()
        self._taken: list[Op] = []

    def __len__(self) -> int:
        return len(self._urgent) + len(self._events) + len(self._taken)

    def add(self, op: Op) -> bool:
        """False: there is no room for one more event, and it is counted as lost."""
        if op.urgent:
            self._urgent.append(op)
            return True
        if len(self._events) + len(self._taken) >= self._bound:
            self.lost += 1
            return False
        self._events.append(op)
        return True

    def take(self, most: int) -> list[Op]:
        """The next to be written. They count as waiting until `wrote` or `put_back`."""
        for line in (self._urgent, self._events):
            while line and len(self._taken) < most:
                op = line.popleft()
                if op.done is None or not op.done.cancelled():
                    self._taken.append(op)
        return self._taken

    def wrote(self) -> None:
        """What was taken last is on disk, or never will be."""
        self._taken = []

    def put_back(self) -> None:
        """What was taken last could not be written: it stands in front of what came meanwhile."""
        for op in reversed(self._taken):
            (self._urgent if op.urgent else self._events).appendleft(op)
        self._taken = []

    def give_up(self) -> list[Op]:
        """Whatever still waits, counted as lost: there will be no writer any more."""
        self.put_back()
        left = [*self._urgent, *self._events]
        self._urgent.clear()
        self._events.clear()
        self.lost += len(left)
        return left
