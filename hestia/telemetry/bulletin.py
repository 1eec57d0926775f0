"""What happens is told here once, and goes from here to the log, the database, the counts, and whoever listens."""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from hestia.telemetry.tally import finer
from hestia.words.activity import FOUND_RUNNING, Entry, entry_of, rfc3339
from hestia.words.events import EVENTS
from hestia.words.notes import Note

REMEMBERED = 1000  # entries that a listener who comes back can have again
WAITING = 1000  # entries that wait for one slow listener, before it loses the oldest
START_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0)
START_MARKS = finer(START_BOUNDS)


class EventLog(Protocol):
    """The log, as far as the bulletin speaks to it."""

    def event(self, name: str, level: str = "info", **fields: object) -> None: ...


class Missed(NamedTuple):
    """In a listener's stream: here entries are missing. `entries` is None where nobody knows how many."""

    entries: int | None


class Counts:
    """What was counted of one service since the gateway began."""

    def __init__(self) -> None:
        self.starts: dict[tuple[str, str], int] = {}  # (machine, outcome: ready or failed) -> how many
        self.start_seconds = [0] * (len(START_MARKS) + 1)  # one more than the marks: slower than all of them
        self.start_seconds_sum = 0.0
        self.idle_stops = 0
        self._hot_seconds = 0.0
        self._hot_since: float | None = None

    def hot_seconds(self, now: float) -> float:
        """How long it was hot until now (by the clock that the bulletin was given)."""
        return self._hot_seconds + (now - self._hot_since if self._hot_since is not None else 0.0)

    def add(self, note: Note, now: float) -> None:
        if note.kind == "service.ready" and note.cause not in FOUND_RUNNING:
            self._started(note.machine or "", "ready")
            if note.took_s is not None:
                self.start_seconds[bisect_left(START_MARKS, note.took_s)] += 1
                self.start_seconds_sum += note.took_s
        elif note.kind == "service.start_failed":
            self._started(note.machine or "", "failed")
        elif note.kind == "service.stopped" and note.cause == "idle":
            self.idle_stops += 1
        if note.state is not None and note.kind.startswith("service."):
            self._hot_seconds = self.hot_seconds(now)
            self._hot_since = now if note.state == "hot" else None

    def _started(self, machine: str, outcome: str) -> None:
        self.starts[machine, outcome] = self.starts.get((machine, outcome), 0) + 1


class Subscription:
    """One listener's stream: `async for` gives an Entry or a Missed, and waits for what comes. Ends with `close`.

    A slow listener holds WAITING entries at most; then it loses the oldest, and reads a Missed in their place.
    """

    def __init__(self, close: Callable[[Subscription], None], waiting: int = WAITING) -> None:
        self._waiting: deque[Entry] = deque()
        self._most = waiting
        self._missed: int | None = 0
        self._wake = asyncio.Event()
        self._close = close
        self._closed = False

    def begin(self, entries: list[Entry], *, gap: bool) -> None:
        """What it missed while it was away. gap: there was more than this."""
        self._missed = None if gap else 0
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Never waits."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
            if self._missed is not None:
                self._missed += 1
        self._waiting.append(entry)
        self._wake.set()

    def close(self) -> None:
        """The stream ends, also for one who waits for it."""
        self._closed = True
        self._wake.set()
        self._close(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry | Missed:
        while True:
            if self._missed != 0:
                missed, self._missed = self._missed, 0
                return Missed(missed)
            if self._closed:
                raise StopAsyncIteration
            if self._waiting:
                return self._waiting.popleft()
            self._wake.clear()
            await self._wake.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Bulletin:
    """`tell` takes a note from anybody in the loop's thread: it never waits and never raises."""

    def __init__(
        self,
        log: EventLog,
        keep: Callable[[Entry, float], None],
        *,
        last_entry: int = 0,
        wall: Callable[[], float] = time.time,
        now: Callable[[], float] = time.monotonic,
        remembered: int = REMEMBERED,
    ) -> None:
        """`keep` takes an entry and its time for the database; `last_entry` is the highest id of earlier lives."""
        self.counts: dict[str, Counts] = {}
        self._log = log
        self._keep = keep
        self._last = last_entry
        self._horizon: int | None = None  # the first entry told here, or the last one that is forgotten
        self._wall = wall
        self._now = now
        self._ring: deque[Entry] = deque(maxlen=remembered)
        self._listeners: set[Subscription] = set()

    def tell(self, note: Note) -> None:
        """It happened. Each of those who hear of it is fenced from the others' mistakes, and the teller from all."""
        at = round(self._wall(), 3)
        # The clock in microseconds: ids go on growing after a restart whose database could not be read.
        self._last = max(self._last + 1, int(at * 1e6))
        if self._horizon is None:
            self._horizon = self._last
        entry = entry_of(note, self._last, rfc3339(at))
        self._fenced(self._write_line, entry)
        self._fenced(self._keep, entry, at)
        self._fenced(self._count, note)
        self._fenced(self._pass_on, entry)

    def go_on_after(self, last_entry: int) -> None:
        """What earlier lives wrote is known now: ids go on growing from there, whatever the clock says."""
        self._last = max(self._last, last_entry)

    def subscribe(self, last_event_id: str | None = None) -> Subscription:
        """What happens from now on, after what came since `last_event_id`. It must be closed: use it in `with`."""
        subscription = Subscription(self._listeners.discard)
        if last_event_id is not None:
            entries, gap = self._since(last_event_id)
            subscription.begin(entries, gap=gap)
        self._listeners.add(subscription)
        return subscription

    def close(self) -> None:
        """Ends every stream: the gateway is leaving."""
        for subscription in tuple(self._listeners):
            subscription.close()

    def hot_seconds(self, service: str) -> float:
        counts = self.counts.get(service)
        return counts.hot_seconds(self._now()) if counts is not None else 0.0

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    def _since(self, last_event_id: str) -> tuple[list[Entry], bool]:
        """What came after an id, and whether there was more than what is remembered."""
        seen = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 20 else -1  # noqa: PLR2004
        # From before this gateway began, or before what is remembered: what lies between is not known here.
        known = self._horizon is not None and self._horizon <= seen <= self._last
        return [entry for entry in self._ring if entry.id > seen], not known

    def _fenced(self, hear: Callable[..., None], *what: Any) -> None:
        try:
            hear(*what)
        except Exception as problem:  # noqa: BLE001 -- a door: whoever tells must not fail because somebody cannot hear
            self._say(problem)

    def _say(self, problem: Exception) -> None:
        trace = "".join(traceback.format_exception(problem))
        with contextlib.suppress(Exception):  # the log itself may be what fails
            self._log.event("internal", "error", message=f"bulletin: {problem}", trace=trace)

    def _write_line(self, entry: Entry) -> None:
        fields = {
            "service": entry.service,
            "place": entry.place,
            "machine": entry.machine,
            "state": entry.state,
            "cause": entry.cause,
            "request_id": entry.request_id,
            "took_s": entry.took_s,
            **entry.more,
        }
        kind = EVENTS.get(entry.kind)
        level = "info" if kind is None else kind.level
        self._log.event(entry.kind, level, **{key: value for key, value in fields.items() if value is not None})

    def _count(self, note: Note) -> None:
        if note.service is not None:
            self.counts.setdefault(note.service, Counts()).add(note, self._now())

    def _pass_on(self, entry: Entry) -> None:
        if len(self._ring) == self._ring.maxlen:
            self._horizon = self._ring[0].id
        self._ring.append(entry)
        for subscription in self._listeners:
            subscription.add(entry)
