"""The one task that writes. It gathers what waits into transactions, and goes on trying when the disk fails."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
import traceback
from collections.abc import Callable, Coroutine, Sequence
from typing import NamedTuple, Protocol

import aiosqlite

from hestia.fence import Fence
from hestia.store.backlog import Backlog, Op
from hestia.store.connecting import connect
from hestia.store.opening import NewerSchema, Opening
from hestia.store.state import State

BATCH = 1000
DELAYS = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)  # and then the last one again: written well within 10 s of a recovery
SAID_EVERY_S = 60.0

# Mistakes of a row, not of the disk: to try again would be to try for ever.
OF_THE_ROW = (
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
    sqlite3.InterfaceError,
    sqlite3.DataError,
    OverflowError,
    TypeError,
    ValueError,
)


class NoDisk(Exception):
    """The database cannot be used at present; the text says why."""


class Says(Protocol):
    """The log, as far as the store speaks to it."""

    def event(self, name: str, level: str = "info", **fields: object) -> None: ...


class Figures(NamedTuple):
    """How the store is doing, for the metrics."""

    pending: int
    lost: int
    failing: bool
    written: int


class Writer:
    """Owns the writing connection and its thread. `open` once, `close` once; what is put in between never waits."""

    def __init__(
        self,
        opening: Opening,
        log: Says,
        loaded: Callable[[State], None],
        *,
        anew: Callable[[], None] = lambda: None,
        backlog: Backlog | None = None,
        delays: Sequence[float] = DELAYS,
    ) -> None:
        """`loaded` is told what the disk knew, once; `anew`, that another file has taken its place since."""
        self.backlog = Backlog() if backlog is None else backlog
        self.written = 0
        self.reason: str | None = None  # why the disk fails, while it does
        self.failing_since: float | None = None  # by the loop
        self._opening = opening
        self._log = log
        self._loaded: Callable[[State], None] | None = loaded
        self._anew = anew
        self._delays = delays
        self._tries = 0
        self._failing_said = -SAID_EVERY_S
        self._said = False  # that it fails, this time
        self._lost_said_at = -SAID_EVERY_S
        self._lost_said = 0
        self._closed = False
        self._database: aiosqlite.Connection | None = None
        self._fence = Fence(self._mistake)
        self._work = asyncio.Event()
        self._poke = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def figures(self) -> Figures:
        return Figures(len(self.backlog), self.backlog.lost, self.failing_since is not None, self.written)

    async def open(self) -> None:
        """Open the database and begin to write. A disk that fails is said and tried again; NewerSchema is raised."""
        try:
            await self._connect()
        except (sqlite3.Error, OSError) as problem:
            self._failed(problem)
        self._fence.spawn(self._write_for_ever())

    def beside(self, work: Coroutine[None, None, None]) -> None:
        """Run something until the close."""
        self._fence.spawn(work)

    async def close(self, grace: float = 5.0) -> None:
        """Write what waits, for `grace` seconds at most, and end the thread. What is left is counted and said."""
        if self._closed:
            return
        self._closed = True
        self._poke.set()
        try:
            await self.settled(grace)
        finally:
            await self._fence.close()
            await self._disconnect()
            for op in self.backlog.give_up():
                _tell(op, NoDisk(self.reason or "the gateway has closed its database"))
            self._say_lost(at_once=True)

    def put(self, op: Op) -> None:
        """Have it written soon. Never waits.

        An event without room is counted and said. An urgent one always has room, and the disk is tried for it at once,
        even if it has just failed.
        """
        if self._closed:
            self.backlog.lost += 1
            _tell(op, NoDisk("the gateway has closed its database"))
            return
        if not self.backlog.add(op):
            self._say_lost()
            return
        self._idle.clear()
        self._work.set()
        if op.urgent:
            self._poke.set()

    async def settled(self, patience: float) -> bool:
        """Wait until all that was put is on disk; False when it is not by then."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._idle.wait()
        return self._idle.is_set()

    async def _write_for_ever(self) -> None:
        while True:
            if not len(self.backlog) and self.failing_since is None:
                self._work.clear()
                self._idle.set()
                await self._work.wait()
            try:
                await self._write_some()
            except (sqlite3.Error, OSError, NewerSchema) as problem:
                self._failed(problem)
                await self._disconnect()
                await self._pause()
            except Exception as problem:  # noqa: BLE001 -- a door: the writer outlives a mistake of its own
                self._mistake(problem)
                self._failed(problem)
                await self._disconnect()
                await self._pause()

    async def _write_some(self) -> None:
        """One transaction: what it took is on disk afterwards, or waits again."""
        database = self._database or await self._connect()
        if [*await database.execute_fetchall("SELECT taken_away()")] != [(0,)]:
            raise FileNotFoundError(f"{self._opening.path} was taken away while it was in use: a new one is begun")
        most = len(self.backlog.take(BATCH))
        try:
            await self._transaction(database)
        except OF_THE_ROW:
            self.backlog.put_back()
            await self._one_by_one(database, most)
        self._works_again()

    async def _one_by_one(self, database: aiosqlite.Connection, most: int) -> None:
        """One of the next rows is impossible: it is left out, counted and said, and the others are written."""
        for _ in range(most):
            ops = self.backlog.take(1)
            try:
                await self._transaction(database)
            except OF_THE_ROW as problem:
                self.backlog.wrote()
                self.backlog.lost += 1
                self._mistake(problem)
                _tell(ops[0], problem)

    async def _transaction(self, database: aiosqlite.Connection) -> None:
        """Write what was taken. If that fails or is cancelled, nothing of it was written and all of it waits again."""
        ops = self.backlog.take(0)
        changed: list[tuple[asyncio.Future[int], int]] = []
        try:
            await database.execute("BEGIN IMMEDIATE")
            for (sql, _), group in itertools.groupby(ops, key=lambda op: (op.sql, op.done)):
                same = list(group)
                count = (await database.executemany(sql, [op.row for op in same])).rowcount
                if same[0].done is not None:
                    changed.append((same[0].done, count))
            await database.execute("COMMIT")
        except OF_THE_ROW:
            await database.execute("ROLLBACK")
            raise
        except BaseException:
            self.backlog.put_back()
            raise
        self.backlog.wrote()
        self.written += len(ops)
        for done, count in changed:
            if not done.done():
                done.set_result(count)

    async def _connect(self) -> aiosqlite.Connection:
        again = self._loaded is None
        try:
            self._database = await connect(self._opening)
            if again and self._opening.anew:
                self._anew()
            return self._database
        finally:
            for name, level, fields in self._opening.said:
                self._log.event(name, level, **fields)
            self._opening.said.clear()
            if self._opening.state is not None and self._loaded is not None:
                loaded, self._loaded = self._loaded, None
                loaded(self._opening.state)

    async def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            # Closing alone would leave a broken transaction, and its lock, to whoever still holds one of its cursors.
            with contextlib.suppress(sqlite3.Error, ValueError):
                await database.rollback()
            with contextlib.suppress(sqlite3.Error, ValueError):
                await database.close()

    async def _pause(self) -> None:
        """Wait before the next try, for less if something urgent comes."""
        delay = self._delays[min(self._tries, len(self._delays) - 1)]
        self._tries += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._poke.wait()
        self._poke.clear()

    def _failed(self, problem: BaseException) -> None:
        now = asyncio.get_running_loop().time()
        self.failing_since = now if self.failing_since is None else self.failing_since
        self.reason = str(problem) or type(problem).__name__
        self._opening.doubt(problem)
        self._idle.clear()
        if now - self._failing_said >= SAID_EVERY_S:
            self._failing_said, self._said = now, True
            self._log.event("store.failing", "error", detail=self.reason, pending=len(self.backlog))

    def _works_again(self) -> None:
        if self.failing_since is None:
            return
        after_s = round(asyncio.get_running_loop().time() - self.failing_since, 3)
        self.failing_since = self.reason = None
        self._tries = 0
        if self._said:
            self._said = False
            self._log.event("store.recovered", after_s=after_s, pending=len(self.backlog))
        self._say_lost(at_once=True)

    def _say_lost(self, *, at_once: bool = False) -> None:
        now = asyncio.get_running_loop().time()
        lost = self.backlog.lost - self._lost_said
        if lost and (at_once or now - self._lost_said_at >= SAID_EVERY_S):
            self._lost_said_at, self._lost_said = now, self.backlog.lost
            self._log.event("store.lost", "error", lost=lost, detail=self.reason or "the gateway closes its database")

    def _mistake(self, problem: BaseException) -> None:
        trace = "".join(traceback.format_exception(problem))
        self._log.event("internal", "error", message=f"store: {problem}", trace=trace)


def _tell(op: Op, problem: Exception) -> None:
    if op.done is not None and not op.done.done():
        op.done.set_exception(problem)
        op.done.exception()  # seen: nobody need wait for it any more
