"""The front door: one connection of a client. It cuts messages, chooses a lane, and knows what is overdue.

It owns the transport and is no aiohttp connection: measured, that one's keep-alive timer cuts a relayed stream, its
shutdown closes connections in mid-relay, and it costs a Task for each idle connection. A request for a service goes to
the relay lane; at the first one for Hestia's own pages aiohttp is hired for the rest of the connection (doors/guest).
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from hestia.doors.connection import BODY, BUSY, GUEST, IDLE, LINGER, MOST_LINGERED, TUNNEL, Connection
from hestia.doors.reception import receive_head, receive_target, redirect, refuse
from hestia.h1.grammar import BadMessage
from hestia.h1.request import RequestHead, find_request_line
from hestia.relay.exchange import Exchange
from hestia.rules.routing import NOT_FOUND, OWN, REDIRECT, SERVICE, UNKNOWN, Door
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.doors.shared import Shared
    from hestia.relay.place import Relayed

LONG_LINE: Final = 2048
MOST_REFUSED: Final = 32
"""So many connections beyond the limit are told so; each costs a descriptor while its client reads that."""


class Front(Connection):
    """Cuts messages from the bytes of its connection, and answers or relays each."""

    __slots__ = ("block", "head")

    def __init__(self, shared: Shared, door: Door, *, secure: bool) -> None:
        super().__init__(shared, door, secure=secure)
        self.head: RequestHead | None = None  # of the last block, which clients repeat
        self.block = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        shared = self.shared
        most = shared.most_connections + (shared.reserve if self.door.admin else 0)
        if len(shared.fronts) > most + MOST_REFUSED:
            self.abort()
        elif len(shared.fronts) > most:
            self._refuse(Refusal("too_many_connections", "as many connections are open as `limits.connections` allows"))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.leave()
            self._count(exchange, "ok" if exchange.tunnel is not None else "client_left")

    def data_received(self, data: bytes) -> None:
        state = self.state
        if state == IDLE:
            if self.held:
                if LONG_LINE < len(self.held) < self.shared.limits.header_bytes and b"\n" not in data:
                    self.held += data  # in small pieces a long line would be read again and again
                    return
                data = self.held + data
                self.held = b""
            self._request(data)
        elif state == BODY:
            self._body(data)
        elif state == TUNNEL:
            if self.exchange is not None:
                self.exchange.tunnel_up(data)
        elif state == GUEST:
            if self.guest is not None:
                self.guest.data_received(data)
        elif state == BUSY:
            self._hold(data)
        elif state == LINGER:
            self.lingered += len(data)
            if self.lingered > MOST_LINGERED:
                self.abort()

    def eof_received(self) -> bool:
        """The client's FIN. Before its answer ends it means that the client left."""
        if self.state == TUNNEL and self.exchange is not None:
            return self.exchange.client_ended()
        if self.state == GUEST and self.guest is not None:
            self.guest.eof_received()
            return False
        if self.exchange is not None:
            self.abort()
        return False

    # --- a request

    def _request(self, data: bytes) -> None:
        shared = self.shared
        if self.full:  # it does not take its answers: it gets no further ones
            self._hold(data)
            return
        if data[0] == 13:  # noqa: PLR2004 - CR: one empty line before a request is tolerated (RFC 9112, 2.2)
            if data == b"\r":
                self._wait_for_more(data)
                return
            data = data.removeprefix(b"\r\n")
            if not data:
                return
        method, head = b"", None
        try:
            found = find_request_line(data, shared.limits.header_bytes)
            if found is None:
                self._wait_for_more(data)
                return
            method, target, minor, begin, end = found
            block = data[begin:end]
            head = self.head
            if head is None or block != self.block or minor != head.minor:
                self.head = None
                head = receive_head(block, minor, self)
                self.head = head
                self.block = block
            target = receive_target(method, target, head)
        except BadMessage as mistake:
            self._refuse(Refusal("bad_request", str(mistake)), head, method=method)
            return
        except OverflowError:
            self._refuse(Refusal("headers_too_large", "the request's head is longer than `limits.header_bytes`"))
            return
        except Refusal as refusal:
            self._refuse(refusal, self.head, method=method)
            return
        self.begun = False
        self._route(data, end, method, target, head)

    def _wait_for_more(self, data: bytes) -> None:
        if not self.begun:
            self.begun = True
            self.since = monotonic()
        self.held = data

    def _route(self, data: bytes, end: int, method: bytes, target: bytes, head: RequestHead) -> None:
        choice = self.shared.router.choose(self.door, head.name, target)
        kind = choice.kind
        if kind == SERVICE and choice.service is not None:
            self._relay(data, end, method, choice.target, choice.prefix, head, choice.service)
        elif kind == OWN:
            self._hire(data, head)
        elif kind == REDIRECT:
            self._redirect(choice.target, method, target, head)
        else:
            code = {UNKNOWN: "unknown_service", NOT_FOUND: "not_found"}[kind]
            self._refuse(Refusal(code, choice.detail), head, method=method, target=target, rest=data[end:])

    # --- the relay lane

    def _relay(
        self, data: bytes, end: int, method: bytes, target: bytes, prefix: bytes, head: RequestHead, relayed: Relayed
    ) -> None:
        shared = self.shared
        place = relayed.place
        if place is None:
            self._refuse(
                Refusal("start_failed", f"{relayed.id} has no `base_url`, and nothing has told its address yet"),
                head,
                method=method,
                target=target,
                service=relayed.id,
                rest=data[end:],
            )
            return
        if head.cross_for != (relayed, prefix):
            head.crossed = place.crossing.request(head, prefix, self.peer.encode(), trusted=self.trusted)
            head.cross_for = (relayed, prefix)
        relayed.life.lease_nowait()
        exchange = Exchange(
            self,
            relayed,
            head,
            method,
            target,
            prefix,
            head.request_id or next(shared.request_ids),
            shared.fence,
            shared.limits.header_bytes,
            monotonic(),
        )
        if shared.closing:
            exchange.keep = False
        self.exchange = exchange
        self.since = exchange.began
        if head.length == 0:
            self.state = BUSY
            if len(data) > end:
                self._hold(data[end:])
            exchange.start(place, head.crossed)
        else:
            self.state = BODY
            exchange.start(place, head.crossed)
            if len(data) > end:
                self._body(data[end:])

    def _body(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            return
        try:
            rest = exchange.upload(data)
        except BadMessage as mistake:
            if exchange.answering:
                self.abort()
            else:
                exchange.refuse(Refusal("bad_request", f"the request's body: {mistake}"))
            return
        if rest is not None and self.state == BODY:
            self.state = BUSY
            if rest:
                self._hold(rest)

    def _hold(self, data: bytes) -> None:
        """Bytes behind the message at hand: kept, bounded, looked at when it ends."""
        self.held = self.held + data if self.held else data
        if len(self.held) > self.shared.limits.header_bytes:
            self.overflow = True
            self.read_or_not()

    def exchange_tunnels(self, exchange: Exchange) -> bytes:
        """From now on bytes are bytes. Gives what the client sent behind its request."""
        self.state = TUNNEL
        early, self.held = self.held, b""
        self.overflow = False
        self.read_or_not()
        if self.full:
            exchange.client_full()
        return early

    def exchange_done(self, exchange: Exchange, *, reusable: bool) -> None:
        """The answer went out whole (or the tunnel ended)."""
        self.exchange = None
        self._count(exchange, "ok")
        if not reusable:
            if exchange.request_done:
                self.close()
            else:
                self.linger()
            return
        self._next()

    def exchange_broken(self, exchange: Exchange) -> None:
        """The answer broke off and must not look whole: HTTP/1.0 shows that by a reset alone."""
        self.exchange = None
        self._count(exchange, "broken")
        if exchange.head.minor == b"0":
            self.reset()
        else:
            self.close()

    def exchange_refused(self, exchange: Exchange, refusal: Refusal) -> None:
        """There will be no answer of the upstream's."""
        self.exchange = None
        exchange.status = refusal.status
        keep = exchange.keep and exchange.request_done
        self.transport.write(
            refuse(
                refusal,
                exchange.head,
                exchange.method,
                exchange.request_id,
                self.shared.cors_origins,
                service=exchange.relayed.id,
                keep=keep,
            )
        )
        self._count(exchange, refusal.code)
        if keep:
            self._next()
        else:
            self.linger()

    def resumed(self) -> None:
        self._next()

    def _next(self) -> None:
        """Between messages again; what came meanwhile is looked at from the loop, not by recursion."""
        self.state = IDLE
        self.since = monotonic()
        self.stopped = False
        if self.shared.closing:
            self.close()
            return
        if self.overflow and not self.full:
            self.overflow = False
        self.read_or_not()
        if self.held and not self.full:
            asyncio.get_running_loop().call_soon(self._look_again)

    def _look_again(self) -> None:
        if self.state == IDLE and self.held and not self.full:
            data, self.held = self.held, b""
            self._request(data)

    # --- answers of our own

    def _hire(self, data: bytes, head: RequestHead) -> None:
        """Hestia's own pages: aiohttp reads this request again, and is this connection's last reader."""
        request_id = (head.request_id or next(self.shared.request_ids)).decode("ascii")
        guest = self.shared.server.hire(self, request_id, head.client, head.own_scheme.decode())
        self.guest = guest
        self.state = GUEST
        guest.connection_made(self.transport)
        if self.full:
            guest.pause_writing()
        guest.data_received(data)

    def _redirect(self, location: bytes, method: bytes, target: bytes, head: RequestHead) -> None:
        keep = head.keep and head.length == 0 and not self.shared.closing
        request_id = head.request_id or next(self.shared.request_ids)
        self.transport.write(redirect(location, head, request_id, keep=keep))
        self._tell("", 308, method, target, head.client, request_id, "ok")
        if keep:
            self._next()
        else:
            self.linger()

    def _refuse(
        self,
        refusal: Refusal,
        head: RequestHead | None = None,
        *,
        method: bytes = b"",
        target: bytes = b"",
        service: str | None = None,
        rest: bytes | None = None,
    ) -> None:
        """Answers without an exchange. The connection stays only where the next message begins with `rest`."""
        request_id = (head.request_id if head is not None else None) or next(self.shared.request_ids)
        keep = rest is not None and head is not None and head.keep and head.length == 0 and not self.shared.closing
        cors = self.shared.cors_origins
        self.transport.write(refuse(refusal, head, method, request_id, cors, service=service, keep=keep))
        client = head.client if head is not None else self.peer
        self._tell(service or "", refusal.status, method, target, client, request_id, refusal.code)
        if keep:
            self.held = rest or b""
            self._next()
        else:
            self.linger()

    def _tell(
        self, service: str, status: int, method: bytes, target: bytes, client: str, request_id: bytes, outcome: str
    ) -> None:
        path = target.partition(b"?")[0]
        self.shared.tally.ended(service, status, method, path, client, request_id, 0.0, 0.0, 0, 0, outcome)

    def _count(self, exchange: Exchange, outcome: str) -> None:
        self.shared.tally.ended(
            exchange.relayed.id,
            exchange.status,
            exchange.method,
            exchange.path,
            exchange.head.client,
            exchange.request_id,
            monotonic() - exchange.began,
            exchange.own_time,
            exchange.bytes_in,
            exchange.bytes_out,
            outcome,
        )
