"""Answers in words and tables, one function for each command."""

from __future__ import annotations

from hestia.ctl.show import Look, bar, figure, neutral, pairs, room, span, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Tell = Callable[[Any, Look], list[str]]

SHORT_TIME = slice(11, 19)


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
        return f"held until {each['held_until']}" if each["held_until"] != "forever" else "held"
    if each["state"] == "starting":
        expected = each.get("expected_start_s")
        return (each.get("phase") or "").replace("_", " ") + (f", about {span(expected)}" if expected else "")
    return each.get("reason") or (each.get("last_error") or "" if each["state"] == "failed" else "")


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
    words += [f"{name}={neutral(value)}" for name, value in rest.items() if value is not None]
    return "  ".join(words)


def report(result: Any, look: Look) -> list[str]:
    told = [f"{result['since']} to {result['until']}"]
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
    words = [f"{neutral(each['id']):<{wide}}  {bar(part, look)} {hot:7.1f} h hot {asleep:7.1f} h asleep"]
    words += [f"{each.get('requests', 0)} requests", f"{each.get('starts', 0)} starts"]
    words += [f"cost {each['cost']:.2f}"] if each.get("cost") is not None else []
    words += [f"saved {each['saving']:.2f}"] if each.get("saving") is not None else []
    told = ["  ".join(words)]
    for key, says, count in (("woken_by", "woken by", "starts"), ("kept_awake_by", "kept awake by", "hours")):
        if each.get(key):
            unit = " h" if count == "hours" else ""
            who = ", ".join(f"{neutral(share['who'])} ({share[count]:.3g}{unit})" for share in each[key])
            told.append(f"{'':<{wide}}  {says} {who}")
    return told


def machines(result: Any, look: Look) -> list[str]:
    return table(
        ("ID", "STATE", "ROOM", "KEPT AWAKE BY", "HELD UNTIL"), [machine_row(each) for each in result["machines"]], look
    )


def machine_row(each: dict[str, Any]) -> list[Any]:
    return [each["id"], each.get("state"), room(each), ", ".join(each.get("holds") or ()), each.get("held_until")]


def machine(each: Any, look: Look) -> list[str]:
    return machines({"machines": [each]}, look)


def metrics(result: Any, look: Look) -> list[str]:
    """Figures as `path  value`; the shape is the API's."""
    return pairs(_flat("", result), look)


def _flat(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [row for name, each in value.items() for row in _flat(f"{path}.{name}" if path else str(name), each)]
    if isinstance(value, list):
        return [row for number, each in enumerate(value) for row in _flat(f"{path}[{number}]", each)]
    return [(neutral(path), figure(value) if isinstance(value, int | float) else value)]


def reloaded(result: Any, _: Look) -> list[str]:
    changes = [key for key in ("added", "removed", "changed") if result.get(key)]
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
        [[each["key"], _plain(each["value"]), each["source"]] for each in result["settings"]],
        look,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return "[" + ", ".join(str(_plain(each)) for each in value) + "]"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else value


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
