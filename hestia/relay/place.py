"""One upstream as the relay sees it: its address, how headers cross to it, and the connections to it that are idle."""

import ssl

from hestia.h1.address import Address
from hestia.h1.crossing import Crossing
from hestia.relay.pool import Pool
from hestia.relay.ports import Life
from hestia.rules.no_wake import NoWakeRules


class Place:
    """Built once for a place of the configuration; a changed address makes a new one."""

    __slots__ = ("address", "connect_timeout", "crossing", "pool", "response_timeout", "tls")

    def __init__(
        self,
        address: Address,
        crossing: Crossing,
        pool: Pool,
        *,
        tls: ssl.SSLContext | None,
        connect_timeout: float,
        response_timeout: float,
    ) -> None:
        self.address = address
        self.crossing = crossing
        self.pool = pool
        self.tls = tls
        self.connect_timeout = connect_timeout
        self.response_timeout = response_timeout


class Relayed:
    """A service as the relay sees it: its life, and what a door must know before a request of it may wait."""

    __slots__ = ("base_path", "id", "life", "no_wake", "sees_requests", "tunnel_idle")

    def __init__(
        self, service_id: str, life: Life, *, no_wake: NoWakeRules | None = None, tunnel_idle: float = 0.0
    ) -> None:
        self.id = service_id
        self.life = life
        self.no_wake = no_wake or NoWakeRules()
        self.tunnel_idle = tunnel_idle
        self.sees_requests = False  # there may be several places, and the choice may go by the request
        self.base_path = b""  # of its `base_url`: what the upstream sees before the target
