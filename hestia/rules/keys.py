"""The keys that open services: who is it that sends one, and what may he use?

A key is known by its SHA-256 alone. That of what came is compared with every key's, to the end and in constant time,
so the time that an answer takes says neither how much of a key was right nor whose it was.
"""

import re
from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest
from typing import Final, NamedTuple

from hestia.words.spec import ApiKey

EVERYTHING: Final = "*"
AUTHORIZATION: Final = b"authorization"
X_API_KEY: Final = b"x-api-key"
# RFC 9110, 11.4: credentials = auth-scheme [ 1*SP ( token68 / ... ) ]; schemes have no case. What we take for a key is
# any visible ASCII: operators choose their own.
BEARER: Final = re.compile(rb"bearer +([!-~]++)", re.IGNORECASE)
PLAIN: Final = re.compile(rb"[!-~]++")
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class Key(NamedTuple):
    """One key: its name, which may be shown, and the SHA-256 of what is secret."""

    name: str
    digest: bytes
    services: frozenset[str]

    @property
    def everything(self) -> bool:
        """May it use every service, and Hestia's own API?"""
        return EVERYTHING in self.services

    def opens(self, service_id: str) -> bool:
        """May it use this service?"""
        return service_id in self.services or EVERYTHING in self.services


def digest_of(key: str | bytes) -> bytes:
    """What is kept of a key."""
    return sha256(key.encode() if isinstance(key, str) else key).digest()


def key_of(spec: ApiKey) -> Key:
    """A key of the configuration."""
    digest = digest_of(spec.key) if spec.key is not None else bytes.fromhex(spec.key_sha256 or "")
    return Key(spec.name, digest, frozenset(spec.services))


class KeyRing:
    """All keys there are now. It never changes: who adds or removes a key makes a new ring."""

    __slots__ = ("_configured", "_kept", "keys")

    def __init__(self, configured: Iterable[Key], kept: Iterable[Key] = ()) -> None:
        """`configured` stand in file or environment, `kept` in the database; of one name the configured one counts."""
        self._configured = tuple(configured)
        self._kept = tuple(kept)
        names = {key.name for key in self._configured}
        self.keys = (*self._configured, *(key for key in self._kept if key.name not in names))

    @property
    def hidden(self) -> tuple[str, ...]:
        """Names of kept keys that do not count, because the configuration has a key of the same name."""
        return tuple(key.name for key in self._kept if key not in self.keys)

    def adding(self, key: Key) -> "KeyRing":
        """A ring with one more kept key. Raises ValueError when its name is taken or is none."""
        if NAME.fullmatch(key.name) is None:
            raise ValueError("a key's name has letters, digits and . _ @ - only, at most 64 of them")
        if any(other.name == key.name for other in (*self._configured, *self._kept)):
            raise ValueError(f"there is a key called {key.name!r} already")
        return KeyRing(self._configured, (*self._kept, key))

    def removing(self, name: str) -> "KeyRing":
        """A ring without this kept key. Raises KeyError when there is none, ValueError when it is configured."""
        left = tuple(key for key in self._kept if key.name != name)
        if len(left) == len(self._kept):
            if any(key.name == name for key in self._configured):
                raise ValueError(f"the key {name!r} stands in the configuration: take it out there")
            raise KeyError(name)
        return KeyRing(self._configured, left)

    def find(self, value: bytes) -> Key | None:
        """The key that this is."""
        if PLAIN.fullmatch(value) is None:
            return None
        digest = digest_of(value)
        found = None
        for key in self.keys:  # to the end, whichever it is
            if compare_digest(digest, key.digest):
                found = key
        return found

    def identify(self, named: dict[bytes, bytes]) -> tuple[Key | None, bytes]:
        """Whose request is it, and which header says so: the first of the two that *is* one of our keys.

        The other may be the service's own and passes. Headers that came twice are joined, and thus no key.
        """
        authorization = named.get(AUTHORIZATION)
        if authorization is not None:
            said = BEARER.fullmatch(authorization)
            key = self.find(said[1]) if said is not None else None
            if key is not None:
                return key, AUTHORIZATION
        key = self.find(named.get(X_API_KEY, b""))
        return key, X_API_KEY if key is not None else b""
