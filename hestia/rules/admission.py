"""May this request pass? The one place that knows section 8 of the contract; the doors do what it says.

Two halves, by what they cost. `Standing` is all that a header block says of who asks: it is made once for a block, and
a connection whose client repeats its headers keeps it. `Guard.judge` looks at method and target too; a request to a
service whose standing is `free` need not be judged at all, and most are.

    who asks            may use               the origin rule
    ------------------  --------------------  ---------------------------------------------
    a key for "*"       everything            not asked: the service's own CORS decides
    another key         its services          likewise
    a session           everything            holds
    nobody, auth off    everything            holds
    nobody, auth on     what is open: health, login and logout, CORS preflights

The origin rule: an upgrade and a request that changes something must not come from a page elsewhere (403), and what
would only wake a service must not either (503 `cold`), unless a person opens it as a page.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from hestia.rules import origins
from hestia.rules.gate import auth_is_on
from hestia.rules.keys import Key, KeyRing
from hestia.rules.routing import HEALTH, NOT_FOUND, OWN, PREFIX, REDIRECT, SERVICE, UNKNOWN, path_of
from hestia.words.refusal import Refusal
from hestia.words.spec import Auth

LOGIN: Final = b"/__login"
LOGOUT: Final = b"/__logout"
SAFE: Final = frozenset((b"GET", b"HEAD", b"OPTIONS"))
PAGES: Final = (b"/dashboard/",)
"""Own pages that a person may open by a link on any page."""
JSON: Final = b"application/json"
ASKS_FIRST: Final = b"access-control-request-method"
WHO: Final = "send a key (`Authorization: Bearer KEY` or `X-API-Key: KEY`), or log in at /__login"


class Head(Protocol):
    """What is asked of a request's head (h1/request.py)."""

    @property
    def named(self) -> dict[bytes, bytes]: ...
    @property
    def name(self) -> bytes: ...
    @property
    def own_host(self) -> bytes: ...
    @property
    def own_scheme(self) -> bytes: ...
    @property
    def length(self) -> int: ...
    @property
    def upgrade(self) -> bytes | None: ...
    @property
    def navigation(self) -> bool: ...
    def header(self, name: bytes, /) -> bytes | None: ...


class Session(Protocol):
    """What a browser has after its login (doors/session.py)."""

    def alive(self, now: float, /) -> bool: ...


class Standing:
    """What one header block says of who asks. `free`: no rule here can refuse it at a service."""

    __slots__ = ("foreign", "free", "guard", "key", "known", "origin", "session", "who")

    def __init__(self, guard: Guard, key: Key | None, session: Session | None, *, foreign: bool, origin: bytes) -> None:
        self.guard = guard
        self.key = key
        self.session = session
        self.who = ""  # the name of a key, or of whoever has logged in; else an address
        self.origin = origin
        self.foreign = foreign and key is None  # with a key, the service's own CORS decides
        self.known = key is not None or session is not None
        if guard.on and key is not None:
            self.free = key.everything
        else:
            self.free = not self.foreign and (self.known or not guard.on)

    def holds(self, guard: Guard, now: float) -> bool:
        """Does it still say so? Not once keys, sessions or rules have changed."""
        return self.guard is guard and (self.session is None or self.session.alive(now))

    def opens(self, service_id: str) -> bool:
        """May the caller use this service? Lists name only what he may."""
        return self.key is None or not self.guard.on or self.key.opens(service_id)


class Verdict(NamedTuple):
    """What becomes of a request. `rule` names what decided it, for the log.

    `refusal`: it is answered with that. Else `wakes`: it may go on, whatever the service's state. Else it may go on to
    a service that is hot, and where it is not, `cold` is the answer; without one Hestia answers the preflight itself.
    """

    rule: str
    refusal: Refusal | None = None
    wakes: bool = True
    cold: Refusal | None = None

    @property
    def answers_preflight(self) -> bool:
        """Where the service is not hot (or there is none): 204 by Hestia, with CORS headers."""
        return not self.wakes and self.cold is None


FREE: Final = Verdict("free")


