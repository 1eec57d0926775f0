"""The event catalogue: every `event` that a log line can carry, and what it says.

docs/events.md is made from this table, and a test compares it with the names that the code writes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Level = Literal["debug", "info", "warning", "error"]


class Kind(NamedTuple):
    level: Level
    says: str
    keys: tuple[str, ...] = ()


EVENTS: dict[str, Kind] = {
    "gateway.started": Kind("info", "The gateway listens.", ("version", "listen", "services", "config", "loop")),
    "gateway.stopping": Kind(
        "info", "It stops accepting and lets running exchanges finish.", ("signal", "grace_s", "connections", "leases")
    ),
    "gateway.stopped": Kind("info", "It has closed everything.", ("unfinished",)),
    "gateway.warning": Kind("warning", "Something about the set-up that the operator should know.", ("detail",)),
    "gateway.accept_failed": Kind(
        "error",
        "New connections cannot be accepted, for example without file descriptors; at most one line a second.",
        ("detail", "repeated"),
    ),
    "config.reload_unsupported": Kind("warning", "SIGHUP came: this version reads its configuration at start only."),
    "request": Kind(
        "info",
        "The access line: one exchange is over. `outcome` is ok, client_left, broken or an error code.",
        (
            "service",
            "method",
            "path",
            "status",
            "client",
            "request_id",
            "duration_ms",
            "overhead_ms",
            "bytes_in",
            "bytes_out",
            "outcome",
        ),
    ),
    "request.malformed": Kind(
        "info", "Bytes on an own page's connection were no HTTP request.", ("client", "request_id", "reason")
    ),
    "internal": Kind("error", "A mistake in Hestia itself, with its trace.", ("request_id", "message", "trace")),
    "log.dropped": Kind("warning", "Standard error took no lines for a while; so many were dropped.", ("lines",)),
    "library.message": Kind(
        "warning", "A library or the event loop reported something, cut to one line.", ("logger", "message")
    ),
}


def as_markdown() -> str:
    """The catalogue as a page of the docs."""
    rows = [
        f"| `{name}` | {kind.level} | {kind.says} | {', '.join(f'`{key}`' for key in kind.keys)} |"
        for name, kind in EVENTS.items()
    ]
    return "\n".join([_HEAD, *rows, ""])


_HEAD = """# Events

One JSON object a line on standard error. Every line has `ts`, `level` and `event`; the table says what else.
With `log.format: console` the same fields stand on a readable line.

| event | level | says | keys |
| --- | --- | --- | --- |"""
