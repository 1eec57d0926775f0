"""A request's head: read by one strict grammar, kept as what the relay needs to know of it.

Reading one costs about as much as everything else together, and most clients repeat their headers from request to
request: so a connection keeps the last block it read, with what came of it. That memo is never shared between
connections, for it holds credentials.
"""

from typing import Any

from hestia.h1.grammar import (
    FIELD,
    FIELDS,
    HOP_BY_HOP,
    LENGTH,
    LONE_LINE_END,
    REQUEST_ID,
    REQUEST_LINE,
    REQUEST_LINE_BEGUN,
    TRACEPARENT,
    UPGRADE,
    BadMessage,
    values,
)

CHUNKED = -1
ONCE = frozenset((b"host", b"content-length", b"transfer-encoding"))
FORWARDING = frozenset(
    (
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-forwarded-scheme",
        b"x-forwarded-server",
        b"x-forwarded-ssl",
        b"x-real-ip",
        b"forwarded",
    )
)
PREFETCH = frozenset((b"purpose", b"sec-purpose"))
READ_AND_CROSS = frozenset((b"x-api-key", b"authorization", b"traceparent")) | PREFETCH
READ_AND_WRITTEN = frozenset((b"cdn-loop", b"expect", b"hestia-wait", b"origin", b"referer", b"x-request-id"))
OURS = HOP_BY_HOP | FORWARDING | ONCE | READ_AND_CROSS | READ_AND_WRITTEN
"""Names that we read, write or take away; any other crosses as it is."""
READ_ELSEWHERE = frozenset((b"access-control-request-method", b"cookie", b"sec-fetch-site"))
"""Names that cross, and by which more than the header block is decided once for it (doors/reception, rules)."""
DECIDING = (OURS - {b"traceparent"}) | READ_ELSEWHERE
MOST_RENEWED = 4
NEVER_NOMINATED = (b"content-", b"x-forwarded-")
"""`Connection: X` takes X away, but not these (nor `Host`, `Content-*` and ours): Traefik's CVE-2024-45410."""
SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))


class RequestHead:
    """What one header block says, whatever the target. `peer` is the address that the connection came from."""

    __slots__ = (
        "client",
        "cross_for",
        "crossed",
        "dispatched",
        "expect",
        "fields",
        "host",
        "keep",
        "length",
        "minor",
        "name",
        "named",
        "own_host",
        "own_scheme",
        "request_id",
        "sleepy",
        "sleepy_for",
        "trace",
        "upgrade",
        "wish",
    )

    def __init__(self, fields: list[bytes], named: dict[bytes, bytes], minor: bytes) -> None:
        self.fields = fields
        self.named = named
        self.minor = minor
        self.host = named.get(b"host", b"")
        self.name = b""
        self.own_host = self.host
        self.own_scheme = b"http"
        self.client = ""
        self.keep = minor == b"1"
        self.length = 0
        self.upgrade: bytes | None = None
        self.dispatched = False  # it came as the body of another request, whose client reads the answer
        self.expect = False
        request_id = named.get(b"x-request-id")
        self.request_id = request_id if request_id is not None and REQUEST_ID.fullmatch(request_id) else None
        self.wish = named.get(b"hestia-wait")
        self.trace = trace_of(named[b"traceparent"]) if b"traceparent" in named else b""
        self.cross_for: Any = None
        self.crossed = b""
        self.sleepy_for: Any = None  # the `no_wake` rules that `sleepy` speaks of: which of them fit the block
        self.sleepy = 0

    def header(self, name: bytes) -> bytes | None:
        """A header's value, for the rare path: the fields are not kept by name."""
        if name in self.named:
            return self.named[name]
        if name in OURS:
            return None
        for line in self.fields:
            if line[: len(name) + 1].lower() == name + b":":
                return line[len(name) + 1 :].strip(b" \t")
        return None

    @property
    def navigation(self) -> bool:
        """A browser that opens a page (contract, section 14)."""
        if self.dispatched:
            return False
        if any(b"prefetch" in (self.header(name) or b"") for name in (b"sec-purpose", b"purpose")):
            return False
        if (self.header(b"sec-fetch-dest") or b"document") != b"document":
            return False
        mode = self.header(b"sec-fetch-mode")
        return mode == b"navigate" if mode is not None else b"text/html" in (self.header(b"accept") or b"")


def trace_of(value: bytes) -> bytes:
    """The trace's id in a `traceparent`, or nothing."""
    found = TRACEPARENT.match(value)
    return found[1] if found is not None else b""


