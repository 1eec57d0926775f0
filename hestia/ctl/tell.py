"""Answers in words and tables, one function for each command."""

from __future__ import annotations

import time

from hestia.ctl.settings import setting
from hestia.ctl.show import Look, bar, counted, figure, moment, neutral, pairs, room, size, span, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Tell = Callable[[Any, Look], list[str]]

HOUR_S = 3600
PHASES = {
    "probing": "waiting for its check",
    "waking_machine": "waking its machine",
    "dependencies": "starting what it needs",
    "warming": "warming up",
}


def services(result: Any, look: Look) -> list[str]:
    rows = [service_row(each) for each in result["services"]]
    return table(SERVICE_HEAD, rows, look) if rows else ["no service is configured"]


SERVICE_HEAD = ("ID", "STATE", "MACHINE", "LEASES", "WAITING", "IDLE", "NOTE")


def service_row(each: dict[str, Any]) -> list[Any]:
    state, idle = each["state"], each.get("idle_for_s")
    machine = each.get("machine") if state != "cold" else None
    return [each["id"], state, machine, each.get("leases", 0), each.get("waiters", 0), span(idle), note(each)]


def note(each: dict[str, Any]) -> str:
    """What is worth saying beside the state."""
    if each.get("held_until"):
        return f"held until {moment(each['held_until'])}" if each["held_until"] != "forever" else "held"
    if each["state"] == "starting":
        expected = each.get("expected_start_s")
        return phase(each) + (f", about {span(expected)}" if expected else "")
    if each.get("kept_by"):
        return f"kept awake by {', '.join(each['kept_by'])}"
    return each.get("reason") or (each.get("last_error") or "" if each["state"] == "failed" else "")


def phase(each: dict[str, Any]) -> str:
    known = each.get("phase") or ""
    return PHASES.get(known, known.replace("_", " "))


def service(each: Any, look: Look) -> list[str]:
    rows = [
        (name.removesuffix("_s").replace("_", " "), _value(name, value))
        for name, value in each.items()
        if name != "places"
    ]
    lines = pairs(rows, look)
    places = each.get("places") or ()
    if len(places) > 1:
        cells = [
            [place["machine"], place["state"], place.get("leases", 0), place.get("base_url"), place.get("reason")]
            for place in places
        ]
        lines += ["", *table(("PLACE", "STATE", "LEASES", "BASE URL", "NOTE"), cells, look)]
    return lines


def _value(name: str, value: Any) -> Any:
    if name.endswith("_s"):
        return None if value is None else span(value)
    if name in {"hot_since", "last_used", "held_until"} and value is not None:
        return moment(value)
    if isinstance(value, list):
        return ", ".join(map(str, value)) or None
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def changed(result: Any, look: Look) -> list[str]:
    """`demo: starting, about 4.0s`"""
    if "services" in result:
        return services(result, look)
    more = note(result)
    return [
        f"{neutral(result['id'])}: {look.paint(result['state'], result['state'])}"
        + (f" ({neutral(more)})" if more else "")
    ]


def lines(result: Any, _: Look) -> list[str]:
    return [neutral(line) if line else "" for line in result["lines"]]


def inflight(result: Any, look: Look) -> list[str]:
    names = ("request_id", "service", "method", "path", "state", "since")
    rows = [[each.get(name) for name in names] for each in result["inflight"]]
    return (
        table(("REQUEST", "SERVICE", "METHOD", "PATH", "STATE", "SINCE"), rows, look)
        if rows
        else ["no request is under way"]
    )


def cancelled(result: Any, _: Look) -> list[str]:
    return [f"{neutral(result['request_id'])}: cancelled"]


def activity(result: Any, look: Look) -> list[str]:
    told = [event_line(each, look) for each in result["activity"]] or ["nothing happened"]
    return told + ([f"more: --cursor {neutral(result['next'])}"] if result.get("next") else [])


