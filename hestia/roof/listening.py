"""The addresses that are served, and how one set of them follows another without losing a connection attempt."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from hestia.doors.front import Front
from hestia.roof.listen import BACKLOG, Bound, CannotStart, Wanted, address_of, bind, bind_anew, tls_context, wanted

if TYPE_CHECKING:
    from hestia.doors.shared import Shared
    from hestia.rules.routing import Door
    from hestia.words.spec import Config

# asyncio accepts so many connections a round, and without descriptors fails so often a second: not `BACKLOG` times.
ACCEPT_AT_ONCE = 100
# From 3.13 on the loop removes a unix socket's file; ours we remove ourselves, and a service manager's is not ours.
OUR_FILE: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}


class Next(NamedTuple):
    """What a reload will listen on. Nothing of it is served yet, and nothing old is closed."""

    kept: list[tuple[Bound, Door]]
    fresh: list[Bound]
    tls: ssl.SSLContext | None
    certificate: tuple[str, str] | None


class Listening:
    """Binds first, serves later: what cannot be bound stops everything, and then nothing has happened."""

    def __init__(self, shared: Shared, handed: list[socket.socket] | None = None) -> None:
        """`handed`: sockets that a service manager has opened for us."""
        self._shared = shared
        self.handed = handed or []
        self._tls: ssl.SSLContext | None = None
        self._served: list[tuple[Bound, asyncio.Server]] = []

    @property
    def addresses(self) -> list[str]:
        """What a person or a program would call."""
        return [bound.url for bound, _ in self._served]

    @property
    def unnamed(self) -> list[str]:
        """What the service manager opened for nobody. It stays open: a reload may name it."""
        return [address_of(sock) for sock in self.handed]

    def prepare(self, config: Config) -> Next:
        """Binds what is new. Raises CannotStart with everything as it was."""
        tls = tls_context(config.tls) if config.tls is not None else None
        certificate = (config.tls.certificate, config.tls.key) if config.tls is not None else None
        before = [bound for bound, _ in self._served]
        following = Next([], [], tls, certificate)
        try:
            for want in wanted(config):
                self._prepare_one(want, before, following)
        except CannotStart:
            self.drop(following)
            raise
        return following

    def _prepare_one(self, want: Wanted, before: list[Bound], following: Next) -> None:
        secure = following.tls is not None
        ours = next((bound for bound in before if bound.text == want.text), None)
        if ours is None:
            bound = bind(want, secure=secure, handed=self.handed)
            if bound is not None:
                following.fresh.append(bound)
            return
        before.remove(ours)
        if ours.secure == secure or ours.path is not None:
            following.kept.append((ours, want.door))
        else:
            following.fresh.append(bind_anew(ours, want, secure=secure))

    def drop(self, following: Next) -> None:
        """It will not come to that."""
        for bound in following.fresh:
            bound.close()

    async def follow(self, following: Next) -> None:
        """Serve the new ones, then close the old ones. An address that stays has the doors and certificate of now."""
        self._follow_tls(following)
        for bound, door in following.kept:
            bound.door = door
        kept = [bound for bound, _ in following.kept]
        old = [(bound, server) for bound, server in self._served if bound not in kept]
        self._served = [each for each in self._served if each not in old]
        for bound in following.fresh:
            self._served.append((bound, await self._serve(bound)))
        for bound, server in old:
            server.close()
            bound.close()

    def _follow_tls(self, following: Next) -> None:
        """Servers keep their context, so a new certificate is put into it: connections to come are shown that."""
        if self._tls is not None and following.certificate is not None:
            self._tls.load_cert_chain(*following.certificate)
        else:
            self._tls = following.tls

    async def _serve(self, bound: Bound) -> asyncio.Server:
        loop, shared = asyncio.get_running_loop(), self._shared
        tls = self._tls if bound.secure else None

        def connected() -> Front:
            return Front(shared, bound.door, secure=tls is not None)

        if bound.path is not None:
            server = await loop.create_unix_server(connected, sock=bound.socket, backlog=ACCEPT_AT_ONCE, **OUR_FILE)
        else:
            server = await loop.create_server(
                connected,
                sock=bound.socket,
                backlog=ACCEPT_AT_ONCE,
                ssl=tls,
                ssl_handshake_timeout=shared.limits.head_timeout if tls is not None else None,
            )
        bound.socket.listen(BACKLOG)  # the kernel's queue stays long: the figure above set both
        return server

    def close(self) -> None:
        """Stop accepting."""
        for bound, server in self._served:
            server.close()
            bound.close()
