"""Who may do what: for each (set-up, caller, request, page it comes from) what happens, to a hot service and to a cold one.

A row names the rule of the contract's section 8 that it stands for. Each rule that is switched off makes a row fail.
"""

from types import SimpleNamespace
from typing import NamedTuple

import pytest

from hestia.doors import reception
from hestia.doors.login import Login
from hestia.doors.session import Sessions
from hestia.h1.request import RequestHead
from hestia.rules import admission, keys, origins
from hestia.rules.admission import Guard, Standing
from hestia.rules.gate import Gate
from hestia.rules.keys import Key, KeyRing, key_of
from hestia.rules.routing import NOT_FOUND, OWN, REDIRECT, SERVICE, UNKNOWN, Door, Router
from hestia.words.refusal import Refusal
from hestia.words.spec import ApiKey, Auth, Config, Dashboard, Service

ORIGINS = {"allowed_origins": ("https://friend.example",), "cors_origins": ("https://chat.example",)}
KEYS = (ApiKey(name="star", key="k-star"), ApiKey(name="some", key="k-some", services=("a",)))
SET_UPS = {
    "off": Auth(**ORIGINS),
    "on": Auth(api_keys=KEYS, **ORIGINS),
    "password": Auth(dashboard=Dashboard(password="pw")),
    "required": Auth(required=True),
    "apart": Auth(api_keys=KEYS, **ORIGINS),  # with admin_listen
    "apart-off": Auth(**ORIGINS),
}
DOORS = {
    "": Door("main"),
    "main": Door("main", own=False),
    "admin": Door("admin", admin=True),
    "own": Door("own", service="a"),
}
CALLERS = {
    "nobody": (),
    "star": (b"Authorization: Bearer k-star",),
    "star-small": (b"authorization: bearer k-star",),
    "star-x": (b"X-API-Key: k-star",),
    "star-x, theirs": (b"Authorization: Bearer theirs", b"X-API-Key: k-star"),
    "star-x, basic": (b"Authorization: Basic azpr", b"X-API-Key: k-star"),
    "some": (b"Authorization: Bearer k-some",),
    "some-x": (b"X-API-Key: k-some",),
    "wrong": (b"Authorization: Bearer k-wrong",),
    "wrong-x": (b"X-API-Key: k-wrong",),
    "empty": (b"Authorization: Bearer ", b"X-API-Key:"),
    "basic": (b"Authorization: Basic ay1zdGFyOg==",),
    "basic-plain": (b"Authorization: Basic k-star",),
    "twice": (b"Authorization: Bearer k-star", b"Authorization: Bearer k-star"),
    "twice-x": (b"X-API-Key: k-star", b"X-API-Key: k-star"),
    "not-ascii": (b"X-API-Key: k-st\xc3\xa4r",),
    "proxy": (b"Proxy-Authorization: Bearer k-star",),
    "cookie-key": (b"Cookie: key=k-star; Authorization=k-star",),
    "digest": (b"X-API-Key: " + keys.digest_of("k-star").hex().encode(),),
    "kept": (b"X-API-Key: k-kept",),
    "session": (b"Cookie: theme=dark; %SESSION%; lang=de",),
    "session, theirs": (b"Cookie: %SESSION%", b"Authorization: Bearer theirs"),
    "session-host": (b"Cookie: __Host-%SESSION%",),
    "ended": (b"Cookie: %ENDED%",),
    "invented": (b"Cookie: %NAME%=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",),
    "empty-cookie": (b"Cookie: %NAME%=",),
}
NAV = (b"Accept: text/html,*/*", b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: document")
PRE = (b"Access-Control-Request-Method: POST", b"Access-Control-Request-Headers: x-api-key")
JSON = (b"Content-Type: application/json", b"Content-Length: 2")
REQUESTS = {
    "GET a": ("GET", "/services/a/x", ()),
    "GET b": ("GET", "/services/b/x", ()),
    "HEAD a": ("HEAD", "/services/a/x", ()),
    "POST a": ("POST", "/services/a/x", ()),
    "PUT a": ("PUT", "/services/a/x", ()),
    "DELETE a": ("DELETE", "/services/a/x", ()),
    "ODD a": ("FROB", "/services/a/x", ()),
    "OPTIONS a": ("OPTIONS", "/services/a/x", ()),
    "WS a": ("GET", "/services/a/ws", (b"Connection: Upgrade", b"Upgrade: websocket")),
    "NAV a": ("GET", "/services/a/", NAV),
    "NAV b": ("GET", "/services/b/", NAV),
    "FRAME a": ("GET", "/services/a/", (b"Sec-Fetch-Mode: navigate", b"Sec-Fetch-Dest: iframe")),
    "PREFETCH a": ("GET", "/services/a/", (*NAV, b"Sec-Purpose: prefetch")),
    "NAV-POST a": ("POST", "/services/a/", NAV),
    "PRE a": ("OPTIONS", "/services/a/x", PRE),
    "PRE b": ("OPTIONS", "/services/b/x", PRE),
    "PRE unknown": ("OPTIONS", "/services/nope/x", PRE),
    "PRE nothing": ("OPTIONS", "/nope", PRE),
    "PRE slash": ("OPTIONS", "/services/a", PRE),
    "PRE api": ("OPTIONS", "/v1/services", PRE),
    "PRE health": ("OPTIONS", "/__health", PRE),
    "slash a": ("GET", "/services/a", ()),
    "slash b": ("GET", "/services/b?x", ()),
    "POST slash a": ("POST", "/services/a", ()),
    "unknown": ("GET", "/services/nope/x", ()),
    "NAV unknown": ("GET", "/services/nope/x", NAV),
    "nothing": ("GET", "/nope", ()),
    "POST nothing": ("POST", "/nope", ()),
    "health": ("GET", "/__health", ()),
    "HEAD health": ("HEAD", "/__health", ()),
    "below health": ("GET", "/__health/x", ()),
    "root": ("GET", "/", ()),
    "NAV root": ("GET", "/", NAV),
    "dashboard": ("GET", "/dashboard/", ()),
    "NAV dashboard": ("GET", "/dashboard/", NAV),
    "api": ("GET", "/v1/services", ()),
    "api query": ("GET", "/v1/services?key=k-star&api_key=k-star", ()),
    "NAV api": ("GET", "/v1/services", NAV),
    "metrics": ("GET", "/metrics", ()),
    "start": ("POST", "/v1/services/a/start", ()),
    "start json": ("POST", "/v1/services/a/start", JSON),
    "start charset": ("POST", "/v1/services/a/start", (b"Content-Type: Application/JSON; charset=utf-8", b"Content-Length: 2")),
    "start text": ("POST", "/v1/services/a/start", (b"Content-Type: text/plain", b"Content-Length: 2")),
    "start form": ("POST", "/v1/services/a/start", (b"Content-Type: application/x-www-form-urlencoded", b"Transfer-Encoding: chunked")),
    "start no type": ("POST", "/v1/services/a/start", (b"Content-Length: 2",)),
    "dispatch": ("POST", "/v1/requests", JSON),
    "upgrade api": ("GET", "/v1/events", (b"Connection: Upgrade", b"Upgrade: websocket")),
    "login": ("GET", "/__login", NAV),
    "login query": ("GET", "/__login?next=/x", ()),
    "POST login": ("POST", "/__login", (b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: 2")),
    "POST logout": ("POST", "/__logout", ()),
    "near login": ("GET", "/__loginx", ()),
    "below login": ("GET", "/__login/x", ()),
}
PAGES = {
    "-": (),
    "own": (b"Origin: http://box:8080",),
    "own, same-origin": (b"Origin: http://box:8080", b"Sec-Fetch-Site: same-origin"),
    "own port": (b"Origin: http://box:3000", b"Sec-Fetch-Site: same-site"),
    "own tls": (b"Origin: https://BOX",),
    "foreign": (b"Origin: https://evil.example",),
    "foreign, cross-site": (b"Origin: https://evil.example", b"Sec-Fetch-Site: cross-site"),
    "like own": (b"Origin: http://box.evil.example",),
    "null": (b"Origin: null",),
    "no origin at all": (b"Origin:",),
    "extension": (b"Origin: chrome-extension://box",),
    "two": (b"Origin: http://box:8080", b"Origin: https://evil.example"),
    "cross-site": (b"Sec-Fetch-Site: cross-site",),
    "own, cross-site": (b"Origin: http://box:8080", b"Sec-Fetch-Site: cross-site"),
    "same-site": (b"Sec-Fetch-Site: same-site",),
    "typed": (b"Sec-Fetch-Site: none",),
    "friend": (b"Origin: https://friend.example",),
    "friend, cross-site": (b"Origin: https://FRIEND.example:443", b"Sec-Fetch-Site: cross-site"),
    "friend http": (b"Origin: http://friend.example",),
    "chat": (b"Origin: https://chat.example",),
    "relayed": (b"Referer: http://box:8080/services/b/page?x",),
    "relayed, own": (b"Origin: http://box:8080", b"Referer: http://box:8080/services/b/"),
    "own page": (b"Origin: http://box:8080", b"Referer: http://box:8080/dashboard/"),
}


class Row(NamedTuple):
    rule: str
    set_up: str  # and, after "@", the door
    caller: str
    request: str
    page: str
    hot: str
    cold: str = ""  # as `hot` unless it says another
    host: str = "box:8080"


R = Row
OPEN = [
    R("off: everything is open", "off", "nobody", "GET a", "-", "relay"),
    R("off: everything is open", "off", "nobody", "POST a", "-", "relay"),
    R("off: everything is open", "off", "nobody", "WS a", "-", "relay"),
    R("off: everything is open", "off", "nobody", "NAV a", "-", "relay"),
    R("off: everything is open", "off", "nobody", "ODD a", "-", "relay"),
    R("off: everything is open", "off", "nobody", "api", "-", "own"),
    R("off: everything is open", "off", "nobody", "slash a", "-", "308"),
    R("off: what is not there is 404", "off", "nobody", "unknown", "-", "404"),
    R("off: what is not there is 404", "off", "nobody", "nothing", "-", "404"),
    R("off: a key is nobody's business", "off", "wrong", "GET a", "-", "relay"),
    R("off: a key is nobody's business", "off", "basic", "api", "-", "own"),
    R("off: a kept key does not switch auth on", "off", "nobody", "GET b", "-", "relay"),
    R("off: the login paths are a service's or nothing", "off", "nobody", "login", "-", "404"),
    R("off: the login paths are a service's or nothing", "off@own", "nobody", "login", "-", "relay"),
    R("off: the login paths are a service's or nothing", "off@own", "nobody", "POST logout", "-", "relay"),
    R("off: the login paths are a service's or nothing", "off", "nobody", "POST login", "-", "relay", host="a.home.arpa"),
    R("off: hosts are checked against rebinding", "off", "nobody", "GET a", "-", "421", host="evil.example"),
    R("off: hosts are checked against rebinding", "off", "nobody", "api", "-", "421", host="evil.example:8080"),
    R("off: hosts are checked against rebinding", "off@own", "nobody", "WS a", "-", "421", host="evil.example"),
    R("off: a literal address is a host", "off", "nobody", "GET a", "-", "relay", host="192.0.2.1:8080"),
    R("on: hosts need no check, for a session's cookie is this host's", "on", "star", "GET a", "-", "relay", host="gate.example"),
    R("on: hosts need no check, for a session's cookie is this host's", "on", "nobody", "GET a", "-", "401", host="evil.example"),
]
NOBODY = [
    R("nobody: 401 and nothing learnt", set_up, "nobody", request, "-", "401")
    for set_up, request in [
        *(("on", each) for each in ("GET a", "GET b", "HEAD a", "POST a", "OPTIONS a", "WS a", "slash a", "slash b", "root")),
        *(("on", each) for each in ("dashboard", "api", "metrics", "start", "dispatch", "upgrade api")),
        *(("on", each) for each in ("unknown", "nothing", "POST nothing", "near login", "below login")),
        *(("password", each) for each in ("GET a", "api", "unknown")),
        *(("required", each) for each in ("GET a", "api", "unknown", "nothing")),
        ("on@own", "GET a"), ("on@own", "api"), ("on@own", "health"), ("on@own", "nothing"),
        ("apart@admin", "api"), ("apart@admin", "GET a"), ("apart@main", "GET a"), ("apart@main", "api"),
    ]
]
LOGIN_PAGE = [
    R("a navigation without either gets the login page", set_up, "nobody", request, page, "page")
    for set_up, request, page in [
        ("on", "NAV a", "-"), ("on", "NAV b", "typed"), ("on", "NAV a", "cross-site"), ("on", "NAV root", "-"),
        ("on", "NAV dashboard", "-"), ("on", "NAV api", "-"), ("on", "NAV unknown", "-"), ("password", "NAV a", "-"),
        ("required", "NAV a", "-"), ("on@own", "NAV a", "-"), ("apart@admin", "NAV dashboard", "-"),
    ]
] + [
    R("no navigation, no page", "on", "nobody", "NAV-POST a", "-", "401"),
    R("no navigation, no page", "on", "nobody", "FRAME a", "-", "401"),
    R("no navigation, no page", "on", "nobody", "PREFETCH a", "-", "401"),
    R("an ended session is none", "on", "ended", "NAV a", "-", "page"),
]
NO_KEY = [
    R("what is none of our keys is no key", "on", caller, request, "-", "401")
    for caller in ("wrong", "wrong-x", "empty", "basic", "basic-plain", "twice", "twice-x", "not-ascii", "proxy", "cookie-key", "digest", "ended", "invented", "empty-cookie")
    for request in ("GET a", "api")
] + [
    R("a key stands in no query", "on", "nobody", "api query", "-", "401"),
    R("a key is not asked for where none is configured", "required", "star", "GET a", "-", "401"),
]
KEYED = [
    R("a key opens services", "on", "star", "GET a", "-", "relay"),
    R("a key opens services", "on", "star", "GET b", "-", "relay"),
    R("a key opens services", "on", "star", "POST a", "-", "relay"),
    R("a key opens services", "on", "star", "WS a", "-", "relay"),
    R("a key opens services", "on", "star-small", "GET a", "-", "relay"),
    R("a key opens services", "on", "star-x", "GET a", "-", "relay"),
    R("a key opens services", "on", "star", "slash b", "-", "308"),
    R("a key opens services", "on@own", "star", "GET a", "-", "relay"),
    R("a kept key counts too", "on", "kept", "GET a", "-", "relay"),
    R("a kept key counts too", "required", "kept", "api", "-", "own"),
    R("the first that is ours is taken, the other passes", "on", "star-x, theirs", "GET a", "-", "relay"),
    R("the first that is ours is taken, the other passes", "on", "star-x, basic", "GET a", "-", "relay"),
    R("a key for everything opens the API", "on", "star", "api", "-", "own"),
    R("a key for everything opens the API", "on", "star-x", "start json", "-", "own"),
    R("a key for everything opens the API", "on", "star", "dispatch", "-", "own"),
    R("a key for everything opens the API", "apart@admin", "star", "api", "-", "own"),
    R("a key for everything learns what is not there", "on", "star", "unknown", "-", "404"),
    R("a key for everything learns what is not there", "on", "star", "nothing", "-", "404"),
    R("a key opens its services alone", "on", "some", "GET a", "-", "relay"),
    R("a key opens its services alone", "on", "some-x", "WS a", "-", "relay"),
    R("a key opens its services alone", "on", "some", "slash a", "-", "308"),
    R("a key opens its services alone", "on", "some", "GET b", "-", "403"),
    R("a key opens its services alone", "on", "some-x", "NAV b", "-", "403"),
    R("a key opens its services alone", "on", "some", "slash b", "-", "403"),
    R("a key opens its services alone", "on", "some", "unknown", "-", "403"),
    R("a key opens its services alone", "on@own", "some", "GET a", "-", "relay"),
    R("a key for services hears of no other", "on", "some", "nothing", "-", "404"),
    R("a key for services has no API", "on", "some", "api", "-", "403"),
    R("a key for services has no API", "on", "some", "root", "-", "403"),
    R("a key for services has no API", "on", "some", "start", "-", "403"),
    R("a key for services has no API", "on", "some", "dispatch", "-", "403"),
    R("a key for services has no API", "on", "some", "metrics", "-", "403"),
    R("a key for services has no API", "on", "some-x", "dashboard", "-", "403"),
    R("a key for services has no API", "on", "some", "health", "-", "own"),
    R("with a key the service's own CORS decides", "on", "star", "POST a", "foreign", "relay"),
    R("with a key the service's own CORS decides", "on", "star", "GET a", "foreign, cross-site", "relay"),
    R("with a key the service's own CORS decides", "on", "some-x", "WS a", "null", "relay"),
    R("with a key the service's own CORS decides", "on", "star", "OPTIONS a", "foreign", "relay"),
    R("with a key the service's own CORS decides", "on", "star", "PRE a", "foreign", "relay"),
    R("with a key the service's own CORS decides", "on", "some", "PRE b", "foreign", "403"),
    R("with a key the API has no origin rule", "on", "star", "start", "foreign", "own"),
    R("with a key the API has no origin rule", "apart@admin", "star", "start", "own port", "own"),
    R("off: with a kept key the origin rule does not hold either", "off", "kept", "POST a", "foreign", "relay"),
    R("off: with a kept key the origin rule does not hold either", "off", "kept", "GET a", "cross-site", "relay"),
]
SESSION = [
    R("a session opens services", "on", "session", "GET a", "-", "relay"),
    R("a session opens services", "on", "session", "GET b", "own", "relay"),
    R("a session opens services", "on", "session", "POST a", "-", "relay"),
    R("a session opens services", "on", "session", "WS a", "own", "relay"),
    R("a session opens services", "on", "session-host", "GET a", "-", "relay"),
    R("a session opens services", "on@own", "session", "NAV a", "-", "relay"),
    R("a session opens services", "on", "session, theirs", "GET a", "-", "relay"),
    R("a session opens services", "password", "session", "GET a", "-", "relay"),
    R("a session opens the API", "on", "session", "api", "-", "own"),
    R("a session opens the API", "on", "session", "start", "own", "own"),
    R("a session opens the API", "on", "session", "NAV dashboard", "-", "own"),
    R("a session learns what is not there", "on", "session", "unknown", "-", "404"),
    R("a session learns what is not there", "on", "session", "nothing", "-", "404"),
]
ORIGIN = [
    row
    for set_up, caller in (("off", "nobody"), ("on", "session"))
    for row in [
        R("a change from elsewhere is refused", set_up, caller, "POST a", "foreign", "403"),
        R("a change from elsewhere is refused", set_up, caller, "PUT a", "foreign, cross-site", "403"),
        R("a change from elsewhere is refused", set_up, caller, "DELETE a", "like own", "403"),
        R("a change from elsewhere is refused", set_up, caller, "ODD a", "foreign", "403"),
        R("a change from elsewhere is refused", set_up, caller, "start", "foreign", "403"),
        R("a change from elsewhere is refused", set_up, caller, "dispatch", "foreign", "403"),
        R("a change from elsewhere is refused", set_up, caller, "NAV-POST a", "foreign", "403"),
        R("a change from elsewhere is refused", set_up, caller, "POST slash a", "foreign", "403"),
        R("null is foreign", set_up, caller, "POST a", "null", "403"),
        R("null is foreign", set_up, caller, "WS a", "null", "403"),
        R("null is foreign", set_up, caller, "GET a", "null", "relay", "cold"),
        R("what is no origin is foreign", set_up, caller, "POST a", "no origin at all", "403"),
        R("what is no origin is foreign", set_up, caller, "POST a", "two", "403"),
        R("what is no origin is foreign", set_up, caller, "POST a", "extension", "403"),
        R("cross-site is foreign", set_up, caller, "POST a", "cross-site", "403"),
        R("cross-site is foreign", set_up, caller, "POST a", "own, cross-site", "403"),
        R("cross-site is foreign", set_up, caller, "GET a", "cross-site", "relay", "cold"),
        R("an upgrade from elsewhere is refused", set_up, caller, "WS a", "foreign", "403"),
        R("an upgrade from elsewhere is refused", set_up, caller, "WS a", "cross-site", "403"),
        R("an upgrade from elsewhere is refused", set_up, caller, "upgrade api", "foreign", "403"),
        R("elsewhere wakes nothing", set_up, caller, "GET a", "foreign", "relay", "cold"),
        R("elsewhere wakes nothing", set_up, caller, "HEAD a", "foreign", "relay", "cold"),
        R("elsewhere wakes nothing", set_up, caller, "OPTIONS a", "foreign", "relay", "cold"),
        R("elsewhere wakes nothing", set_up, caller, "FRAME a", "cross-site", "relay", "cold"),
        R("elsewhere wakes nothing", set_up, caller, "PREFETCH a", "cross-site", "relay", "cold"),
        R("a navigation from elsewhere wakes", set_up, caller, "NAV a", "cross-site", "relay"),
        R("a navigation from elsewhere opens the dashboard", set_up, caller, "NAV dashboard", "cross-site", "own"),
        R("its own host name, any port", set_up, caller, "POST a", "own", "relay"),
        R("its own host name, any port", set_up, caller, "POST a", "own, same-origin", "relay"),
        R("its own host name, any port", set_up, caller, "POST a", "own port", "relay"),
        R("its own host name, any port", set_up, caller, "WS a", "own tls", "relay"),
        R("its own host name, any port", set_up, caller, "start", "own port", "own"),
        R("its own host name, any port", set_up, caller, "GET a", "same-site", "relay"),
        R("a program sends no origin", set_up, caller, "POST a", "typed", "relay"),
        R("allowed_origins may change and wake", set_up, caller, "POST a", "friend", "relay"),
        R("allowed_origins may change and wake", set_up, caller, "WS a", "friend, cross-site", "relay"),
        R("allowed_origins may change and wake", set_up, caller, "GET a", "friend, cross-site", "relay"),
        R("allowed_origins may change and wake", set_up, caller, "start", "friend", "own"),
        R("allowed_origins go by scheme too", set_up, caller, "POST a", "friend http", "403"),
        R("cors_origins may read, not change", set_up, caller, "POST a", "chat", "403"),
        R("cors_origins may read, not change", set_up, caller, "api", "chat", "own"),
        R("a read from elsewhere is a read", set_up, caller, "api", "foreign", "own"),
        R("a relayed page may not use the API", set_up, caller, "api", "relayed", "403"),
        R("a relayed page may not use the API", set_up, caller, "start", "relayed, own", "403"),
        R("a relayed page may not use the API", set_up, caller, "metrics", "relayed", "403"),
        R("a relayed page may not use the API", set_up, caller, "dispatch", "relayed, own", "403"),
        R("a relayed page may link to the dashboard", set_up, caller, "NAV dashboard", "relayed", "own"),
        R("a relayed page may link to the dashboard", set_up, caller, "NAV root", "relayed", "own"),
        R("a relayed page may use services", set_up, caller, "POST a", "relayed, own", "relay"),
        R("the dashboard may use the API", set_up, caller, "start", "own page", "own"),
        R("bodies of the API are JSON", set_up, caller, "start text", "-", "400"),
        R("bodies of the API are JSON", set_up, caller, "start form", "own", "400"),
        R("bodies of the API are JSON", set_up, caller, "start no type", "-", "400"),
        R("bodies of the API are JSON", set_up, caller, "start charset", "-", "own"),
        R("bodies of the API are JSON", set_up, caller, "start", "-", "own"),
    ]
] + [
    R("a relayed page may not use the API", "on", "star", "api", "relayed", "403"),
    R("bodies of the API are JSON", "on", "star", "start text", "-", "400"),
]
APART = [
    row
    for set_up, caller in (("apart-off@admin", "nobody"), ("apart@admin", "session"))
    for row in [
        R("admin_listen: the API takes its own authority alone", set_up, caller, "start", "own", "own", host="box:8080"),
        R("admin_listen: the API takes its own authority alone", set_up, caller, "start", "own port", "403", host="box:8080"),
        R("admin_listen: the API takes its own authority alone", set_up, caller, "start", "own", "403", host="box:9090"),
        R("admin_listen: the API takes its own authority alone", set_up, caller, "upgrade api", "own port", "403"),
        R("admin_listen: the API takes its own authority alone", set_up, caller, "start", "-", "own"),
        R("admin_listen: reading is no change", set_up, caller, "api", "own port", "own"),
        R("admin_listen: allowed_origins hold", set_up, caller, "start", "friend", "own"),
        R("admin_listen: nothing is relayed there", set_up, caller, "GET a", "-", "404"),
    ]
] + [
    R("admin_listen: services take any port", "apart@main", "session", "POST a", "own port", "relay"),
    R("admin_listen: the API is nowhere else", "apart@main", "session", "api", "-", "404"),
    R("admin_listen: the API is nowhere else", "apart-off@main", "nobody", "start", "-", "404"),
    R("health is open everywhere", "apart@main", "nobody", "health", "-", "own"),
    R("health is open everywhere", "apart@admin", "nobody", "health", "-", "own"),
    R("health is open everywhere", "on", "nobody", "health", "-", "own"),
    R("health is open everywhere", "on", "wrong", "HEAD health", "-", "own"),
    R("health is open everywhere", "required", "nobody", "health", "foreign", "own"),
    R("health is open everywhere", "on", "nobody", "PRE health", "foreign", "own"),
    R("health is open everywhere", "off", "nobody", "health", "relayed", "own"),
    R("health is open everywhere", "on", "nobody", "below health", "-", "own"),
    R("at a service's own address it is the service's", "off@own", "nobody", "health", "-", "relay"),
]
LOGIN = [
    R("login and logout are Hestia's everywhere and need no key", set_up, "nobody", request, "-", "own", host=host)
    for set_up, host in (("on", "box:8080"), ("on@own", "box:8080"), ("on", "a.home.arpa"), ("apart@admin", "box:8080"), ("apart@main", "box:8080"), ("required", "box:8080"))
    for request in ("login", "login query", "POST login", "POST logout")
] + [
    R("the login form obeys the origin rule", "on", "nobody", "POST login", "own, same-origin", "own"),
    R("the login form obeys the origin rule", "on", "nobody", "POST login", "foreign", "403"),
    R("the login form obeys the origin rule", "on", "nobody", "POST login", "null", "403"),
    R("the login form obeys the origin rule", "on@own", "nobody", "POST login", "cross-site", "403"),
    R("the login form obeys the origin rule", "on", "session", "POST logout", "foreign", "403"),
    R("the login form obeys the origin rule", "on", "session", "POST logout", "own", "own"),
    R("a key does not change that", "on", "some", "POST login", "-", "own"),
]
PREFLIGHT = [
    R("a preflight passes to a hot service", "on", "nobody", "PRE a", "chat", "relay", "204"),
    R("a preflight passes to a hot service", "on", "nobody", "PRE a", "foreign", "relay", "401"),
    R("a preflight passes to a hot service", "on", "nobody", "PRE b", "null", "relay", "401"),
    R("a preflight passes to a hot service", "on", "session", "PRE a", "foreign", "relay", "401"),
    R("a preflight passes to a hot service", "on@own", "nobody", "PRE a", "chat", "relay", "204"),
    R("a preflight passes to a hot service", "off", "nobody", "PRE a", "chat", "relay", "204"),
    R("a preflight passes to a hot service", "off", "nobody", "PRE a", "foreign", "relay", "cold"),
    R("a preflight wakes nothing, wherever it comes from", "off", "nobody", "PRE a", "own port", "relay", "cold"),
    R("a preflight wakes nothing, wherever it comes from", "off", "nobody", "PRE a", "friend", "relay", "cold"),
    R("a preflight wakes nothing, wherever it comes from", "on", "wrong", "PRE a", "chat", "relay", "204"),
    R("a preflight does not tell what exists", "on", "nobody", "PRE unknown", "chat", "204"),
    R("a preflight does not tell what exists", "on", "nobody", "PRE unknown", "foreign", "401"),
    R("a preflight does not tell what exists", "on", "nobody", "PRE nothing", "foreign", "401"),
    R("a preflight does not tell what exists", "on", "nobody", "PRE slash", "foreign", "401"),
    R("a preflight for the API is answered to cors_origins", "on", "nobody", "PRE api", "chat", "own"),
    R("a preflight for the API is answered to cors_origins", "on", "nobody", "PRE api", "foreign", "401"),
    R("a preflight for the API is answered to cors_origins", "off", "nobody", "PRE api", "foreign", "own"),
    R("off: a preflight finds what is not there", "off", "nobody", "PRE unknown", "foreign", "404"),
    R("off: a preflight finds what is not there", "off", "nobody", "PRE nothing", "chat", "404"),
    R("what only looks like a preflight is none", "on", "nobody", "PRE a", "-", "401"),
    R("what only looks like a preflight is none", "on", "nobody", "OPTIONS a", "chat", "401"),
]
ROWS = [*OPEN, *NOBODY, *LOGIN_PAGE, *NO_KEY, *KEYED, *SESSION, *ORIGIN, *APART, *LOGIN, *PREFLIGHT]
KINDS = {SERVICE: "relay", OWN: "own", REDIRECT: "308", NOT_FOUND: "404", UNKNOWN: "404"}


class House:
    """A gateway's rules as the front has them, without a connection."""

    def __init__(self, set_up: str) -> None:
        name, _, door = set_up.partition("@")
        auth = SET_UPS[name]
        services = {"a": Service(id="a", hosts=("a.home.arpa",)), "b": Service(id="b")}
        config = Config(auth=auth, services=services, routes=(), admin_listen=("x:1",) if "apart" in name else ())
        self.door = DOORS[door]
        self.router = Router(config, {each: SimpleNamespace(id=each) for each in services})
        self.sessions = Sessions("0123")
        ring = KeyRing([key_of(key) for key in auth.api_keys], [Key("kept", keys.digest_of("k-kept"), frozenset({"*"}))])
        self.login = Login(auth.dashboard, self.sessions, lambda: ring, lambda *_, **__: None)
        self.token = self.sessions.begin("me", b"")
        self.ended = self.sessions.begin("me", b"")
        self.sessions.end([self.ended.encode()])
        shared = SimpleNamespace(
            gate=Gate(config, ("box",)),
            guard=Guard(auth, ring, admin_apart=bool(config.admin_listen)),
            sessions=self.sessions,
            loop_tag=b"hestia-0123",
            server=SimpleNamespace(log=SimpleNamespace(event=lambda *_, **__: None)),
        )
        self.front = SimpleNamespace(shared=shared, scheme=b"http", peer="192.0.2.1", trusted=False, head=None)

    def block(self, row: Row) -> bytes:
        _, _, more = REQUESTS[row.request]
        lines = [b"Host: " + row.host.encode(), b"X-Other: kept", *CALLERS[row.caller], *PAGES[row.page], *more]
        name = self.sessions.names[0]
        text = b"\r\n".join(lines) + b"\r\n\r\n"
        text = text.replace(b"%SESSION%", name + b"=" + self.token.encode())
        return text.replace(b"%ENDED%", name + b"=" + self.ended.encode()).replace(b"%NAME%", name)

    def outcome(self, row: Row, *, hot: bool) -> str:
        method, target, _ = (REQUESTS[row.request][0].encode(), REQUESTS[row.request][1].encode(), ())
        try:
            block = self.block(row)
            head = reception.receive_head(block, b"1", self.front)
            standing = reception.stand(head, block, self.front)
            choice = self.router.choose(self.door, head.name, reception.receive_target(method, target, head))
            return self._decided(head, standing, method, target, choice, hot=hot)
        except Refusal as refusal:
            return str(refusal.status)

    def _decided(self, head, standing, method, target, choice, *, hot):
        if standing.free and choice.kind == SERVICE and not target.startswith(b"/__log"):
            return self._passed(head, "relay")
        verdict = reception.judge(self.front, head, standing, method, target, choice)
        refusal = verdict.refusal
        if refusal is None and not verdict.wakes and not (choice.kind == SERVICE and hot):
            if verdict.answers_preflight:
                answer = reception.answer_preflight(head, b"id", keep=True)
                assert b"\r\nAccess-Control-Allow-Headers: x-api-key\r\n" in answer
                return "204"
            refusal = verdict.cold
        if refusal is None:
            return self._passed(head, "own" if verdict.rule == "login" else KINDS[choice.kind])
        if refusal.code == "cold":
            assert refusal.status == 503
            return "cold"
        return self._refused(head, method, target, refusal)

    def _refused(self, head, method, target, refusal):
        whole = reception.refuse(refusal, head, method, b"id", frozenset(), service=None, keep=True, target=target, login=self.login)
        assert (b"WWW-Authenticate: Bearer" in whole) == (refusal.status == 401)
        assert b"k-star" not in whole
        return "page" if b'action="/__login"' in whole else str(refusal.status)

    def _passed(self, head: RequestHead, where: str) -> str:
        """What is relayed holds nothing of ours, and everything else."""
        if where == "relay":
            fields = b"\r\n".join(head.fields)
            ours = [b"k-some", b"k-kept", self.token.encode(), self.sessions.names[0]]
            assert [each for each in ours if each in fields] == []
            assert b"X-Other: kept" in fields
        return where


def complaint(row: Row) -> str | None:
    """What is wrong with this row, if anything is."""
    house = House(row.set_up)
    try:
        got = (house.outcome(row, hot=True), house.outcome(row, hot=False))
    except AssertionError as error:
        return str(error)
    finally:
        house.login.close()
    wanted = (row.hot, row.cold or row.hot)
    return None if got == wanted else f"{row.rule}: (hot, cold) is {got}, not {wanted}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "|".join(row[1:5]))
def test_each_row_of_the_table(row):
    assert complaint(row) is None


def test_the_table_is_large_and_no_row_stands_twice():
    assert len({row[1:5] + row[7:] for row in ROWS}) == len(ROWS) >= 150


@pytest.mark.parametrize("caller", ["star-x, theirs", "star-x, basic", "session, theirs"])
def test_what_is_not_ours_passes_byte_for_byte(caller):
    house = House("on")
    row = Row("", "on", caller, "GET a", "-", "relay")
    block = house.block(row)
    head = reception.receive_head(block, b"1", house.front)
    reception.stand(head, block, house.front)
    theirs = next(line for line in CALLERS[caller] if line.startswith(b"Authorization"))
    assert theirs in head.fields
    assert not any(b"k-star" in line or b"hestia_session" in line for line in head.fields)


def test_other_cookies_pass_byte_for_byte():
    house = House("on")
    block = b'Host: box\r\nCookie: a="x; y";b=1;  %b=%b ;c= 2\r\ncookie: %b=z\r\nCookie: d\r\n\r\n'
    block %= (house.sessions.names[0], house.token.encode(), house.sessions.names[1])
    head = reception.receive_head(block, b"1", house.front)
    assert reception.stand(head, block, house.front).session is not None
    assert head.fields == [b'Cookie: a="x; y";b=1;c= 2', b"Cookie: d"]


WITHOUT = [
    ("a key is asked for", Standing, "known", property(lambda self: True, lambda self, value: None)),
    ("a key opens its own services", Key, "opens", lambda self, service_id: True),
    ("a key may be for services alone", Key, "everything", property(lambda self: True)),
    ("scope", Guard, "_scope", lambda *_: None),
    ("changes", Guard, "_changes", lambda *_: None),
    ("wakes", Guard, "_wakes", lambda *_: None),
    ("what holds for the API", Guard, "_api", lambda *_: None),
    ("the API's own authority", Guard, "_own_authority", lambda *_: None),
    ("JSON bodies", admission, "_body", lambda *_: None),
    ("preflights are open", admission, "is_preflight", lambda *_: False),
    ("preflights do not wake", Guard, "_preflight", lambda *_: admission.FREE),
    ("login is open", Guard, "is_login", lambda *_: False),
    ("health is open", admission, "HEALTH", b"/never"),
    ("pages may be linked to", admission, "PAGES", (b"/never",)),
    ("relayed pages", origins, "relayed_page", lambda *_: False),
    ("foreign pages", origins, "foreign", lambda *_: False),
    ("ports beside admin_listen", origins, "elsewhere", lambda *_: False),
    ("cross-site", origins, "foreign", lambda origin, site, name, real=origins.foreign: real(origin, None, name)),
    ("null", origins, "foreign", lambda origin, site, name, real=origins.foreign: origin != b"null" and real(origin, site, name)),
    ("whole names are compared", origins, "foreign", lambda origin, site, name: (bool(origin) and name not in origin) or site == b"cross-site"),
    ("schemes of the web", origins, "DEFAULT_PORTS", {b"http": b":80", b"https": b":443", b"chrome-extension": b""}),
    ("allowed origins", origins, "allowed", lambda *_: False),
    ("only allowed origins", origins, "allowed", lambda origin, among: origin is not None),
    ("navigations may wake", RequestHead, "navigation", property(lambda self: False)),
    ("only navigations may wake", RequestHead, "navigation", property(lambda self: True)),
    ("only a visible key", keys, "PLAIN", SimpleNamespace(fullmatch=lambda value: None)),
    ("Basic is no key", keys, "BEARER", keys.re.compile(rb"(?:bearer|basic) +([!-~]++)", keys.re.IGNORECASE)),
    ("a header that came twice is no key", keys, "BEARER", keys.re.compile(rb"bearer +([!-~]+?)(?:,.*)?", keys.re.IGNORECASE)),
    ("schemes have no case", keys, "BEARER", keys.re.compile(rb"Bearer +([!-~]++)")),
    ("both headers are read", keys, "X_API_KEY", b"x-nothing"),
    ("Authorization is read", keys, "AUTHORIZATION", b"x-nothing"),
    ("digests are compared", keys, "compare_digest", lambda one, other: True),
    ("what came is hashed", keys, "digest_of", lambda value: bytes.fromhex(value.decode()) if len(value) == 64 else b""),
    ("an ended session is none", Sessions, "end", lambda self, tokens: None),
    ("a session opens", Sessions, "find", lambda self, tokens: None),
    ("our cookie is taken out", Sessions, "take_out", lambda self, value: ([], value)),
    ("both cookie names", Sessions, "names", None),
    ("free requests are not judged", Standing, "free", property(lambda self: True, lambda self, value: None)),
    ("hosts are checked while auth is off", Gate, "host_allowed", lambda self, host: True),
    ("hosts are not checked while auth is on", Gate, "_remember", lambda self, host: host.endswith((b"box", b"arpa"))),
]


@pytest.mark.parametrize(("rule", "where", "name", "instead"), WITHOUT, ids=[each[0] for each in WITHOUT])
def test_a_rule_that_is_switched_off_is_missed(monkeypatch, rule, where, name, instead):
    if name == "names":
        begin = Sessions.__init__

        def one_name(self, *args):
            begin(self, *args)
            self.names = (self.names[0], self.names[0])

        name, instead = "__init__", one_name
    monkeypatch.setattr(where, name, instead)
    assert any(complaint(row) for row in ROWS), f"no row misses the rule: {rule}"
