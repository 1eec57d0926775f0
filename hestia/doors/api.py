"""Hestia's own pages and its HTTP API: one table of paths, each with what it does.

Everything here is read-only and small, and answers through the guest lane (doors/guest.py).
"""

from collections.abc import Awaitable, Callable, Iterable
from difflib import get_close_matches
from html import escape
from typing import NamedTuple
from urllib.parse import unquote

import msgspec
from aiohttp import web

from hestia.core.fleet import Fleet
from hestia.doors.guest import ALLOW, Asked, is_navigation
from hestia.doors.login import Login
from hestia.h1.problem import CONTENT_SECURITY_POLICY, STYLE
from hestia.keeper.commands import Commands
from hestia.telemetry import prometheus
from hestia.telemetry.bulletin import Counts
from hestia.telemetry.figures import Gauges as Figures
from hestia.telemetry.figures import Seen
from hestia.telemetry.tally import Tally
from hestia.words.refusal import Refusal
from hestia.words.status import Addresses, Health, ServiceList, ServiceStatus

Handler = Callable[[Asked, str], Awaitable[web.Response]]


class Gauges(NamedTuple):
    """Figures that others keep, asked for at each scrape."""

    connections: Callable[[], int]
    log_dropped: Callable[[], int]


class Api:
    """Answers requests for own paths. Replaced whole on reload; it holds no state of its own."""

    def __init__(self, fleet: Fleet, commands: Commands, tally: Tally, gauges: Gauges, login: Login, *, version: str) -> None:
        self._login = login
        self._fleet = fleet
        self._commands = commands
        self._tally = tally
        self._gauges = gauges
        self._version = version
        self._paths: dict[str, Handler] = {
            "/": self._root,
            "/__health": self._health,
            "/metrics": self._metrics,
            "/dashboard": self._to_dashboard,
            "/dashboard/": self._dashboard,
            "/v1/services": self._services,
        }

    async def answer(self, request: Asked) -> web.StreamResponse:
        """The answer to one request. Raises Refusal."""
        if request.rel_url.raw_path in {"/__login", "/__logout"}:  # comes here only while auth is on
            return await self._login.answer(request)
        handler, id_ = self._find(request.rel_url.raw_path)
        if request.method == "OPTIONS":
            return _preflight(request)
        if request.method not in {"GET", "HEAD"}:
            raise Refusal("method_not_allowed", f"{_word(request.method)} is not taken here.", allow=ALLOW)
        return await handler(request, id_)

    def _find(self, path: str) -> tuple[Handler, str]:
        handler = self._paths.get(path)
        if handler is not None:
            return handler, ""
        match path.split("/"):
            case ["", "v1", "services", id_, "status"]:
                return self._status, unquote(id_)
        raise Refusal("not_found", "Hestia has no such page; GET / lists the addresses that exist.")

    async def _root(self, request: Asked, _: str) -> web.Response:
        if is_navigation(request):
            return web.Response(status=302, headers={"Location": "/dashboard/"})
        services = {each.id: f"/services/{each.id}/" for each in self._fleet}
        return _json(Addresses(version=self._version, services=services))

    async def _health(self, _request: Asked, _: str) -> web.Response:
        return _json(Health(version=self._version))

    async def _metrics(self, _request: Asked, _: str) -> web.Response:
        seen = [Seen(each.id, each.state, Counts(), sum(life.leases for life in each.lives)) for each in self._fleet]
        gauges = Figures(connections=self._gauges.connections(), log_dropped=self._gauges.log_dropped())
        text = prometheus.text(seen, self._tally.rows, (), gauges, version=self._version)
        return web.Response(body=text.encode(), headers={"Content-Type": prometheus.CONTENT_TYPE})

    async def _services(self, _request: Asked, _: str) -> web.Response:
        return _json(ServiceList(services=await self._seen()))

    async def _status(self, _request: Asked, id_: str) -> web.Response:
        if id_ not in self._fleet.services:
            near = get_close_matches(id_[:64], self._fleet.services, n=1, cutoff=0.0)
            hint = f"; the nearest known id is {near[0]!r}" if near else "; no service is configured"
            raise Refusal("unknown_service", f"no service is called {_word(id_)}{hint}")
        await self._commands.look([id_])
        return _json(self._commands.status(id_))

    async def _to_dashboard(self, _request: Asked, _: str) -> web.Response:
        return web.Response(status=308, headers={"Location": "/dashboard/"})

    async def _dashboard(self, _request: Asked, _: str) -> web.Response:
        page = _page(await self._seen())
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return web.Response(body=page.encode(), headers=headers)

    async def _seen(self) -> tuple[ServiceStatus, ...]:
        """The statuses, after a look at what is only watched."""
        await self._commands.look()
        return self._commands.statuses()


def _json(value: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(value) + b"\n", content_type="application/json")


def _preflight(request: Asked) -> web.Response:
    headers = {"Allow": ALLOW}
    if "Access-Control-Request-Method" in request.headers:
        headers["Access-Control-Allow-Methods"] = ALLOW
        headers["Access-Control-Allow-Headers"] = "Authorization, X-API-Key, Content-Type"
    return web.Response(status=204, headers=headers)


def _word(text: str) -> str:
    """A client's word as an answer may repeat it: short and plain."""
    return ascii(text[:64])


def _page(services: Iterable[ServiceStatus]) -> str:
    rows = "".join(
        f'<li><a href="/services/{escape(each.id)}/">{escape(each.id)}</a>: {each.state}'
        f"{escape(f' ({each.reason})') if each.reason else ''}</li>"
        for each in services
    )
    return _PAGE.format(style=STYLE, rows=rows or "<li>No service is configured.</li>")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Hestia</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>Services</h1>
<ul>
{rows}
</ul>
<small><a href="/v1/services">as JSON</a> · <a href="/metrics">metrics</a></small>
</main>
</body>
</html>
"""
