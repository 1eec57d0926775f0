"""`${NAME}` within values: replaced after parsing, so that what a variable holds never becomes YAML."""

import re
from collections.abc import Mapping as Table

from hestia.rules.marks import Entry, Mapping, Mistake, Node, Scalar, Sequence
from hestia.rules.paths import Path, shown_path

_REFERENCE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")


class Substitution:
    """One pass over a tree; nodes that an alias shares stay shared."""

    def __init__(self, environ: Table[str, str]) -> None:
        self.mistakes: list[Mistake] = []
        self._environ = environ
        self._done: dict[int, Node] = {}

    def node(self, node: Node, path: Path) -> Node:
        if id(node) not in self._done:
            self._done[id(node)] = self._replaced(node, path)
        return self._done[id(node)]

    def _replaced(self, node: Node, path: Path) -> Node:
        if isinstance(node, Scalar):
            return self._scalar(node, path) if "${" in node.text else node
        if isinstance(node, Sequence):
            items = [self.node(item, (*path, index)) for index, item in enumerate(node.items)]
            return Sequence(node.mark, items, node.weight)
        entries = {key: Entry(entry.mark, self.node(entry.node, (*path, key))) for key, entry in node.entries.items()}
        return Mapping(node.mark, entries, node.weight)

    def _scalar(self, node: Scalar, path: Path) -> Scalar:
        def replace(found: re.Match[str]) -> str:
            if found[0] == "$${":
                return "${"
            return self._value(found[1], found[2], node, path)

        known = len(self.mistakes)
        text = _REFERENCE.sub(replace, node.text)
        return Scalar(node.mark, text, node.plain, tainted=True, broken=len(self.mistakes) > known)

    def _value(self, name: str | None, default: str | None, node: Scalar, path: Path) -> str:
        if name is None:
            self._mistake(
                node, path, "`${` begins a variable: ${NAME} or ${NAME:-default}; a literal one is written $${"
            )
            return ""
        value = self._environ.get(name, "")
        if value or (name in self._environ and default is None):
            return value
        if default is None:
            self._mistake(node, path, f"the variable {name} is not set; ${{{name}:-default}} would do without it")
        return default or ""

    def _mistake(self, node: Scalar, path: Path, words: str) -> None:
        self.mistakes.append(Mistake(node.mark, shown_path(path), words))
