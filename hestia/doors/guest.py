"""The guest lane: Hestia's own pages and API are answered by aiohttp.

At a connection's first request for an own page the front hires a `Guest`, calls its `connection_made` and hands it
every byte from there on. The guest answers that one request with `Connection: close`. So no connection is parsed by our
grammar and by aiohttp's in turn, and no seam is left for smuggling.

Everything that we touch beside aiohttp's public API stands in this file, and tests/doors/test_guest.py holds it to what
we rely on: `RequestHandler(manager, loop=..., ...)` with `connection_made`, `data_received`, `handle_error` and its
`force_close`; `BaseRequest._prepare_hook`, called after aiohttp's own headers are set and before they are written,
and `_cache`, from which the version of the status line is then read.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from aiohttp import http, web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import BadHttpMethod

from hestia.h1.problem import EXPOSED, problem_body, problem_headers
from hestia.telemetry.log import Log
from hestia.telemetry.tally import Tally
from hestia.words.refusal import Refusal
from hestia.words.spec import Limits

READ_BUFFER = 32 * 1024
ALLOW = "GET, HEAD, OPTIONS"


def check_parser(*, allow_slow: bool = False) -> None:
    """Refuse to run on aiohttp's pure-Python parser: it reads some requests differently (CVE-2023-47641).

    Since 3.14.4 aiohttp has a wheel without the C parser for platforms that it does not build for.
    """
    if http.HttpRequestParser.__module__ != "aiohttp._http_parser" and not allow_slow:
        raise RuntimeError(
            "aiohttp runs without its C parser: install a wheel of aiohttp that was built for this platform "
            "(pip install --force-reinstall aiohttp), and unset AIOHTTP_NO_EXTENSIONS; "
            "HESTIA_ALLOW_SLOW_PARSER=1 starts without it"
        )


@dataclass(slots=True)
class Caller:
    """Who asks, as the front found it: aiohttp knows neither trusted proxies nor our request ids."""

    front: object
    request_id: str
    client: str
    scheme: str
    method: bytes = b"-"
    path: bytes = b"-"
    asked_at: float = 0.0
    outcome: str = "ok"
    counted: bool = False


class Asked(web.BaseRequest):
    """A request of a guest's connection."""

    @property
    def caller(self) -> Caller:
        guest = self.protocol
        assert isinstance(guest, Guest)  # noqa: S101 -- our request_factory is only called by our guests
        return guest.caller

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        self._cache["version"] = http.HttpVersion11  # what we speak, to HTTP/1.0 too, as the relay lane does
        headers = response.headers
        headers["Connection"] = "close"
        headers.popall("Server", None)
        headers["X-Request-ID"] = self.caller.request_id
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers.setdefault("Cache-Control", "no-store")


Answer = Callable[[Asked], Awaitable[web.StreamResponse]]


