"""What was made of a llama-swap configuration, as the text of a file: with comments where something is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import yaml

from hestia.rules.llama_swap import Imported
from hestia.rules.marks import Mapping, Mark, Mistake, Node, Sequence
from hestia.rules.paths import Path, shown_path

WIDTH: Final = 110
HEAD: Final = """\
# Hestia's configuration, made from {source} by `hestia import llama-swap`. `hestia check` checks it.
# Clients ask as before, by the names of models; what was /upstream/<model>/ is /services/<id>/ here.
"""
FOLLOWS: Final = {
    "defaults": "What llama-swap does unless a model says otherwise.",
    "machines": "Who may run at a time: each resource has room for one of the services that need it.",
    "routes": "Where the model is looked for in the request.",
}


def as_file(made: Imported, source: str) -> str:
    """The whole text. What was left out of a model stands at its service, all else at the top."""
    of_service = {path: id_ for id_, path in made.origins.items()}
    general = [note for note in made.notes if note.path[:2] not in of_service]
    said = [HEAD.format(source=_one_line(source))]
    if general:
        said.append("#\n# Not carried over, or not quite:\n")
        said += [_comment(f"{shown_path(note.path)}: {note.words}", "#   ") for note in general]
    for key, value in made.config.items():
        said.append("\n" + (f"# {FOLLOWS[key]}\n" if key in FOLLOWS else ""))
        said.append(_SECTIONS.get(key, _section)(made, key, value))
    return "".join(said)


def _section(_made: Imported, key: str, value: Any) -> str:
    return _dumped({key: value})


def _routes(_made: Imported, key: str, routes: list[Any]) -> str:
    rows = (yaml.safe_dump(each, default_flow_style=True, sort_keys=False, width=WIDTH) for each in routes)
    return f"{key}:\n" + "".join(f"  - {row}" for row in rows)


def _services(made: Imported, key: str, services: dict[str, Any]) -> str:
    said = [f"{key}:\n"]
    for id_, service in services.items():
        path = made.origins.get(id_)
        notes = [note for note in made.notes if path is not None and note.path[:2] == path]
        said += [_comment(f"{shown_path(note.path[2:])}: {note.words}", "  # ") for note in notes]
        said.append(f"  {id_}:\n{_indented(_dumped(service))}" if service else f"  {id_}: null\n")
    return "".join(said)


_SECTIONS: Final[dict[str, Callable[[Imported, str, Any], str]]] = {"services": _services, "routes": _routes}


def _dumped(value: Any) -> str:
    dumped: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=None)
    return dumped


def _indented(text: str) -> str:
    """Also what a text goes over: an empty line within one is a line end of it."""
    return "".join(f"    {line}\n" if line else "\n" for line in text.removesuffix("\n").split("\n"))


def _comment(words: str, before: str) -> str:
    return f"{before}{_one_line(words)}\n"


def _one_line(words: str) -> str:
    """A comment ends with its line: what stands in a name must not go on behind it."""
    return "".join(each if each.isprintable() else "\ufffd" for each in words)


def as_mistakes(made: Imported, root: Node | None, source: str) -> Iterable[Mistake]:
    """The same list with places in the file, for a terminal."""
    for note in made.notes:
        yield Mistake(_mark(root, note.path, source), shown_path(note.path), note.words)


def _mark(root: Node | None, path: Path, source: str) -> Mark:
    """Of the last key on the way that is there."""
    mark, node = Mark(source), root
    for part in path:
        if isinstance(node, Mapping) and part in node.entries:
            mark, node = node.entries[str(part)]
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
            mark = node.mark
        else:
            break
    return mark
