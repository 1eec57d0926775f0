"""Which headers cross from one side to the other, and which we write (contract, section 6)."""

from collections.abc import Iterable, Mapping

from hestia.h1.address import Address
from hestia.h1.answer import UNTIL_CLOSE, AnswerHead
from hestia.h1.grammar import HOP_BY_HOP
from hestia.h1.mapping import Origins
from hestia.h1.request import CHUNKED, RequestHead

WRITTEN_BY_US = HOP_BY_HOP | {b"content-length", b"expect", b"x-request-id"}
"""What a place's `headers` cannot touch: the framing is ours, and so is the id."""


class Crossing:
    """How requests cross to one place, and its answers back: built once for it."""

    __slots__ = ("added", "authority", "base_path", "keeps_host", "loop_tag", "origins", "replaced", "rewrite")

    def __init__(
        self,
        address: Address,
        loop_tag: bytes,
        *,
        rewrite: bool,
        preserve_host: bool,
        put: Mapping[str, str],
        remove: Iterable[str],
    ) -> None:
        self.authority = address.authority
        self.base_path = address.base_path
        self.rewrite = rewrite
        self.keeps_host = preserve_host or not rewrite
        self.origins = Origins(
            upstream_scheme=address.scheme,
            upstream_authority=address.authority,
            base_path=address.base_path,
            rewrite=rewrite,
            preserve_host=preserve_host,
        )
        self.loop_tag = loop_tag
        written = {name.lower().encode("latin-1") for name in (*put, *remove)} - WRITTEN_BY_US
        self.replaced = frozenset(written)
        self.added = [
            f"{name}: {value}".encode() for name, value in put.items() if name.lower().encode("latin-1") in written
        ]

    def request(self, head: RequestHead, prefix: bytes, peer: bytes, *, trusted: bool) -> bytes:
        """The header block for the upstream, but for the request id at its end, for which it stops behind the name."""
        named = head.named
        host = head.host if self.keeps_host and head.host else self.authority
        lines = [b"Host: " + host, *head.fields]
        origin = named.get(b"origin")
        if origin is not None:
            lines.append(b"Origin: " + self.origins.to_upstream_origin(origin, head.own_scheme, head.own_host))
        referer = named.get(b"referer")
        if referer is not None:
            lines.append(b"Referer: " + self.origins.to_upstream_referer(referer, head.own_scheme, head.own_host))
        if head.length == CHUNKED:
            lines.append(b"Transfer-Encoding: chunked")
        elif b"content-length" in named:
            lines.append(b"Content-Length: " + named[b"content-length"])
        if head.expect:
            lines.append(b"Expect: 100-continue")
        if head.upgrade is not None:
            lines.append(b"Connection: Upgrade\r\nUpgrade: " + head.upgrade)
        lines += _forwarding(head, prefix, peer, trusted=trusted)
        loop = named.get(b"cdn-loop")
        lines.append(b"CDN-Loop: " + (loop + b", " + self.loop_tag if loop else self.loop_tag))
        if self.replaced:
            lines = [line for line in lines if line[: line.index(b":")].lower() not in self.replaced] + self.added
        lines.append(b"X-Request-ID: ")
        return b"\r\n".join(lines)


def _forwarding(head: RequestHead, prefix: bytes, peer: bytes, *, trusted: bool) -> list[bytes]:
    """X-Forwarded-*: what an untrusted peer says of itself is replaced."""
    named = head.named if trusted else {}
    came = named.get(b"x-forwarded-for")
    lines = []
    if peer or came:
        lines.append(b"X-Forwarded-For: " + (came + b", " + peer if came and peer else came or peer))
    lines.append(b"X-Forwarded-Proto: " + head.own_scheme)
    if head.own_host:
        lines.append(b"X-Forwarded-Host: " + head.own_host)
    stripped = named.get(b"x-forwarded-prefix", b"").rstrip(b"/") + prefix
    if stripped:
        lines.append(b"X-Forwarded-Prefix: " + stripped)
    if b"forwarded" in named:
        node = b'"[%b]"' % peer if b":" in peer else peer or b"unknown"
        hop = b'for=%b;host="%b";proto=%b' % (node, head.host, head.own_scheme)
        lines.append(b"Forwarded: " + named[b"forwarded"] + b", " + hop)
    if b"x-real-ip" in named:
        lines.append(b"X-Real-IP: " + named[b"x-real-ip"])
    return lines


def answer_block(answer: AnswerHead, crossing: Crossing, head: RequestHead, prefix: bytes) -> bytes:
    """The answer's head for the client, without its end and without what the exchange decides (framing, id)."""
    if answer.block:
        return answer.block
    lines = answer.lines
    if answer.mapped is not None and crossing.rewrite:
        for at, name in answer.mapped:
            lines[at] = _mapped(lines[at], name, crossing.origins, head, prefix)
    if answer.events and not answer.accel:
        lines.append(b"X-Accel-Buffering: no")
    elif answer.mapped is None:
        answer.block = b"\r\n".join(lines)
        return answer.block
    return b"\r\n".join(lines)


def _mapped(line: bytes, name: bytes, origins: Origins, head: RequestHead, prefix: bytes) -> bytes:
    value = line[len(name) + 1 :].strip(b" \t")
    if name == b"set-cookie":
        value = origins.to_client_cookie(value, prefix, head.own_host)
    else:
        value = origins.to_client_location(value, head.own_scheme, head.own_host, prefix)
    return line[: len(name) + 1] + b" " + value


def answer_framing(answer: AnswerHead, *, bodyless: bool, minor: bytes, keep: bool) -> bytes:
    """The lines that say where the answer ends, each with its line end before it."""
    framing = b""
    if answer.length in (CHUNKED, UNTIL_CLOSE) and minor == b"1" and (not bodyless or answer.length == CHUNKED):
        framing = b"" if answer.status in (204, 304) else b"\r\nTransfer-Encoding: chunked"
    if not keep:
        return framing + b"\r\nConnection: close"
    return framing + b"\r\nConnection: keep-alive" if minor == b"0" else framing
