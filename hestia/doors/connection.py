"""A client's connection whatever it carries: its flow, its end, and what is overdue on it."""

from __future__ import annotations

import asyncio
import socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.doors.guest import Guest
    from hestia.doors.intake import Pledge
    from hestia.doors.shared import Shared
    from hestia.relay.exchange import Exchange
    from hestia.rules.routing import Door

IDLE: Final = 0  # between messages; also while a head is incomplete
BODY: Final = 1  # the request's body comes
BUSY: Final = 2  # the request is whole, its answer is not
TUNNEL: Final = 3
GUEST: Final = 4  # aiohttp has the rest of the connection
LINGER: Final = 5  # the last answer is out; what still comes is read and dropped
CLOSED: Final = 6
CHOOSING: Final = 7  # the body is read before it is known whom the request is for

LONGEST_LINGER = 2.0
FIRST_REQUEST = 1.0
MOST_LINGERED = 4 * 1024 * 1024
RESET = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """One open connection. `Front` adds the messages; what holds for all of them stands here."""

    __slots__ = (
        "begun",
        "door",
        "exchange",
        "fresh",
        "full",
        "guest",
        "held",
        "lingered",
        "moved",
        "overflow",
        "peer",
        "pledge",
        "reading",
        "scheme",
        "shared",
        "since",
        "state",
        "stopped",
        "transport",
        "trusted",
    )

    transport: asyncio.Transport

    def __init__(self, shared: Shared, door: Door, *, secure: bool) -> None:
        self.shared = shared
        self.door = door
        self.scheme = b"https" if secure else b"http"
        self.peer = ""
        self.trusted = False
        self.state = CLOSED
        self.since = 0.0  # when the state began
        self.full = False  # the write buffer is
        self.reading = True
        self.stopped = False  # the exchange wants no more of the body for now
        self.overflow = False  # more was sent behind the message than we keep
        self.begun = False  # a head is, and is not complete
        self.fresh = True  # it has sent no request yet
        self.held = b""  # bytes that nobody has read yet
        self.exchange: Exchange | None = None
        self.guest: Guest | None = None
        self.pledge: Pledge | None = None  # what is given back when the exchange has delivered its body, or is over
        self.moved = (0, 0, 0.0)  # bytes that wait, bytes that passed, since when both stand still
        self.lingered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.shared.fronts.add(self)
        self.shared.sweep.watched.add(self)
        self.since = monotonic()
        self.moved = (0, 0, self.since)  # the first look may fall before a body's first byte
        self.state = IDLE
        peer = transport.get_extra_info("peername")
        self.peer = peer[0].partition("%")[0] if isinstance(peer, tuple) else ""
        self.trusted = self.shared.trust.trusted(self.peer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.state = CLOSED
        self.shared.fronts.discard(self)
        self.shared.sweep.watched.discard(self)
        self.shared.sweep.paused.discard(self)
        if self.guest is not None:
            self.guest.connection_lost(exc)

    def resumed(self) -> None:
        """Between messages, and the client takes its answers again."""

    # --- the end of the connection

    def close(self) -> None:
        """Ends it once what is buffered has gone out; the sweep bounds that."""
        self.state = CLOSED
        self.transport.close()

    def linger(self) -> None:
        """The last answer is out, but the client may be sending: closed now, an RST would take the answer along."""
        if self.state == GUEST or not self.transport.can_write_eof():
            self.close()
            return
        self.state = LINGER
        self.since = monotonic()
        self.stopped = self.overflow = False
        self.held = b""
        self.read_or_not()
        try:
            self.transport.write_eof()
        except OSError:  # the client has reset the connection, and the loop does not know yet
            self.abort()

    def reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.abort()

    def abort(self) -> None:
        """Ends it now; `connection_lost` ends what hangs on it."""
        self.transport.abort()

    def wind_up(self) -> None:
        """The gateway closes: an idle connection at once, a busy one with its answer.

        One that was just accepted may have its first request under way: it gets a moment.
        """
        if self.state == IDLE and not self.held:
            if not self.fresh:
                self.close()
        elif self.exchange is not None and not self.exchange.answering:
            self.exchange.keep = False

    def cut(self, lease: object) -> None:
        """The place that this connection's exchange has a lease on is over."""
        if self.exchange is not None and self.exchange.lease is lease:
            self.exchange.cut()

    # --- flow

    def pause(self) -> None:
        """The exchange cannot take more of the body now."""
        self.stopped = True
        self.read_or_not()

    def resume(self) -> None:
        """It can again."""
        self.stopped = False
        self.read_or_not()

    def read_or_not(self) -> None:
        wanted = not (self.stopped or self.overflow)
        if wanted == self.reading or self.transport.is_closing():
            return
        self.reading = wanted
        if wanted:
            self.transport.resume_reading()
            self.shared.sweep.paused.discard(self)
        else:
            self.transport.pause_reading()
            self.shared.sweep.paused.add(self)

    def pause_writing(self) -> None:
        self.full = True
        if self.exchange is not None:
            self.exchange.client_full()
        elif self.guest is not None:
            self.guest.pause_writing()

    def resume_writing(self) -> None:
        self.full = False
        if self.exchange is not None:
            self.exchange.client_drained()
        elif self.guest is not None:
            self.guest.resume_writing()
        elif self.state == IDLE:
            self.resumed()

    # --- the sweep

    def fileno(self) -> int:
        sock = self.transport.get_extra_info("socket")
        return -1 if sock is None else cast("int", sock.fileno())

    def peer_left(self, *, half: bool) -> None:
        """The poll of paused sockets. In a tunnel a FIN is only half of leaving, and is seen when it is read."""
        if not (half and self.state == TUNNEL):
            self.abort()

    def look(self, now: float) -> None:
        """Ends what is overdue: a slow head, an idle connection, a stalled body or reader, a silent upstream."""
        limits = self.shared.limits
        exchange = self.exchange
        if self.state == IDLE:
            if self.shared.closing and self.fresh and now - self.since > FIRST_REQUEST:
                self.close()
            elif not self.begun and self.transport.get_write_buffer_size():
                self.since = now  # it still takes its last answer
            elif now - self.since > (limits.head_timeout if self.begun else limits.idle_connection):
                self.abort()
        elif self.state == LINGER and now - self.since > LONGEST_LINGER:
            self.abort()
        elif exchange is not None and exchange.overdue(now):
            exchange.refuse(Refusal("upstream_timeout", f"{exchange.relayed.id} did not begin its answer in time"))
        elif self.state == TUNNEL and exchange is not None and exchange.relayed.tunnel_idle:
            self._listen_for_silence(exchange, now)
        if self.state != TUNNEL and self._stands_still(now) > limits.stall_timeout:
            self.abort()

    def _listen_for_silence(self, exchange: Exchange, now: float) -> None:
        """A tunnel that says nothing for `tunnel_idle` keeps its service awake no longer, until it speaks again."""
        passed = (exchange.bytes_in, exchange.bytes_out)
        if passed != self.moved[:2]:
            self.moved = (*passed, now)
            exchange.waken()
        elif now - self.moved[2] > exchange.relayed.tunnel_idle:
            exchange.quieten(now)

    def _stands_still(self, now: float) -> float:
        """For how long the client has taken nothing of what is there for it, or sent nothing of what is wanted."""
        waiting = self.transport.get_write_buffer_size()
        exchange = self.exchange
        wanted = (
            self.state == BODY and self.reading and exchange is not None and exchange.invited and not exchange.waiting
        )
        passed = exchange.bytes_in if wanted and exchange is not None else 0
        if not (waiting or wanted) or (waiting, passed) != self.moved[:2]:
            self.moved = (waiting, passed, now)
        return now - self.moved[2]
