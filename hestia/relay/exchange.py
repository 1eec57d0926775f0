"""One request through: from the head that was read to the last byte of the answer, or to whatever ended it before.

An exchange writes to two transports and waits for nobody: with a warm connection no Task and no coroutine is involved.
Bodies pass as bytes; what must be followed of their framing is followed in `h1/framing`. A full buffer on one side
pauses reading on the other, so memory stays flat whatever is sent.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from hestia.h1.answer import NO_BODY, SWITCHING, read_answer_head
from hestia.h1.crossing import answer_block, answer_framing
from hestia.h1.framing import Chunked, Sized, UntilClose, drop_trailer, refuse_trailer
from hestia.h1.grammar import BadMessage
from hestia.h1.request import CHUNKED, SAFE
from hestia.relay.dial import Unreachable, dial
from hestia.relay.tunnel import Tunnel
from hestia.relay.turn import Turn
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.fence import Fence
    from hestia.h1.answer import AnswerHead
    from hestia.h1.request import RequestHead
    from hestia.relay.place import Place, Relayed
    from hestia.relay.ports import Client, Lease, Recorder
    from hestia.relay.upstream import Upstream

HELD_BODY = 65536
"""So much of a waiting request's body is read and kept, the rest stays in the kernel."""
CONTINUE = 100
FINAL = 200


class Exchange(Turn):
    """The state of one exchange. Its lease ends with `_end`, the one place where it ends."""

    __slots__ = (
        "answer",
        "answering",
        "began",
        "body",
        "bytes_in",
        "bytes_out",
        "client",
        "dialling",
        "feeder",
        "fence",
        "head",
        "invited",
        "keep",
        "longest_head",
        "method",
        "own_time",
        "prefix",
        "recorder",
        "relayed",
        "request_block",
        "request_done",
        "sent",
        "status",
        "target",
        "tunnel",
        "upstream",
    )

    def __init__(
        self,
        client: Client,
        relayed: Relayed,
        head: RequestHead,
        method: bytes,
        target: bytes,
        prefix: bytes,
        request_id: bytes,
        fence: Fence,
        longest_head: int,
        began: float,
    ) -> None:
        super().__init__(relayed.life, request_id)
        self.client = client
        self.relayed = relayed
        self.head = head
        self.method = method
        self.target = target
        self.prefix = prefix
        self.recorder: Recorder | None = None
        self.fence = fence
        self.longest_head = longest_head
        self.began = began
        self.sent = 0.0  # when the request was whole and with the upstream
        self.own_time = 0.0  # the gateway's own part
        self.upstream: Upstream | None = None
        self.dialling: asyncio.Task[None] | None = None
        self.request_done = head.length == 0
        self.invited = not head.expect  # the client sends its body, or was told to
        self.feeder: Sized | Chunked | None = None
        if head.length > 0:
            self.feeder = Sized(head.length)
        elif head.length == CHUNKED:
            self.feeder = Chunked(refuse_trailer)
        self.answering = False
        self.answer: AnswerHead | None = None
        self.body: Sized | Chunked | UntilClose | None = None
        self.keep = head.keep
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.tunnel: Tunnel | None = None

    # --- the request

    def start(self, lease: Lease, *, quiet: bool = False) -> None:
        """Sends the head, and what came of the body while it waited. The lease is its own from here on."""
        self.lease = lease
        self.release = lease.release_quiet if quiet else lease.release
        place = lease.way
        target = place.crossing.base_path + self.target if self.target != b"*" else self.target
        crossed = self.client.cross(self, place)
        self.request_block = b"%b %b HTTP/1.1\r\n%b%b\r\n\r\n" % (self.method, target, crossed, self.request_id)
        upstream = place.pool.take()
        if upstream is None:
            self.pending = [self.request_block, *(self.pending or ())]
            self.dialling = self.fence.spawn(self._dial(place))
        else:
            self._attach(upstream)
            if self.pending is None:
                upstream.transport.write(self.request_block)
            else:
                self._send_pending(upstream, self.request_block)
        self.sent = monotonic()
        self.own_time = self.sent - self.began if self.waited is None else 0.0

    def _send_pending(self, upstream: Upstream, *first: bytes) -> None:
        pending, self.pending = self.pending or [], None
        upstream.transport.write(b"".join((*first, *pending)))
        self.sent = monotonic()
        if not upstream.full:
            self.client.resume()

    @property
    def who(self) -> str:
        return self.client.who

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent a second time if a pooled connection gives no byte of an answer."""
        return self.head.length == 0 and self.method in SAFE and self.head.upgrade is None

    @property
    def delivered(self) -> bool:
        """Whether what came of its body is with the upstream, but for little."""
        upstream = self.upstream
        return self.pending is None and (
            upstream is None or upstream.transport.get_write_buffer_size() <= HELD_BODY
        )

    def _attach(self, upstream: Upstream) -> None:
        self.upstream = upstream
        upstream.exchange = self
        upstream.touched = False

    async def _dial(self, place: Place) -> None:
        try:
            upstream = await dial(place, self.longest_head)
        except Unreachable as problem:
            self.dialling = None
            if not self.ended:
                self.no_answer(problem)
            return
        except Exception:  # a bug of ours must not leave the client waiting: the fence logs it
            self.dialling = None
            self.refuse(Refusal("internal", "Hestia made a mistake; its log has the trace"))
            raise
        self.dialling = None
        if self.ended:
            place.pool.put(upstream)
            return
        self._attach(upstream)
        if not upstream.alive:
            self.upstream_lost(None)
            return
        self._send_pending(upstream)

    def upload(self, data: bytes) -> bytes | None:
        """Bytes of the request's body; gives back what lies behind it once it has ended. Raises BadMessage."""
        feeder = self.feeder
        if feeder is None:
            return data
        self.invited = True
        passed, rest = feeder.feed(data)
        self.bytes_in += len(passed)
        if passed:
            self._send(passed)
        if rest is not None:
            self.request_done = True
            self.sent = monotonic()
        return rest

    def _send(self, data: bytes) -> None:
        if self.pending is not None:
            self.pending.append(data)
            if sum(map(len, self.pending)) > HELD_BODY:
                self.client.pause()
        elif self.upstream is not None and self.upstream.alive:
            self.upstream.transport.write(data)

    # --- the answer

    def answer_begins(self, data: bytes, end: int) -> bool:
        """A complete head of the upstream's came, with whatever follows it. False: an interim one, so the next is due.

        Raises BadMessage.
        """
        came = monotonic()
        answer = read_answer_head(data[:end] if len(data) > end else data)
        if answer.status < FINAL:
            return self._interim(answer, data, end)
        self.answering = True
        self.answer = answer
        self.status = answer.status
        upstream = self.upstream
        assert upstream is not None  # noqa: S101 - it is what called us
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
        self._pass(data[end:], block)
        self.own_time += monotonic() - came
        return True

    def answer_more(self, data: bytes) -> None:
        """More of the answer's body, or of the tunnel."""
        if self.tunnel is not None:
            self.bytes_out += len(data)
            self.client.transport.write(data)
        else:
            self._pass(data, b"")

    def _pass(self, data: bytes, block: bytes) -> None:
        if self.body is None:
            return
        try:
            passed, rest = self.body.feed(data)
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