class Guard:
    """Who may do what. Never changed: a reload, a new key and a revoked one make another, by which memos go stale."""

    __slots__ = ("admin_apart", "allowed", "auth", "cors", "on", "ring")

    def __init__(self, auth: Auth, ring: KeyRing, *, admin_apart: bool) -> None:
        """`admin_apart`: Hestia's own pages have an address of their own (`admin_listen`)."""
        self.auth = auth
        self.on = auth_is_on(auth)
        self.ring = ring
        self.allowed = origins.configured(auth.allowed_origins)
        self.cors = origins.configured(auth.cors_origins)
        self.admin_apart = admin_apart

    def with_ring(self, ring: KeyRing) -> Guard:
        """The same rules for other keys: one was added or removed at run time."""
        return Guard(self.auth, ring, admin_apart=self.admin_apart)

    def stand(self, head: Head, key: Key | None, session: Session | None, site: bytes | None) -> Standing:
        """The standing of a block. `site` is its Sec-Fetch-Site."""
        origin = head.named.get(b"origin")
        foreign = origins.foreign(origin, site, head.name) and not origins.allowed(origin, self.allowed)
        standing = Standing(self, key, session, foreign=foreign, origin=origin or b"")
        if origin is not None and standing.free and key is None and head.header(ASKS_FIRST) is not None:
            standing.free = False
        return standing

    def is_login(self, target: bytes) -> bool:
        """Hestia's own on every address and host, while auth is on."""
        return self.on and target.startswith(LOGIN[:5]) and path_of(target) in {LOGIN, LOGOUT}

    def judge(
        self, head: Head, standing: Standing, method: bytes, target: bytes, kind: int, service_id: str | None
    ) -> Verdict:
        """What becomes of this request. `kind` is the router's; of a route that chooses later, `service_id` is None."""
        if self.is_login(target):
            return self._changes(head, standing, method) or Verdict("login")
        if kind == OWN and path_of(target).startswith(HEALTH):
            return Verdict("health")
        if standing.key is None and is_preflight(head, method):
            return self._preflight(head, kind)
        if self.on and not standing.known:
            return Verdict("nobody", Refusal("unauthorized", f"this needs a key or a login: {WHO}"))
        verdict = self._scope(standing, target, kind, service_id) or self._changes(head, standing, method)
        if verdict is None and kind == OWN:
            verdict = self._api(head, standing, method, target)
        if verdict is None and kind == SERVICE:
            verdict = self._wakes(head, standing, method)
        return verdict or FREE

    def chosen(self, standing: Standing, service_id: str) -> Refusal | None:
        """For a service that was chosen later (by the body): is it outside the caller's key?"""
        verdict = self._scope(standing, b"", SERVICE, service_id)
        return verdict.refusal if verdict is not None else None

    # --- the rules: each says its verdict, or None when it has nothing against the request

    def _preflight(self, head: Head, kind: int) -> Verdict:
        """A browser sends no key with it: it wakes nothing, and unless a service is hot it tells nobody what exists."""
        listed = origins.allowed(head.named.get(b"origin"), self.cors)
        if not listed and self.on:
            words = f"the origin {_origin(head)} is none of `auth.cors_origins`: add it there"
            cold = Refusal("unauthorized", f"a CORS preflight is let in for those alone; {words}")
        elif not listed:
            words = f"answers it for an origin of `auth.cors_origins` alone: add {_origin(head)} there"
            cold = Refusal("cold", f"the service sleeps; a CORS preflight does not wake it, and Hestia {words}")
        else:
            cold = None
        if kind == SERVICE:
            return Verdict("preflight", wakes=False, cold=cold)
        if not self.on:
            return Verdict("preflight")
        if cold is not None:
            return Verdict("preflight", cold)
        return Verdict("preflight") if kind == OWN else Verdict("preflight", wakes=False)

    def _scope(self, standing: Standing, target: bytes, kind: int, service_id: str | None) -> Verdict | None:
        """A key that is for some services opens those and nothing else, and does not tell what else there is."""
        key = standing.key
        if not self.on or key is None or key.everything:
            return None
        if kind == OWN:
            words = "is for services alone: Hestia's own API takes a key whose `services` are `*`, or a login"
            return Verdict("scope", Refusal("forbidden", f"the key {key.name!r} {words}"))
        if kind in {REDIRECT, UNKNOWN}:
            service_id = path_of(target)[len(PREFIX) :].partition(b"/")[0].decode("latin-1")
        if service_id is not None and not key.opens(service_id):
            words = f"does not open the service {service_id[:64]!a}: its `services` name others"
            return Verdict("scope", Refusal("forbidden", f"the key {key.name!r} {words}"))
        if kind in {NOT_FOUND, UNKNOWN}:  # the router's own words name the nearest id, which may be another's
            words = "nothing answers at this path; services answer under /services/<id>/"
            return Verdict("scope", Refusal("unknown_service" if kind == UNKNOWN else "not_found", words))
        return None

    def _changes(self, head: Head, standing: Standing, method: bytes) -> Verdict | None:
        """What changes something, and what opens a WebSocket, must not come from elsewhere."""
        if not standing.foreign or (method in SAFE and head.upgrade is None):
            return None
        what = "open a WebSocket" if head.upgrade is not None else "change anything"
        return Verdict("origin", Refusal("forbidden", f"{_page_of(standing)} may not {what} here: {_cure(standing)}"))

    def _wakes(self, head: Head, standing: Standing, method: bytes) -> Verdict | None:
        """What comes from elsewhere wakes nothing, unless a person opens it as a page."""
        if not standing.foreign or (method == b"GET" and head.navigation):
            return None
        words = f"the service sleeps, and {_page_of(standing)} does not wake it: {_cure(standing)}"
        return Verdict("origin", wakes=False, cold=Refusal("cold", words))

    def _api(self, head: Head, standing: Standing, method: bytes, target: bytes) -> Verdict | None:
        """What holds for Hestia's own API beside that."""
        path = path_of(target)
        page = path == b"/" or (path + b"/").startswith(PAGES)
        if not page and origins.relayed_page(head.named.get(b"referer")):
            words = "the page that asks lies under /services/: a relayed page may not use Hestia's API"
            return Verdict("referer", Refusal("forbidden", f"{words}; `admin_listen` keeps the two apart altogether"))
        return self._own_authority(head, standing, method) or _body(head)

    def _own_authority(self, head: Head, standing: Standing, method: bytes) -> Verdict | None:
        """Behind `admin_listen`, relayed pages have the same host name but another port."""
        if not self.admin_apart or standing.key is not None or (method in SAFE and head.upgrade is None):
            return None
        origin = head.named.get(b"origin")
        if origins.allowed(origin, self.allowed):
            return None
        if not origins.elsewhere(origin, head.own_scheme, head.own_host):
            return None
        words = f"with `admin_listen` set, Hestia's API takes its own pages alone, not {_page_of(standing)}"
        return Verdict("origin", Refusal("forbidden", f"{words}: {_cure(standing)}"))


def is_preflight(head: Head, method: bytes) -> bool:
    """Does a browser ask first whether its page may send a request? (Fetch, 4.8)"""
    return method == b"OPTIONS" and b"origin" in head.named and head.header(ASKS_FIRST) is not None


def _body(head: Head) -> Verdict | None:
    """A page elsewhere can send forms and text unasked, but no JSON."""
    if head.length == 0:
        return None
    said = (head.header(b"content-type") or b"").partition(b";")[0].strip().lower()
    if said == JSON:
        return None
    return Verdict("body", Refusal("bad_request", "a body for the API needs `Content-Type: application/json`"))


def _origin(head: Head) -> str:
    return origins.shown(head.named.get(b"origin", b""))


def _page_of(standing: Standing) -> str:
    return f"a page of {origins.shown(standing.origin)}" if standing.origin else "a page of another site"


def _cure(standing: Standing) -> str:
    if not standing.origin:
        return "open it as a page of its own, or send a key"
    if origins.read_origin(standing.origin) is None:
        return "it has no origin that could be allowed (a file, a sandboxed frame); send a key"
    return "add its origin to `auth.allowed_origins`, or send a key"
