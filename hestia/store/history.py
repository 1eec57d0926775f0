"""What the report is made from, read in one go. For a thread of its own: a year of it takes a second."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hestia.rules.report import Moment
from hestia.store.opening import read_only
from hestia.store.state import HeldThing

_MOMENT = "SELECT ts, life, kind, service, machine, state, cause, more FROM activity"
_LAST = {
    "service": f"{_MOMENT} WHERE service = ? AND state IS NOT NULL AND kind LIKE 'service.%' AND ts < ?",
    "machine": f"{_MOMENT} WHERE service IS NULL AND machine = ? AND state IS NOT NULL AND ts < ?",
}


def history(path: Path, since: float, until: float, things: Iterable[tuple[HeldThing, str]]) -> list[Moment]:
    """Oldest first: the time itself, and before it the last that was known of each of `things` and of the gateway.

    `things` are (service or machine, id). Raises sqlite3.Error or OSError.
    """
    start, end = round(since * 1000), round(until * 1000)
    with contextlib.closing(read_only(path, "mode=ro")) as database:
        before: set[Any] = set()
        for of, id_ in things:
            before.update(database.execute(f"{_LAST[of]} ORDER BY ts DESC, id DESC LIMIT 1", (id_, start)))
        before.update(database.execute(f"{_MOMENT} WHERE ts < ? ORDER BY ts DESC, id DESC LIMIT 1", (start,)))
        inside = database.execute(f"{_MOMENT} WHERE ts >= ? AND ts < ? ORDER BY ts, id", (start, end))
        return [_moment(row) for rows in (sorted(before, key=lambda row: row[0]), inside) for row in rows]


def _moment(row: Any) -> Moment:
    ts, life, kind, service, machine, state, cause, more = row
    return Moment(
        at=ts / 1000,
        life=life,
        kind=kind,
        service=service,
        machine=machine,
        state=state,
        cause=cause,
        more=json.loads(more) if more else {},
    )
