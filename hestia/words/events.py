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
    "service.starting": Kind(
        "info", "A start begins. `request_id` is that of the request that caused it.", ("cause", "request_id", "who")
    ),
    "service.dropped": Kind(
        "info", "A start that still waited for room ended: nobody wanted it any more.", ("place", "machine", "cause")
    ),
    "service.ready": Kind(
        "info",
        "It is hot: requests go on. `took_s` since the start began; with the cause found it ran already.",
        ("place", "machine", "cause", "request_id", "took_s", "managed"),
    ),
    "service.start_failed": Kind(
        "error",
        "Every attempt at every place failed; the last one at this place.",
        ("place", "machine", "cause", "request_id", "took_s", "reason"),
    ),
    "service.idle": Kind("info", "It was not used for its idle time, and is stopped.", ("cause", "idle_s")),
    "service.busy": Kind(
        "info", "It said that it works without a request, so it is not stopped now.", ("place", "machine", "cause")
    ),
    "service.held": Kind("info", "The operator keeps it cold.", ("cause", "until")),
    "service.stopped": Kind(
        "info", "It is cold. The cause says why it was stopped.", ("place", "machine", "cause", "kept_by")
    ),
    "service.died": Kind(
        "warning", "It ended by itself, or its check failed twice.", ("place", "machine", "cause", "reason", "kept_by")
    ),
    "place.retry": Kind(
        "warning",
        "An attempt failed; the next one follows after `delay_s`.",
        ("place", "machine", "reason", "attempt", "delay_s"),
    ),
    "place.fallback": Kind("warning", "The next place is tried.", ("place", "machine", "reason", "to")),
    "place.not_ready": Kind(
        "info", "It was ready and refused a connection at once: it is probed again.", ("place", "machine", "reason")
    ),
    "place.adopted": Kind(
        "info", "What an earlier gateway launched still runs, and is taken over.", ("place", "machine", "cause")
    ),
    "place.left_over": Kind(
        "warning",
        "What an earlier gateway launched is not wanted any more, and was stopped.",
        ("place", "machine", "reason"),
    ),
    "machine.waking": Kind("info", "A machine is woken.", ("machine", "cause", "who")),
    "machine.awake": Kind("info", "It is awake.", ("machine", "cause", "took_s")),
    "machine.failed": Kind("error", "Every attempt to wake it failed.", ("machine", "reason")),
    "machine.retry": Kind("warning", "An attempt to wake it failed.", ("machine", "reason", "delay_s")),
    "machine.lost": Kind("warning", "It is gone without having been put to sleep.", ("machine", "reason")),
    "machine.asleep": Kind("info", "It sleeps.", ("machine", "cause")),
    "machine.held": Kind("info", "The operator keeps it asleep.", ("machine", "cause", "until")),
    "store.failing": Kind(
        "error",
        "The database cannot be written: events wait in memory, the gateway goes on; at most once a minute.",
        ("detail", "pending"),
    ),
    "store.recovered": Kind("info", "The database can be written again.", ("after_s", "pending")),
    "store.lost": Kind(
        "error", "Events could not be kept: there was no room for more, or the gateway ended first.", ("lost", "detail")
    ),
    "store.unrecorded": Kind(
        "error",
        "What was launched is not on disk yet: a crash now would orphan it.",
        ("service", "machine", "place", "detail"),
    ),
    "store.unreadable_run": Kind(
        "error", "A run in the database cannot be read by this version: what it began is not found again.", ("run",)
    ),
    "store.damaged": Kind(
        "error", "The database was damaged: it was set aside, and a new one is begun.", ("reason", "kept")
    ),
    "store.migrated": Kind(
        "info",
        "The database was brought to this version's schema; a copy of the old one is kept.",
        ("was", "now", "kept"),
    ),
    "strategy.failed": Kind(
        "warning",
        "A strategy raised or gave nonsense: the built-in choice was used; at most once a minute.",
        ("strategy", "strategy_kind", "used_by", "detail", "failures"),
    ),
    "strategy.switched_off": Kind(
        "warning",
        "A strategy held everything up three times in a row: the built-in choice is used from now on.",
        ("strategy", "strategy_kind", "used_by", "detail"),
    ),
    "strategy.replaced": Kind(
        "info", "A strategy of the operator's own stands in for a shipped one.", ("strategy", "strategy_kind", "file")
    ),
    "strategy.broken": Kind("warning", "A strategy file could not be used.", ("detail",)),
    "strategies.reloaded": Kind("info", "The strategy files were read again.", ("loaded", "removed")),
    "config.reloaded": Kind(
        "info", "The configuration of now is in force.", ("added", "removed", "changed", "settings", "needs_restart")
    ),
    "config.rejected": Kind(
        "error", "The configuration on disk is not put in force: nothing has changed.", ("detail",)
    ),
    "route.chosen": Kind(
        "info",
        "One of `routes` chose the service: its number from 0, what it matched, the strategy that decided, the model "
        "(not with `log.access: false`).",
        ("service", "request_id", "route", "match", "by", "model"),
    ),
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
            "trace_id",
        ),
    ),
    "request.malformed": Kind(
        "info", "Bytes on an own page's connection were no HTTP request.", ("client", "request_id", "reason")
    ),
    "auth.accepted": Kind(
        "debug",
        "A key or a session came with a header block that its connection had not sent before, or somebody logged in.",
        ("how", "who", "client", "request_id"),
    ),
    "auth.refused": Kind(
        "info",
        "A rule about who may do what refused a request (a failed login: a warning). `rule` is nobody, scope, origin, "
        "referer, body, preflight or login.",
        ("rule", "code", "key", "service", "origin", "client", "request_id"),
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
A line about a service has `service` and `state` (what it is now), one about a machine `machine` and `state`.
`place` counts a service's places from 0. `cause` says why: `request`, `page`, `command`, `keep_warm`, `dependency`,
`idle`, `room`, `hold`, `reload`, `shutdown`, `adoption`, `found` (it ran already), `died`, `failed` or `watch`.
With `log.format: console` the same fields stand on a readable line. Lines whose event begins with `service.`, `place.`
or `machine.` are kept in the database too, and are what `/v1/activity` and `/v1/events` tell.

| event | level | says | keys |
| --- | --- | --- | --- |"""
