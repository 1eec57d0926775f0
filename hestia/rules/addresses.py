"""Addresses as text: where we listen, where an upstream answers, which hosts, origins and networks are meant.

Each reader takes the text and gives it back checked, or raises ValueError with words that follow the value.
"""

import ipaddress
import re
from typing import NamedTuple
from urllib.parse import urlsplit

# The kernel's sun_path holds 108 bytes with the closing NUL.
LONGEST_SOCKET_PATH = 107
_LABEL = r"(?:\*|[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)"
_HOST_GLOB = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST_NAME = re.compile(
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*"
)
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?/?")
_URL_CHARACTERS = re.compile(r"[!#-;=?-\[\]_`a-z{|}~^]*")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT_SEGMENT = re.compile(r"(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)")
_PLACEHOLDER = re.compile(r"\{(?:port|socket|service|machine|request_id|data_dir)\}")


class TcpAddress(NamedTuple):
    """A host (no brackets) and a port."""

    host: str
    port: int


class UnixAddress(NamedTuple):
    """The path of a unix socket."""

    path: str


def parse_listen(text: str) -> TcpAddress | UnixAddress:
    """host:port, [v6]:port or unix:/path."""
    if text.startswith("unix:"):
        return UnixAddress(_socket_path(text.removeprefix("unix:")))
    host, colon, port = text.rpartition(":")
    if not colon or not host or "/" in text or text.endswith("]"):
        raise ValueError("is not an address to listen on: host:port, [v6]:port or unix:/path")
    return TcpAddress(_listen_host(host), _port(port))


def _socket_path(path: str) -> str:
    if not path or path.endswith("/") or len(path.encode()) > LONGEST_SOCKET_PATH:
        raise ValueError(f"needs a path of at most {LONGEST_SOCKET_PATH} bytes after unix:")
    return path


def _listen_host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return _literal(host[1:-1], "is not an IPv6 address in brackets", version=6)
    if ":" in host:
        raise ValueError("is ambiguous: an IPv6 address stands in brackets, as in [::1]:8080")
    if re.fullmatch(r"[0-9.]+", host):
        return _literal(host, "is not an IPv4 address", version=4)
    if not _HOST_NAME.fullmatch(host):
        raise ValueError("is not an address to listen on: all addresses are 0.0.0.0:8080 and [::]:8080")
    return host


