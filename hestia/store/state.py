"""What the gateway knows from before: read once, when the database is opened."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

import msgspec

from hestia.words.activity import FOUND_RUNNING
from hestia.words.run import Run

STARTS_REMEMBERED = 10

HeldThing = Literal["service", "machine", "all"]


class StoredKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of the database: never itself, only its hash."""

    name: str
    sha256: str
    services: tuple[str, ...]
    created: float


@dataclass
class State:
    """Kept in memory as it is on disk, or as it will be once the disk can be written."""

    gateway_id: str = ""
    runs: dict[str, Run] = field(default_factory=dict)
    holds: dict[tuple[HeldThing, str], float] = field(default_factory=dict)
    models: dict[str, tuple[str, ...]] = field(default_factory=dict)
    keys: dict[str, StoredKey] = field(default_factory=dict)
    starts: dict[str, deque[float]] = field(default_factory=dict)
    first_seen: dict[tuple[HeldThing, str], float] = field(default_factory=dict)
    last_entry: int = 0
    unreadable: list[str] = field(default_factory=list)  # runs that this version cannot read

    def started(self, service: str, took_s: float) -> None:
        """A start was successful."""
        self.starts.setdefault(service, deque(maxlen=STARTS_REMEMBERED)).append(took_s)

    def expected_start(self, service: str) -> float | None:
        """The median of its last starts."""
        known = self.starts.get(service)
        return median(known) if known else None


def read_state(database: sqlite3.Connection) -> State:
    """Everything but activity and usage. Raises sqlite3.Error where the file cannot be read."""
    state = State()
    for name, value in database.execute("SELECT name, value FROM gateway"):
        if name == "id":
            state.gateway_id = value
    for id_, text in database.execute("SELECT run_id, run FROM places WHERE run_id IS NOT NULL ORDER BY rowid"):
        _add_run(state, id_, text)
    for of, id_, until in database.execute("SELECT of, id, until FROM holds"):
        state.holds[of, id_] = math.inf if until is None else until
    for service, names in database.execute("SELECT service, names FROM models"):
        state.models[service] = tuple(json.loads(names))
    for name, sha256, services, created in database.execute("SELECT name, sha256, services, created FROM keys"):
        state.keys[name] = StoredKey(name=name, sha256=sha256, services=tuple(json.loads(services)), created=created)
    _add_seen(state, database)
    (state.last_entry,) = database.execute("SELECT coalesce(max(id), 0) FROM activity").fetchone()
    return state


def _add_run(state: State, id_: str, text: str) -> None:
    try:
        state.runs[id_] = msgspec.json.decode(text, type=Run)
    except (msgspec.DecodeError, UnicodeError):
        state.unreadable.append(id_)


def _add_seen(state: State, database: sqlite3.Connection) -> None:
    for of, id_, first_seen in database.execute(
        "SELECT 'service', id, first_seen FROM services UNION ALL SELECT 'machine', id, first_seen FROM machines"
    ):
        state.first_seen[of, id_] = first_seen / 1000
        if of == "service":
            for took_s in reversed(_last_starts(database, id_)):
                state.started(id_, took_s)


def _last_starts(database: sqlite3.Connection, service: str) -> list[float]:
    # One short walk along an index for each service: over all services at once it would read every start there was.
    rows: Iterable[tuple[float]] = database.execute(
        "SELECT took_s FROM activity WHERE service = ? AND kind = 'service.ready' AND took_s IS NOT NULL"
        " AND coalesce(cause, '') NOT IN (?, ?) ORDER BY ts DESC LIMIT ?",
        (service, *FOUND_RUNNING, STARTS_REMEMBERED),
    )
    return [took_s for (took_s,) in rows]
