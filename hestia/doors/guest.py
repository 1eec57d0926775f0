"""The guest lane: Hestia's own pages and API are answered by aiohttp.

At a connection's first request for an own page the front hires a `Guest`, calls its `connection_made` and hands it
every byte from there on. The guest answers that one request with `Connection: close`. So no connection is parsed by our
grammar and by aiohttp's in turn, and no seam is left for smuggling.

Everything that we touch beside aiohttp's public API stands in this file, and tests/doors/test_guest.py holds it to what
we rely on: `RequestHandler(manager, loop=..., ...)` with `connection_made`, `data_received`, `handle_error`, its
`force_close`, its queue `_messages`, and `_buffer_paused` with `_resume_reading_for_buffer`;
`BaseRequest._prepare_hook`, called after aiohttp's own headers are set and before they are written, and `_cache`, from
which the version of the status line is then read.

An answer may go on for hours (server-sent events, a start that is waited for): nothing ends it as a whole. A body that
stands still is ended here, a client that takes nothing by the sweep of its connection (doors/connection), and one that
leaves ends its handler at once.
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

from hestia.doors.intake import Kept, Room
from hestia.doors.sse import Streams
from hestia.h1.problem import EXPOSED, problem_body, problem_headers
from hestia.telemetry.log import Log
from hestia.telemetry.tally import Tally
from hestia.words.refusal import Refusal
from hestia.words.spec import Limits

READ_BUFFER = 32 * 1024
LONGEST_LINGER = 2.0
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
    service: str | None = None
    """The service that it is about, once that is known to exist."""
    waits: bool = False
    """Its answer takes as long as a service or a reader does: that is no time of the gateway's."""
    status: int = 0
    """What was sent, once something was."""
    written: Callable[[], int] = int
    """How many bytes of the answer went out so far."""