def _literal(host: str, words: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or address.version != version:
        raise ValueError(words)
    return host


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:  # noqa: PLR2004
        raise ValueError("has a bad port: 0 to 65535")
    return int(text)


def listen(text: str) -> str:
    parse_listen(text)
    return text


class Upstream(NamedTuple):
    """What a base_url names, with placeholders as they stand."""

    scheme: str
    host: str
    port: int
    path: str


def _filled(text: str) -> str:
    """The text with harmless values for placeholders, to be checked as a URL."""
    fill = {"{port}": "1", "{socket}": "/s"}
    return _PLACEHOLDER.sub(lambda found: fill.get(found[0], "x"), text)


def _checked_url(text: str, schemes: tuple[str, ...]) -> Upstream:
    if not _URL_CHARACTERS.fullmatch(_lowered(text)) or _BROKEN_PERCENT.search(text):
        raise ValueError("is not a URL: it holds a character that must be percent-encoded")
    filled = _filled(text)
    scheme = filled.partition("://")[0].lower()
    if "://" not in filled or scheme not in schemes:
        raise ValueError(f"must begin with one of {', '.join(name + '://' for name in schemes)}")
    if "#" in filled:
        raise ValueError("must have no fragment (#...)")
    return _unix_url(filled) if scheme == "http+unix" else _tcp_url(scheme, filled)


def _lowered(text: str) -> str:
    return re.sub(r"[A-Z]", "a", text)


def _unix_url(filled: str) -> Upstream:
    path = filled.partition("://")[2]
    if not path.startswith("/") or "?" in path:
        raise ValueError("must be http+unix:///path/of/the.socket")
    return Upstream("http+unix", "", 0, _socket_path(path))


def _tcp_url(scheme: str, filled: str) -> Upstream:
    if "@" in filled.partition("://")[2].partition("/")[0]:
        raise ValueError("must hold no user name or password")
    try:
        parts = urlsplit(filled)
        port = parts.port
    except ValueError:
        raise ValueError("is not a URL: its host or port is wrong") from None
    if not parts.hostname or port == 0 or parts.netloc.endswith(":"):
        raise ValueError("is not a URL: its host or port is wrong")
    _url_host(parts.hostname)
    return Upstream(scheme, parts.hostname, port or {"https": 443}.get(scheme, 80), parts.path)


def _url_host(host: str) -> None:
    if ":" in host:
        _literal(host.partition("%")[0], "is not a URL: its IPv6 address is wrong", version=6)
    elif re.fullmatch(r"[0-9.]+", host):
        _literal(host, "is not a URL: its IPv4 address is wrong", version=4)
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError("is not a URL: its host is wrong")


def parse_base_url(text: str) -> Upstream:
    """http, https or http+unix; no user, query or fragment; placeholders may stand in it."""
    upstream = _checked_url(text, ("http", "https", "http+unix"))
    if "?" in text:
        raise ValueError("must have no query (?...)")
    if upstream.scheme != "http+unix" and _DOT_SEGMENT.search(upstream.path):
        raise ValueError("must have no . or .. in its path")
    return upstream


def base_url(text: str) -> str:
    parse_base_url(text)
    return text


def health_url(text: str) -> str:
    upstream = _checked_url(text, ("http", "https", "http+unix", "tcp"))
    if upstream.scheme == "tcp":
        rest = _filled(text).partition("://")[2]
        if upstream.path or "?" in rest or not re.search(r":[0-9]+$", rest):
            raise ValueError("must be tcp://host:port")
    return text


def http_url(text: str) -> str:
    _checked_url(text, ("http", "https"))
    return text


def origin(text: str) -> str:
    lowered = text.lower()
    found = _ORIGIN.fullmatch(lowered)
    if not found or (found[3] and int(found[3]) > 65535):  # noqa: PLR2004
        raise ValueError("is not an origin such as https://chat.example or http://localhost:3000")
    return lowered.rstrip("/")


def network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(_network_words(text)) from None
    return text


def _network_words(text: str) -> str:
    try:
        wider = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "is not a network such as 192.168.1.0/24, fd00::/8 or one address"
    return f"is no network, for it has bits beyond its mask; did you mean {wider}?"


def host_glob(text: str) -> str:
    lowered = text.lower().removesuffix(".")
    if re.fullmatch(r"\[?[0-9a-f:]*:[0-9a-f:.]*\]?", lowered) and lowered.count(":") > 1:
        return _literal(lowered.strip("[]"), "is not an IPv6 address", version=6)
    if ":" in lowered or "/" in lowered:
        raise ValueError("is not a host name: it stands without scheme, port and path")
    if not lowered.isascii():
        raise ValueError("is not a host name: write an international name in its xn-- form")
    if not _HOST_GLOB.fullmatch(lowered) or len(lowered) > 253:  # noqa: PLR2004
        raise ValueError("is not a host name; a * stands for one whole label, as in *.example.org")
    return lowered


_LOOPBACK_NAMES = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


def is_own(url: str, listening: tuple[TcpAddress | UnixAddress, ...], names: frozenset[str]) -> bool:
    """Whether a base_url leads back to one of our own listening addresses; `names` are this machine's."""
    upstream = parse_base_url(url)
    if "{port}" in url or "{socket}" in url:
        return False
    if upstream.scheme == "http+unix":
        return UnixAddress(upstream.path) in listening
    return any(
        isinstance(address, TcpAddress)
        and address.port == upstream.port
        and _same_host(upstream.host, address.host, names)
        for address in listening
    )


def _same_host(host: str, listening: str, names: frozenset[str]) -> bool:
    if host.lower() == listening.lower():
        return True
    local = _is_loopback(host) or host.lower() in names
    if _is_wildcard(listening):
        return local
    return local and (_is_loopback(listening) or listening.lower() in names)


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    """Names and addresses that end at this machine; connecting to 0.0.0.0 or :: does too."""
    lowered = host.lower().removesuffix(".")
    if lowered in _LOOPBACK_NAMES or lowered.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(lowered)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def collide(one: TcpAddress | UnixAddress, other: TcpAddress | UnixAddress) -> bool:
    """Whether both cannot be bound at once; port 0 is any free one."""
    if isinstance(one, UnixAddress) or isinstance(other, UnixAddress):
        return one == other
    if one.port != other.port or one.port == 0:
        return False
    hosts = [_bound(one.host), _bound(other.host)]
    families = {":" in host for host in hosts}
    return hosts[0] == hosts[1] or (len(families) == 1 and any(_is_wildcard(host) for host in hosts))


def _bound(host: str) -> str:
    if host.lower() == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host.lower()
