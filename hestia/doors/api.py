"""Hestia's own pages and its HTTP API, answered through the guest lane (doors/guest).

What an endpoint does is a use-case of `verbs`, and which is which stands in doors/api_routes. Here requests become
calls, and results become answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from hestia.doors import api_pages, sse
from hestia.doors.api_params import params_of
from hestia.doors.api_routes import DO, READ, Found, find
from hestia.doors.dispatching import REQUESTS
from hestia.doors.guest import Asked
from hestia.doors.login import Login
from hestia.doors.openapi import description
from hestia.doors.verbs import Stream, Verbs, close_stream
from hestia.telemetry import prometheus
from hestia.words.activity import Entry
from hestia.words.refusal import Refusal
from hestia.words.status import Health

Page = Callable[[Asked], Awaitable[web.StreamResponse]]


class Own(NamedTuple):
    """What the pages that are no use-case ask for."""

    services: Callable[[], Collection[str]]
    metrics: Callable[[], str]
    """As Prometheus text."""
    version: str


class Api:
    """Answers requests for own paths. It holds no state of its own."""

    def __init__(self, verbs: Verbs, own: Own, login: Login, pages: Mapping[str, Page]) -> None:
        """`pages` are further ones, by path."""
        self._verbs = verbs
        self._own = own
        self._login = login
        self._pages: dict[str, Page] = {
            "/": self._root,
            "/__health": self._health,
            "/metrics": self._metrics,
            "/dashboard": self._to_dashboard,
            "/v1/openapi.json": self._openapi,
            **pages,
        }

    async def answer(self, request: Asked) -> web.StreamResponse:
        """The answer to one request. Raises Refusal."""
        path = request.rel_url.raw_path
        if path in {"/__login", "/__logout"}:  # comes here only while auth is on
            return await self._login.answer(request)
        page = self._pages.get(path)
        if path == REQUESTS.decode():  # all else of it is the dispatcher's (doors/dispatching)
            return _preflight(request, DO)
        found = find(path) if page is None else None
        allow = READ if found is None else found.route.allow
        if request.method == "OPTIONS":
            return _preflight(request, allow)
        if request.method not in allow.split(", "):
            raise Refusal("method_not_allowed", f"{request.method[:64]!a} is not taken here.", allow=allow)
        if page is not None:
            return await page(request)
        assert found is not None  # noqa: S101 -- or it is a page
        return await self._use(request, found)

    # --- use-cases

    async def _use(self, request: Asked, found: Found) -> web.StreamResponse:
        caller, route = request.caller, found.route
        if route.path.startswith("/v1/services/") and found.subject in self._own.services():
            caller.service = found.subject
        given = await params_of(request, found)
        if route.streams == "always":
            given["after"] = request.headers.get("Last-Event-ID")
        caller.waits = bool(given.get("wait"))
        done = await self._verbs.call(route.verb, given)
        if isinstance(done, Stream):
            return await _streamed(request, done)
        return _json(done, 202 if route.method == "POST" and not caller.waits else 200)

    # --- pages

    async def _root(self, request: Asked) -> web.Response:
        found = api_pages.root(request, self._own.services(), self._own.version)
        return found if isinstance(found, web.Response) else _json(found)

    async def _health(self, _: Asked) -> web.Response:
        return _json(Health(version=self._own.version))

    async def _metrics(self, _: Asked) -> web.Response:
        return web.Response(body=self._own.metrics().encode(), headers={"Content-Type": prometheus.CONTENT_TYPE})

    async def _openapi(self, _: Asked) -> web.Response:
        return _json(description(self._own.version))

    async def _to_dashboard(self, _: Asked) -> web.Response:
        return api_pages.to_dashboard()


async def _streamed(request: Asked, stream: Stream) -> web.StreamResponse:
    try:
        if request.method == "HEAD":
            return web.Response(headers=sse.HEADERS)
        request.caller.waits = True
        first = [_event(line) for line in getattr(stream.first, "lines", ())]
        return await request.streams.answer(request, first, stream.items, _event)
    finally:
        await close_stream(stream.items)


def _event(item: Any) -> bytes:
    """A line of a log, an entry of the activity, or the word that some are missing."""
    if isinstance(item, str):
        return sse.message({"line": item})
    return sse.message(item, id_=item.id) if isinstance(item, Entry) else sse.message(item, event="missed")


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(value) + b"\n", content_type="application/json")


def _preflight(request: Asked, allow: str) -> web.Response:
    headers = {"Allow": allow}
    if "Access-Control-Request-Method" in request.headers:
        headers["Access-Control-Allow-Methods"] = allow
        headers["Access-Control-Allow-Headers"] = "Authorization, X-API-Key, Content-Type"
    return web.Response(status=204, headers=headers)
