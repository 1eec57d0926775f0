"""From a tree with marks to values, by the structs of `words.spec`: every mistake at once, none raised.

A value that is wrong is left out and counts as said (`spoilt`), so that one mistake does not cause a second one.
Services, places and `defaults` stay dictionaries of what was said: `settle` puts them together.
"""

import posixpath
from collections.abc import Callable
from collections.abc import Mapping as Table
from typing import Any, Literal, get_args, get_origin

from msgspec import Struct

from hestia.rules.marks import ConfigError, Entry, Mapping, Mark, Mistake, Node, Scalar, Sequence, mark_at
from hestia.rules.nearest import nearest
from hestia.rules.paths import Path, pattern_of, quoted, shown_path
from hestia.rules.plain import plain_value
from hestia.rules.scalars import READERS, milliseconds
from hestia.rules.shape import Hint, Key, is_struct, keys_of, kind_of, unwrap
from hestia.words.reads import Reads
from hestia.words.renamed import RENAMED
from hestia.words.spec import Document, Machine, Place, Service, StrategyUse

__all__ = ["BAD", "BUILT_IN", "ConfigError", "Decoder", "Mistake", "Named", "Path", "shown_path"]

BUILT_IN = "built in"
_READER_OF = {str: "text", bool: "switch", int: "integer", float: "number"}
# Looking for the nearest name costs; a file of thousands of unknown keys is no configuration.
MISTAKES_WITH_ADVICE = 200
_PATHS = frozenset({"path", "file", "tls_verify", "listen"})


class _Bad:
    """Stands for a value that was said and is wrong."""


BAD: Any = _Bad()


class Named(Struct, frozen=True):
    """A file, folder or time zone that the configuration names, to be looked at by who may touch files."""

    kind: str
    text: str
    mark: Mark
    path: Path


