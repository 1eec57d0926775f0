"""What each command does: one call of the gateway, and how its answer is shown."""

from __future__ import annotations

import json
import os
import sys

from hestia.ctl import progress
from hestia.ctl.client import Client, Failed, Where, find
from hestia.ctl.completion import completion
from hestia.ctl.parse import Asked
from hestia.ctl.show import Look, counted, look_of, neutral, out, words
from hestia.ctl.tell import TELLS, event_line
from hestia.ctl.top import top
from hestia.wire import DONE, FAILED, NOT_RUNNING, USAGE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Do = Callable[["Order"], int]

EVENTS = 20
LONG_S = 300.0
FOREVER = None


class Order:
    """One command on its way: what was asked, where, and how its answer is to look."""

    def __init__(self, asked: Asked, where: Where, look: Look) -> None:
        assert asked.command is not None  # noqa: S101 -- for mypy: help is answered before
        self.name = asked.command.name
        self.asked = asked
        self.words = asked.words
        self.flags = asked.flags
        self.where = where
        self.look = look

    def given(self, **names: str) -> dict[str, Any]:
        """Parameters from flags that were given: `since="--since"`."""
        return {name: self.flags[flag] for name, flag in names.items() if flag in self.flags}

    def ask(self, method: str, params: dict[str, Any] | None = None, *, within: float | None = LONG_S) -> Any:
        with Client(self.where) as client:
            return client.call(method, params, within=within)

    def show(self, result: Any) -> None:
        """As JSON, or as this command tells it to people."""
        out([as_json(result)] if self.asked.json else TELLS[self.name](result, self.look))


def act(asked: Asked, environ: Mapping[str, str]) -> int:
    """Do it; the exit code."""
    order = Order(asked, find(asked.flags.get("--socket"), environ), look_of(sys.stdout, environ))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the terminal cannot write is no error
    try:
        return ACTS[order.name](order)
    except Failed as failed:
        words(f"hestiactl: {failed.words}")
        return failed.code
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:  # a door: what is shown came in
        what = f"{type(problem).__name__}: {problem}"
        words(f"hestiactl: the gateway answers in a way that this hestiactl does not know ({what}): compare versions")
        return FAILED


def as_json(value: Any, *, indent: int | None = 2) -> str:
    return json.dumps(value, indent=indent)


def _simple(method: str, *, answer_s: float | None = LONG_S, **flags: str) -> Do:
    """A command that is one call; its words become parameters of the same name in small letters."""

    def do(order: Order) -> int:
        given = {name.lower(): word for name, word in order.words.items()}
        order.show(order.ask(method, given | order.given(**flags), within=answer_s))
        return DONE

    return do


def _status(order: Order) -> int:
    if "ID" not in order.words:
        order.show(order.ask("services.list"))
        return DONE
    status = order.ask("services.status", {"id": order.words["ID"]})
    order.show(status)
    return DONE if status.get("state") == "hot" else NOT_RUNNING


def _start(order: Order) -> int:
    params: dict[str, Any] = {"id": order.words["ID"]}
    if "--wait" not in order.flags:
        if "--timeout" in order.flags:
            words("hestiactl: --timeout is for `start --wait`")
            return USAGE
        order.show(order.ask("services.start", params))
        return DONE
    params |= {"wait": True, **order.given(timeout="--timeout")}
    order.show(progress.start(order.where, params))
    return DONE


def _stop(order: Order) -> int:
    if ("ID" in order.words) == ("--all" in order.flags):
        words("hestiactl: name one service, or --all")
        return USAGE
    params: dict[str, Any] = {"all": True} if "--all" in order.flags else {"id": order.words["ID"]}
    if "--hold" in order.flags:
        params["hold"] = order.flags["--hold"] or True
    if "--wait" in order.flags:
        params["wait"] = True
    order.show(order.ask("services.stop", params, within=FOREVER if "--wait" in order.flags else LONG_S))
    return DONE


def _logs(order: Order) -> int:
    params: dict[str, Any] = {"id": order.words["ID"], "lines": int(order.flags.get("--lines", "100"))}
    if "--follow" not in order.flags:
        order.show(order.ask("services.logs", params))
        return DONE
    with Client(order.where) as client:
        first = client.call("services.logs", params | {"follow": True})
        _each(order, [*first["lines"]], neutral)
        _each(order, client.items(), neutral)
    words("hestiactl: the log has ended")
    return DONE


def _events(order: Order) -> int:
    params = order.given(service="--service") | {"limit": int(order.flags.get("--lines", str(EVENTS)))}

    def line(entry: Any) -> str:
        return event_line(entry, order.look)

    with Client(order.where) as client:
        last = client.call("activity.list", params)["activity"][::-1] if params["limit"] else []
        _each(order, last, line)
        if not last and params["limit"] and not order.asked.json:
            words("nothing has happened yet")
        if "--follow" not in order.flags:
            return DONE
        after = {"after": str(last[-1]["id"])} if last and "id" in last[-1] else {}
        client.call("events.follow", order.given(service="--service") | after)
        _each(order, client.items(), line)
    words("hestiactl: the gateway ended")
    return DONE


