"""Whose `X-Forwarded-*` are believed: the networks of `trusted_proxies`."""

from ipaddress import IPv6Address, ip_address, ip_network

from hestia.rules.routing import MEMO_SIZE


class Trust:
    """The networks, with a bounded memo: a peer's connections come back, and parsing an address costs microseconds."""

    __slots__ = ("_memo", "_networks")

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = tuple(ip_network(network, strict=False) for network in networks)
        self._memo: dict[str, bool] = {}

    def trusted(self, peer: str) -> bool:
        """Is this peer one of the trusted proxies? A peer on a unix socket has no address and is trusted."""
        if not peer:
            return True
        try:
            return self._memo[peer]
        except KeyError:
            return self._remember(peer)

    def _remember(self, peer: str) -> bool:
        if len(self._memo) >= MEMO_SIZE:
            self._memo.clear()
        trusted = self._looked_up(peer)
        self._memo[peer] = trusted
        return trusted

    def _looked_up(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        # A socket for both families shows an IPv4 peer as ::ffff:a.b.c.d; the operator wrote a.b.c.d.
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
