"""From the configuration to objects: what the gateway is made of. Building starts nothing; `open` does."""

import asyncio
import contextlib
import ssl
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from hestia import __version__
from hestia.core.fleet import Fleet
from hestia.core.service import Service
from hestia.doors.api import Api, Gauges
from hestia.doors.front import Front
from hestia.doors.guest import Server
from hestia.doors.shared import Shared
from hestia.h1.address import read_address
from hestia.h1.crossing import Crossing
from hestia.probes import Looks
from hestia.relay.place import Place, Relayed
from hestia.relay.pool import Pool
from hestia.roof import host
from hestia.roof.listen import BACKLOG, Bound, CannotStart, bind_all, tls_context
from hestia.rules.gate import Gate
from hestia.rules.routing import Router
from hestia.rules.trust import Trust
from hestia.telemetry.log import Log
from hestia.telemetry.tally import Tally
from hestia.words.spec import Config

# asyncio accepts so many connections a round, and without descriptors fails so often a second: not `BACKLOG` times.
ACCEPT_AT_ONCE = 100
MANY_DESCRIPTORS = 1 << 20
PLACEHOLDER = "{"


class Gateway:
    """A gateway that can be opened once and closed once."""

    def __init__(self, config: Config, shared: Shared, fleet: Fleet, places: list[Place], looks: Looks) -> None:
        self.config = config
        self.shared = shared
        self.fleet = fleet
        self.addresses: list[str] = []
        self._places = places
        self._looks = looks
        self._bound: list[Bound] = []
        self._servers: list[asyncio.Server] = []
        self._empty = asyncio.Event()

    async def open(self) -> None:
        """Listen everywhere, or nowhere: raises CannotStart."""
        tls = tls_context(self.config.tls) if self.config.tls is not None else None
        self._bound = bind_all(self.config)
        self.addresses = [bound.url for bound in self._bound]
        self.shared.sweep.chores += [place.pool.prune for place in self._places]
        self.shared.sweep.chores.append(self._look_if_empty)
        self.shared.fence.spawn(self.shared.sweep.run())
        for bound in self._bound:
            self._servers.append(await self._serve(bound, tls if bound.secure else None))

    async def _serve(self, bound: Bound, tls: ssl.SSLContext | None) -> asyncio.Server:
        loop, shared = asyncio.get_running_loop(), self.shared

        def connected() -> Front:
            return Front(shared, bound.door, secure=tls is not None)

        if bound.path is not None:
            server = await loop.create_unix_server(connected, sock=bound.socket, backlog=ACCEPT_AT_ONCE)
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

    def busy(self) -> dict[str, int]:
        """What a graceful end waits for."""
        return {"connections": len(self.shared.fronts), "leases": self.fleet.leases}

    async def close(self, grace: float) -> int:
        """Stop accepting, let running exchanges finish for `grace` seconds, break off the rest. Returns how many."""
        for server, bound in zip(self._servers, self._bound, strict=True):
            server.close()
            bound.close()
        self.shared.begin_closing()
        self._look_if_empty()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._empty.wait()
        unfinished = len(self.shared.fronts)
        self.shared.abort()
        await self._let_go()
        return unfinished

    async def _let_go(self) -> None:
        """Close what no client sees. Each step is bounded: nothing here waits for the other side."""
        await self._looks.close()
        await self.shared.server.shutdown(0.1)
        await self.shared.fence.close()
        for place in self._places:
            place.pool.close()
        await asyncio.sleep(0)  # transports tell their protocols of their end in the loop's next round

    def _look_if_empty(self) -> None:
        if self.shared.closing and not self.shared.fronts:
            self._empty.set()


def build(
    config: Config,
    log: Log,
    *,
    log_dropped: Callable[[], int] = int,
    descriptors: int = MANY_DESCRIPTORS,
) -> Gateway:
    """The whole gateway for a configuration. Raises CannotStart when a CA file cannot be read."""
    fleet = Fleet(config, time.time)
    tally = Tally(config.services, log.access if log.access_wanted else None)
    loop_tag = f"hestia-{host.gateway_id(config.data_dir)}".encode()
    relayed = {service.id: Relayed(service.id, service, _place(service, loop_tag)) for service in fleet}
    looks = Looks(time.monotonic)
    gauges = Gauges(connections=lambda: len(shared.fronts), log_dropped=log_dropped)
    api = Api(fleet, looks, tally, gauges, version=__version__)
    cors = frozenset(config.auth.cors_origins)
    shared = Shared(
        router=Router(config, relayed),
        gate=Gate(config, host.own_names()),
        trust=Trust(config.trusted_proxies),
        tally=tally,
        server=Server(api.answer, limits=config.limits, tally=tally, log=log, cors=cors),
        limits=config.limits,
        cors_origins=cors,
        loop_tag=loop_tag,
        most_connections=host.connection_limit(config.limits.connections, descriptors),
        reserve=host.ADMIN_RESERVE,
        failed=_Failed(log),
    )
    return Gateway(config, shared, fleet, [each.place for each in relayed.values() if each.place is not None], looks)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A task or a look that failed is a bug of ours: one line with its trace."""

    log: Log

    def __call__(self, problem: BaseException) -> None:
        self.log.event("internal", "error", trace="".join(traceback.format_exception(problem)))


def _place(service: Service, loop_tag: bytes) -> Place | None:
    """The relay's view of the service's first place; None while only a start could tell its address."""
    spec = service.spec
    place = spec.places[0]
    if place.base_url is None or PLACEHOLDER in place.base_url:
        return None
    address = read_address(place.base_url)
    crossing = Crossing(
        address,
        loop_tag,
        rewrite=spec.rewrite == "same_origin",
        preserve_host=spec.preserve_host,
        put=place.headers.set,
        remove=place.headers.remove,
    )
    return Place(
        address,
        crossing,
        Pool(),
        tls=_upstream_tls(service.id, spec.tls_verify) if address.scheme == b"https" else None,
        connect_timeout=spec.connect_timeout,
        response_timeout=spec.response_timeout,
    )


def _upstream_tls(id_: str, verify: bool | str) -> ssl.SSLContext:
    """TLS towards an https upstream. ALPN says what is spoken: some servers would choose HTTP/2 else."""
    try:
        context = ssl.create_default_context(cafile=verify if isinstance(verify, str) else None)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CannotStart(f"services.{id_}.tls_verify {verify} cannot be read: {reason}") from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context
