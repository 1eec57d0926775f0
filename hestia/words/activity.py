"""What we answer about what happened: the activity, and the report that is made from it.

Fields are only added, never renamed: scripts read them. Times are RFC 3339 in UTC, durations are seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from hestia.words.notes import Cause, Note
from hestia.words.status import State

FOUND_RUNNING: tuple[Cause, ...] = ("adoption", "found")
"""Causes of a readiness that was no start: it ran already."""


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that happened: a row of the activity and the data of a server-sent event.

    `id` grows from entry to entry, also over restarts. `more` holds what words/events lists for the kind.
    """

    id: int
    ts: str
    kind: str
    service: str | None = None
    place: int | None = None
    machine: str | None = None
    state: State | None = None
    cause: Cause | None = None
    request_id: str | None = None
    took_s: float | None = None
    more: dict[str, Any] = {}


class Activity(Struct, frozen=True, kw_only=True):
    """One page, newest first. `next` is the cursor of the page after it."""

    activity: tuple[Entry, ...]
    next: str | None = None


class Usage(Struct, frozen=True, kw_only=True):
    """What went through one place in one minute (counted from 1970), or in all the time that was asked for."""

    service: str
    place: int = 0
    minute: int = 0
    requests: int = 0
    errors: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0


class Woke(Struct, frozen=True, kw_only=True):
    """Who woke something, and how often."""

    who: str
    starts: int


class Kept(Struct, frozen=True, kw_only=True):
    """Who kept something awake, and for how long."""

    who: str
    hours: float


class ServiceReport(Struct, frozen=True, kw_only=True):
    """One service. What only holds for one that Hestia may stop is null for one that it watches."""

    id: str
    hours_hot: float
    hours_asleep: float | None
    requests: int
    starts: int
    woken_by: tuple[Woke, ...] = ()
    kept_awake_by: tuple[Kept, ...] = ()
    cost: float | None = None
    saving: float | None = None


class MachineReport(Struct, frozen=True, kw_only=True):
    """One machine: `hours_hot` are those in which it was awake, `requests` those of the services that ran on it."""

    id: str
    hours_hot: float
    hours_asleep: float | None
    requests: int
    starts: int
    woken_by: tuple[Woke, ...] = ()
    kept_awake_by: tuple[Kept, ...] = ()
    cost: float | None = None
    saving: float | None = None


class Report(Struct, frozen=True, kw_only=True):
    """Hours, costs and savings from `since` to `until`."""

    since: str
    until: str
    services: tuple[ServiceReport, ...]
    machines: tuple[MachineReport, ...]
    cost: float | None = None
    saving: float | None = None


def rfc3339(at: float) -> str:
    """Seconds by the calendar, as every answer says them."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entry_of(note: Note, number: int, ts: str) -> Entry:
    """The note as people and programs see it, once it has its number and its time."""
    return Entry(
        id=number,
        ts=ts,
        kind=note.kind,
        service=note.service,
        place=note.place,
        machine=note.machine,
        state=note.state,
        cause=note.cause,
        request_id=note.request_id,
        took_s=note.took_s,
        more=note.more,
    )
