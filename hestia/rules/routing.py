"""Which service is a request for? Compiled once from the configuration, asked once for each request.

The order is the contract's: a service's own address, a service's host name, Hestia's own paths, the prefix
`/services/<id>/`, and then the routes of the configuration, which rules/content.py reads. Ids and paths compare byte
for byte: `/%73ervices/` is not `/services/`, so that whoever checks a path and whoever routes it read the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Final, Generic, NamedTuple, TypeVar

from hestia.words.spec import Config

T = TypeVar("T")

SERVICE: Final = 0
ROUTE: Final = 1
OWN: Final = 2
REDIRECT: Final = 3
NOT_FOUND: Final = 4
UNKNOWN: Final = 5

OWN_PATHS: Final = frozenset(
    {
        b"/__health",
        b"/metrics",
        b"/dashboard",
        b"/v1/services",
        b"/v1/requests",
        b"/v1/metrics",
        b"/v1/activity",
        b"/v1/events",
        b"/v1/machines",
        b"/v1/report",
        b"/v1/inflight",
        b"/v1/openapi.json",
    }
)
"""Hestia's own, each with all that lies below it."""

HEALTH: Final = b"/__health"
PREFIX: Final = b"/services/"
MEMO_SIZE: Final = 1024
NEAR: Final = 0.2  # of the pairs of both words; where no id was meant, only one that may have been is named
QUOTED: Final = 64  # an id is no longer than this, so no more of a wrong one is looked at or echoed


@dataclass(frozen=True, slots=True)
class Door:
    """One listening address, as routing sees it."""

    name: str
    service: str | None = None
    """The service whose own `listen` this is: every path on it is that service's."""
    admin: bool = False
    """One of `admin_listen`: Hestia's own pages and nothing else, so that no relayed page shares their origin."""
    own: bool = True
    """Hestia's own paths answer here (not on `listen` once `admin_listen` is set, but for `/__health`)."""


class Choice(NamedTuple, Generic[T]):
    """What a request is for."""

    kind: int
    service: T | None
    prefix: bytes
    """What was taken off the front of the target, or nothing."""
    target: bytes
    """What is left for the upstream; of a redirect the Location."""
    detail: str
    """For the 404: what was looked for and what comes nearest."""


def host_key(name: str) -> bytes:
    """A configured host name in the form in which requests are compared with it."""
    return name.strip("[]").lower().removesuffix(".").encode()


class HostTable(Generic[T]):
    """Names and wildcards to things: the exact name first, then the longest pattern; `*` is exactly one label."""

    __slots__ = ("_exact", "_memo", "_wild")

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[bytes, T] = {}
        self._memo: dict[bytes, T | None] = {}
        wild: dict[bytes, T] = {}
        for name, thing in entries:
            key = host_key(name)
            (wild if b"*" in key else self._exact).setdefault(key, thing)
        longest_first = sorted(wild.items(), key=lambda item: -len(item[0]))
        self._wild = [(key.split(b"."), thing) for key, thing in longest_first]

    def find(self, host: bytes) -> T | None:
        """The thing that this host names, if any."""
        found = self._exact.get(host)
        if found is not None or not self._wild:
            return found
        try:
            return self._memo[host]
        except KeyError:
            return self._remember(host)

    def _remember(self, host: bytes) -> T | None:
        # Hosts are the client's to invent: the memo is bounded, and emptied rather than aged (it refills in no time).
        if len(self._memo) >= MEMO_SIZE:
            self._memo.clear()
        labels = host.split(b".")
        found = next((thing for pattern, thing in self._wild if host_fits(pattern, labels)), None)
        self._memo[host] = found
        return found


def host_fits(pattern: list[bytes], labels: list[bytes]) -> bool:
    """Whether a host has these labels; `*` is exactly one."""
    if len(pattern) != len(labels):
        return False
    return all(want == label or (want == b"*" and label) for want, label in zip(pattern, labels, strict=True))


