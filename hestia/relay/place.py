"""One upstream as the relay sees it: its address, how headers cross to it, and the connections to it that are idle."""

import ssl

from hestia.h1.address import Address
from hestia.h1.crossing import Crossing
from hestia.relay.pool import Pool
from hestia.relay.ports import Life


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
    """A service as the relay sees it. `place` is None while no address is known."""

    __slots__ = ("id", "life", "place")

    def __init__(self, service_id: str, life: Life, place: Place | None) -> None:
        self.id = service_id
        self.life = life
        self.place = place