class Decoder:
    """One reading of one configuration, and what was found on the way."""

    def __init__(
        self, folder: Callable[[Mark], str], *, home: str = "", renamed: Table[str, str] = RENAMED
    ) -> None:
        self.mistakes: list[Mistake] = []
        self.warnings: list[Mistake] = []
        self.marks: dict[Path, Mark] = {}
        self.key_marks: dict[Path, Mark] = {}
        self.spoilt: set[Path] = set()
        self.named: list[Named] = []
        self.holds_secret = False
        self._folder = folder
        self._home = home
        self._renamed = renamed

    def mistake(self, mark: Mark, path: Path, words: str) -> Any:
        self.mistakes.append(Mistake(mark, shown_path(path), words))
        self.spoilt.add(path)
        return BAD

    def warn(self, mark: Mark, path: Path, words: str) -> None:
        self.warnings.append(Mistake(mark, shown_path(path), words))

    def mark_of(self, path: Path) -> Mark:
        return mark_at(self.marks, path)

    def document(self, node: Node) -> dict[str, Any]:
        """What the whole file says: a dictionary for each service, place and `defaults`, values for the rest."""
        given = self._given(Document, node, ())
        return {} if given is BAD else given

    def _value(self, hint: Hint, node: Node, path: Path) -> Any:
        self.marks[path] = node.mark
        if isinstance(node, Scalar) and node.broken:
            self.spoilt.add(path)
            return BAD
        if hint.optional and isinstance(node, Scalar) and (node.null or (node.tainted and not node.text)):
            return None
        if hint.reads is not None:
            return self._scalar(hint.reads, node, path)
        members = hint.members
        if len(members) > 1:
            return self._choice(members, node, path)
        return self._single(members[0], hint, node, path)

    def _single(self, base: Any, hint: Hint, node: Node, path: Path) -> Any:
        inner = unwrap(base)
        if inner.reads is not None:
            return self._scalar(inner.reads, node, path)
        if base is Any:
            return plain_value(node)
        if base in _READER_OF:
            return self._scalar(Reads(_READER_OF[base]), node, path)
        origin = get_origin(base)
        if origin is Literal:
            return self._literal(get_args(base), node, path)
        if origin is tuple:
            return self._list(get_args(base)[0], node, path, one=hint.one_or_many)
        if origin is dict:
            return self._table(get_args(base), node, path)
        return self._struct(base, node, path)

    def _choice(self, members: tuple[Any, ...], node: Node, path: Path) -> Any:
        """Several launchers by their `kind`; else a text or a mapping, by what stands there."""
        structs = [member for member in members if is_struct(member)]
        if len(structs) > 1:
            return self._kind({kind_of(struct): struct for struct in structs}, node, path)
        wanted = [member for member in members if is_struct(member) == isinstance(node, Mapping)]
        return self._single(wanted[0] if wanted else members[0], Hint(members[0]), node, path)

    def _kind(self, structs: dict[str | None, type[Struct]], node: Node, path: Path) -> Any:
        kinds = ", ".join(sorted(filter(None, structs)))
        if not isinstance(node, Mapping):
            return self.mistake(
                node.mark, path, "must be a mapping with a `kind`, such as {kind: process, command: [...]}"
            )
        entry = node.entries.get("kind")
        if entry is None:
            return self.mistake(node.mark, path, f"needs a `kind`: one of {kinds}")
        kind = entry.node.text if isinstance(entry.node, Scalar) else ""
        if kind not in structs:
            near = nearest(kind, filter(None, structs))
            hint = f"; did you mean {near}?" if near else ""
            return self.mistake(entry.node.mark, (*path, "kind"), f"must be one of {kinds}{hint}")
        self.marks[(*path, "kind")] = entry.node.mark
        rest = {key: value for key, value in node.entries.items() if key != "kind"}
        return self._struct(structs[kind], Mapping(node.mark, rest), path)

    def _scalar(self, reads: Reads, node: Node, path: Path) -> Any:
        if not isinstance(node, Scalar):
            return self.mistake(node.mark, path, f"must be one value, not a {_noun(node)}")
        try:
            value = READERS[reads.name].read(node.text)
        except ValueError as error:
            hide = reads.secret or node.tainted
            return self.mistake(node.mark, path, f"{'the value' if hide else quoted(node.text)} {error}")
        if reads.name in ("secret", "header_value") and node.mark.line:
            self.holds_secret = True
        return self._located(reads.name, value, node.mark, path)

    def _located(self, reader: str, value: Any, mark: Mark, path: Path) -> Any:
        """Relative paths from the folder of who said them; what must exist is remembered."""
        if reader in _PATHS and isinstance(value, str):
            value = self._absolute(value, mark, listen=reader == "listen")
        if isinstance(value, str) and (reader in ("file", "tls_verify", "timezone") or path == ("strategies_dir",)):
            self.named.append(Named("folder" if reader == "path" else reader, value, mark, path))
        return value

    def _absolute(self, text: str, mark: Mark, *, listen: bool) -> str:
        if listen:
            return "unix:" + self._absolute(text[5:], mark, listen=False) if text.startswith("unix:") else text
        if self._home and (text == "~" or text.startswith("~/")):
            text = self._home + text[1:]
        return posixpath.normpath(posixpath.join(self._folder(mark), text))

    def _literal(self, choices: tuple[str, ...], node: Node, path: Path) -> Any:
        words = f"must be one of {', '.join(choices)}"
        if not isinstance(node, Scalar):
            return self.mistake(node.mark, path, words)
        if node.text in choices:
            return node.text
        near = None if node.tainted else nearest(node.text, choices)
        return self.mistake(node.mark, path, words + (f"; did you mean {near}?" if near else ""))

    def _list(self, item: Any, node: Node, path: Path, *, one: bool) -> Any:
        if isinstance(node, Scalar) and node.null:
            return ()
        if one and not isinstance(node, Sequence):
            node = Sequence(node.mark, [node])
        if not isinstance(node, Sequence):
            return self.mistake(node.mark, path, f"must be a list, as in [one, two], not a {_noun(node)}")
        hint = unwrap(item)
        values = [self._value(hint, child, (*path, index)) for index, child in enumerate(node.items)]
        return tuple(value for value in values if value is not BAD)

    def _table(self, arguments: tuple[Any, ...], node: Node, path: Path) -> Any:
        if isinstance(node, Scalar) and node.null:
            return {}
        if not isinstance(node, Mapping):
            return self.mistake(node.mark, path, f"must be a mapping of keys to values, not a {_noun(node)}")
        key_hint, hint = map(unwrap, arguments)
        values = {}
        for key, entry in node.entries.items():
            if self._table_key(key_hint, key, entry, path):
                values[key] = self._value(hint, entry.node, (*path, key))
        return {key: value for key, value in values.items() if value is not BAD}

    def _table_key(self, hint: Hint, key: str, entry: Entry, path: Path) -> bool:
        """The words never show the key: who wrote a whole header line as one has put its value there."""
        if hint.reads is None:
            return True
        try:
            READERS[hint.reads.name].read(key)
        except ValueError as error:
            self.mistake(entry.mark, path, f"one of its keys {error}")
            return False
        return True

    def _struct(self, struct: type[Struct], node: Node, path: Path) -> Any:
        if struct is StrategyUse and isinstance(node, Scalar):
            node = Mapping(node.mark, {"name": Entry(node.mark, node)})
        given = self._given(struct, node, path)
        if given is BAD or struct in (Place, Service):
            return given
        missing = [key for key, known in keys_of(struct).items() if known.required and known.field not in given]
        unsaid = [key for key in missing if (*path, key) not in self.spoilt]
        if unsaid:
            self.mistake(node.mark, path, f"needs {' and '.join(f'`{key}`' for key in unsaid)}")
        if missing:
            return BAD
        return struct(**given)

    def _given(self, struct: type[Struct], node: Node, path: Path) -> Any:
        """The fields that a mapping says, wrong ones left out."""
        self.marks.setdefault(path, node.mark)
        if isinstance(node, Scalar) and node.null:
            return {}
        if not isinstance(node, Mapping):
            return self.mistake(node.mark, path, f"must be a mapping of keys to values, not a {_noun(node)}")
        spelt = self._spelt(struct, node, path)
        given = {}
        for name, (key, entry, in_ms) in spelt.items():
            if _left_empty(key.hint, entry.node):
                continue
            value = self._key_value(key, entry, (*path, name), in_ms=in_ms)
            if value is not BAD:
                given[key.field] = value
        return given

    def _key_value(self, key: Key, entry: Entry, path: Path, *, in_ms: bool) -> Any:
        self.key_marks[path] = entry.mark
        if path == ("services",):
            return self._by_id(Service, entry.node, path)
        if path == ("machines",):
            return self._by_id(Machine, entry.node, path)
        if path == ("defaults",):
            return self._given(Service, entry.node, path)
        return self._milliseconds(entry.node, path) if in_ms else self._value(key.hint, entry.node, path)

    def _milliseconds(self, node: Node, path: Path) -> Any:
        self.marks[path] = node.mark
        said = (*path[:-1], f"{path[-1]}_ms")
        if not isinstance(node, Scalar):
            return self.mistake(node.mark, said, f"must be one value, not a {_noun(node)}")
        try:
            return milliseconds(node.text)
        except ValueError as error:
            return self.mistake(node.mark, said, f"{'the value' if node.tainted else quoted(node.text)} {error}")

    def _spelt(self, struct: type[Struct], node: Mapping, path: Path) -> dict[str, tuple[Key, Entry, bool]]:
        """Every entry under the one name of its key: old names and `X_ms` are other spellings of it."""
        spelt: dict[str, tuple[Key, Entry, bool]] = {}
        written: dict[str, str] = {}
        for text, entry in node.entries.items():
            name, in_ms = self._name(struct, text, entry, path)
            if name is None:
                continue
            if name in spelt and _rank(entry.mark) <= _rank(spelt[name][1].mark):
                self._beside(written[name], spelt[name][1], entry, (*path, text))
                continue
            spelt[name] = (keys_of(struct)[name], entry, in_ms)
            written[name] = text
        return spelt

    def _beside(self, written: str, first: Entry, second: Entry, path: Path) -> None:
        """A variable's spelling of a key replaces the file's other one; two of the same origin are a mistake."""
        if _rank(first.mark) == _rank(second.mark):
            self.mistake(second.mark, path, f"is given beside {written}: give one of them")

    def _name(self, struct: type[Struct], text: str, entry: Entry, path: Path) -> tuple[str | None, bool]:
        known = keys_of(struct)
        if text in known:
            return text, False
        new = self._renamed.get(pattern_of((*path, text)))
        if new is not None:
            self.warn(
                entry.mark, (*path, text), f"is now called {new}; the old name works until the next minor version"
            )
            return new, False
        plain = text.removesuffix("_ms")
        if plain != text and plain in known and known[plain].duration:
            return plain, True
        near = nearest(text, known) if len(self.mistakes) < MISTAKES_WITH_ADVICE else None
        self.mistake(entry.mark, (*path, text), "unknown key" + (f"; did you mean {near}?" if near else ""))
        return None, False

    def _by_id(self, struct: type[Struct], node: Node, path: Path) -> Any:
        if isinstance(node, Scalar) and node.null:
            return {}
        if not isinstance(node, Mapping):
            return self.mistake(node.mark, path, f"must be a mapping of ids, not a {_noun(node)}")
        found = {}
        for key, entry in node.entries.items():
            self.key_marks[(*path, key)] = entry.mark
            try:
                READERS["service_id"].read(key)
            except ValueError as error:
                self.mistake(entry.mark, (*path, key), str(error))
            found[key] = self._one(struct, entry.node, (*path, key))
        return found

    def _one(self, struct: type[Struct], node: Node, path: Path) -> Any:
        self.marks[path] = node.mark
        if struct is Service and isinstance(node, Scalar) and node.null:
            return None
        return self._given(struct, node, path)


def _rank(mark: Mark) -> int:
    """Built in < file < environment and flags."""
    if mark.source == BUILT_IN:
        return 0
    return 1 if mark.line else 2


def _left_empty(hint: Hint, node: Node) -> bool:
    """`hosts:` with nothing after it, or with everything commented out, says nothing."""
    return isinstance(node, Scalar) and node.null and get_origin(hint.base) in (tuple, dict)


def _noun(node: Node) -> str:
    return {Scalar: "single value", Sequence: "list", Mapping: "mapping"}[type(node)]