class Router(Generic[T]):
    """The configuration's answer to "which service?", over the things that are live now. Replaced whole on reload."""

    __slots__ = ("_by_id", "_default", "_hosts", "_live", "_nearest", "_routes")

    def __init__(self, config: Config, live: Mapping[str, T]) -> None:
        known = {id_: (live[id_], spec) for id_, spec in config.services.items() if id_ in live}
        self._live = live
        self._by_id: dict[bytes, tuple[T, bytes]] = {
            id_.encode(): (thing, PREFIX + id_.encode() if spec.strip_prefix else b"")
            for id_, (thing, spec) in known.items()
        }
        self._hosts = HostTable((host, thing) for thing, spec in known.values() for host in spec.hosts)
        self._default = None if config.default_service is None else live.get(config.default_service)
        self._nearest = [(id_, _pairs(id_)) for id_ in known]
        self._routes = bool(config.routes)

    def choose(self, door: Door, host: bytes, target: bytes) -> Choice[T]:
        """Which service a request to this door, host and origin-form target is for; one of the six kinds.

        ROUTE: whatever the routes say, by `content.Rules`; where none of them fits, `nowhere`.
        """
        if door.service is not None:
            return self._at_own_address(door.service, target)
        if door.admin:
            return self._at_admin(target)
        named = self._hosts.find(host)
        if named is not None:
            return Choice(SERVICE, named, b"", target, "")
        if target.startswith(PREFIX):
            return self._by_prefix(target)
        if is_own(target) and (door.own or path_of(target).startswith(HEALTH)):
            return Choice(OWN, None, b"", target, "")
        return Choice(ROUTE, None, b"", target, "") if self._routes else self.nowhere(target)

    def named(self, id_: str, target: bytes) -> Choice[T]:
        """As if the target stood under `/services/<id>`; UNKNOWN where there is no such service."""
        known = self._by_id.get(id_.encode())
        if known is not None:
            return Choice(SERVICE, known[0], known[1], target, "")
        word = id_.encode("ascii", "backslashreplace")
        return Choice(UNKNOWN, None, b"", target, f"no service is called {_quoted(word)}{self._hint(word)}")

    def _at_own_address(self, id_: str, target: bytes) -> Choice[T]:
        service = self._live.get(id_)
        if service is None:
            return Choice(NOT_FOUND, None, b"", target, f"the service {id_!r} of this address is no longer configured")
        return Choice(SERVICE, service, b"", target, "")

    def _at_admin(self, target: bytes) -> Choice[T]:
        if is_own(target):
            return Choice(OWN, None, b"", target, "")
        detail = "this address (`admin_listen`) has Hestia's own pages only; services answer at those of `listen`"
        return Choice(NOT_FOUND, None, b"", target, detail)

    def _by_prefix(self, target: bytes) -> Choice[T]:
        # An id has no "?", so an id that is known and ends at a slash ends in the path: no need to cut off the query.
        end = target.find(b"/", len(PREFIX))
        known = self._by_id.get(target[len(PREFIX) : end]) if end > 0 else None
        if known is None:
            return self._without_slash(target)
        service, prefix = known
        return Choice(SERVICE, service, prefix, target[end:] if prefix else target, "")

    def _without_slash(self, target: bytes) -> Choice[T]:
        path, mark, query = target.partition(b"?")
        id_ = path[len(PREFIX) :].partition(b"/")[0]
        if id_ in self._by_id:
            return Choice(REDIRECT, None, b"", path + b"/" + mark + query, "")
        if self._default is not None:
            return Choice(SERVICE, self._default, b"", target, "")
        return Choice(UNKNOWN, None, b"", target, f"no service is called {_quoted(id_)}{self._hint(id_)}")

    def nowhere(self, target: bytes) -> Choice[T]:
        """Nothing is left."""
        first = path_of(target).split(b"/", 2)[1:2]
        hint = self._hint(b"".join(first), NEAR)
        detail = f"nothing answers at this path; services answer under /services/<id>/{hint}"
        return Choice(NOT_FOUND, None, b"", target, detail)

    def _hint(self, word: bytes, near_enough: float = 0.0) -> str:
        """The known id that comes nearest, as the end of a sentence."""
        if not self._nearest:
            return "; no service is configured"
        asked = _pairs(word[:QUOTED].decode("latin-1"))
        shares = ((len(asked & known) / (len(asked) + len(known)), id_) for id_, known in self._nearest)
        share, id_ = max(shares, key=itemgetter(0))
        return f"; the nearest known id is {id_!r}" if share >= near_enough else ""


def _pairs(text: str) -> frozenset[tuple[str, str]]:
    """The pairs of neighbouring letters, ends included: who shares most of them is nearest (Dice's measure).

    Anybody can ask for unknown ids as fast as he likes: among 40 ids difflib took 660 us, this takes 15.
    """
    ends = f"/{text.lower()}/"
    return frozenset(pairwise(ends))


def path_of(target: bytes) -> bytes:
    """The target without its query."""
    return target.partition(b"?")[0]


def is_own(target: bytes) -> bool:
    """Is this target one of Hestia's own paths, or below one? They have one segment, or two (`/v1/...`)."""
    path = path_of(target)
    first = path.find(b"/", 1)
    if first < 0:
        return path in OWN_PATHS or path == b"/"
    second = path.find(b"/", first + 1)
    return path[:first] in OWN_PATHS or (path if second < 0 else path[:second]) in OWN_PATHS


def _quoted(id_: bytes) -> str:
    """A wrong id as the answer may repeat it: short, and with nothing but visible ASCII."""
    text = ascii(id_[:QUOTED].decode("latin-1"))
    return text if len(id_) <= QUOTED else f"{text}..."
