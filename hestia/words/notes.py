"""One thing that happened in the life of a service, a machine or the gateway: a log line, a row, an event, a count."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from hestia.words.status import State

Cause = Literal[
    "request",
    "page",
    "command",
    "keep_warm",
    "dependency",
    "idle",
    "room",
    "hold",
    "reload",
    "shutdown",
    "adoption",
    "found",
    "died",
    "failed",
    "watch",
]
"""Why: who woke it, or what ended it."""


class Note(Struct, frozen=True, kw_only=True):
    """`kind` is a name of words/events; `more` holds the further keys that the catalogue lists for it."""

    kind: str
    service: str | None = None
    place: int | None = None
    machine: str | None = None
    state: State | None = None
    cause: Cause | None = None
    request_id: str | None = None
    took_s: float | None = None
    more: dict[str, Any] = {}
