"""What is checked of a request before it is let in, and the short answers that need no exchange."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from hestia.doors.login import Login, page_headers
from hestia.h1.grammar import BadMessage, values
from hestia.h1.problem import METHODS, problem
from hestia.h1.request import RequestHead, read_request_head
from hestia.h1.target import check_target
from hestia.rules.admission import Standing, Verdict
from hestia.rules.gate import split_host
from hestia.rules.routing import ROUTE, SERVICE
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.doors.answering import Answering
    from hestia.doors.front import Front
    from hestia.doors.session import Session, Sessions
    from hestia.relay.place import Relayed
    from hestia.rules.routing import Choice
    from hestia.rules.trust import Trust

REFUSED_METHODS: Final = frozenset((b"CONNECT", b"TRACE"))
HEADER_NAMES: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z, ]{1,1024}+")
DEFAULT_HEADERS: Final = b"Authorization, X-API-Key, Content-Type"
METHOD: Final = re.compile(rb"[A-Z-]{1,32}+")


def receive_head(block: bytes, minor: bytes, front: Front) -> RequestHead:
    """Reads a block and checks all that depends on it alone: a block that comes again is not checked again.

    Raises BadMessage and Refusal.
    """
    head = read_request_head(block, minor)
    head.own_scheme = front.scheme
    head.client = front.peer
    if b"host" not in head.named and minor == b"1":
        raise BadMessage("no Host header")
    if front.trusted:
        believe(head, front.shared.trust)
    if b"host" in head.named:
        _check_host(head, head.host, front)
    if head.own_host is not head.host:
        _check_host(head, head.own_host, front)
    loop = head.named.get(b"cdn-loop")
    if loop is not None and front.shared.loop_tag in values(loop):
        raise Refusal("loop", "this request was here before: the `base_url` of a service leads back to this gateway")
    return head


def _check_host(head: RequestHead, authority: bytes, front: Front) -> None:
    name = split_host(authority)
    if name is None:
        raise BadMessage("the Host header is malformed")
    if not front.shared.gate.host_allowed(name):
        front.head = head  # it is well-formed, so a navigation gets its page
        raise Refusal("host_not_allowed", front.shared.gate.host_detail(name))
    head.name = name


def believe(head: RequestHead, trust: Trust) -> None:
    """A trusted peer's X-Forwarded-* are the request's own host, scheme and client."""
    named = head.named
    head.own_host = named.get(b"x-forwarded-host", b"").split(b",")[0].strip() or head.host
    proto = named.get(b"x-forwarded-proto", b"").split(b",")[0].strip().lower()
    if proto in {b"http", b"https"}:
        head.own_scheme = proto
    for hop in reversed(named.get(b"x-forwarded-for", b"").decode("latin-1").split(",")):
        if hop.strip():
            head.client = hop.strip()
            if not trust.trusted(head.client):
                return


def stand(head: RequestHead, block: bytes, front: Front) -> Standing:
    """Who sends this block. What is ours of it, a key or a session's cookie, is taken out: it is never relayed."""
    guard, sessions = front.shared.guard, front.shared.sessions
    lowered = block.lower()
    key, header = guard.ring.identify(head.named) if guard.ring.keys else (None, b"")
    if key is not None:
        head.fields = [line for line in head.fields if line[: len(header) + 1].lower() != header + b":"]
    session = take_session(head, sessions) if guard.on and b"cookie:" in lowered else None
    site = head.header(b"sec-fetch-site") if b"sec-fetch-site:" in lowered else None
    standing = guard.stand(head, key, session if key is None else None, site)
    who = key.name if key is not None else session.who if session is not None else ""
    standing.who = who or head.client
    if guard.on and standing.known:
        how = "key" if key is not None else "session"
        front.shared.server.log.event("auth.accepted", "debug", how=how, who=who, client=head.client)
    return standing


def take_session(head: RequestHead, sessions: Sessions) -> Session | None:
    tokens, fields = [], []
    for line in head.fields:
        if line[:7].lower() == b"cookie:":
            ours, others = sessions.take_out(line[7:].strip(b" \t"))
            tokens += ours
            if ours:
                line = line[:7] + b" " + others if others else b""
        if line:
            fields.append(line)
    head.fields = fields
    return sessions.find(tokens)


def receive_target(method: bytes, target: bytes, head: RequestHead) -> bytes:
    """The target to route. Raises BadMessage and Refusal."""
    if method in REFUSED_METHODS:
        raise Refusal("method_not_allowed", f"{method.decode()} is not relayed")
    target, authority = check_target(target, method)
    if authority is not None and authority.lower() != head.host.lower():
        raise BadMessage("the request target names another host than the Host header")
    return target


