"""Sessions of browsers: in memory, so they end with the gateway.

A session is made by a login and ends by a logout, with its time, or with the password or key that it was made with.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from hashlib import sha256
from time import monotonic
from typing import Final

IDLE_S: Final = 7 * 86400.0
LONGEST_S: Final = 30 * 86400.0
MOST: Final = 256
"""Sessions at a time; beyond, the one that was used longest ago ends."""
TOKEN_BYTES: Final = 32


class Session:
    """One login. `credential` is the digest of what it was made with."""

    __slots__ = ("begun", "credential", "ended", "used", "who")

    def __init__(self, who: str, credential: bytes, now: float) -> None:
        self.who = who
        self.credential = credential
        self.begun = self.used = now
        self.ended = False

    def alive(self, now: float) -> bool:
        """Is it, now that it is used? Idle time counts from the last use."""
        if self.ended or not self.lasts(now):
            return False
        self.used = now
        return True

    def lasts(self, now: float) -> bool:
        """Is its time not over? Asking is no use."""
        return now - self.used <= IDLE_S and now - self.begun <= LONGEST_S


class Sessions:
    """All sessions, by the digest of their tokens: what lies in memory opens nothing."""

    __slots__ = ("_by", "_clock", "names")

    def __init__(self, gateway_id: str = "", clock: Callable[[], float] = monotonic) -> None:
        self.names = _names(gateway_id)
        self._clock = clock
        self._by: dict[bytes, Session] = {}

    def belong_to(self, gateway_id: str) -> None:
        """Before the first request. Cookies know no ports, and one machine may run two gateways."""
        self.names = _names(gateway_id)

    def begin(self, who: str, credential: bytes) -> str:
        """A new session's token. Made anew at each login, so nobody can plant one."""
        now = self._clock()
        for digest in [each for each, session in self._by.items() if not session.lasts(now)]:
            self._end(digest)
        while len(self._by) >= MOST:
            self._end(min(self._by, key=lambda each: self._by[each].used))
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._by[_digest(token.encode())] = Session(who, credential, now)
        return token

    def find(self, tokens: Collection[bytes]) -> Session | None:
        """The session of the first of these tokens that has one."""
        now = self._clock()
        for token in tokens:
            session = self._by.get(_digest(token))
            if session is not None and session.alive(now):
                return session
        return None

    def end(self, tokens: Collection[bytes]) -> None:
        """Log out."""
        for token in tokens:
            self._end(_digest(token))

    def keep(self, credentials: Collection[bytes]) -> None:
        """End every session but those that were made with one of these: passwords and keys have changed."""
        for digest in [each for each, session in self._by.items() if session.credential not in credentials]:
            self._end(digest)

    def __len__(self) -> int:
        return len(self._by)

    def _end(self, digest: bytes) -> None:
        session = self._by.pop(digest, None)
        if session is not None:
            session.ended = True  # connections keep it with the header block that they saw last

    # --- its cookie

    def cookie(self, token: str, *, secure: bool) -> str:
        """`Set-Cookie` for a token; an empty one takes the cookie away. No `Domain`: this host alone gets it back."""
        name = self.names[secure].decode()
        end = "" if token else "; Max-Age=0"
        return f"{name}={token}; Path=/; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}{end}"

    def take_out(self, cookies: bytes) -> tuple[list[bytes], bytes]:
        """Our tokens in a `Cookie` value, and the value without them: other cookies stay byte for byte."""
        tokens, others = [], []
        for pair in cookies.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip(b" \t") in self.names:
                tokens.append(value.strip(b" \t"))
            else:
                others.append(pair)
        if not tokens:
            return tokens, cookies
        return tokens, b";".join(others).strip(b" \t")


def _names(gateway_id: str) -> tuple[bytes, bytes]:
    """Of the cookie, and of the one that is only sent over TLS."""
    plain = f"hestia_session_{gateway_id}".encode()
    return plain, b"__Host-" + plain


def _digest(token: bytes) -> bytes:
    return sha256(token).digest()
