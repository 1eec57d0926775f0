"""May a request that names this host pass? The check against DNS rebinding, and the grammar of `Host`.

A page of evil.example may let its own name point at 127.0.0.1; the browser then sends it here as "same origin", with
`Host: evil.example`. Names that no stranger can own are let in; every other must be configured.
While auth is on, every name is let in: such a page has neither a key nor the session's cookie.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address
from typing import Final

from hestia.rules.routing import MEMO_SIZE, HostTable
from hestia.words.spec import Auth, Config

# RFC 3986: authority = host [ ":" port ]. Of reg-name only what host names are made of; "_" is met in Docker networks.
# RFC 9110 allows "host:" with an empty port. The trailing dot is the root of DNS: the same name.
HOST: Final = re.compile(
    rb"(?: \[ (?P<v6> [0-9A-Fa-f:.]{2,45}+ ) \] | (?P<name> [\w-]++ (?: \. [\w-]++ )* ) \.? )"
    rb"(?: : (?P<port> [0-9]{0,5}+ ) )?",
    re.VERBOSE,
)
NAME_LENGTH: Final = 253
PORTS: Final = 65535
PRIVATE: Final = (b".localhost", b".local", b".lan", b".internal", b".home.arpa")
"""Ends of names that no registrar sells."""
SINGLE_LABEL: Final = re.compile(rb"[a-z0-9-]++")


def split_host(value: bytes) -> bytes | None:
    """The name in a `Host` value: lower case, without port, brackets and final dot; None when it is malformed."""
    match = HOST.fullmatch(value)
    if match is None:
        return None
    v6, name, port = match.groups()
    if port and not 1 <= int(port) <= PORTS:
        return None
    if v6 is not None:
        return _canonical(v6)
    return name.lower() if len(name) <= NAME_LENGTH else None


def _canonical(v6: bytes) -> bytes | None:
    try:
        return IPv6Address(v6.decode()).compressed.encode()
    except ValueError:
        return None


def auth_is_on(auth: Auth) -> bool:
    """Does file or environment ask for it? Keys in the database never switch it."""
    return auth.required or bool(auth.api_keys) or auth.dashboard is not None


class Gate:
    """Which hosts requests may name. Replaced whole on reload."""

    __slots__ = ("_any", "_memo", "_names")

    def __init__(self, config: Config, own_names: Iterable[str]) -> None:
        names = [*own_names, *config.allowed_hosts]
        names += [host for service in config.services.values() for host in service.hosts]
        names += [route.match.host for route in config.routes if route.match.host]
        self._names = HostTable((name, True) for name in names)
        self._any = "*" in config.allowed_hosts or auth_is_on(config.auth)
        self._memo: dict[bytes, bool] = {}

    def host_allowed(self, host: bytes) -> bool:
        """May requests name this host (as `split_host` gives it)? One without any passes: HTTP/1.0 has none."""
        try:
            return self._memo[host]
        except KeyError:
            return self._remember(host)

    def _remember(self, host: bytes) -> bool:
        if len(self._memo) >= MEMO_SIZE:
            self._memo.clear()
        allowed = self._any or not host or _private(host) or self._names.find(host) is not None
        self._memo[host] = allowed
        return allowed

    def host_detail(self, host: bytes) -> str:
        """What the 421 says: the name, and what to add where."""
        name = host.decode("ascii", "backslashreplace")
        return f"{name!r} is none of this gateway's names: add it to `allowed_hosts`, or to the `hosts` of a service"


def _private(host: bytes) -> bool:
    if SINGLE_LABEL.fullmatch(host) or host.endswith(PRIVATE):
        return True
    try:
        ip_address(host.decode("ascii"))
    except ValueError:
        return False
    return True
