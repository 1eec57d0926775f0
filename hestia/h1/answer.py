"""An upstream's head: read by the same strict grammar as a request's.

A client must never get what two readers understand differently.
"""

from hestia.h1.grammar import FIELD, FIELDS, HOP_BY_HOP, LENGTH, LONE_LINE_END, STATUS_LINE, BadMessage, values
from hestia.h1.request import CHUNKED, nominated

UNTIL_CLOSE = -2
SPECIAL = HOP_BY_HOP | {
    b"content-length",
    b"content-location",
    b"content-type",
    b"location",
    b"set-cookie",
    b"x-accel-buffering",
    b"x-request-id",
}
MAPPED = frozenset((b"location", b"content-location", b"set-cookie"))
NO_BODY = frozenset((204, 304))
SWITCHING = 101
OK = 200
NO_CONTENT = 204
MOST_RENEWED = 4


class AnswerHead:
    """What an upstream's head says. `lines` begins with the status line; `mapped` says which lines name an origin."""

    __slots__ = ("accel", "block", "events", "keep", "length", "lines", "mapped", "status", "upgrade")

    def __init__(self, status: int, lines: list[bytes], *, keep: bool) -> None:
        self.status = status
        self.lines = lines
        self.keep = keep
        self.length = UNTIL_CLOSE
        self.mapped: list[tuple[int, bytes]] | None = None
        self.upgrade: bytes | None = None
        self.events = False
        self.accel = False
        self.block = b""  # as it crosses, where that does not depend on the request

    def stands_alone(self) -> None:
        """It answers a HEAD whose client sent another method, and reads no body: its length is 0."""
        if self.lines[-1].lower().startswith(b"content-length:"):  # where there is one it is the last
            self.lines.pop()
        if self.status not in NO_BODY:
            self.lines.append(b"Content-Length: 0")
        self.length = 0


class AnswerMemo:
    """The last head of one connection, and what came of it: most of the next one's lines are the same.

    It is never shared between connections: a head holds what is for one client. Where a line that we read has changed,
    the head is read anew.
    """

    __slots__ = ("answer", "head", "lines")

    def __init__(self) -> None:
        self.head = b""
        self.lines: list[bytes] = []
        self.answer: AnswerHead | None = None

    def read(self, head: bytes) -> AnswerHead:
        """Raises BadMessage."""
        answer = self.answer
        if answer is not None and head == self.head:
            return answer
        lines = head.split(b"\r\n")
        if answer is None or not renew(answer, self.lines, lines):
            answer = read_answer_head(head)
            if answer.mapped is not None or answer.events or answer.status < OK:
                self.answer, self.head, self.lines = None, b"", []
                return answer
        self.answer, self.head, self.lines = answer, head, lines
        return answer


def renew(answer: AnswerHead, before: list[bytes], lines: list[bytes]) -> bool:
    """Makes `answer`, of the head with the lines `before`, that of `lines`. False: nothing was done."""
    if len(lines) != len(before) or lines[0] != before[0]:
        return False
    changed = [(old, new) for old, new in zip(before, lines, strict=True) if old != new]
    if len(changed) > MOST_RENEWED:
        return False
    length, names = answer.length, set()
    places: list[tuple[int, bytes]] = []
    for old, new in changed:
        name = old[: old.find(b":") + 1]
        if not new.startswith(name) or FIELD.fullmatch(new) is None:
            return False
        value, name = new[len(name) :].strip(b" \t"), name[:-1].lower()
        if name == b"content-length" and LENGTH.fullmatch(value) is not None and answer.status != NO_CONTENT:
            length, old, new = int(value), b"Content-Length: %d" % length, b"Content-Length: " + value
        elif name in SPECIAL or name in names:
            return False
        if answer.lines.count(old) != 1:
            return False
        names.add(name)
        places.append((answer.lines.index(old), new))
    for at, new in places:
        answer.lines[at] = new
    answer.length = length
    answer.block = b""
    return True


def find_answer_head(data: bytes, longest: int) -> int:
    """Where the head ends, 0 while it is not complete. Raises BadMessage."""
    found = data.find(b"\r\n\r\n")
    if found < 0:
        if len(data) > longest:
            raise BadMessage("the head is too long")
        if LONE_LINE_END.search(data) is not None or not b"HTTP/1."[: len(data)] == data[:7]:
            raise BadMessage("the head is malformed")
        return 0
    if found + 4 > longest:
        raise BadMessage("the head is too long")
    return found + 4


def read_answer_head(head: bytes) -> AnswerHead:
    """Reads a whole head with its empty line. Raises BadMessage."""
    line = STATUS_LINE.match(head)
    if line is None:
        raise BadMessage("the status line is malformed")
    begin = line.end()
    if FIELDS.fullmatch(head, begin) is None:
        raise BadMessage("a header is malformed")
    status = int(line[2])
    lines = [b"HTTP/1.1 %b %b" % (line[2], line[3] or b"")]
    named: dict[bytes, bytes] = {}
    answer = AnswerHead(status, lines, keep=line[1] == b"1")
    for field in head[begin:-2].split(b"\r\n")[:-1]:
        name = field[: field.index(b":")].lower()
        if name not in SPECIAL:
            lines.append(field)
            continue
        _read_special(answer, name, field, named)
    _read_framing(answer, named, line[1])
    if b"connection" in named:
        _read_connection(answer, named[b"connection"], line[1])
    return answer


def _read_special(answer: AnswerHead, name: bytes, field: bytes, named: dict[bytes, bytes]) -> None:
    value = field[len(name) + 1 :].strip(b" \t")
    if name == b"content-length" or name in HOP_BY_HOP:
        if name in named:
            if name == b"content-length":
                raise BadMessage("two Content-Length headers")
            value = named[name] + b", " + value
        named[name] = value
        return
    if name == b"x-request-id":
        return
    if name in MAPPED:
        if answer.mapped is None:
            answer.mapped = []
        answer.mapped.append((len(answer.lines), name))
    elif name == b"x-accel-buffering":
        answer.accel = True
    elif value[:17].lower() == b"text/event-stream":
        answer.events = True
    answer.lines.append(field)


def _read_framing(answer: AnswerHead, named: dict[bytes, bytes], minor: bytes) -> None:
    coding = named.get(b"transfer-encoding")
    length = named.get(b"content-length")
    if coding is not None:
        if length is not None or minor == b"0" or coding.lower() != b"chunked":
            raise BadMessage("a Transfer-Encoding that is not plain chunked")
        answer.length = CHUNKED
    elif length is not None:
        if LENGTH.fullmatch(length) is None:
            raise BadMessage("the Content-Length is no plain number")
        answer.length = int(length)
        if answer.status >= 200 and answer.status != 204:  # noqa: PLR2004 - 1xx and 204 have none (RFC 9110, 8.6)
            answer.lines.append(b"Content-Length: " + length)
    if answer.status == SWITCHING:
        answer.upgrade = named.get(b"upgrade", b"")


def _read_connection(answer: AnswerHead, value: bytes, minor: bytes) -> None:
    members = values(value)
    if b"close" in members:
        answer.keep = False
    elif minor == b"0":
        answer.keep = b"keep-alive" in members
    members -= SPECIAL
    if members:
        kept = [line for line in answer.lines[1:] if not nominated(line, members)]
        answer.lines = [answer.lines[0], *kept]
        mapped = [(at, line[: line.index(b":")].lower()) for at, line in enumerate(answer.lines[1:], 1)]
        answer.mapped = [(at, name) for at, name in mapped if name in MAPPED] or None