def event_line(entry: Any, look: Look) -> str:
    """One change on one line."""
    known = ("ts", "kind", "service", "place", "machine", "state", "cause", "request_id", "id", "more", "took_s")
    state = entry.get("state")
    words = [
        neutral(entry.get("ts")),
        f"{neutral(entry.get('kind')):<22}",
        neutral(entry.get("service") or entry.get("machine")),
    ]
    words += [look.paint(neutral(state), state)] if state else []
    words += [f"by {neutral(entry['cause'])}"] if entry.get("cause") else []
    words += [f"on {neutral(entry['machine'])}"] if entry.get("machine") and entry.get("service") else []
    took = entry.get("took_s")
    words += [f"after {span(took)}"] if took is not None else []
    rest = {name: value for name, value in entry.items() if name not in known} | (entry.get("more") or {})
    if isinstance(rest.get("until"), float):
        rest["until"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(rest["until"]))
    words += [f"{name}={_said(value)}" for name, value in rest.items() if value is not None and value not in ([], {})]
    return "  ".join(words)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{neutral(name)}:{_said(each)}" for name, each in value.items())
    return ",".join(map(_said, value)) if isinstance(value, list) else neutral(_value("", value))


def report(result: Any, look: Look) -> list[str]:
    told = [f"{moment(result['since'])} to {moment(result['until'])}"]
    for title in ("services", "machines"):
        rows = result.get(title) or ()
        if rows:
            told += ["", look.paint(title, "head")]
            wide = max(len(neutral(each["id"])) for each in rows)
            for each in rows:
                told += _report_row(each, wide, look)
    return told


def _report_row(each: dict[str, Any], wide: int, look: Look) -> list[str]:
    hot, asleep = each["hours_hot"], each.get("hours_asleep") or 0.0
    part = hot / (hot + asleep) if hot + asleep else 0.0
    cold = _hours(each.get("hours_asleep"))
    words = [f"{neutral(each['id']):<{wide}}  {bar(part, look)} {_hours(hot):>7} hot {cold:>7} asleep"]
    words += [counted(each.get("requests", 0), "request"), counted(each.get("starts", 0), "start")]
    words += [f"cost {each['cost']:.2f}"] if each.get("cost") is not None else []
    words += [f"saved {each['saving']:.2f}"] if each.get("saving") is not None else []
    told = ["  ".join(words)]
    for key, says, count in (("woken_by", "woken by", "starts"), ("kept_awake_by", "kept awake by", "hours")):
        if each.get(key):
            much = _hours if count == "hours" else figure
            who = ", ".join(f"{neutral(share['who'])} ({much(share[count])})" for share in each[key])
            told.append(f"{'':<{wide}}  {says} {who}")
    return told


def _hours(value: float | None) -> str:
    """What is only watched is not ours to put to sleep: `-`."""
    return span(value if value is None else value * HOUR_S)


def machines(result: Any, look: Look) -> list[str]:
    return table(
        ("ID", "STATE", "ROOM", "KEPT AWAKE BY", "HELD UNTIL"), [machine_row(each) for each in result["machines"]], look
    )


def machine_row(each: dict[str, Any]) -> list[Any]:
    return [each["id"], each.get("state"), room(each), ", ".join(each.get("holds") or ()), _held(each)]


def _held(each: dict[str, Any]) -> str | None:
    return moment(each["held_until"]) if each.get("held_until") else None


def machine(each: Any, look: Look) -> list[str]:
    return machines({"machines": [each]}, look)


def metrics(result: Any, look: Look) -> list[str]:
    """All services as a table and the gateway's own figures; one service as `path  value`."""
    services = result.get("services")
    if not isinstance(services, dict):
        return pairs(_flat("", result), look)
    told = table(METRICS_HEAD, [_metrics_row(id_, each) for id_, each in services.items()], look)
    rest = {name: value for name, value in result.items() if name != "services"}
    return [*told, "", *pairs(_flat("", rest), look)] if rest else told


METRICS_HEAD = ("SERVICE", "REQUESTS", "ERRORS", "IN", "OUT", "P50", "P99", "STARTS", "START P50")


def _metrics_row(id_: str, each: dict[str, Any]) -> list[Any]:
    took, start = each.get("request_seconds") or {}, each.get("start_seconds") or {}
    starts = sum(row.get("count", 0) for row in each.get("starts") or ())
    return [
        id_,
        each.get("requests", 0),
        each.get("errors", 0),
        size(each.get("bytes_in")),
        size(each.get("bytes_out")),
        _quick(took.get("p50")),
        _quick(took.get("p99")),
        starts,
        _quick(start.get("p50")),
    ]


