"""What the gateway keeps: told to the writer at once, remembered here, and on disk as soon as the disk takes it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import math
import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec.structs import replace

from hestia.store import loaded
from hestia.store.backlog import Backlog, Op
from hestia.store.copying import copy_to_new
from hestia.store.opening import Migrations, Opening
from hestia.store.schema import MIGRATIONS
from hestia.store.state import HeldThing, State, StoredKey
from hestia.store.writer import DELAYS, Figures, NoDisk, Says, Writer
from hestia.words.activity import FOUND_RUNNING, Entry, Usage
from hestia.words.run import Run
from hestia.words.spec import Config

if TYPE_CHECKING:
    from hestia.ports import Record

PATIENCE_S = 1.0  # a start waits so long for a disk that fails
CERTAIN_S = 5.0  # a command whose effect must outlive the gateway waits so long, and then fails
PRUNED_AT_ONCE = 1000  # rows of one transaction, so that nobody waits behind a retention
PRUNED_EVERY_S = 3600.0
FIRST_PRUNED_S = 60.0

_RUN = (
    "INSERT INTO places (of, owner, number, machine, base_url, run_id, run) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (run_id) DO UPDATE SET machine = excluded.machine, base_url = excluded.base_url, run = excluded.run"
)
# An id that is taken (the clock was set back while the database could not be read) is given anew: no event is lost.
_ENTRY = (
    "INSERT INTO activity VALUES (CASE WHEN EXISTS (SELECT 1 FROM activity WHERE id = ?) THEN NULL ELSE ? END,"
    " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_USAGE = (
    "INSERT INTO usage (service, place, minute, requests, errors, bytes_in, bytes_out, seconds)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (minute, service, place) DO UPDATE SET"
    " requests = requests + excluded.requests, errors = errors + excluded.errors,"
    " bytes_in = bytes_in + excluded.bytes_in, bytes_out = bytes_out + excluded.bytes_out,"
    " seconds = seconds + excluded.seconds"
)


class Store:
    """The database of one gateway. Open before anything is adopted, close after everything is stopped."""

    def __init__(
        self,
        path: Path,
        log: Says,
        *,
        wall: Callable[[], float] = time.time,
        retention: float = 90 * 86400.0,
        migrations: Migrations = MIGRATIONS,
        step: Callable[[str], None] | None = None,
        delays: Sequence[float] = DELAYS,
        backlog: Backlog | None = None,
    ) -> None:
        self.path = path
        self.retention = retention  # a reload may change it
        self.life = int(wall() * 1000)
        self._wall = wall
        self._log = log
        self._state = State()
        self._config: Config | None = None
        opening = Opening(path, migrations, step)
        self._writer = Writer(opening, log, self._know, anew=self._tell_again, backlog=backlog, delays=delays)

    async def open(self) -> None:
        """Read what is known and begin to write. Raises NewerSchema; a disk that fails is only said and tried again."""
        await self._writer.open()
        if not self._state.gateway_id:
            self._state.gateway_id = secrets.token_hex(8)
            self._put("INSERT OR IGNORE INTO gateway VALUES ('id', ?)", self._state.gateway_id)
        self._writer.beside(self._prune_for_ever())

    async def close(self, grace: float = 5.0) -> None:
        """Write what waits, for so long at most, and end the thread: without it the process would never exit."""
        await self._writer.close(grace)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def figures(self) -> Figures:
        return self._writer.figures

    @property
    def failing(self) -> str | None:
        """Why nothing can be written at present; None when all is well."""
        return self._writer.reason

    @property
    def gateway_id(self) -> str:
        return self._state.gateway_id

    @property
    def last_entry(self) -> int:
        """The highest id of an activity entry of earlier lives; 0 when there is none, or it is not known."""
        return self._state.last_entry

    async def settled(self, patience: float = 0.5) -> bool:
        """Wait until all that was told is on disk; at once while the disk fails."""
        return self._writer.reason is None and await self._writer.settled(patience)

    # What runs

    def runs(self) -> tuple[Run, ...]:
        """What was begun and never forgotten, oldest first."""
        return tuple(self._state.runs.values())

    async def record_run(self, run: Run) -> None:
        """Returns when the run is on disk; with a disk that fails after a second, and the log says what that means.

        Cancelled, it is written all the same: whoever stops the run forgets it afterwards.
        """
        self._state.runs[run.id] = run
        if not await self._written(_RUN, *_row_of_run(run)):
            self._log.event(
                "store.unrecorded", "error", **{run.of: run.owner}, place=run.number, detail=self.failing or "slow disk"
            )

    def record(self, run: Run) -> Record:
        """What a launcher is given to write its handle down."""

        async def record(handle: dict[str, Any]) -> None:
            await self.record_run(replace(self._state.runs.get(run.id, run), handle=handle))

        return record

    async def forget_run(self, run_id: str) -> None:
        """What ran is gone. Returns when that is on disk, or after a second."""
        if self._state.runs.pop(run_id, None) is not None:
            await self._written("DELETE FROM places WHERE run_id = ?", run_id)

    # What the operator holds

    def holds(self) -> dict[tuple[HeldThing, str], float]:
        """(service, machine or all; its id) -> until when by the calendar, inf for ever. What is over is left out."""
        now = self._wall()
        return {key: until for key, until in self._state.holds.items() if until > now}

    def hold(self, of: HeldThing, id_: str, until: float = math.inf) -> None:
        self._state.holds[of, id_] = until
        self._put("INSERT OR REPLACE INTO holds VALUES (?, ?, ?)", of, id_, None if math.isinf(until) else until)

    def release(self, of: HeldThing, id_: str = "") -> None:
        if self._state.holds.pop((of, id_), None) is not None:
            self._put("DELETE FROM holds WHERE of = ? AND id = ?", of, id_)

    # What is learnt

    def models(self) -> dict[str, tuple[str, ...]]:
        """Service -> the names that its last list had."""
        return dict(self._state.models)

    def keep_models(self, service: str, names: Iterable[str]) -> None:
        listed = tuple(names)
        if self._state.models.get(service) != listed:
            self._state.models[service] = listed
            self._put("INSERT OR REPLACE INTO models VALUES (?, ?)", service, json.dumps(listed))

    def expected_start(self, service: str) -> float | None:
        """How long a start takes: the median of the last ten; None when it was never seen to start."""
        return self._state.expected_start(service)

    def first_seen(self) -> dict[tuple[HeldThing, str], float]:
        """(service or machine, id) -> since when it is configured, by the calendar."""
        return dict(self._state.first_seen)

    def loaded(self, config: Config) -> None:
        """Services, machines, places and routes as they are configured from now on."""
        now, self._config = self._wall(), config
        configured: list[tuple[HeldThing, str]] = [
            *(("service", id_) for id_ in config.services),
            *(("machine", id_) for id_ in config.machines),
        ]
        seen = self._state.first_seen
        self._state.first_seen = {key: seen.get(key, now) for key in configured}
        for sql, row in loaded.statements(config, int(now * 1000)):
            self._put(sql, *row)

    # What happened

    def add(self, entry: Entry, at: float) -> None:
        """Keep an entry of the activity; `at` is its time by the calendar. Never waits and never raises."""
        started = entry.kind == "service.ready" and entry.cause not in FOUND_RUNNING
        if started and entry.service is not None and entry.took_s is not None:
            self._state.started(entry.service, entry.took_s)
        self._writer.put(Op(_ENTRY, _row_of(entry, round(at * 1000), self.life)))

    def add_usage(self, rows: Iterable[Usage]) -> None:
        """Add to the minutes that the rows name."""
        for row in rows:
            self._writer.put(Op(_USAGE, msgspec.structs.astuple(row)))

    async def prune(self) -> int:
        """Delete what is older than the retention, in small transactions. Returns how many rows that were."""
        before = self._wall() - self.retention
        return await self._prune("activity", "id", "ts", int(before * 1000)) + await self._prune(
            "usage", "minute", "minute", int(before // 60)
        )

    async def _prune(self, table: str, key: str, by: str, before: int) -> int:
        sql = f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {by} < ? ORDER BY {by} LIMIT ?)"  # noqa: S608 -- our own words
        total = 0
        while True:
            done = asyncio.get_running_loop().create_future()
            self._writer.put(Op(sql, (before, PRUNED_AT_ONCE), done, urgent=True))
            deleted: int = await done
            total += deleted
            if deleted < PRUNED_AT_ONCE:
                return total

    async def _prune_for_ever(self) -> None:
        await asyncio.sleep(FIRST_PRUNED_S)
        while True:
            with contextlib.suppress(NoDisk):
                await self.prune()
            await asyncio.sleep(PRUNED_EVERY_S)

    # Keys

    def keys(self) -> tuple[StoredKey, ...]:
        return tuple(sorted(self._state.keys.values(), key=lambda key: key.name))

    async def create_key(self, name: str, services: Sequence[str] = ("*",)) -> str:
        """A new key, which is shown this once. Raises KeyError where the name is taken, NoDisk if it cannot be kept."""
        if name in self._state.keys:
            raise KeyError(name)
        secret = f"hestia_{secrets.token_urlsafe(32)}"
        sha256 = hashlib.sha256(secret.encode()).hexdigest()
        key = StoredKey(name=name, sha256=sha256, services=tuple(services), created=self._wall())
        self._state.keys[name] = key
        try:
            row = (name, sha256, json.dumps(list(services)), key.created)
            await self._certainly("INSERT INTO keys VALUES (?, ?, ?, ?)", *row)
        except BaseException:
            del self._state.keys[name]
            self._put("DELETE FROM keys WHERE sha256 = ?", sha256)
            raise
        return secret

    async def revoke_key(self, name: str) -> bool:
        """From now on it opens nothing. False: there is no such key. NoDisk: a restart now would bring it back."""
        if self._state.keys.pop(name, None) is None:
            return False
        if not await self._written("DELETE FROM keys WHERE name = ?", name):
            why = self.failing or "it is slow"
            raise NoDisk(f"the key opens nothing now, but its deletion still waits for the disk: {why}")
        return True

    async def backup(self, target: Path) -> None:
        """A whole copy, while everything goes on. Raises FileExistsError, OSError, NoDisk or sqlite3.Error."""
        if not await self._writer.settled(CERTAIN_S):
            raise NoDisk(f"not everything is on disk yet: {self.failing or 'the disk is slow'}")
        await asyncio.to_thread(copy_to_new, self.path, target)

    # How it is told to the writer

    def _know(self, state: State) -> None:
        """What the disk knew. It may be readable only after a while: what was learnt since goes first."""
        for id_ in state.unreadable:
            self._log.event("store.unreadable_run", "error", run=id_)
        mine, self._state = self._state, state
        state.gateway_id = mine.gateway_id or state.gateway_id
        state.runs.update(mine.runs)
        state.holds.update(mine.holds)
        state.models.update(mine.models)
        state.keys.update(mine.keys)
        for key, first in mine.first_seen.items():
            state.first_seen.setdefault(key, first)
        for service, starts in mine.starts.items():
            for took_s in starts:
                state.started(service, took_s)

    def _tell_again(self) -> None:
        """Another file stands where the one stood that knew: what the next gateway depends on is written into it."""
        state = self._state
        self._put("INSERT OR REPLACE INTO gateway VALUES ('id', ?)", state.gateway_id)
        for run in state.runs.values():
            self._put(_RUN, *_row_of_run(run))
        for (of, id_), until in state.holds.items():
            self.hold(of, id_, until)
        for service, names in state.models.items():
            self._put("INSERT OR REPLACE INTO models VALUES (?, ?)", service, json.dumps(names))
        for key in state.keys.values():
            row = (key.name, key.sha256, json.dumps(list(key.services)), key.created)
            self._put("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)", *row)
        if self._config is not None:
            self.loaded(self._config)

    def _put(self, sql: str, *row: Any) -> None:
        self._writer.put(Op(sql, row, urgent=True))

    async def _written(self, sql: str, *row: Any) -> bool:
        """True when it is on disk; False when the disk did not take it in time, and it is still to be written."""
        done = asyncio.get_running_loop().create_future()
        self._writer.put(Op(sql, row, done, urgent=True))
        try:
            async with asyncio.timeout(self._patience()):
                await asyncio.shield(done)
        except (TimeoutError, NoDisk):
            return False
        return True

    def _patience(self) -> float:
        """One second after the disk began to fail nobody waits any longer than for one more try."""
        since = self._writer.failing_since
        if since is None:
            return PATIENCE_S
        return max(0.1, PATIENCE_S - (asyncio.get_running_loop().time() - since))

    async def _certainly(self, sql: str, *row: Any) -> None:
        """On disk, or else NoDisk and it will not be written."""
        done = asyncio.get_running_loop().create_future()
        self._writer.put(Op(sql, row, done, urgent=True))
        try:
            async with asyncio.timeout(CERTAIN_S):
                await done
        except TimeoutError:
            raise NoDisk(self.failing or "the disk is slow") from None


def _row_of_run(run: Run) -> tuple[Any, ...]:
    return run.of, run.owner, run.number, run.machine, run.base_url, run.id, msgspec.json.encode(run).decode()


def _row_of(entry: Entry, at_ms: int, life: int) -> tuple[Any, ...]:
    # Escaped and with a word for everything: a row that cannot be written would be an event lost.
    more = json.dumps(entry.more, default=str, skipkeys=True) if entry.more else None
    return (
        entry.id,
        entry.id,
        at_ms,
        life,
        entry.kind,
        entry.service,
        entry.place,
        entry.machine,
        entry.state,
        entry.cause,
        entry.request_id,
        entry.took_s,
        more,
    )
