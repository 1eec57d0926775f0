"""Which page does a browser's request come from? What section 8 of the contract calls own and foreign.

A browser says it in `Origin` (whenever something is changed or a WebSocket opened) and in `Sec-Fetch-Site`; a page can
forge neither. Programs send neither, and are no page's.
"""

import re
from typing import Final, NamedTuple

from hestia.rules.gate import split_host

# RFC 6454, 6.2: origin = scheme "://" host [ ":" port ]. Extensions and desktop programs have schemes of their own.
ORIGIN: Final = re.compile(rb"([a-z][a-z0-9+.-]*+)://([^/?#@\s]++)", re.IGNORECASE)
REFERER: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*+://[^/?#]*+(/[^?#]*+)")
DEFAULT_PORTS: Final = {b"http": b":80", b"https": b":443"}
RELAYED: Final = b"/services/"
SHOWN: Final = 100


class Origin(NamedTuple):
    """What an `Origin` header names, in lower case and without its scheme's default port."""

    scheme: bytes
    authority: bytes
    name: bytes

    @property
    def text(self) -> bytes:
        """In the form in which origins are configured."""
        return self.scheme + b"://" + self.authority


def read_origin(value: bytes) -> Origin | None:
    """None for `null` and for what is malformed."""
    found = ORIGIN.fullmatch(value)
    name = split_host(found[2]) if found is not None else None
    if found is None or name is None:
        return None
    scheme = found[1].lower()
    return Origin(scheme, bare_authority(scheme, found[2]), name)


def bare_authority(scheme: bytes, authority: bytes) -> bytes:
    """In lower case, without the default port and without an empty one."""
    return authority.lower().removesuffix(DEFAULT_PORTS.get(scheme, b":")).removesuffix(b":")


def configured(origins: tuple[str, ...]) -> frozenset[bytes]:
    """Origins of the configuration, as `Origin.text` spells them."""
    read = (read_origin(each.encode("ascii", "replace")) for each in origins)
    return frozenset(each.text for each in read if each is not None)


def allowed(origin: bytes | None, among: frozenset[bytes]) -> bool:
    """Is this `Origin` one of these?"""
    if origin is None or not among:
        return False
    read = read_origin(origin)
    return read is not None and read.text in among


def foreign(origin: bytes | None, site: bytes | None, own_name: bytes) -> bool:
    """Does a page from elsewhere send this? Its own is one at the request's host name, whatever its port."""
    if site == b"cross-site":
        return True
    if origin is None:
        return False
    read = read_origin(origin)
    return read is None or read.scheme not in DEFAULT_PORTS or read.name != own_name


def elsewhere(origin: bytes | None, own_scheme: bytes, own_host: bytes) -> bool:
    """The same by whole authority, port included: where relayed pages have the same name but another port."""
    if origin is None:
        return False
    read = read_origin(origin)
    if read is None or read.scheme not in DEFAULT_PORTS:
        return True
    return read.authority != bare_authority(own_scheme, own_host)


def relayed_page(referer: bytes | None) -> bool:
    """Is the page that asks one that was relayed? That stops accidents only: a page can hide its address."""
    if referer is None:
        return False
    found = REFERER.match(referer)
    return found is not None and found[1].startswith(RELAYED)


def shown(origin: bytes) -> str:
    """An origin as a detail may repeat it: short and plain."""
    return ascii(origin[:SHOWN].decode("latin-1"))
