"""An upgraded connection: bytes are bytes, and each side's half-close is passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


class Tunnel:
    """Two transports of equal right. Each `*_ended` says whether the side that ended stays open."""

    __slots__ = ("client", "client_eof", "upstream", "upstream_eof")

    def __init__(self, client: asyncio.Transport, upstream: asyncio.Transport) -> None:
        self.client = client
        self.upstream = upstream
        self.client_eof = False
        self.upstream_eof = False

    def client_ended(self) -> bool:
        """The client closed its sending side."""
        self.client_eof = True
        return not self.upstream_eof and _pass_on(self.upstream)

    def upstream_ended(self) -> bool:
        """The upstream closed its sending side."""
        self.upstream_eof = True
        return not self.client_eof and _pass_on(self.client)


def _pass_on(transport: asyncio.Transport) -> bool:
    """Over TLS there is no half: then the tunnel ends once what was read has been written."""
    if not transport.can_write_eof() or transport.is_closing():
        return False
    transport.write_eof()
    return True