class Server(web.Server):
    """Hires guests. `answer` makes the answer to one request, or raises a Refusal."""

    def __init__(self, answer: Answer, *, limits: Limits, tally: Tally, log: Log, cors: frozenset[str]) -> None:
        super().__init__(self._serve, request_factory=self._asked, handler_cancellation=True)  # type: ignore[arg-type]
        self._answer = answer
        self.limits = limits
        self.tally = tally
        self.log = log
        self.cors = cors
        # A logger that is in no tree: aiohttp writes a trace for each bad request, and anybody could fill the disk.
        self.silent = logging.Logger("hestia.guest")  # noqa: LOG001 -- getLogger would put it into the tree
        self.silent.disabled = True

    def hire(self, front: object, request_id: str, client: str, scheme: str) -> Guest:
        """A protocol for the rest of one connection."""
        return Guest(self, Caller(front, request_id, client, scheme))

    def _asked(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Asked:
        return Asked(message, payload, protocol, writer, task, asyncio.get_running_loop())

    async def _serve(self, request: Asked) -> web.StreamResponse:
        caller = request.caller
        caller.method = request.method.encode("ascii", "replace")
        caller.path = request.rel_url.raw_path.encode("ascii", "replace")
        caller.asked_at = monotonic()  # not the loop's time: uvloop keeps that in whole milliseconds
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = self.refused(request, refusal)
        except Exception:  # noqa: BLE001 -- the fence of the guest lane: a bug of a page ends that page only
            self.log.event("internal", "error", request_id=caller.request_id, trace=traceback.format_exc())
            response = self.refused(request, Refusal("internal", "Hestia made a mistake; its log has the trace."))
        self._allow_origin(request, response)
        response.force_close()
        return response

    def refused(self, request: web.BaseRequest, refusal: Refusal) -> web.Response:
        """A refusal as aiohttp's response, with the same words as in the relay lane."""
        guest = request.protocol
        assert isinstance(guest, Guest)  # noqa: S101 -- as in Asked.caller
        guest.caller.outcome = refusal.code
        navigation = is_navigation(request)
        id_ = guest.caller.request_id
        body = problem_body(refusal, service=None, request_id=id_, navigation=navigation)
        headers = problem_headers(refusal, request_id=id_, navigation=navigation)
        response = web.Response(status=refusal.status, body=body, headers=headers)
        response.force_close()
        return response

    def _allow_origin(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
        """CORS for `auth.cors_origins`. `Vary` stands for every origin: a cache must not mix up their answers."""
        if self.cors:
            response.headers["Vary"] = "Origin"
            origin = request.headers.get("Origin")
            if origin in self.cors:
                response.headers["Access-Control-Allow-Origin"] = str(origin)
                response.headers["Access-Control-Expose-Headers"] = EXPOSED

    def ended(self, caller: Caller, status: int, bytes_out: int) -> None:
        """Count the one request of a guest, once, whichever way it ended."""
        if caller.counted:
            return
        caller.counted = True
        spent = monotonic() - caller.asked_at if caller.asked_at else 0.0
        self.tally.ended(
            "",
            status,
            caller.method,
            caller.path,
            caller.client,
            caller.request_id.encode("ascii", "replace"),
            spent,
            spent,
            0,
            bytes_out,
            caller.outcome,
        )


class _Ended(AbstractAccessLogger):
    """aiohttp's word that an answer is over."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        guest = request.protocol
        if isinstance(guest, Guest):
            caller = guest.caller
            if request.transport is None:
                caller.outcome = "client_left"
            guest.server.ended(caller, response.status, request.writer.output_size)


class Guest(web.RequestHandler):
    """One hired connection handler of aiohttp, with our deadlines, our errors and our log."""

    __slots__ = ("_overdue", "caller", "server")

    def __init__(self, server: Server, caller: Caller) -> None:
        limits = server.limits
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            # The default is an hour. The front read a whole head already: this ends what aiohttp reads as half of one.
            keepalive_timeout=limits.head_timeout,
            # The front has counted the head: aiohttp's own, smaller limits must not refuse what we let in.
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.header_bytes // 4,
            read_bufsize=READ_BUFFER,
            auto_decompress=False,
            access_log_class=_Ended,
            access_log=server.silent,
            logger=server.silent,
        )
        self.server = server
        self.caller = caller
        self._overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        # aiohttp never ends a slow reader or a stalled body by itself: the whole of an own page has one deadline.
        self._overdue = asyncio.get_running_loop().call_later(self.server.limits.stall_timeout, self._end_overdue)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
        if self.caller.asked_at:
            self.caller.outcome = "client_left"
            self.server.ended(self.caller, 0, 0)
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp answers to bytes that it cannot read: in our words, without an echo of them, one line each."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        caller = self.caller
        reason = type(exc).__name__ if exc is not None else "unknown"
        if isinstance(exc, BadHttpMethod):
            # The front has checked that it is a method; aiohttp's parser only knows those that are registered.
            return self.server.refused(request, Refusal("method_not_allowed", "Not taken here.", allow=ALLOW))
        if status != web.HTTPBadRequest.status_code:
            self.server.log.event("internal", "error", request_id=caller.request_id, trace=reason)
            return self.server.refused(request, Refusal("internal", "Hestia made a mistake; its log has the trace."))
        self.server.log.event("request.malformed", client=caller.client, request_id=caller.request_id, reason=reason)
        return self.server.refused(request, Refusal("bad_request", "This is no well-formed HTTP request."))

    def _end_overdue(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def is_navigation(request: web.BaseRequest) -> bool:
    """Section 14 of the contract: would a person see this answer as a page?"""
    headers = request.headers
    if request.method != "GET" or "prefetch" in headers.get("Sec-Purpose", headers.get("Purpose", "")).lower():
        return False
    if headers.get("Sec-Fetch-Dest", "document") != "document":
        return False
    mode = headers.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode is not None else "text/html" in headers.get("Accept", "").lower()
