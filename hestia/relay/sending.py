"""How the request of an exchange goes out: its head, and its body as it comes, on a connection kept or dialled.

The state of the whole exchange stands here; how its answer comes back, and how it ends, is in relay/exchange.py.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from hestia.h1.framing import Chunked, Sized, UntilClose, refuse_trailer
from hestia.h1.request import CHUNKED, SAFE
from hestia.relay.dial import Unreachable, dial
from hestia.relay.turn import Turn
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.fence import Fence
    from hestia.h1.answer import AnswerHead
    from hestia.h1.request import RequestHead
    from hestia.relay.place import Place, Relayed
    from hestia.relay.ports import Client, Lease, Recorder
    from hestia.relay.tunnel import Tunnel
    from hestia.relay.upstream import Upstream

HELD_BODY = 65536
"""So much of a waiting request's body is read and kept, the rest stays in the kernel."""


class Sending(Turn):
    """What an exchange is until its answer begins. `Exchange` adds the answer and the end."""

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

    def upstream_lost(self, exc: Exception | None) -> None:
        """The connection to the upstream is gone."""
        raise NotImplementedError

    def start(self, lease: Lease, *, quiet: bool = False) -> None:
        """Sends the head, and what came of the body while it waited. The lease is its own from here on."""
        self.lease = lease
        self.release = lease.release_quiet if quiet else lease.release
        place = lease.way
        target = place.crossing.base_path + self.target if self.target != b"*" else self.target
        crossed = self.client.cross(self, place)  # type: ignore[arg-type]  # nobody but Exchange is built
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
        return self.pending is None and (upstream is None or upstream.transport.get_write_buffer_size() <= HELD_BODY)

    def _attach(self, upstream: Upstream) -> None:
        self.upstream = upstream
        upstream.exchange = self  # type: ignore[assignment]  # likewise
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
