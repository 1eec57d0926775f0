"""The last good answers to GETs, for `no_wake` rules with `answer: last`: what a monitor sees while the service sleeps.

An answer is kept for everybody who may use the service, so only what is nobody's own is kept: not when the request
carried a credential, not when the answer sets a cookie or says that it is private. `Vary` is honoured, and beside it
what careless services vary by without saying so.
"""

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

MOST: Final = 64
LONGEST: Final = 256 * 1024
ROOM: Final = 4 * 1024 * 1024
GOOD: Final = 200

VARIES: Final = (b"accept", b"accept-encoding", b"accept-language", b"range")
CREDENTIAL: Final = re.compile(rb"auth|cookie|token|secret|session|passw|credential|signature|(?:^|-)(?:api)?-?key$")
"""Names of request headers that may hold one: X-Api-Key and X-Emby-Token as well as Authorization and Cookie."""
DROPPED: Final = frozenset(
    (
        b"age",
        b"connection",
        b"content-length",
        b"keep-alive",
        b"server-timing",
        b"trailer",
        b"transfer-encoding",
        b"x-request-id",
    )
)


class Kept(Struct, frozen=True):
    """One answer: header lines, the body (coded as `Content-Encoding` says), when it came, and how old it was then."""

    lines: tuple[bytes, ...]
    body: bytes
    since: float
    age: int
    varies: tuple[tuple[bytes, tuple[bytes, ...]], ...]

    def age_at(self, now: float) -> int:
        return self.age + max(0, int(now - self.since))


Key = tuple[bytes, ...]
"""What makes a GET the same: scheme, host, prefix and target, as the client sent them."""


class LastAnswers:
    """One service's kept answers, the latest last; the oldest go when there is no room."""

    __slots__ = ("_kept", "_size")

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, ...], Kept] = {}
        self._size = 0

    def keep(
        self, key: Key, request: Sequence[bytes], status: int, answer: Sequence[bytes], body: bytes, now: float
    ) -> bool:
        """Keeps this answer to a GET, if it may be kept. `request` and `answer` are header lines (`Name: value`)."""
        asked, came = _fields(request), _fields(answer)
        names = vary_names(came)
        if status != GOOD or len(body) > LONGEST or names is None or is_private(asked) or not _shareable(came):
            return False
        varies = tuple((name, asked.get(name, ())) for name in names)
        lines = tuple(line for line in answer if _name(line) not in DROPPED)
        self._put(_whole(key, asked), Kept(lines, body, now, _age(came), varies))
        return True

    def find(self, key: Key, request: Sequence[bytes]) -> Kept | None:
        """The answer that the same GET got last; None where there is none, or where this one carries a credential."""
        if not self._kept:
            return None
        asked = _fields(request)
        kept = self._kept.get(_whole(key, asked))
        if kept is None or is_private(asked) or any(asked.get(name, ()) != value for name, value in kept.varies):
            return None
        return kept

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._size

    def _put(self, key: tuple[bytes, ...], kept: Kept) -> None:
        self._drop(key)
        self._kept[key] = kept
        self._size += _weight(key, kept)
        while len(self._kept) > MOST or self._size > ROOM:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: tuple[bytes, ...]) -> None:
        old = self._kept.pop(key, None)
        if old is not None:
            self._size -= _weight(key, old)


def is_private(asked: dict[bytes, tuple[bytes, ...]]) -> bool:
    """Whether the request may have been somebody's own."""
    return any(CREDENTIAL.search(name) for name in asked)


def vary_names(came: dict[bytes, tuple[bytes, ...]]) -> list[bytes] | None:
    """The request's headers that the answer says it depends on; None: on everything (`*`)."""
    names = {name.strip(b" \t").lower() for value in came.get(b"vary", ()) for name in value.split(b",")} - {b""}
    return None if b"*" in names else sorted(names)


def _shareable(came: dict[bytes, tuple[bytes, ...]]) -> bool:
    if b"set-cookie" in came or b"content-range" in came:
        return False
    said = {
        part.partition(b"=")[0].strip(b" \t").lower()
        for value in came.get(b"cache-control", ())
        for part in value.split(b",")
    }
    return not said & {b"private", b"no-store"}


def _age(came: dict[bytes, tuple[bytes, ...]]) -> int:
    value = came.get(b"age", (b"",))[0]
    return int(value) if value.isdigit() and len(value) <= len(str(1 << 31)) else 0


def _fields(lines: Sequence[bytes]) -> dict[bytes, tuple[bytes, ...]]:
    fields: dict[bytes, tuple[bytes, ...]] = {}
    for line in lines:
        name = _name(line)
        fields[name] = (*fields.get(name, ()), line[len(name) + 1 :].strip(b" \t"))
    return fields


def _name(line: bytes) -> bytes:
    return line.partition(b":")[0].lower()


def _whole(key: Key, asked: dict[bytes, tuple[bytes, ...]]) -> tuple[bytes, ...]:
    return (*key, *(b",".join(asked.get(name, ())) for name in VARIES))


def _weight(key: tuple[bytes, ...], kept: Kept) -> int:
    return sum(map(len, key)) + sum(map(len, kept.lines)) + len(kept.body)
