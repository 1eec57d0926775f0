"""What the relay asks of its two neighbours: the connection that a request came on, and the life of its service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from hestia.h1.answer import AnswerHead
    from hestia.relay.exchange import Exchange
    from hestia.relay.place import Place
    from hestia.words.refusal import Refusal


class Client(Protocol):
    """The side of the exchange that asked. It ends the exchange with `leave` when its connection is lost."""

    transport: asyncio.Transport
    full: bool

    @property
    def who(self) -> str:
        """Who asks: the name of a key, or an address."""

    def cross(self, exchange: Exchange, place: Place) -> bytes:
        """Its header block as it crosses to `place`, up to the request id."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def exchange_done(self, exchange: Exchange, *, reusable: bool) -> None: ...

    def exchange_refused(self, exchange: Exchange, refusal: Refusal) -> None: ...

    def exchange_broken(self, exchange: Exchange) -> None: ...

    def exchange_tunnels(self, exchange: Exchange) -> bytes: ...


class Lease(Protocol):
    """A place that is kept awake for one exchange. Exactly one of the releases follows."""

    @property
    def way(self) -> Place: ...

    @property
    def number(self) -> int:
        """Which of its service's places."""

    def release(self, now: float, /) -> None: ...

    def tunnel_begins(self) -> None:
        """It goes on as a tunnel: from now on `tunnel_ended` is its release."""

    def tunnel_ended(self, now: float, /) -> None: ...

    def quieten(self, now: float, /) -> None:
        """The tunnel is silent for too long: from now on `release_quiet` is its release."""

    def waken(self) -> bool:
        """It speaks again: `tunnel_ended` is its release once more, unless this says no."""

    def release_quiet(self, now: float, /) -> None: ...


class Asker(Protocol):
    """Who waits. One of the two follows, once, unless it has left."""

    def granted(self, lease: Lease, waited: float | None, /) -> None:
        """Its lease is taken. `waited`: for so long, for a start."""

    def refused(self, refusal: Refusal, /) -> None: ...


class Recorder(Protocol):
    """Listens to one answer as the client gets it."""

    def begins(self, answer: AnswerHead, block: bytes, framing: bytes, /) -> None: ...

    def more(self, data: bytes, /) -> None: ...

    def ended(self, now: float, /) -> None:
        """The answer is complete. One that is not is forgotten."""


class Life(Protocol):
    """What the relay asks of a service's life."""

    def lease_nowait(self) -> Lease | None:
        """None: it has to wait."""

    def lease_quietly(self) -> Lease | None:
        """For a request that keeps nobody awake; None while it is not hot. `release_quiet` is its release."""

    def wait(self, asker: Asker, request_id: str, who: str, /) -> object:
        """A place in the line. What it gives is for `left`."""

    def left(self, ticket: object, /) -> None:
        """The one who waited is gone."""

    def no_answer(self, lease: Lease, reason: str, /) -> None:
        """A connection to it was refused: it may have died. The lease is still to be released."""
