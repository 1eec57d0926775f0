"""Same origin stays same origin: what a service reads and writes about its own address, mapped both ways.

A service behind the gateway believes to live at its upstream address. ComfyUI and Jupyter compare `Origin` with `Host`,
others redirect to what they think is their root, or tie a cookie to it. So the request's own authority becomes the
upstream's on the way in, and the upstream's becomes what the client sees on the way out. What is foreign stays so.

Bytes in, bytes out. A value that is not understood passes untouched: it is the service's business, never an error.
"""

import re
from typing import Final

# RFC 3986: hier-part = "//" authority path-abempty. No user-info: an authority that has one is nobody's own.
ABSOLUTE: Final = re.compile(
    rb"(?:(?P<scheme>https?):)?//(?P<authority>[^/?#\\@\s]++)(?P<rest>(?:[/?#].*+)?)", re.IGNORECASE | re.DOTALL
)
PORTS: Final = {b"http": b":80", b"https": b":443"}


class Origins:
    """One place's own address, and how the values that name it cross the gateway. Built once, asked per header."""

    __slots__ = ("_base", "_host", "_inward", "_outward", "_own", "_preserve_host", "_scheme", "_upstream")

    def __init__(
        self,
        *,
        upstream_scheme: bytes,
        upstream_authority: bytes,
        base_path: bytes = b"",
        rewrite: bool = True,
        preserve_host: bool = False,
    ) -> None:
        self._scheme = upstream_scheme.lower()
        self._upstream = self._scheme + b"://" + upstream_authority
        self._base = base_path.rstrip(b"/")
        self._host = _host(upstream_authority)
        self._own = _own_keys(self._scheme, upstream_authority)
        self._preserve_host = preserve_host
        self._inward = rewrite and not preserve_host
        self._outward = rewrite

    def to_upstream_origin(self, value: bytes, scheme: bytes, host: bytes) -> bytes:
        """`Origin`: the request's own becomes the upstream's, with its scheme."""
        if self._inward and self._rest_of_own(value, scheme, host) == b"":
            return self._upstream
        return value

    def to_upstream_referer(self, value: bytes, scheme: bytes, host: bytes) -> bytes:
        """`Referer`: the same for scheme and authority; what comes after them stays."""
        rest = self._rest_of_own(value, scheme, host) if self._inward else None
        return value if rest is None else self._upstream + rest

    def to_client_location(self, value: bytes, scheme: bytes, host: bytes, prefix: bytes) -> bytes:
        """`Location`, `Content-Location`: a URL of the upstream's becomes the one under which the client sees it."""
        if not self._outward:
            return value
        match = ABSOLUTE.fullmatch(value)
        if match is not None:
            return self._absolute(value, match, scheme, host, prefix)
        if not value.startswith(b"/") or value.startswith(b"//") or not (prefix or self._base):
            return value
        return _local(self._seen(value, prefix), value)

    def to_client_cookie(self, value: bytes, prefix: bytes, host: bytes = b"") -> bytes:
        """`Set-Cookie`: its `Path` is mapped (not of a `__Host-` cookie), its `Domain` goes if it names the upstream.

        With `preserve_host` the request's own `host` counts as the upstream's here too.
        """
        if not self._outward:
            return value
        pair, *attributes = value.split(b";")
        fixed = pair.strip()[:7].lower() == b"__host-"
        kept = [pair]
        for attribute in attributes:
            name, mark, argument = attribute.partition(b"=")
            word = name.strip().lower()
            if word == b"domain" and self._is_own_domain(argument, host):
                continue
            if word == b"path" and not fixed:
                kept.append(name + mark + self._cookie_path(argument, prefix))
            else:
                kept.append(attribute)
        return b";".join(kept)

    def _rest_of_own(self, value: bytes, scheme: bytes, host: bytes) -> bytes | None:
        """What follows the authority, if that is the request's own.

        Only the authority is compared, each with the default port of its own scheme: behind a TLS terminator that is
        not in `trusted_proxies` the page's https and our http differ, and yet it is the same page.
        """
        match = ABSOLUTE.fullmatch(value)
        if match is None or match["scheme"] is None or not host:
            return None
        own = _bare(match["scheme"].lower(), match["authority"]) == _bare(scheme.lower(), host)
        return match["rest"] if own else None

    def _absolute(self, value: bytes, match: re.Match[bytes], scheme: bytes, host: bytes, prefix: bytes) -> bytes:
        theirs = _with_port((match["scheme"] or self._scheme).lower(), match["authority"])
        own = theirs in self._own or (self._preserve_host and bool(host) and theirs in _own_keys(scheme.lower(), host))
        if not own:
            return value
        seen = self._seen(match["rest"], prefix)
        return scheme + b"://" + host + seen if host else _local(seen, value)

    def _seen(self, path: bytes, prefix: bytes) -> bytes:
        """A path of the upstream's as the client sees it: without the path of `base_url`, with the prefix."""
        path = self._without_base(path)
        return path if not prefix or _begins(path, prefix) else prefix + path

    def _without_base(self, path: bytes) -> bytes:
        if self._base and _begins(path, self._base):
            path = path[len(self._base) :]
        return path if path.startswith(b"/") else b"/" + path

    def _cookie_path(self, argument: bytes, prefix: bytes) -> bytes:
        path = argument.strip()
        if not path.startswith(b"/") or not (prefix or self._base):
            return argument
        # A cookie for what lies above `base_url` is one for all that the client can see of this service.
        above = _begins(self._base, path.rstrip(b"/"))
        return self._seen(b"/" if above else path, prefix)

    def _is_own_domain(self, argument: bytes, host: bytes) -> bool:
        domain = argument.strip().removeprefix(b".").lower()
        return bool(domain) and (domain == self._host or (self._preserve_host and domain == _host(host)))


def _local(seen: bytes, value: bytes) -> bytes:
    """The mapped path, unless it would name another host: `/base//evil` without its base (or with a backslash)."""
    return value if seen.startswith((b"//", b"/\\")) else seen


def _begins(path: bytes, front: bytes) -> bool:
    """Is `path` that path, or below it? (`/app` begins `/app`, `/app/x` and `/app?x`, but not `/apple`.)"""
    return path.startswith(front) and path[len(front) : len(front) + 1] in {b"", b"/", b"?", b"#"}


def _bare(scheme: bytes, authority: bytes) -> bytes:
    """The authority in lower case, without the default port of its scheme and without an empty one."""
    return authority.lower().removesuffix(PORTS.get(scheme, b":")).removesuffix(b":")


def _with_port(scheme: bytes, authority: bytes) -> bytes:
    """The authority in lower case, always with a port."""
    bare = _bare(scheme, authority)
    return bare if _port_of(bare) else bare + PORTS.get(scheme, b"")


def _own_keys(scheme: bytes, authority: bytes) -> frozenset[bytes]:
    """The authorities, with ports, at which a server counts as this one.

    A server behind its own TLS often believes to speak http, and redirects to http://name/: that is itself too. Never
    the other way round: who redirects from http to https would be asked by http again, for ever.
    """
    keys = {_with_port(scheme, authority)}
    if scheme == b"https":
        keys.add(_with_port(b"http", _bare(scheme, authority)))
    return frozenset(keys)


def _port_of(authority: bytes) -> bytes:
    return authority.rpartition(b"]")[2].partition(b":")[2]


def _host(authority: bytes) -> bytes:
    """The name alone, in lower case."""
    port = _port_of(authority)
    return authority.lower().removesuffix(b":" + port).removesuffix(b":").strip(b"[]")
