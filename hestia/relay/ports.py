"""What the relay asks of its two neighbours: the connection that a request came on, and the life of its service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio

    from hestia.relay.exchange import Exchange
    from hestia.words.refusal import Refusal


class Client(Protocol):
    """The side of the exchange that asked. It ends the exchange with `leave` when its connection is lost."""

    transport: asyncio.Transport
    full: bool

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def exchange_done(self, exchange: Exchange, *, reusable: bool) -> None: ...

    def exchange_refused(self, exchange: Exchange, refusal: Refusal) -> None: ...

    def exchange_broken(self, exchange: Exchange) -> None: ...

    def exchange_tunnels(self, exchange: Exchange) -> bytes: ...


class Life(Protocol):
    """What the relay asks of a service's life. After `lease_nowait` said True, `release` follows exactly once."""

    def lease_nowait(self) -> bool: ...

    def release(self, now: float, /) -> None: ...

    def answered(self) -> None: ...

    def unreachable(self, reason: str, /) -> None: ...
