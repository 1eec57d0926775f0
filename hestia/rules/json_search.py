"""Finds fields of a JSON object while it streams in, wherever they stand and however long the rest is.

Nothing is kept of what is not looked for, and strings are passed over in C: 32 MiB of images take a few milliseconds.
It finds what `json.loads` would, but for a name that stands twice: the first one counts, for what was found early is
gone by. It is no validator: of a text that is no JSON it may find something or nothing.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 4096
"""A name or a value that is longer, as it stands in the text, is none that anybody looks for."""
MOST_STEPS: Final = 100_000
"""A text of nothing but brackets costs a step for each: after so many nothing more is looked for."""

BLANK: Final = re.compile(rb"[ \t\r\n]*+")
# string = quotation-mark *char quotation-mark (RFC 8259, 7); control characters are let pass, nothing is decoded here
STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
STRING_BEGUN: Final = re.compile(rb"[^\"\\]*+(?:\\.[^\"\\]*+)*+", re.DOTALL)
WORD: Final = re.compile(rb"[^ \t\r\n\"{}\[\],:]++")
# inside a container that is passed over: up to the next bracket, whole strings included
PASSED: Final = re.compile(rb'(?:[^"{}\[\]]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
PLAIN: Final = re.compile(rb"[^\"{}\[\]]*+")
GROUPS_ARE_POSSESSIVE: Final = sys.version_info >= (3, 11, 5)
"""Before that, a possessive group that fails half-way keeps what it has matched (python/cpython#106052)."""
OPENING, CLOSING = re.compile(rb"[\[{]++"), re.compile(rb"[\]}]++")
MARK: Final = b"\xef\xbb\xbf"

BEGIN, NAME, COLON, VALUE, AFTER, IN_STRING, INSIDE = range(7)


def pass_over(data: bytes, at: int, *, at_once: bool = GROUPS_ARE_POSSESSIVE) -> int:
    """The next bracket, or the beginning of a string that does not end in `data`."""
    if at_once:
        passed = PASSED.match(data, at)
        return passed.end() if passed is not None else at
    while True:
        plain = PLAIN.match(data, at)
        at = plain.end() if plain is not None else at
        string = STRING.match(data, at)
        if string is None:
            return at
        at = string.end()


class Node:
    """A name on the way to a field: is it one itself, and what is looked for below it?"""

    __slots__ = ("below", "field")

    def __init__(self) -> None:
        self.below: dict[str, Node] = {}
        self.field: str | None = None


class JsonSearch:
    """Fed with the text piece by piece. `found` grows; when `done`, nothing more will be found."""

    __slots__ = ("_depth", "_escaped", "_left", "_node", "_path", "_state", "_steps", "_tail", "done", "found")

    def __init__(self, fields: Iterable[str]) -> None:
        """`fields`: names of the outermost object, or dotted paths into objects."""
        root = Node()
        wanted = set(fields)
        for field in wanted:
            node = root
            for name in field.split("."):
                node = node.below.setdefault(name, Node())
            node.field = field
        self.found: dict[str, str | None] = {}
        """Texts, and other plain values as they stand there; None: it is an object or a list, or too long."""
        self.done = not wanted
        self._left = len(wanted)
        self._path = [root]  # of the objects that we are inside of, as far as something is looked for in them
        self._node: Node | None = None  # of the name whose value comes next; None: nobody looks for it
        self._state = BEGIN
        self._tail = b""
        self._depth = 0  # of a container that is passed over
        self._escaped = False  # the text broke off behind a backslash
        self._steps = 0

    def feed(self, data: bytes) -> bool:
        """More of the text. Whether nothing more will be found."""
        if self._tail:
            data = self._tail + data
            self._tail = b""
        at = 0
        while not self.done and at >= 0:
            self._steps += 1
            if self._steps > MOST_STEPS:
                self.done = True
            at = self._step(data, at)
        return self.done

    def end(self) -> None:
        """The text is over."""
        self.done = True
        self._tail = b""

    def _step(self, data: bytes, at: int) -> int:
        """Reads one thing; where the next one begins, negative when it needs more."""
        state = self._state
        if state == INSIDE:
            return self._inside(data, at)
        if state == IN_STRING:
            return self._in_string(data, at)
        found = BLANK.match(data, at)
        at = found.end() if found is not None else at
        if at == len(data):
            return -1
        if state == VALUE:
            return self._value(data, at)
        if state == NAME:
            return self._name(data, at)
        return self._mark(data, at)

    def _mark(self, data: bytes, at: int) -> int:
        """The signs between names and values."""
        sign = data[at : at + 1]
        if self._state == BEGIN:
            if data.startswith(MARK, at):
                at += len(MARK) - 1
            elif MARK.startswith(data[at:]):
                return self._wait(data, at)
            else:
                self._state = NAME
                self.done = sign != b"{"
        elif self._state == COLON:
            self._state = VALUE
            self.done = sign != b":"
        elif sign == b",":
            self._state = NAME
        elif sign == b"}":
            self._path.pop()
            self.done = not self._path
        else:
            self.done = True
        return at + 1

    def _name(self, data: bytes, at: int) -> int:
        if data[at : at + 1] == b"}":
            self._state = AFTER
            return at
        if data[at : at + 1] != b'"':
            self.done = True
            return at
        string = STRING.match(data, at)
        if string is None and len(data) - at <= LONGEST:
            return self._wait(data, at)
        self._node = None
        if string is None:
            self.done = True  # no name that anybody looks for is that long, and no sender means well with one
            return at
        name = _text(string[0])
        self._node = self._path[-1].below.get(name) if name is not None else None
        self._state = COLON
        return string.end()

    def _value(self, data: bytes, at: int) -> int:
        sign = data[at : at + 1]
        node, self._state = self._node, AFTER
        if sign == b'"':
            return self._string(data, at, node)
        if sign in (b"{", b"["):
            return self._container(sign, at, node)
        word = WORD.match(data, at)
        if word is None:
            self.done = True
            return at
        if word.end() == len(data):
            self._state = VALUE
            if len(data) - at > LONGEST:
                self.done = True
            return self._wait(data, at)
        self._take(node, word[0].decode("latin-1"))
        return word.end()

    def _string(self, data: bytes, at: int, node: Node | None) -> int:
        if node is None or node.field is None:
            self._state = IN_STRING
            return at + 1
        string = STRING.match(data, at)
        if string is not None and len(string[0]) <= LONGEST:
            self._take(node, _text(string[0]))
            return string.end()
        if string is None and len(data) - at <= LONGEST:
            self._state = VALUE
            return self._wait(data, at)
        self._take(node, None)
        self._state = IN_STRING
        return at + 1

    def _container(self, sign: bytes, at: int, node: Node | None) -> int:
        if node is not None and node.field is not None:
            self._take(node, None)
        if node is not None and node.below and sign == b"{":
            self._path.append(node)
            self._state = NAME
        else:
            self._depth = 1
            self._state = INSIDE
        return at + 1

    def _in_string(self, data: bytes, at: int) -> int:
        """Passes over what nobody looks for, however long it is."""
        if self._escaped and at < len(data):
            at += 1
            self._escaped = False
        end = data.find(b'"', at)
        end = end if end >= 0 else len(data)
        if data.find(b"\\", at, end) >= 0:
            plain = STRING_BEGUN.match(data, at)
            end = plain.end() if plain is not None else at
        if end == len(data):
            return -1
        if data[end : end + 1] == b'"':
            self._state = AFTER if self._depth == 0 else INSIDE
            return end + 1
        self._escaped = True  # the backslash is the last that came
        return -1

    def _inside(self, data: bytes, at: int) -> int:
        """Passes over a container that nobody looks into."""
        at = pass_over(data, at)
        if at == len(data):
            return -1
        if data[at : at + 1] == b'"':
            self._state = IN_STRING
            return at + 1
        run = OPENING.match(data, at)
        if run is not None:
            self._depth += run.end() - at
            return run.end()
        run = CLOSING.match(data, at)
        count = min(run.end() - at, self._depth) if run is not None else 0
        self._depth -= count
        if self._depth == 0:
            self._state = AFTER
        return at + count

    def _take(self, node: Node | None, value: str | None) -> None:
        if node is None or node.field is None or node.field in self.found:
            return
        self.found[node.field] = value
        self._left -= 1
        self.done = self._left == 0

    def _wait(self, data: bytes, at: int) -> int:
        self._tail = data[at:]
        return -1


def _text(raw: bytes) -> str | None:
    """What a string says; None where it is none that JSON allows."""
    try:
        text: str = json.loads(raw)
    except ValueError:
        return None
    return text
