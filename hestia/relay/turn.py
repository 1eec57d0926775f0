"""A request's turn: its lease on a place, or its place in the line of its service.

No Task waits: the line calls `granted` or `refused`. Where an exchange ends it leaves the line and pays back.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from hestia.relay.dial import Unreachable
    from hestia.relay.ports import Lease, Life


class Turn:
    """What an exchange is before and while it has a lease. `Exchange` adds what passes through it."""

    __slots__ = ("ended", "lease", "life", "pending", "release", "request_id", "retried", "silent", "ticket", "waited")

    def __init__(self, life: Life, request_id: bytes) -> None:
        self.life = life
        self.request_id = request_id
        self.lease: Lease | None = None
        self.release: Callable[[float], None] | None = None  # what pays the lease back
        self.ticket: object | None = None  # its place in the line
        self.waited: float | None = None  # seconds, for a start
        self.retried = False
        self.silent = False  # its tunnel is, for too long
        self.pending: list[bytes] | None = None  # the request's bytes while there is no connection
        self.ended = False

    def start(self, lease: Lease, *, quiet: bool = False) -> None:
        """The turn has come."""
        raise NotImplementedError

    def refuse(self, refusal: Refusal) -> None:
        """It will not come."""
        raise NotImplementedError

    @property
    def who(self) -> str:
        """Who asks: the name of a key, or an address."""
        raise NotImplementedError

    @property
    def waiting(self) -> bool:
        """Held: it has no lease yet."""
        return self.lease is None and not self.ended

    def wait(self) -> None:
        """In the line of its service; up to 64 KiB of its body are kept meanwhile."""
        self.pending = [] if self.pending is None else self.pending
        ticket = self.life.wait(self, self.request_id.decode("ascii"), self.who)
        if self.waiting:  # it may have been granted or refused already
            self.ticket = ticket

    def granted(self, lease: Lease, waited: float | None) -> None:
        """`waited`: for so many seconds, for a start."""
        self.ticket = None
        if self.ended:
            lease.release(monotonic())
            return
        self.waited = waited
        self.start(lease)

    def refused(self, refusal: Refusal) -> None:
        """It waited in vain."""
        self.ticket = None
        self.refuse(refusal)

    def no_answer(self, problem: Unreachable) -> None:
        """Nothing was sent. What refuses may have died: it is started again, once, and the request waits for that."""
        lease, self.lease = self.lease, None
        if lease is None:
            return
        quiet = self.release == lease.release_quiet
        if problem.refused:
            self.life.no_answer(lease, str(problem))
        self.pay_back()
        if problem.refused and quiet:
            self.refuse(Refusal("cold", f"it is not there ({problem}), and this request wakes nothing"))
        elif problem.refused and not self.retried and self.pending is not None:
            self.retried = True
            del self.pending[:1]  # the head is written anew: the next place may be another one
            self.wait()
        else:
            self.refuse(Refusal(problem.code, str(problem)))

    def becomes_tunnel(self) -> None:
        """A tunnel keeps its lease and gives back its slot. A quiet request's keeps nobody awake either."""
        if self.lease is not None and self.release == self.lease.release:
            self.lease.tunnel_begins()
            self.release = self.lease.tunnel_ended

    def quieten(self, now: float) -> None:
        """The tunnel is silent for too long."""
        if self.lease is not None and self.release == self.lease.tunnel_ended:
            self.lease.quieten(now)
            self.release = self.lease.release_quiet
            self.silent = True

    def waken(self) -> None:
        """It speaks again. What was quiet from the start stays so."""
        if self.silent and self.lease is not None and self.lease.waken():
            self.release = self.lease.tunnel_ended
            self.silent = False

    def leave_line(self) -> None:
        ticket, self.ticket = self.ticket, None
        if ticket is not None:
            self.life.left(ticket)

    def pay_back(self) -> None:
        release, self.release = self.release, None
        if release is not None:
            release(monotonic())