def _each(order: Order, items: Iterable[Any], line: Callable[[Any], str]) -> None:
    """One line for each thing, at once."""
    for item in items:
        print(as_json(item, indent=None) if order.asked.json else line(item), flush=True)


def _machine_hold(order: Order) -> int:
    hold = order.words.get("DURATION", True)
    order.show(order.ask("machines.hold", {"id": order.words["ID"], "hold": hold}))
    return DONE


def _metrics(order: Order) -> int:
    params = {"service": order.words["ID"]} if "ID" in order.words else {}
    order.show(order.ask("metrics", params))
    return DONE


def _activity(order: Order) -> int:
    params = order.given(service="--service", kind="--kind", since="--since", until="--until", cursor="--cursor")
    if "--limit" in order.flags:
        params["limit"] = int(order.flags["--limit"])
    order.show(order.ask("activity.list", params))
    return DONE


def _config_check(order: Order) -> int:
    checked = order.ask("config.check")
    if order.asked.json:
        order.show(checked)
    else:
        words("\n".join([*checked.get("mistakes", ()), *(f"warning: {each}" for each in checked.get("warnings", ()))]))
        if checked["ok"]:
            order.show(checked)
    return DONE if checked["ok"] else USAGE


def _config_show(order: Order) -> int:
    shown = order.ask("config.show")
    if "--routes" in order.flags:
        shown = {"routes": shown["routes"]}
    order.show(shown)
    return DONE


def _strategies_reload(order: Order) -> int:
    told = order.ask("strategies.reload")
    words("\n".join(told["problems"]))
    order.show(told)
    return FAILED if told["problems"] else DONE


def _keys_create(order: Order) -> int:
    services = order.flags.get("--services")
    named = {} if services is None else {"services": [each.strip() for each in services.split(",") if each.strip()]}
    order.show(order.ask("keys.create", {"name": order.words["NAME"]} | named))
    if not order.asked.json:
        words("This is the only time that the key is shown.")
    return DONE


def _backup(order: Order) -> int:
    path = os.path.abspath(order.words["FILE"])  # noqa: PTH100 -- the gateway has another working directory
    order.show(order.ask("backup", {"path": path}, within=FOREVER))
    return DONE


def _completion(order: Order) -> int:
    out([completion(order.words["SHELL"])])
    return DONE


def _complete(order: Order) -> int:
    method, key, name = COMPLETES[order.words["KIND"]]
    out(neutral(each[name]) for each in order.ask(method, within=2.0)[key])
    return DONE


def _ends(method: str) -> Do:
    """The gateway ends: its control socket is the last thing that closes."""

    def do(order: Order) -> int:
        with Client(order.where) as client:
            ending = client.call(method)
            if ending.get("leases") and not order.asked.json:
                words(f"{counted(ending['leases'], 'exchange')} under way; ^C stops the waiting, not the end")
            client.closed()
        order.show(ending)
        return DONE

    return do


def _top(order: Order) -> int:
    return top(order.where, order.look, as_json=order.asked.json)


COMPLETES = {
    "services": ("services.list", "services", "id"),
    "machines": ("machines.list", "machines", "id"),
    "requests": ("inflight.list", "inflight", "request_id"),
    "keys": ("keys.list", "keys", "name"),
}
ACTS: dict[str, Do] = {
    "status": _status,
    "start": _start,
    "stop": _stop,
    "restart": _simple("services.restart", answer_s=FOREVER),
    "logs": _logs,
    "ps": _simple("inflight.list"),
    "cancel": lambda order: _done(order, order.ask("inflight.cancel", {"id": order.words["REQUEST"]})),
    "events": _events,
    "top": _top,
    "report": _simple("report", since="--since", until="--until"),
    "activity": _activity,
    "metrics": _metrics,
    "machines": _simple("machines.list"),
    "machines wake": _simple("machines.wake"),
    "machines sleep": _simple("machines.sleep"),
    "machines hold": _machine_hold,
    "reload": _simple("config.reload"),
    "config check": _config_check,
    "config show": _config_show,
    "strategies": _simple("strategies.list"),
    "strategies reload": _strategies_reload,
    "keys create": _keys_create,
    "keys list": _simple("keys.list"),
    "keys revoke": _simple("keys.revoke"),
    "log-level": _simple("log.level"),
    "backup": _backup,
    "completion": _completion,
    "ping": _simple("hello", answer_s=5.0),
    "drain": _ends("gateway.drain"),
    "shutdown": _ends("gateway.shutdown"),
    "__complete": _complete,
}


def _done(order: Order, result: Any) -> int:
    order.show(result)
    return DONE
