"""YAML with a line and a column on every key and value, and with bounds on everything.

PyYAML only gives the events. What they mean is decided here: scalars keep their text (what `on`, `012` or
`22:30` is depends on the key that asks), keys are text, a second key of one name is a mistake, and so are tags,
further documents and aliases that contain themselves. Nodes of an alias are shared, never copied; how much they
would make when written out is counted, so a file of aliases of aliases is refused before anybody walks through it.
"""

from collections.abc import Iterator
from collections.abc import Mapping as AnyMapping
from typing import Any, NamedTuple

import yaml
from msgspec import Struct

from hestia.rules.paths import Path, short, shown_path

MAX_BYTES = 1024 * 1024
MAX_NODES = 50_000
MAX_DEPTH = 50
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class Mark(NamedTuple):
    """Where something was said: a line and column of a file, or (line 0) a variable or a flag."""

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


def mark_at(marks: AnyMapping[Path, Mark], path: Path) -> Mark:
    """The nearest mark at or above a path."""
    while path and path not in marks:
        path = path[:-1]
    return marks.get(path, Mark("configuration"))


class Mistake(NamedTuple):
    """One thing that is wrong (or only worth a warning)."""

    mark: Mark
    path: str
    words: str

    def __str__(self) -> str:
        return f"{self.mark}: {self.path}: {self.words}" if self.path else f"{self.mark}: {self.words}"


class ConfigError(Exception):
    """The configuration cannot be used; every mistake in it stands in `mistakes`."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(mistakes)
        self.mistakes = mistakes

    def __str__(self) -> str:
        return "\n".join(map(str, self.mistakes))


class Scalar(Struct):
    """One value as text.

    `tainted`: it came out of a variable or a secret's file: it is text, and must not be quoted.
    `broken`: the mistake in it is known already.
    """

    mark: Mark
    text: str
    plain: bool = True
    tainted: bool = False
    broken: bool = False
    weight: int = 1

    @property
    def null(self) -> bool:
        return self.plain and not self.tainted and self.text in _NULLS


class Entry(NamedTuple):
    """A key's own place, and its value."""

    mark: Mark
    node: "Node"


class Sequence(Struct):
    mark: Mark
    items: "list[Node]"
    weight: int = 1


class Mapping(Struct):
    mark: Mark
    entries: dict[str, Entry]
    weight: int = 1


Node = Scalar | Sequence | Mapping


class Unreadable(Exception):
    """The text is no YAML from here on."""

    def __init__(self, mark: Mark, words: str) -> None:
        super().__init__(words)
        self.mistake = Mistake(mark, "", words)


class Composed(NamedTuple):
    """The tree (None: nothing stands in the text), and what was wrong on the way."""

    node: Node | None
    mistakes: list[Mistake]


def compose(text: str, source: str) -> Composed:
    """Read one document. Nothing that a text may hold makes this raise."""
    composer = _Composer(text, source)
    try:
        node = composer.document()
    except Unreadable as error:
        return Composed(None, [*composer.mistakes, error.mistake])
    return Composed(node, composer.mistakes)


def compose_variable(text: str, name: str) -> Composed:
    """The value of an environment variable, read as YAML; every mark is the variable's name."""
    composed = compose(text, name)
    node = _moved(composed.node, Mark(name)) if composed.node else Scalar(Mark(name), "")
    return Composed(node, [Mistake(Mark(name), "", mistake.words) for mistake in composed.mistakes])


def _moved(node: Node, mark: Mark) -> Node:
    """The same tree, with one mark everywhere; it was bounded when it was composed."""
    if isinstance(node, Scalar):
        return Scalar(mark, node.text, node.plain)
    if isinstance(node, Sequence):
        return Sequence(mark, [_moved(item, mark) for item in node.items])
    return Mapping(mark, {key: Entry(mark, _moved(entry.node, mark)) for key, entry in node.entries.items()})


