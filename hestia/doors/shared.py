"""What all connections at the doors share. The roof builds it; a reload replaces single fields by assignment."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, NamedTuple

from hestia.fence import Fence
from hestia.relay.sweep import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable

    from hestia.doors.chooser import Chooser
    from hestia.doors.cold_door import ColdDoor
    from hestia.doors.connection import Connection
    from hestia.doors.guest import Server
    from hestia.doors.intake import Room
    from hestia.doors.login import Login
    from hestia.doors.session import Sessions
    from hestia.h1.request import RequestHead
    from hestia.relay.place import Relayed
    from hestia.rules.admission import Guard
    from hestia.rules.gate import Gate
    from hestia.rules.routing import Router
    from hestia.rules.trust import Trust
    from hestia.telemetry.tally import Tally
    from hestia.telemetry.users import Users
    from hestia.words.spec import Limits

class Arriving(NamedTuple):
    """The request that a place is looked for, as far as the choice of the place may go by it."""

    method: bytes
    target: bytes
    head: RequestHead


SLOWEST_SWEEP = 0.5
"""A client that leaves is noticed within a second, also while its socket is not read."""
FASTEST_SWEEP = 0.05


class Shared:
    """One gateway's data plane: rules, counters, tasks and the open connections."""

    __slots__ = (
        "at_door",
        "chooser",
        "closing",
        "cold",
        "cors_origins",
        "fence",
        "fronts",
        "gate",
        "guard",
        "limits",
        "login",
        "loop_tag",
        "most_connections",
        "request_ids",
        "reserve",
        "room",
        "router",
        "server",
        "sessions",
        "sweep",
        "tally",
        "trust",
        "users",
    )

    def __init__(
        self,
        *,
        router: Router[Relayed],
        gate: Gate,
        guard: Guard,
        sessions: Sessions,
        login: Login,
        trust: Trust,
        tally: Tally,
        server: Server,
        cold: ColdDoor,
        chooser: Chooser,
        users: Users,
        limits: Limits,
        cors_origins: frozenset[str],
        loop_tag: bytes,
        most_connections: int,
        reserve: int,
        failed: Callable[[BaseException], None],
    ) -> None:
        """`loop_tag` names this gateway in CDN-Loop, once its id is known.

        `reserve` is kept for `admin_listen` beyond `most_connections`.
        """
        self.router = router
        self.gate = gate
        self.guard = guard
        self.sessions = sessions
        self.login = login
        self.trust = trust
        self.users = users
        self.tally = tally
        self.server = server
        self.cold = cold
        self.chooser = chooser
        self.room: Room = server.room
        self.at_door: Arriving | None = None
        self.limits = limits
        self.cors_origins = cors_origins
        self.loop_tag = loop_tag
        self.most_connections = most_connections
        self.reserve = reserve
        self.fence = Fence(failed)
        self.sweep = Sweep(_interval(limits), failed)
        self.fronts: set[Connection] = set()
        self.closing = False
        begin = os.urandom(5).hex()
        self.request_ids = (f"{begin}{number:08x}".encode() for number in itertools.count(1))

    def begin_closing(self) -> None:
        """From now on every answer is its connection's last, and idle connections close."""
        self.closing = True
        self.server.begin_closing()
        for front in list(self.fronts):
            front.wind_up()

    def abort(self) -> None:
        """Breaks off whatever still runs."""
        for front in list(self.fronts):
            front.abort()


def _interval(limits: Limits) -> float:
    """Four looks within the shortest deadline, so that each is kept to a quarter."""
    shortest = min(limits.head_timeout, limits.idle_connection, limits.stall_timeout)
    return max(FASTEST_SWEEP, min(SLOWEST_SWEEP, shortest / 4))