def _quick(seconds: Any) -> str | None:
    """A latency: `0.3ms`, `42ms`, `1.8s`."""
    if seconds is None or seconds >= 1:
        return None if seconds is None else span(seconds)
    return f"{seconds * 1000:.1f}ms" if seconds < 0.01 else f"{seconds * 1000:.0f}ms"  # noqa: PLR2004 -- two digits


def _flat(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [row for name, each in value.items() for row in _flat(f"{path}.{name}" if path else str(name), each)]
    if isinstance(value, list):
        return [row for number, each in enumerate(value) for row in _flat(f"{path}[{number}]", each)]
    shown = figure(value) if isinstance(value, int | float) and not isinstance(value, bool) else _value("", value)
    return [(neutral(path), shown)]


def reloaded(result: Any, _: Look) -> list[str]:
    changes = [key for key in ("added", "removed", "changed", "settings") if result.get(key)]
    told = [f"{key}: {', '.join(map(neutral, result[key]))}" for key in changes]
    if result.get("needs_restart"):
        told.append(f"needs a restart: {', '.join(map(neutral, result['needs_restart']))}")
    told += [f"warning: {neutral(each)}" for each in result.get("warnings") or ()]
    return told or ["nothing changed"]


def checked(result: Any, _: Look) -> list[str]:
    return [f"ok: {neutral(result.get('file') or 'no configuration file, the built-in defaults')}"]


def config(result: Any, look: Look) -> list[str]:
    if "settings" not in result:
        return table(("MATCH", "TO"), [[each["match"], each["to"]] for each in result["routes"]], look)
    return table(
        ("KEY", "VALUE", "FROM"),
        [[each["key"], setting(each["key"], each["value"]), each["source"]] for each in result["settings"]],
        look,
    )


def strategies(result: Any, look: Look) -> list[str]:
    rows = [_strategy_row(each) for each in result["strategies"]]
    return table(("NAME", "KIND", "FILE", "USED BY", "FAILURES", "NOTE"), rows, look)


def _strategy_row(each: dict[str, Any]) -> list[Any]:
    note = ("switched off: " if each.get("switched_off") else "") + (each.get("last_error") or "")
    return [
        each["name"],
        each["kind"],
        each.get("file"),
        ", ".join(each.get("used_by") or ()),
        each.get("failures"),
        note,
    ]


def read_again(result: Any, _: Look) -> list[str]:
    told = [f"{key}: {', '.join(map(neutral, result[key]))}" for key in ("loaded", "removed") if result[key]]
    return told or ["nothing changed"]


def keys(result: Any, look: Look) -> list[str]:
    rows = [
        [each["name"], ", ".join(each["services"]), each.get("source"), each.get("created")] for each in result["keys"]
    ]
    return table(("NAME", "SERVICES", "FROM", "CREATED"), rows, look) if rows else ["there is no key"]


def hello(result: Any, _: Look) -> list[str]:
    listen = ", ".join(map(neutral, result.get("listen") or ())) or "nothing"
    who = f"hestia {neutral(result['version'])} (pid {result['pid']})"
    return [f"{who} listens on {listen}, since {neutral(result['started'])}"]


def _one(key: str) -> Tell:
    def tell(result: Any, _: Look) -> list[str]:
        return [neutral(result[key])]

    return tell


def revoked(result: Any, _: Look) -> list[str]:
    return [f"{neutral(result['name'])}: revoked"]


def backup(result: Any, _: Look) -> list[str]:
    return [f"{neutral(result['path'])}: {result['bytes']} bytes"]


def ended(_result: Any, _: Look) -> list[str]:
    return ["the gateway ended"]


def status(result: Any, look: Look) -> list[str]:
    return services(result, look) if "services" in result else service(result, look)


TELLS: dict[str, Tell] = {
    "status": status,
    "start": changed,
    "stop": changed,
    "restart": changed,
    "logs": lines,
    "ps": inflight,
    "cancel": cancelled,
    "report": report,
    "activity": activity,
    "metrics": metrics,
    "machines": machines,
    "machines wake": machine,
    "machines sleep": machine,
    "machines hold": machine,
    "reload": reloaded,
    "config check": checked,
    "config show": config,
    "strategies": strategies,
    "strategies reload": read_again,
    "keys create": _one("key"),
    "keys list": keys,
    "keys revoke": revoked,
    "log-level": _one("level"),
    "backup": backup,
    "ping": hello,
    "drain": ended,
    "shutdown": ended,
}
