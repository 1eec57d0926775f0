"""One request through: from the head that was read to the last byte of the answer, or to whatever ended it before.

An exchange writes to two transports and waits for nobody: with a warm connection no Task and no coroutine is involved.
Bodies pass as bytes; what must be followed of their framing is followed in `h1/framing`. A full buffer on one side
pauses reading on the other, so memory stays flat whatever is sent.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from hestia.h1.answer import NO_BODY, SWITCHING, read_answer_head
from hestia.h1.crossing import answer_block, answer_framing
from hestia.h1.framing import Chunked, Sized, UntilClose, drop_trailer
from hestia.h1.grammar import BadMessage
from hestia.h1.request import CHUNKED
from hestia.relay.sending import Sending
from hestia.relay.tunnel import Tunnel
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.h1.answer import AnswerHead
    from hestia.relay.place import Place
    from hestia.relay.upstream import Upstream

CONTINUE = 100
FINAL = 200


class Exchange(Sending):
    """One exchange. Its lease ends with `_end`, the one place where it ends."""

    __slots__ = ()

    # --- the answer

    def answer_begins(self, data: bytes, end: int) -> bool:
        """A complete head of the upstream's came, with whatever follows it. False: an interim one, so the next is due.

        Raises BadMessage.
        """
        came = monotonic()
        upstream = self.upstream
        assert upstream is not None  # noqa: S101 - it is what called us
        kept = self.recorder is not None or self.head.dispatched  # the head is changed, or outlives its answer
        read = read_answer_head if kept else upstream.memo.read
        answer = read(data[:end] if len(data) > end else data)
        if answer.status < FINAL:
            return self._interim(answer, data, end)
        self.answering = True
        self.answer = answer
        self.status = answer.status
        bodyless = self.method == b"HEAD" or answer.status in NO_BODY
        http10 = self.head.minor == b"0"
        if bodyless and self.head.dispatched:
            answer.stands_alone()
        length = 0 if bodyless else answer.length
        if not self.request_done or (http10 and length < 0):
            self.keep = False
        crossed = answer_block(answer, upstream.place.crossing, self.head, self.prefix)
        framing = answer_framing(answer, bodyless=bodyless, minor=self.head.minor, keep=self.keep)
        if self.recorder is not None:
            self.recorder.begins(answer, crossed, framing)
        block = b"%b%b\r\nX-Request-ID: %b%b\r\n\r\n" % (
            crossed,
            framing,
            self.request_id,
            b"" if self.waited is None else b"\r\nServer-Timing: start;dur=%d" % (self.waited * 1000),
        )
        size = len(data) - end
        if length >= 0 and size >= length:  # the whole answer is here: one write, nothing to follow
            self.bytes_out = length
            if self.recorder is not None:
                self.recorder.more(data[end : end + length])
            self.client.transport.write(block + data[end : end + length] if length else block)
            self.own_time += monotonic() - came
            self._answered(surplus=size > length)
            return True
        if length > 0:
            self.body = Sized(length)
        elif length == CHUNKED:
            self.body = Chunked(drop_trailer, decode=http10)
        else:
            self.body = UntilClose(chunks=not http10)
        self.answer_more(data[end:], block)
        self.own_time += monotonic() - came
        return True

    def answer_more(self, data: bytes, block: bytes = b"") -> None:
        """More of the answer's body behind `block`, or of the tunnel."""
        body = self.body
        if body is None:
            if self.tunnel is not None:
                self.bytes_out += len(data)
                if not self.client.transport.is_closing():  # uvloop raises where the client has just gone
                    self.client.transport.write(data)
            return
        try:
            passed, rest = body.feed(data)
        except BadMessage as problem:
            self.answering = not block  # the head is not out yet: there is still time for a clear error
            self.upstream_failed(str(problem))
            return
        self.bytes_out += len(passed)
        if self.recorder is not None:
            self.recorder.more(passed)
        if block or passed:
            self.client.transport.write(block + passed if block else passed)
        if rest is not None:
            self._answered(surplus=bool(rest))

    def _interim(self, answer: AnswerHead, data: bytes, end: int) -> bool:
        if answer.status == SWITCHING:
            self._switch(answer, data[end:])
            return True
        if answer.status == CONTINUE:
            self.invited = True
        if self.head.minor == b"1" and (answer.status != CONTINUE or self.head.expect):
            self.client.transport.write(b"\r\n".join(answer.lines) + b"\r\n\r\n")
        return self.ended

    def _switch(self, answer: AnswerHead, data: bytes) -> None:
        upstream = self.upstream
        if self.head.upgrade is None or answer.upgrade is None or upstream is None:
            self.upstream_failed("it switched protocols without being asked")
            return
        self.answering = True
        self.tunnel = Tunnel(self.client.transport, upstream.transport)
        self.becomes_tunnel()
        self.status = SWITCHING
        self.keep = False
        block = answer_block(answer, upstream.place.crossing, self.head, self.prefix)
        self.client.transport.write(
            b"%b\r\nConnection: Upgrade\r\nUpgrade: %b\r\nX-Request-ID: %b\r\n\r\n%b"
            % (block, answer.upgrade, self.request_id, data)
        )
        self.bytes_out += len(data)
        early = self.client.exchange_tunnels(self)
        if early:
            self.tunnel_up(early)

    def tunnel_up(self, data: bytes) -> None:
        """Bytes of the client's through the tunnel."""
        self.bytes_in += len(data)
        if self.upstream is not None and self.upstream.alive:
            self.upstream.transport.write(data)

    # --- how it ends

    @property
    def path(self) -> bytes:
        """What the access line says: without the query."""
        return self.prefix + self.target.partition(b"?")[0]

    def overdue(self, now: float) -> bool:
        """Whether the upstream has the whole request and did not begin its answer within `response_timeout`."""
        upstream = self.upstream
        waits = self.request_done and not self.answering and upstream is not None
        return waits and upstream is not None and 0 < upstream.place.response_timeout < now - self.sent

    def _answered(self, *, surplus: bool) -> None:
        """The answer is complete. Nothing may be left over on a connection that is used again."""
        answer, upstream = self.answer, self._end()
        if self.recorder is not None:
            self.recorder.ended(monotonic())
        if upstream is not None and answer is not None:
            upstream.leave(reusable=answer.keep and self.request_done and not surplus)
        self.client.exchange_done(self, reusable=self.keep and self.request_done)

    def _break(self) -> None:
        """The upstream broke off in mid-answer: what the client got must not look whole."""
        upstream = self._end()
        if upstream is not None:
            upstream.leave(reusable=False)
        self.client.exchange_broken(self)

    def refuse(self, refusal: Refusal) -> None:
        """No answer of the upstream's has begun, and none will."""
        if self.ended:
            return
        upstream = self._end()
        if upstream is not None:
            upstream.leave(reusable=False)
        self.client.exchange_refused(self, refusal)

    def cut(self) -> None:
        """Its place is over, whatever still runs through it."""
        if self.tunnel is not None:
            self.upstream_lost(None)
        elif self.answering:
            self._break()
        else:
            self.refuse(Refusal("stopped", f"{self.relayed.id} was stopped before it answered"))

    def leave(self) -> None:
        """The client left: the upstream shall not work for nobody. Of a tunnel, what was read is still written."""
        upstream = self._end()
        if upstream is not None and self.tunnel is not None:
            upstream.finish()
        elif upstream is not None:
            upstream.leave(reusable=False)

    def _end(self) -> Upstream | None:
        upstream, self.upstream = self.upstream, None
        if not self.ended:
            self.ended = True
            self.pending = None
            if self.dialling is not None:
                self.dialling.cancel()
                self.dialling = None
            self.leave_line()
            self.pay_back()
        return upstream

    def upstream_failed(self, why: str) -> None:
        """It broke the protocol."""
        if self.answering:
            self._break()
        else:
            self.refuse(Refusal("upstream_failed", f"the upstream's answer is malformed: {why}"))

    def upstream_ended(self) -> bool:
        """The upstream closed its sending side; whether the connection stays all the same."""
        return self.tunnel is not None and self.tunnel.upstream_ended()

    def client_ended(self) -> bool:
        """The client closed its sending side of a tunnel; whether its connection stays."""
        return self.tunnel is not None and self.tunnel.client_ended()

    def upstream_lost(self, exc: Exception | None) -> None:
        """The connection to the upstream is gone."""
        body = self.body
        upstream = self.upstream
        if self.tunnel is not None:
            self._end()
            self.client.exchange_done(self, reusable=False)
        elif isinstance(body, UntilClose) and exc is None:
            last = body.last()
            if last:
                self.client.transport.write(last)
                if self.recorder is not None:
                    self.recorder.more(last)
            self._answered(surplus=False)
        elif self.answering:
            self._break()
        elif upstream is not None and upstream.used and not upstream.touched and self.repeatable:
            self._again(upstream.place)
        else:
            self.refuse(Refusal("upstream_failed", "the upstream closed the connection before it answered"))

    def _again(self, place: Place) -> None:
        """A pooled connection was stale and gave no byte: once more, on a new one."""
        self.upstream = None
        self.pending = [self.request_block]
        self.dialling = self.fence.spawn(self._dial(place))

    # --- who waits for whom

    def client_full(self) -> None:
        if self.upstream is not None:
            self.upstream.pause()

    def client_drained(self) -> None:
        if self.upstream is not None:
            self.upstream.resume()
