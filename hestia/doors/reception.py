"""What is checked of a request before it is let in, and the short answers that need no exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hestia.h1.grammar import BadMessage, values
from hestia.h1.problem import problem
from hestia.h1.request import RequestHead, read_request_head
from hestia.h1.target import check_target
from hestia.rules.gate import split_host
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from hestia.doors.front import Front
    from hestia.rules.trust import Trust

REFUSED_METHODS: Final = frozenset((b"CONNECT", b"TRACE"))


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


def receive_target(method: bytes, target: bytes, head: RequestHead) -> bytes:
    """The target to route. Raises BadMessage and Refusal."""
    if method in REFUSED_METHODS:
        raise Refusal("method_not_allowed", f"{method.decode()} is not relayed")
    target, authority = check_target(target, method)
    if authority is not None and authority.lower() != head.host.lower():
        raise BadMessage("the request target names another host than the Host header")
    return target


def refuse(
    refusal: Refusal,
    head: RequestHead | None,
    method: bytes,
    request_id: bytes,
    cors_origins: frozenset[str],
    *,
    service: str | None,
    keep: bool,
) -> bytes:
    """A refusal as a whole answer, a page for a navigation."""
    origin = head.named.get(b"origin") if head is not None else None
    return problem(
        refusal,
        service=service,
        request_id=request_id.decode("ascii"),
        keep_alive=keep,
        head=method == b"HEAD",
        navigation=method == b"GET" and head is not None and head.navigation,
        origin=origin.decode("latin-1") if origin is not None else None,
        cors_origins=cors_origins,
        http10=head is not None and head.minor == b"0",
    )


def redirect(location: bytes, head: RequestHead, request_id: bytes, *, keep: bool) -> bytes:
    """From `/services/<id>` to the address with the slash, query and method kept."""
    connection = b"" if keep else b"Connection: close\r\n"
    if keep and head.minor == b"0":
        connection = b"Connection: keep-alive\r\n"
    return b"HTTP/1.1 308 Permanent Redirect\r\nLocation: %b\r\nContent-Length: 0\r\n%bX-Request-ID: %b\r\n\r\n" % (
        location,
        connection,
        request_id,
    )
