"""A connection to an upstream: reads answers by the strict grammar and hands them to the exchange that has it."""

from __future__ import annotations

import asyncio
import os
import select
from typing import TYPE_CHECKING, cast

from hestia.h1.answer import AnswerMemo, find_answer_head
from hestia.h1.grammar import BadMessage

if TYPE_CHECKING:
    from hestia.relay.exchange import Exchange
    from hestia.relay.place import Place

READ_AT_ONCE = 65536
READABLE = select.POLLIN | select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
LONGEST_FINISH = 30.0


class Upstream(asyncio.Protocol):
    """One connection, one exchange at a time. While idle it belongs to the pool of its place."""

    __slots__ = (
        "alive",
        "exchange",
        "full",
        "head",
        "idle_since",
        "longest_head",
        "memo",
        "place",
        "poll",
        "reading",
        "touched",
        "transport",
        "used",
    )

    transport: asyncio.Transport

    def __init__(self, place: Place, longest_head: int) -> None:
        self.place = place
        self.longest_head = longest_head
        self.exchange: Exchange | None = None
        self.alive = False
        self.used = False  # it has carried an exchange before
        self.reading = True
        self.full = False  # its write buffer is: whoever sends shall wait
        self.touched = False  # it gave a byte since its last exchange began
        self.head = b""
        self.memo = AnswerMemo()
        self.idle_since = 0.0

    def fileno(self) -> int:
        return cast("int", self.transport.get_extra_info("socket").fileno())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.alive = True
        readable = select.poll()
        readable.register(self.fileno(), READABLE)
        self.poll = readable.poll

    def data_received(self, data: bytes) -> None:
        exchange = self.exchange
        if exchange is None:
            self.close()  # nobody asked: whatever this is, the next answer must not begin with it
        elif exchange.answering:
            exchange.answer_more(data)
        else:
            self.touched = True
            if self.head:
                data = self.head + data
                self.head = b""
            self._read_heads(data, exchange)

    def _read_heads(self, data: bytes, exchange: Exchange) -> None:
        """Hands complete heads on, interim ones too, and keeps the beginning of one."""
        try:
            while end := find_answer_head(data, self.longest_head):
                if exchange.answer_begins(data, end):
                    return
                data = data[end:]
        except BadMessage as problem:
            exchange.upstream_failed(str(problem))
            return
        self.head = data

    def eof_received(self) -> bool:
        exchange = self.exchange
        return exchange is not None and exchange.upstream_ended()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.alive and self.exchange is not None and isinstance(exc, OSError):
            self._last_words()
        was_alive, self.alive = self.alive, False
        if self.exchange is not None:
            self.exchange.upstream_lost(exc)
        elif was_alive:
            self.place.pool.forget(self)

    def _last_words(self) -> None:
        """An upstream that refuses an upload answers and closes: our next write may fail before its answer is read."""
        try:
            while self.exchange is not None and self.place.tls is None:
                data = os.read(self.fileno(), READ_AT_ONCE)
                if not data:
                    return
                self.data_received(data)
        except (OSError, ValueError):
            return

    def pause_writing(self) -> None:
        self.full = True
        if self.exchange is not None:
            self.exchange.client.pause()

    def resume_writing(self) -> None:
        self.full = False
        if self.exchange is not None:
            self.exchange.client.resume()

    def pause(self) -> None:
        """The client does not take what comes: leave it in the kernel."""
        if self.reading and self.alive and not self.transport.is_closing():
            self.reading = False
            self.transport.pause_reading()

    def resume(self) -> None:
        if not self.reading and self.alive and not self.transport.is_closing():
            self.reading = True
            self.transport.resume_reading()

    def leave(self, *, reusable: bool) -> None:
        """The exchange is over. The connection goes back to the pool if it stands exactly at a message's end."""
        self.exchange = None
        if not self.alive:
            return
        if reusable and not self.head and not self.full and not self.transport.is_closing():
            self.resume()
            self.place.pool.put(self)
        else:
            self.close()

    def finish(self) -> None:
        """Ends it once what was read for it has been written, within a bound."""
        self.exchange = None
        if self.alive:
            self.alive = False
            self.transport.close()
            asyncio.get_running_loop().call_later(LONGEST_FINISH, self.transport.abort)

    def close(self) -> None:
        """Ends it at once: what is not yet written would be of no use to anybody."""
        if self.alive:
            self.alive = False
            self.transport.abort()
