"""Does a request wake nothing? The rules of one service's `no_wake`, compiled once, and prefetches without a rule.

It is asked for every request, for one that wakes nothing keeps nothing awake either. What depends on the header block
alone is one number (`of_head`), which the caller keeps beside the block that clients repeat; where it is 0, no rule can
fit and nothing more is asked.
"""

import re
from fnmatch import translate
from typing import Final, Protocol

from msgspec import Struct

from hestia.rules.trust import Trust
from hestia.words.spec import Answer, NoWake

PREFETCH: Final = (b"sec-purpose", b"purpose")


class Fields(Protocol):
    """A header block that can be asked for a value by its name in lower case."""

    def header(self, name: bytes) -> bytes | None: ...


class Asleep(Struct, frozen=True):
    """Such a request wakes nothing: what it gets while the service is cold. None: the refusal `cold`."""

    answer: Answer | str | None = None

    @property
    def last(self) -> bool:
        """Whether it gets the last good answer to the same GET."""
        return self.answer == "last"


class NoWakeRules:
    """The rules of one service. Replaced whole on reload, so identity tells whether a kept number still holds."""

    __slots__ = ("_prefetch", "_rules", "keeps_last", "reads_heads")

    def __init__(self, rules: tuple[NoWake, ...] = ()) -> None:
        self._rules = [(1 << number, _Rule(rule)) for number, rule in enumerate(rules)]
        self.reads_heads = any(rule.headers for _, rule in self._rules)  # of lines that may change by themselves
        self._prefetch = 1 << len(rules)
        self.keeps_last = any(rule.answer == "last" for rule in rules)

    def of_head(self, head: Fields) -> int:
        """Which rules the header block fits: a bit for each, and one for a prefetch."""
        mask = self._prefetch if is_prefetch(head) else 0
        for bit, rule in self._rules:
            if rule.fits_head(head):
                mask |= bit
        return mask

    def of_request(self, mask: int, method: bytes, path: bytes, client: str) -> Asleep | None:
        """The first rule that fits whole; `path` is the upstream's, without query. None: an ordinary request."""
        if not mask:
            return None
        for bit, rule in self._rules:
            if mask & bit and rule.fits_request(method, path, client):
                return rule.asleep
        return PLAIN if mask & self._prefetch else None


PLAIN: Final = Asleep()
"""What wakes nothing without a rule: prefetches, and what a browser sends from elsewhere."""


def is_prefetch(head: Fields) -> bool:
    """A browser fetches what its user may want to see: nobody asked for it yet."""
    for name in PREFETCH:
        value = head.header(name)
        if value is not None and b"prefetch" in value.lower():
            return True
    return False


class _Rule:
    """All that is named must fit."""

    __slots__ = ("asleep", "headers", "methods", "networks", "path")

    def __init__(self, rule: NoWake) -> None:
        self.methods = frozenset(method.encode() for method in rule.method)
        self.path = glob(rule.path) if rule.path is not None else None
        wanted = {name.lower(): value for name, value in rule.header.items()}
        self.headers = [(name.encode(), glob(value)) for name, value in wanted.items()]
        if rule.user_agent is not None:
            self.headers.append((b"user-agent", glob(rule.user_agent, ignore_case=True)))
        self.networks = Trust(rule.from_) if rule.from_ else None
        self.asleep = Asleep(rule.answer)

    def fits_head(self, head: Fields) -> bool:
        for name, pattern in self.headers:
            value = head.header(name)
            if value is None or pattern.fullmatch(value) is None:
                return False
        return True

    def fits_request(self, method: bytes, path: bytes, client: str) -> bool:
        if self.methods and method not in self.methods:
            return False
        if self.path is not None and self.path.fullmatch(path) is None:
            return False
        # A client on a unix socket has no address: `Trust` takes it for a proxy of ours, here it lies in no network.
        return self.networks is None or (client != "" and self.networks.trusted(client))


def glob(pattern: str, *, ignore_case: bool = False) -> re.Pattern[bytes]:
    """A glob as an expression over bytes; `*` also stands for slashes."""
    return re.compile(translate(pattern).encode(), re.IGNORECASE if ignore_case else 0)
