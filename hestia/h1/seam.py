"""The one line of a header block that a client changes from request to request, and where it stands.

A trace id, a counter: most clients change one line and always the same. Where all before it and all behind it is as it
was, only that line has to be looked at.
"""

from __future__ import annotations

from typing import Any

from hestia.h1.grammar import FIELD
from hestia.h1.request import RequestHead, trace_of


class Seam:
    """Of one head, while it crosses to one place. It is never shared between connections: it holds credentials."""

    __slots__ = ("after", "at", "before", "begin", "end", "line_at", "traced", "way")

    def __init__(
        self, head: RequestHead, begin: bytes, name: bytes, end: bytes, line: bytes, crossed: tuple[bytes, bytes]
    ) -> None:
        self.begin = begin + name  # of the block, up to the line's value
        self.line_at = len(begin)
        self.end = end
        self.at = head.fields.index(line)
        self.way: Any = head.cross_for
        self.before, self.after = crossed
        self.traced = name.lower() == b"traceparent:"

    def renew(self, head: RequestHead, block: bytes) -> bool:
        """Makes `head` that of `block`, where nothing but this line is another one. False: nothing was done."""
        if self.way is not head.cross_for or not block.startswith(self.begin) or not block.endswith(self.end):
            return False
        line = block[self.line_at : -len(self.end)]
        if FIELD.fullmatch(line) is None:
            return False
        if self.traced:
            value = line[len(self.begin) - self.line_at :].strip(b" \t")
            head.named[b"traceparent"], head.trace = value, trace_of(value)
        head.fields[self.at] = line
        head.crossed = b"%b%b%b" % (self.before, line, self.after)
        return True


def find_seam(head: RequestHead, before: list[bytes], lines: list[bytes]) -> Seam | None:
    """The seam of a head that `request.renew` has just made of another one; None where more than a line changed."""
    changed = [at for at, (old, new) in enumerate(zip(before, lines, strict=True)) if old != new]
    if len(changed) != 1 or head.cross_for is None:
        return None
    at = changed[0]
    line = lines[at]
    first, found, rest = head.crossed.partition(b"\r\n%b\r\n" % line)
    if not found or head.fields.count(line) != 1:
        return None
    begin = b"".join(each + b"\r\n" for each in lines[:at])
    end = b"\r\n" + b"\r\n".join(lines[at + 1 :])
    return Seam(head, begin, line[: line.index(b":") + 1], end, line, (first + b"\r\n", b"\r\n" + rest))
