"""The line of one service: who waits, in the order in which they came, and until when."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hestia.words.notes import Cause


class Waiter:
    """A request that is held. It is granted or refused once at most; `asker` is told of it."""

    __slots__ = ("asker", "cause", "deadline", "request_id", "since", "started", "who")

    def __init__(self, asker: Any, request_id: str, *, cause: Cause = "request", who: str = "") -> None:
        self.asker = asker
        self.request_id = request_id
        self.cause = cause
        self.who = who  # the name of its key, for the report
        self.since = 0.0
        self.deadline = 0.0
        self.started = False  # it waited for a start, not only for its turn


class Line:
    """First come, first served. Whoever leaves is out at once, wherever it stands."""

    __slots__ = ("_deadlines", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[Waiter, None] = {}  # keeps its order, and lets one go from its middle
        self._deadlines: list[tuple[float, int, Waiter]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiting)

    def join(self, waiter: Waiter) -> None:
        """At the end."""
        self._waiting[waiter] = None
        heappush(self._deadlines, (waiter.deadline, id(waiter), waiter))

    def first(self) -> Waiter | None:
        return next(iter(self._waiting), None)

    def leave(self, waiter: Waiter) -> bool:
        """Whether it was in the line."""
        if waiter not in self._waiting:
            return False
        del self._waiting[waiter]
        self._shrink()
        return True

    def clear(self) -> list[Waiter]:
        """Everybody leaves, in order."""
        gone = list(self._waiting)
        self._waiting.clear()
        self._deadlines.clear()
        return gone

    @property
    def due(self) -> float | None:
        """When the next one has waited for too long."""
        while self._deadlines and self._deadlines[0][2] not in self._waiting:
            heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else None

    def overdue(self, now: float) -> list[Waiter]:
        """Those who have waited for too long; they are out."""
        late = []
        while (due := self.due) is not None and due <= now:
            waiter = heappop(self._deadlines)[2]
            del self._waiting[waiter]
            late.append(waiter)
        return late

    def _shrink(self) -> None:
        """A storm of clients that come and leave must not leave their deadlines behind."""
        if len(self._deadlines) > 64 + 2 * len(self._waiting):
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self._waiting]
            heapify(self._deadlines)
