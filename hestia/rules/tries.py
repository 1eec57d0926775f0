"""How often may somebody guess? Failed logins are limited for each address, and for all together.

Each address has a few tries at once, which come back one by one (the leaky bucket as a meter: one number is kept, the
time at which everything will have come back). A try is counted when it begins, so that a thousand at once are not all
let in before the first has failed, and is given back when it was right.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final

AT_ONCE: Final = 5
EVERY_S: Final = 30.0
ALL_AT_ONCE: Final = 50
ALL_EVERY_S: Final = 2.0
HERE: Final = frozenset(("127.0.0.1", "::1"))
"""Who sits at this machine has tries of his own: strangers must not lock him out with theirs."""
MOST: Final = 1024
"""Addresses that are kept; a stranger with more of them meets the limit for all."""


class Tries:
    """What each address has used up of its tries. `now` is any clock that only goes forward."""

    __slots__ = ("_all", "_by")

    def __init__(self) -> None:
        self._all = 0.0
        self._by: OrderedDict[str, float] = OrderedDict()

    def take(self, address: str, now: float) -> int:
        """Begin a try: 0, or after how many seconds the next one is let in."""
        who = group(address)
        back, everybody = max(self._by.get(who, 0.0), now), max(self._all, now)
        wait = back - now - (AT_ONCE - 1) * EVERY_S
        if who not in HERE:
            wait = max(wait, everybody - now - (ALL_AT_ONCE - 1) * ALL_EVERY_S)
        if wait > 0:
            return ceil(wait)
        self._by[who] = back + EVERY_S
        self._by.move_to_end(who)
        if who not in HERE:
            self._all = everybody + ALL_EVERY_S
        if len(self._by) > MOST:
            self._by.popitem(last=False)
        return 0

    def give_back(self, address: str) -> None:
        """The try was right: nothing is held against this address any more."""
        who = group(address)
        self._by.pop(who, None)
        if who not in HERE:
            self._all -= ALL_EVERY_S


def group(address: str) -> str:
    """Whom an address stands for: with IPv6 one customer has a whole /64 of them."""
    try:
        read = ip_address(address)
    except ValueError:
        return address
    if not isinstance(read, IPv6Address):
        return address
    if read.ipv4_mapped is not None:
        return str(read.ipv4_mapped)
    return str(read) if read.is_loopback else read.exploded[:19]