def renew(head: RequestHead, before: list[bytes], lines: list[bytes]) -> bool:
    """Makes `head`, of the block with the lines `before`, that of the block with `lines`, where that is cheap.

    Clients change one line or two from request to request (a trace id, a length of what they have read): where those
    are lines that only cross, nothing that was decided by the others has to be decided again. False: nothing was done.
    """
    if len(lines) != len(before):
        return False
    changed = [(old, new) for old, new in zip(before, lines, strict=True) if old != new]
    if len(changed) > MOST_RENEWED:
        return False
    fields, names, traced = head.fields, set(), None
    for old, new in changed:
        name = old[: old.find(b":") + 1]
        if not new.startswith(name) or FIELD.fullmatch(new) is None or fields.count(old) != 1:
            return False
        name = name[:-1].lower()
        if name in DECIDING or name in names:
            return False
        names.add(name)
        if name == b"traceparent":
            if head.named[name] != old[len(name) + 1 :].strip(b" \t"):  # there is more than one
                return False
            traced = new[len(name) + 1 :].strip(b" \t")
    if traced is not None:
        head.named[b"traceparent"], head.trace = traced, trace_of(traced)
    for old, new in changed:
        fields[fields.index(old)] = new
        if head.cross_for is not None:
            first, found, rest = head.crossed.partition(b"\r\n%b\r\n" % old)
            head.crossed = b"%b\r\n%b\r\n%b" % (first, new, rest)
            if not found:
                head.cross_for = None
    return True


def find_request_line(data: bytes, longest: int) -> tuple[bytes, bytes, bytes, int, int] | None:
    """(method, target, minor version, where the block begins, where it ends), None while it is not complete.

    Raises BadMessage as soon as no further byte could make it a request, OverflowError beyond `longest`.
    """
    line = REQUEST_LINE.match(data)
    end = data.find(b"\r\n\r\n")
    if line is None:
        if REQUEST_LINE_BEGUN.fullmatch(data) is None:
            raise BadMessage("the request line is malformed")
        if len(data) > longest:
            raise OverflowError
        return None
    if end < 0:
        if LONE_LINE_END.search(data) is not None:
            raise BadMessage("a line ends without CR LF")
        if len(data) > longest:
            raise OverflowError
        return None
    end += 4
    if end > longest:
        raise OverflowError
    return line[1], line[2], line[3], line.end(), end


def read_request_head(block: bytes, minor: bytes) -> RequestHead:
    """Reads a header block with its empty line. Raises BadMessage."""
    if FIELDS.fullmatch(block) is None:
        raise BadMessage("a header is malformed")
    fields: list[bytes] = []
    named: dict[bytes, bytes] = {}
    for line in block[:-2].split(b"\r\n")[:-1]:
        name = line[: line.index(b":")].lower()
        if name in OURS:
            value = line[len(name) + 1 :].strip(b" \t")
            if name in named:
                if name in ONCE:
                    raise BadMessage(f"two {name.decode()} headers")
                value = named[name] + b", " + value
            named[name] = value
            if name in READ_AND_CROSS:
                fields.append(line)
        elif b"_" not in name or name.replace(b"_", b"-") not in OURS:
            fields.append(line)
    head = RequestHead(fields, named, minor)
    if b"connection" in named:
        _read_connection(head, named)
    if b"content-length" in named or b"transfer-encoding" in named:
        _read_length(head, named)
    if b"expect" in named:
        _read_expect(head, named)
    if head.upgrade is not None and head.length:
        head.upgrade = None
    return head


def _read_connection(head: RequestHead, named: dict[bytes, bytes]) -> None:
    members = values(named[b"connection"])
    if b"close" in members:
        head.keep = False
    elif head.minor == b"0":
        head.keep = b"keep-alive" in members
    if b"upgrade" in members and head.minor == b"1" and b"upgrade" in named:
        offers = [offer.strip(b" \t") for offer in named[b"upgrade"].split(b",")]
        offers = [offer for offer in offers if UPGRADE.fullmatch(offer) and offer.lower() not in (b"h2c", b"h2")]
        head.upgrade = b", ".join(offers) or None
    members -= OURS
    if members:
        head.fields = [line for line in head.fields if not nominated(line, members)]


def nominated(line: bytes, members: set[bytes]) -> bool:
    """Whether `Connection` names this line, and may."""
    name = line[: line.index(b":")].lower()
    return name in members and not name.startswith(NEVER_NOMINATED)


def _read_length(head: RequestHead, named: dict[bytes, bytes]) -> None:
    coding = named.get(b"transfer-encoding")
    length = named.get(b"content-length")
    if coding is not None:
        if length is not None:
            raise BadMessage("both Content-Length and Transfer-Encoding")
        if head.minor == b"0":
            raise BadMessage("Transfer-Encoding in HTTP/1.0")
        if coding.lower() != b"chunked":
            raise BadMessage("a Transfer-Encoding other than chunked")
        head.length = CHUNKED
    elif length is not None:
        if LENGTH.fullmatch(length) is None:
            raise BadMessage("the Content-Length is no plain number")
        head.length = int(length)


def _read_expect(head: RequestHead, named: dict[bytes, bytes]) -> None:
    if head.minor == b"0":
        return
    if named[b"expect"].lower() != b"100-continue":
        raise BadMessage("an expectation other than 100-continue")
    head.expect = head.length != 0
