"""Keys that come and go while the gateway runs: in the database, and in what every connection goes by."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from hestia.doors.verbs_answers import KeyCreated, KeyShown
from hestia.rules.keys import Key, KeyRing, key_of
from hestia.store.writer import NoDisk
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hestia.doors.login import Login
    from hestia.rules.admission import Guard


class Kept(Protocol):
    """A key of the database; `sha256` in hex."""

    @property
    def name(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def services(self) -> tuple[str, ...]: ...
    @property
    def created(self) -> float: ...


class KeyStore(Protocol):
    """What is asked of the store."""

    def keys(self) -> Sequence[Kept]: ...
    async def create_key(self, name: str, services: Sequence[str], /) -> str: ...
    async def revoke_key(self, name: str, /) -> bool: ...


class Guarded(Protocol):
    """Where the rules stand that all connections go by."""

    guard: Guard


class KeyDesk:
    """Makes, lists and revokes keys. What it does holds from the next request, on open connections too."""

    def __init__(self, store: KeyStore, guarded: Guarded, login: Login) -> None:
        self._store = store
        self._guarded = guarded
        self._login = login

    def settle(self) -> None:
        """Go by the keys that there are now; sessions of those that are gone end. Also after a reload."""
        guard = self._guarded.guard
        kept = self._store.keys()
        self._guarded.guard = guard.with_ring(KeyRing(map(key_of, guard.auth.api_keys), map(_key, kept)))
        self._login.changed(guard.auth.dashboard)

    async def create(self, name: str, services: Sequence[str], /) -> KeyCreated:
        """A new key, shown this once. Raises Refusal where its name is taken, or where it cannot be kept."""
        if name in {key.name for key in self._guarded.guard.auth.api_keys}:
            raise Refusal("bad_request", f"a key of the configuration is called {name!r} already")
        try:
            text = await self._store.create_key(name, services)
        except KeyError:
            raise Refusal("bad_request", f"there is a key called {name!r} already: revoke it first") from None
        except NoDisk as error:
            raise Refusal("internal", f"no key was made, the database cannot be used at present: {error}") from error
        finally:
            self.settle()
        return KeyCreated(name=name, services=tuple(services), key=text)

    async def known(self) -> list[KeyShown]:
        """All keys that count, those of the configuration first."""
        configured = self._guarded.guard.auth.api_keys
        names = {key.name for key in configured}
        shown = [KeyShown(name=key.name, services=key.services, source="config") for key in configured]
        rows = self._store.keys()
        kept = [each for each in rows if each.name not in names]
        return shown + [KeyShown(name=each.name, services=each.services, created=_time(each.created)) for each in kept]

    async def revoke(self, name: str, /) -> bool:
        """From now on it opens nothing, and neither do sessions that it began. False: the database has no such key."""
        try:
            gone = await self._store.revoke_key(name)
        except NoDisk as error:
            raise Refusal("internal", str(error)) from error
        finally:
            self.settle()
        if not gone and name in {key.name for key in self._guarded.guard.auth.api_keys}:
            raise Refusal("bad_request", f"the key {name!r} stands in the configuration: take it out there")
        return gone


def _key(kept: Kept) -> Key:
    return Key(kept.name, bytes.fromhex(kept.sha256), frozenset(kept.services))


def _time(created: float) -> str:
    return datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