class Asked(web.BaseRequest):
    """A request of a guest's connection."""

    @property
    def _guest(self) -> Guest:
        guest = self.protocol
        assert isinstance(guest, Guest)  # noqa: S101 -- our request_factory is only called by our guests
        return guest

    @property
    def caller(self) -> Caller:
        return self._guest.caller

    @property
    def streams(self) -> Streams:
        return self._guest.server.streams

    def be_current(self) -> None:
        """The one request of its connection."""
        self._guest.asked = self

    async def body(self, most: int | None = None) -> bytes:
        """The whole body, within `limits.api_body` and within `most` bytes. Raises Refusal."""
        guest = self._guest
        limits, data = guest.server.limits, bytearray()
        most = limits.api_body if most is None else min(most, limits.api_body)
        if (self.content_length or 0) > most:
            raise _too_large(most, limits)
        if self.headers.get("Expect", "").lower() == "100-continue" and self.version >= http.HttpVersion11:
            guest.invite()
        try:
            with Kept(guest.server.room) as kept:
                while True:
                    await kept.may_go_on()
                    async with asyncio.timeout(limits.stall_timeout):
                        piece = await self.content.readany()
                    if not piece:
                        return bytes(data)
                    data += piece
                    kept.take(len(piece))
                    if len(data) > most:
                        raise _too_large(most, limits)
        except TimeoutError:
            guest.abort()
            raise ConnectionResetError("a body stands still") from None
        except (web.RequestPayloadError, http.HttpProcessingError):
            raise Refusal("bad_request", "the request's body is malformed") from None

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        guest = self._guest
        guest.server.allow_origin(self, response)
        response.force_close()
        self.caller.status = response.status
        self.caller.written = lambda: self.writer.output_size
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
        self.room = Room(limits.body_peek_total, limits.body_peek)
        self.tally = tally
        self.log = log
        self.cors = cors
        self.streams = Streams()
        # A logger that is in no tree: aiohttp writes a trace for each bad request, and anybody could fill the disk.
        self.silent = logging.Logger("hestia.guest")  # noqa: LOG001 -- getLogger would put it into the tree
        self.silent.disabled = True

    def begin_closing(self) -> None:
        """The gateway ends: answers that would go on for ever end now, whole."""
        self.streams.close()

    def hire(self, front: object, request_id: str, client: str, scheme: str) -> Guest:
        """A protocol for the rest of one connection."""
        return Guest(self, Caller(front, request_id, client, scheme))

    def _asked(self, message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> Asked:
        return Asked(message, payload, protocol, writer, task, asyncio.get_running_loop())

    async def _serve(self, request: Asked) -> web.StreamResponse:
        caller = request.caller
        request.be_current()
        caller.method = request.method.encode("ascii", "replace")
        caller.path = request.rel_url.raw_path.encode("ascii", "replace")
        caller.asked_at = monotonic()  # not the loop's time: uvloop keeps that in whole milliseconds
        try:
            response = await self._answer(request)
        except Refusal as refusal:
            response = self.refused(request, refusal)
        except ConnectionError:  # the client's end of it
            raise
        except Exception:  # noqa: BLE001 -- the fence of the guest lane: a bug of a page ends that page only
            self.log.event("internal", "error", request_id=caller.request_id, trace=traceback.format_exc())
            response = self.refused(request, Refusal("internal", "Hestia made a mistake; its log has the trace."))
        if caller.status and not response.prepared:  # another answer has begun: it must not look whole
            caller.outcome = "broken"
            raise ConnectionResetError("an answer broke off")
        return response

    def refused(self, request: web.BaseRequest, refusal: Refusal) -> web.Response:
        """A refusal as aiohttp's response, with the same words as in the relay lane."""
        guest = request.protocol
        assert isinstance(guest, Guest)  # noqa: S101 -- as in Asked.caller
        guest.caller.outcome = refusal.code
        navigation = is_navigation(request)
        id_ = guest.caller.request_id
        body = problem_body(refusal, service=guest.caller.service, request_id=id_, navigation=navigation)
        headers = problem_headers(refusal, request_id=id_, navigation=navigation)
        return web.Response(status=refusal.status, body=body, headers=headers)

    def allow_origin(self, request: web.BaseRequest, response: web.StreamResponse) -> None:
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
            0.0 if caller.waits else spent,
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

    __slots__ = ("asked", "caller", "server")

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
            # How long a body that nobody wants is read and dropped, so that no RST takes the answer along.
            lingering_time=min(LONGEST_LINGER, limits.stall_timeout),
            auto_decompress=False,
            access_log_class=_Ended,
            access_log=server.silent,
            logger=server.silent,
        )
        self.server = server
        self.caller = caller
        self.asked: Asked | None = None

    def data_received(self, data: bytes) -> None:
        if self._is_whole():
            return
        super().data_received(data)
        if self._is_whole() and self._buffer_paused:
            self._resume_reading_for_buffer()
        asked = self.asked
        if asked is not None and self._messages and not asked.content.is_eof():
            # What aiohttp cannot read of a body it queues as a further message, and who reads the body waits for ever.
            asked.content.set_exception(web.RequestPayloadError("malformed"))

    def _is_whole(self) -> bool:
        """The one request has come. What follows is dropped: aiohttp would pause for it, and see no client leave."""
        if self.asked is not None:
            return self.asked.content.is_eof()
        return bool(self._messages) and bool(self._messages[0][1].is_eof())

    def connection_lost(self, exc: BaseException | None) -> None:
        caller = self.caller
        if caller.asked_at:
            if caller.outcome == "ok":
                caller.outcome = "client_left"
            self.server.ended(caller, caller.status, caller.written())
        super().connection_lost(exc)

    def invite(self) -> None:
        """The client waits before it sends its body."""
        if self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp answers to bytes that it cannot read: in our words, without an echo of them, one line each."""
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("the answer has begun already, or nobody is there for it")
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

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


def _too_large(most: int, limits: Limits) -> Refusal:
    key = " (`limits.api_body`)" if most == limits.api_body else ""
    return Refusal("payload_too_large", f"the body has more than {most} bytes{key}")


def is_navigation(request: web.BaseRequest) -> bool:
    """Section 14 of the contract: would a person see this answer as a page?"""
    headers = request.headers
    if request.method != "GET" or "prefetch" in headers.get("Sec-Purpose", headers.get("Purpose", "")).lower():
        return False
    if headers.get("Sec-Fetch-Dest", "document") != "document":
        return False
    mode = headers.get("Sec-Fetch-Mode")
    return mode == "navigate" if mode is not None else "text/html" in headers.get("Accept", "").lower()
