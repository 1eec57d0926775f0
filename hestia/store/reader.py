"""Reading what happened, over connections that never write.

Each answer opens a connection of its own and closes it (about a millisecond): so none holds on to a file that was set
aside, and none keeps the writer's log from being cut short.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from msgspec import Struct

from hestia.rules.report import Thing, report
from hestia.store.connecting import connected
from hestia.store.history import history
from hestia.store.opening import read_only
from hestia.store.state import HeldThing
from hestia.store.writer import NoDisk
from hestia.words.activity import Activity, Entry, Report, Usage, rfc3339

LIMIT, MOST = 100, 1000
CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_ENTRIES = "SELECT id, ts, kind, service, place, machine, state, cause, request_id, took_s, more FROM activity"
_SUMS = (
    "SELECT service, place, min(minute), sum(requests), sum(errors), sum(bytes_in), sum(bytes_out), sum(seconds)"
    " FROM usage"
)


class Wanted(Struct, frozen=True, kw_only=True):
    """Which entries. Times are seconds by the calendar: from `since` on, before `until`."""

    service: str | None = None
    kind: str | None = None
    since: float | None = None
    until: float | None = None
    limit: int = LIMIT
    cursor: str | None = None


class Reader:
    """Answers from the database. `settle` is awaited first, so that what was just told is found."""

    def __init__(self, path: Path, settle: Callable[[], Awaitable[object]]) -> None:
        self._path = path
        self._settle = settle

    async def activity(self, wanted: Wanted) -> Activity:
        """One page, newest first; a page stays what it is while new entries come.

        Raises ValueError where the limit or the cursor is impossible, and NoDisk.
        """
        sql, row = _page(wanted)
        found = await self._rows(sql, row)
        page = found[: wanted.limit]
        more = len(found) > wanted.limit
        return Activity(
            activity=tuple(_entry(*row) for row in page), next=f"{page[-1][1]}-{page[-1][0]}" if more else None
        )

    async def usage(self, since: float | None = None, until: float | None = None) -> tuple[Usage, ...]:
        """What went through each place in all minutes that lie in the time, and those that it cuts. Raises NoDisk."""
        first = None if since is None else int(since // 60)
        end = None if until is None else -int(-until // 60)
        where, row = _between("minute", first, end)
        rows = await self._rows(f"{_SUMS}{where} GROUP BY service, place ORDER BY service, place", row)
        return tuple(Usage(**dict(zip(Usage.__struct_fields__, row, strict=True))) for row in rows)

    async def report(
        self,
        services: Sequence[Thing],
        machines: Sequence[Thing],
        *,
        since: float,
        until: float,
        now: float,
        life: int,
        using: Mapping[str, Mapping[str, float]],
    ) -> Report:
        """Made in a thread: over much activity it takes a second (see rules/report). Raises NoDisk."""
        used = await self.usage(since, until)
        things: list[tuple[HeldThing, str]] = [
            *(("service", each.id) for each in services),
            *(("machine", each.id) for each in machines),
        ]

        def made() -> Report:
            found = history(self._path, since, until, things)
            return report(found, used, services, machines, since=since, until=until, now=now, life=life, using=using)

        try:
            return await asyncio.to_thread(made)
        except (sqlite3.Error, OSError) as problem:
            raise NoDisk(str(problem)) from problem

    async def _rows(self, sql: str, row: Sequence[Any]) -> list[Any]:
        await self._settle()
        async with self._reading() as database:
            return list(await database.execute_fetchall(sql, row))

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[aiosqlite.Connection]:
        try:
            async with connected(lambda: read_only(self._path, "mode=ro")) as database:
                yield database
        except (sqlite3.Error, OSError) as problem:
            raise NoDisk(str(problem)) from problem


def _page(wanted: Wanted) -> tuple[str, list[Any]]:
    if not 1 <= wanted.limit <= MOST:
        raise ValueError(f"limit is between 1 and {MOST}")
    where, row = _between("ts", _ms(wanted.since), _ms(wanted.until))
    conditions = [where.removeprefix(" WHERE ")] if where else []
    for column, value in (("service", wanted.service), ("kind", wanted.kind)):
        if value is not None:
            conditions.append(f"{column} = ?")
            row.append(value)
    if wanted.cursor is not None:
        # The first half lets the index begin at the cursor; the second makes it exact among entries of one moment.
        conditions.append("ts <= ? AND (ts < ? OR id < ?)")
        ts, id_ = _place_of(wanted.cursor)
        row += [ts, ts, id_]
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    # One more than wanted tells whether there is a next page.
    return f"{_ENTRIES}{where} ORDER BY ts DESC, id DESC LIMIT ?", [*row, wanted.limit + 1]


def _place_of(cursor: str) -> tuple[int, int]:
    found = CURSOR.fullmatch(cursor)
    if found is None:
        raise ValueError("cursor is none that an earlier page gave")
    return int(found[1]), int(found[2])


def _between(column: str, since: int | None, until: int | None) -> tuple[str, list[Any]]:
    bounds = [(f"{column} >= ?", since), (f"{column} < ?", until)]
    named = [(words, value) for words, value in bounds if value is not None]
    where = " AND ".join(words for words, _ in named)
    return f" WHERE {where}" if where else "", [value for _, value in named]


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _entry(
    id_: int,
    ts: int,
    kind: str,
    service: str | None,
    place: int | None,
    machine: str | None,
    state: Any,
    cause: Any,
    request_id: str | None,
    took_s: float | None,
    more: str | None,
) -> Entry:
    return Entry(
        id=id_,
        ts=rfc3339(ts / 1000),
        kind=kind,
        service=service,
        place=place,
        machine=machine,
        state=state,
        cause=cause,
        request_id=request_id,
        took_s=took_s,
        more=json.loads(more) if more else {},
    )