class _Composer:
    """One text on its way to a tree: the events left, the anchors so far, the mistakes so far."""

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self.mistakes: list[Mistake] = []
        self._anchors: dict[str, Node | None] = {}
        self._events = self._parsed(text)
        self._count = 0
        self._merged_keys = 0

    def document(self) -> Node | None:
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        node = self._node(self._next(), ())
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            raise Unreadable(self._mark(event), "more than one document: what follows `---` must be a file of its own")
        return node

    def _parsed(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=LOADER)
        except yaml.MarkedYAMLError as error:
            raise Unreadable(self._at(error.problem_mark), _syntax_words(error, text)) from None
        except yaml.reader.ReaderError as error:
            mark = self._position(text, error.position)
            raise Unreadable(mark, "holds a character that YAML does not allow") from None
        except (UnicodeError, ValueError, RecursionError):
            raise Unreadable(Mark(self.source, 1, 1), "holds characters that are no text") from None

    def _position(self, text: str, position: object) -> Mark:
        if not isinstance(position, int) or position > len(text):
            return Mark(self.source, 1, 1)
        return Mark(self.source, text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position))

    def _next(self) -> yaml.Event:
        event = next(self._events)
        self._count += 1
        if self._count > MAX_NODES:
            raise Unreadable(self._mark(event), f"is too large: more than {MAX_NODES} keys and values")
        return event

    def _at(self, mark: Any) -> Mark:
        return Mark(self.source, mark.line + 1, mark.column + 1) if mark else Mark(self.source, 1, 1)

    def _mark(self, event: yaml.Event) -> Mark:
        return self._at(event.start_mark)

    def _mistake(self, mark: Mark, path: Path, words: str) -> None:
        self.mistakes.append(Mistake(mark, shown_path(path), words))

    def _node(self, event: yaml.Event, path: Path) -> Node:
        if len(path) > MAX_DEPTH:
            raise Unreadable(self._mark(event), f"is nested more than {MAX_DEPTH} deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if getattr(event, "tag", None) is not None:
            self._mistake(self._mark(event), path, "YAML tags (`!...`) are not read")
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = None
        node = self._body(event, path)
        if node.weight > MAX_NODES:
            raise Unreadable(node.mark, f"is too large: with its aliases written out, more than {MAX_NODES} values")
        if anchor is not None:
            self._anchors[anchor] = node
        return node

    def _body(self, event: yaml.Event, path: Path) -> Node:
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, path)
        assert isinstance(event, yaml.ScalarEvent)  # noqa: S101 -- the event grammar leaves nothing else
        if "\0" in event.value or _surrogate(event.value):
            self._mistake(self._mark(event), path, "holds a character that is no text")
        return Scalar(self._mark(event), event.value, plain=event.style is None or event.style == "")

    def _alias(self, event: yaml.AliasEvent) -> Node:
        anchor = event.anchor or ""
        if anchor not in self._anchors:
            raise Unreadable(self._mark(event), f"the alias *{short(anchor)} has no anchor before it")
        node = self._anchors[anchor]
        if node is None:
            raise Unreadable(self._mark(event), f"the alias *{short(anchor)} contains itself")
        return node

    def _sequence(self, start: yaml.SequenceStartEvent, path: Path) -> Sequence:
        sequence = Sequence(self._mark(start), [])
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            item = self._node(event, (*path, len(sequence.items)))
            sequence.items.append(item)
            sequence.weight += item.weight
        return sequence

    def _mapping(self, start: yaml.MappingStartEvent, path: Path) -> Mapping:
        mapping = Mapping(self._mark(start), {})
        merges: list[Entry] = []
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            mark = self._mark(event)
            key = self._node(event, (*path, "?"))
            inner = (*path, key.text) if isinstance(key, Scalar) else path
            entry = Entry(mark, self._node(self._next(), inner))
            mapping.weight += entry.node.weight
            if not isinstance(key, Scalar):
                self._mistake(mark, path, "a key must be a text")
            elif key.text == "<<" and key.plain:
                merges.append(entry)
            elif key.text in mapping.entries:
                self._mistake(mark, inner, f"is given twice, first in line {mapping.entries[key.text].mark.line}")
            else:
                mapping.entries[key.text] = entry
        self._merge(mapping, merges, path)
        return mapping

    def _merge(self, mapping: Mapping, merges: list[Entry], path: Path) -> None:
        """What the mapping says itself comes before what it takes from others, and of these the first wins."""
        for second in merges[1:]:
            self._mistake(second.mark, path, "`<<` is given twice: write `<<: [*one, *other]`")
        for mark, node in merges:
            for source in node.items if isinstance(node, Sequence) else [node]:
                if not isinstance(source, Mapping):
                    self._mistake(mark, path, "`<<` must name a mapping, or a list of mappings")
                    continue
                self._merged_keys += len(source.entries)
                if self._merged_keys > MAX_NODES:
                    raise Unreadable(mapping.mark, f"is too large: `<<` copies more than {MAX_NODES} keys")
                for name, entry in source.entries.items():
                    mapping.entries.setdefault(name, entry)


def _surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _syntax_words(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    if mark is not None:
        lines = text.split("\n", mark.line + 1)
        line = lines[mark.line] if mark.line < len(lines) else ""
        if line[: len(line) - len(line.lstrip())].find("\t") >= 0:
            return "is not YAML: a tab cannot indent, use spaces"
    problem = (error.problem or "it cannot be read").replace("\n", " ")
    return f"is not YAML: {problem}" + (f" ({error.context})" if error.context else "")
