"""Finds one field of a form (multipart/form-data, RFC 7578) while it streams in; files are passed over in C."""

from __future__ import annotations

import re
from typing import Final

LONGEST_VALUE: Final = 4096
LONGEST_HEAD: Final = 8192
MOST_PARTS: Final = 10_000
LINE_END: Final = 2

FORM: Final = b"multipart/form-data"
# parameter = token "=" ( token / quoted-string )
PARAMETER: Final = re.compile(rb';[ \t]*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)=(?:"((?:[^"\\\r\n]|\\.)*)"|([^;\s"]*))[ \t]*')
DISPOSITION: Final = re.compile(rb"(?:\A|\r\n)content-disposition:[ \t]*form-data[ \t]*([^\r\n]*)", re.IGNORECASE)

BETWEEN, BEHIND, HEAD, FIELD = range(4)


def boundary_of(content_type: bytes) -> bytes | None:
    """What stands between the parts of a form; None where it is no form."""
    kind, _, _ = content_type.partition(b";")
    if kind.strip().lower() != FORM:
        return None
    return _parameters(content_type).get(b"boundary") or None


def _parameters(value: bytes) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    at = value.find(b";")
    while at >= 0 and (match := PARAMETER.match(value, at)) is not None:
        quoted, plain = match[2], match[3]
        text = re.sub(rb"\\(.)", rb"\1", quoted) if quoted is not None else plain
        found.setdefault(match[1].lower(), text)
        at = match.end() if value[match.end() : match.end() + 1] == b";" else -1
    return found


class MultipartSearch:
    """Fed with the form piece by piece. When `done`, `value` is the field's, or None: it is not there."""

    __slots__ = ("_line", "_name", "_parts", "_state", "_tail", "done", "value")

    def __init__(self, boundary: bytes, name: str) -> None:
        self._line = b"\r\n--" + boundary
        self._name = name.encode()
        self._state = BETWEEN
        self._tail = b"\r\n"  # the first boundary has no line before it
        self._parts = 0
        self.done = False
        self.value: str | None = None

    def feed(self, data: bytes) -> bool:
        """More of the form. Whether nothing more will be found."""
        data, self._tail = self._tail + data, b""
        at = 0
        while not self.done and at >= 0:
            at = self._step(data, at)
        return self.done

    def end(self) -> None:
        """The form is over."""
        self.done = True
        self._tail = b""

    def _step(self, data: bytes, at: int) -> int:
        """Reads one thing; where the next one begins, negative when it needs more."""
        if self._state == BETWEEN:
            return self._between(data, at)
        if self._state == BEHIND:
            return self._behind(data, at)
        return self._head(data, at) if self._state == HEAD else self._field(data, at)

    def _between(self, data: bytes, at: int) -> int:
        """Text before the first boundary, or a part that nobody looks for."""
        found = data.find(self._line, at)
        if found < 0:
            self._tail = data[max(at, len(data) - len(self._line) + 1) :]
            return -1
        self._state = BEHIND
        self._parts += 1
        self.done = self._parts > MOST_PARTS
        return found + len(self._line)

    def _behind(self, data: bytes, at: int) -> int:
        """What follows a boundary: another part, or nothing after `--`."""
        end = data.find(b"\n", at)
        if data.startswith(b"--", at):
            self.done = True
            return at
        if end < 0:
            self.done = len(data) - at > LONGEST_HEAD
            return self._wait(data, at)
        if data[at : end + 1].strip(b" \t") != b"\r\n":
            self._state = BETWEEN  # a line of a part that only begins like the boundary
            return at
        self._state = HEAD
        return end - 1  # with its line end: a part without a head begins at once

    def _head(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            self.done = len(data) - at > LONGEST_HEAD
            return self._wait(data, at)
        said = DISPOSITION.search(data[at + 2 : end])
        parameters = _parameters(b";" + said[1].lstrip(b"; \t")) if said is not None else {}
        wanted = parameters.get(b"name") == self._name and b"filename" not in parameters
        self._state = FIELD if wanted else BETWEEN
        return end + 2  # at the line end behind the head: with an empty content, the boundary begins with it

    def _field(self, data: bytes, at: int) -> int:
        end = data.find(self._line, at)
        if end < 0 and len(data) - at <= LONGEST_VALUE + len(self._line):
            return self._wait(data, at)
        value = data[at + LINE_END : end] if end >= 0 else None
        if value is not None and len(value) <= LONGEST_VALUE:
            self.value = value.decode("utf-8", "replace")
        self.done = True
        return at

    def _wait(self, data: bytes, at: int) -> int:
        self._tail = data[at:]
        return -1