def judge(
    front: Answering, head: RequestHead, standing: Standing, method: bytes, target: bytes, choice: Choice[Relayed]
) -> Verdict:
    """What section 8 of the contract says of a request that the router has looked at."""
    service_id = choice.service.id if choice.service is not None else None
    kind = SERVICE if choice.kind == ROUTE else choice.kind  # which service is told later: then `guard.chosen` is asked
    return front.shared.guard.judge(head, standing, method, target, kind, service_id)


def turned_away(
    front: Answering,
    head: RequestHead,
    standing: Standing,
    rule: str,
    refusal: Refusal,
    request_id: bytes,
    service: str,
) -> None:
    """One line for a request that was refused by a rule of section 8. No key and no cookie is in it."""
    front.shared.server.log.event(
        "auth.refused",
        "info",
        rule=rule,
        code=refusal.code,
        key=standing.key.name if standing.key is not None else None,
        service=service or None,
        origin=standing.origin.decode("latin-1") or None,
        client=head.client,
        request_id=request_id.decode("ascii"),
    )


def refuse(
    refusal: Refusal,
    head: RequestHead | None,
    method: bytes,
    request_id: bytes,
    cors_origins: frozenset[str],
    *,
    service: str | None,
    keep: bool,
    target: bytes = b"",
    login: Login | None = None,
) -> bytes:
    """A refusal as a whole answer, a page for a navigation: of a 401 the login page, which leads back to `target`."""
    origin = head.named.get(b"origin") if head is not None else None
    page = method == b"GET" and head is not None and head.navigation
    if page and login is not None and head is not None and refusal.code == "unauthorized":
        return _login_page(login, refusal, head, target, request_id, keep=keep)
    return problem(
        refusal,
        service=service,
        request_id=request_id.decode("ascii"),
        keep_alive=keep,
        head=method == b"HEAD" and not (head is not None and head.dispatched),  # its client sent a POST
        navigation=page,
        origin=origin.decode("latin-1") if origin is not None else None,
        cors_origins=cors_origins,
        http10=head is not None and head.minor == b"0",
    )


def _login_page(
    login: Login, refusal: Refusal, head: RequestHead, target: bytes, request_id: bytes, *, keep: bool
) -> bytes:
    body = login.page(target.decode("ascii"))
    fields = page_headers(refusal, request_id.decode("ascii"))
    lines = [f"HTTP/1.1 {refusal.status} {refusal.title}", *(f"{name}: {value}" for name, value in fields)]
    lines += [f"Content-Length: {len(body)}", *_connection(head, keep=keep), "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def answer_preflight(head: RequestHead, request_id: bytes, *, keep: bool) -> bytes:
    """What a cold service cannot say itself, for an origin of `auth.cors_origins`: the request may be sent."""
    asked = head.header(b"access-control-request-headers") or b""
    method = head.header(b"access-control-request-method") or b""
    methods = METHODS.encode() + (
        b", " + method if METHOD.fullmatch(method) and method.decode() not in METHODS else b""
    )
    lines = [
        b"HTTP/1.1 204 No Content",
        b"Access-Control-Allow-Origin: " + head.named[b"origin"],
        b"Access-Control-Allow-Methods: " + methods,
        b"Access-Control-Allow-Headers: " + (asked if HEADER_NAMES.fullmatch(asked) else DEFAULT_HEADERS),
        b"Vary: Origin, Access-Control-Request-Headers",
        b"Cache-Control: no-store",
        b"X-Request-ID: " + request_id,
        *(line.encode() for line in _connection(head, keep=keep)),
        b"\r\n",
    ]
    return b"\r\n".join(lines)


def _connection(head: RequestHead, *, keep: bool) -> list[str]:
    if not keep:
        return ["Connection: close"]
    return ["Connection: keep-alive"] if head.minor == b"0" else []


def redirect(location: bytes, head: RequestHead, request_id: bytes, *, keep: bool) -> bytes:
    """From `/services/<id>` to the address with the slash, query and method kept."""
    connection = b"".join(line.encode() + b"\r\n" for line in _connection(head, keep=keep))
    return b"HTTP/1.1 308 Permanent Redirect\r\nLocation: %b\r\nContent-Length: 0\r\n%bX-Request-ID: %b\r\n\r\n" % (
        location,
        connection,
        request_id,
    )
