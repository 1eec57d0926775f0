"""The front door: one connection of a client. It cuts messages, chooses a lane, and knows what is overdue.

It owns the transport and is no aiohttp connection: measured, that one's keep-alive timer cuts a relayed stream, its
shutdown closes connections in mid-relay, and it costs a Task for each idle connection. A request for a service goes to
the relay lane; at the first one for Hestia's own pages aiohttp is hired for the rest of the connection (doors/guest).
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from hestia.doors.cold_door import Arrival
from hestia.doors.connection import BODY, BUSY, CHOOSING, GUEST, IDLE, LINGER, MOST_LINGERED, TUNNEL
from hestia.doors.dispatching import REQUESTS, Dispatching
from hestia.doors.reception import judge, receive_head, receive_target, stand
from hestia.doors.shared import Arriving
from hestia.h1.grammar import BadMessage
from hestia.h1.request import RequestHead, find_request_line, renew
from hestia.h1.seam import Seam, find_seam
from hestia.relay.exchange import Exchange
from hestia.rules.admission import FREE, LOGIN, Verdict
from hestia.rules.no_wake import PLAIN, Asleep
from hestia.rules.routing import NOT_FOUND, OWN, REDIRECT, ROUTE, SERVICE, UNKNOWN, Choice, Door, Router, path_of
from hestia.rules.waiting import RETRY_FORM, is_retry_form, may_be_retry_form
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.doors.shared import Shared
    from hestia.relay.place import Place, Relayed

LONG_LINE: Final = 2048
FORM_LENGTH: Final = len(RETRY_FORM)
MOST_REFUSED: Final = 32
"""So many connections beyond the limit are told so; each costs a descriptor while its client reads that."""


class Front(Dispatching):
    """Cuts messages from the bytes of its connection, and answers or relays each."""

    __slots__ = ("block", "choice", "head", "line", "method", "name", "router", "seam", "target")

    choice: Choice[Relayed]

    def __init__(self, shared: Shared, door: Door, *, secure: bool) -> None:
        super().__init__(shared, door, secure=secure)
        self.head: RequestHead | None = None  # of the last block, which clients repeat
        self.block = b""
        self.seam: Seam | None = None  # of `head`: the one line that changed last time
        self.line = b""  # the last request line, while `target` is its target as it came
        self.method = b""  # of the last target that was checked
        self.target = b""
        self.router: Router[Relayed] | None = None  # that `choice` was made by, for that target and this host
        self.name = b""

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
        elif state in {BUSY, CHOOSING}:
            self._intake(data)
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
        if self.exchange is not None or self.course is not None:
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
            found = self._request_line(data)
            if found is None:
                self._wait_for_more(data)
                return
            method, target, minor, begin, end = found
            block = data[begin:end]
            head = self.head
            if (
                head is None
                or (block != self.block and not self._renewed(head, block))
                or minor != head.minor
                or not self.standing.holds(shared.guard, monotonic())
            ):
                self.head = head = None
                head = receive_head(block, minor, self)
                self.standing = stand(head, block, self)
                self.head = head
                self.block = block
                self.seam = None
            if target != self.target or method != self.method:
                self.target, self.line, self.router = b"", b"", None
                received = receive_target(method, target, head)
                if received == target:  # origin-form: nothing of it depends on the head
                    self.target, self.method, self.line = target, method, data[:begin]
                target = received
        except BadMessage as mistake:
            self._refuse(Refusal("bad_request", str(mistake)), head, method=method)
            return
        except OverflowError:
            self._refuse(Refusal("headers_too_large", "the request's head is longer than `limits.header_bytes`"))
            return
        except Refusal as refusal:
            self._refuse(refusal, self.head, method=method)
            return
        self.begun = self.fresh = False
        self._route(data, end, method, target, head)

    def _request_line(self, data: bytes) -> tuple[bytes, bytes, bytes, int, int] | None:
        """As `find_request_line`; a line that comes again is not read again."""
        longest = self.shared.limits.header_bytes
        if self.line and data.startswith(self.line):
            begin = len(self.line)
            end = data.find(b"\r\n\r\n", begin - 2)
            if 0 <= end <= longest - 4:
                return self.method, self.target, self.line[-3:-2], begin, end + 4
        return find_request_line(data, longest)

    def _renewed(self, head: RequestHead, block: bytes) -> bool:
        """Whether the head of the last block could be made this block's."""
        if head.cross_for is not None and head.cross_for[0].crossing.replaced:
            head.cross_for = None  # a line that crossed may be the place's own, with the same words
        if self.seam is None or not self.seam.renew(head, block):
            before, lines = self.block.split(b"\r\n"), block.split(b"\r\n")
            if not renew(head, before, lines):
                return False
            self.seam = find_seam(head, before, lines)
        self.block = block
        if head.sleepy_for is not None and head.sleepy_for.reads_heads:
            head.sleepy_for = None
        return True

    def _wait_for_more(self, data: bytes) -> None:
        if not self.begun:
            self.begun = True
            self.since = monotonic()
        self.held = data

    def _route(self, data: bytes, end: int, method: bytes, target: bytes, head: RequestHead) -> None:
        router = self.shared.router
        if target == self.target and self.router is router and self.name == head.name:
            choice = self.choice  # clients of an API ask for one path again and again
        else:
            choice = self.choice = router.choose(self.door, head.name, target)
            self.router, self.name = router if target == self.target else None, head.name
        kind = choice.kind
        verdict = FREE
        if not self.standing.free or kind > ROUTE or target.startswith(LOGIN[:5]):
            verdict = judge(self, head, self.standing, method, target, choice)
            if verdict.refusal is not None or (kind > ROUTE and verdict.answers_preflight):
                self._turn_away(verdict, head, method, target, data[end:], choice.service)
                return
            if verdict.rule == "login":
                kind = OWN
        if kind == SERVICE and choice.service is not None:
            self._relay(data, end, method, choice.target, choice.prefix, head, choice.service, verdict)
        elif kind == ROUTE:
            self._choose(data, end, method, target, head, verdict)
        elif kind == OWN and method != b"OPTIONS" and path_of(target) == REQUESTS:
            self._accept(data, end, method, target, head)
        elif kind == OWN:
            self._hire(data, head)
        elif kind == REDIRECT:
            self._redirect(choice.target, method, target, head)
        else:
            code = {UNKNOWN: "unknown_service", NOT_FOUND: "not_found"}[kind]
            self._refuse(Refusal(code, choice.detail), head, method=method, target=target, rest=data[end:])

    # --- the relay lane

    def _relay(
        self,
        data: bytes,
        end: int,
        method: bytes,
        target: bytes,
        prefix: bytes,
        head: RequestHead,
        relayed: Relayed,
        verdict: Verdict,
        request_id: bytes | None = None,
    ) -> None:
        shared = self.shared
        if relayed.sees_requests:
            shared.at_door = Arriving(method, target, head)
        asked = head.wish is not None or (head.length == FORM_LENGTH and method == b"POST")
        if asked and self._for_the_page(data, end, method, target, prefix, head, relayed):
            return
        rules = relayed.no_wake
        if head.sleepy_for is not rules:
            head.sleepy_for = rules
            head.sleepy = rules.of_head(head)
        asleep = None if verdict.wakes else PLAIN
        if head.sleepy and asleep is None:
            asleep = rules.of_request(head.sleepy, method, relayed.base_path + target.partition(b"?")[0], head.client)
        lease = relayed.life.lease_nowait() if asleep is None else relayed.life.lease_quietly()
        if lease is None and not verdict.wakes:
            self._turn_away(verdict, head, method, target, data[end:], relayed)
            return
        request_id = request_id or head.request_id or next(shared.request_ids)
        if lease is None and self._stand_in(data, end, method, target, prefix, head, relayed, request_id, asleep):
            return
        exchange = Exchange(
            self,
            relayed,
            head,
            method,
            target,
            prefix,
            request_id,
            shared.fence,
            shared.limits.header_bytes,
            monotonic(),
        )
        if shared.closing:
            exchange.keep = False
        if asleep is not None and asleep.last:
            exchange.recorder = shared.cold.recording(exchange)
        self.exchange = exchange
        self.since = exchange.began
        self.state = BODY if head.length else BUSY
        if len(data) > end and not head.length:
            self._hold(data[end:])
        if lease is None:
            exchange.wait()
        else:
            exchange.start(lease, quiet=asleep is not None)
        if len(data) > end and head.length:
            self._body(data[end:])

    def cross(self, exchange: Exchange, place: Place) -> bytes:
        """The header block as it crosses to `place`, kept beside the block that clients repeat."""
        head, prefix = exchange.head, exchange.prefix
        if head.cross_for != (place, prefix):
            head.crossed = place.crossing.request(head, prefix, self.peer.encode(), trusted=self.trusted)
            head.cross_for = (place, prefix)
        return head.crossed

    def _stand_in(
        self,
        data: bytes,
        end: int,
        method: bytes,
        target: bytes,
        prefix: bytes,
        head: RequestHead,
        relayed: Relayed,
        request_id: bytes,
        asleep: Asleep | None,
    ) -> bool:
        """Whether the request gets something else than a place in the line."""
        if head.dispatched and asleep is None:
            return False
        keep = head.keep and head.length == 0 and not self.shared.closing
        arrival = Arrival(relayed.id, head, method, target, prefix, request_id, keep)
        try:
            given = self.shared.cold.arrive(arrival, asleep)
        except Refusal as refusal:
            self._refuse(refusal, head, method=method, target=target, service=relayed.id, rest=data[end:])
            return True
        if given is None:
            return False
        self._give(given, arrival, data[end:])
        return True

    def _for_the_page(
        self, data: bytes, end: int, method: bytes, target: bytes, prefix: bytes, head: RequestHead, relayed: Relayed
    ) -> bool:
        """Whether a waiting page asks: by `Hestia-Wait`, or without scripts by its form."""
        request_id = head.request_id or next(self.shared.request_ids)
        keep = head.keep and head.length == 0 and not self.shared.closing
        arrival = Arrival(relayed.id, head, method, target, prefix, request_id, keep)
        try:
            if head.wish is not None:
                self._give(self.shared.cold.wished(arrival, head.wish), arrival, data[end:])
                return True
            if head.expect or not may_be_retry_form(method, head.length, head.header(b"content-type")):
                return False
            if len(data) < end + FORM_LENGTH:
                if not end:  # the head is not before it any more: it was read to choose the service
                    return False
                self._wait_for_more(data)
                return True
            if not is_retry_form(data[end : end + FORM_LENGTH]):
                return False
            self._give(self.shared.cold.form(arrival._replace(keep=head.keep)), arrival, data[end + FORM_LENGTH :])
        except Refusal as refusal:
            self._refuse(refusal, head, method=method, target=target, service=relayed.id, rest=data[end:])
        return True

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
        self.moved = (exchange.bytes_in, exchange.bytes_out, monotonic())
        early, self.held = self.held, b""
        self.overflow = False
        self.read_or_not()
        if self.full:
            exchange.client_full()
        return early

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
