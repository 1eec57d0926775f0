"""Reading a llama-swap configuration: parts of it as they should be, and a note for all that has no counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hestia.rules.addresses import base_url
from hestia.rules.llama_swap_text import without_variables
from hestia.rules.paths import Path

TIMEOUTS: Final = {"connect": "connect_timeout", "responseHeader": "response_timeout"}
KINDS: Final = {dict: "mapping", list: "list", int: "whole number", str: "text"}
FILTERS: Final = "bodies are passed as they are: the clients, or the program's own flags, must say it"


class Note(NamedTuple):
    """Something that could not be carried over, where it was said, and why or what to do."""

    path: Path
    words: str


class Reading:
    """Collects notes."""

    def __init__(self) -> None:
        self.notes: list[Note] = []

    def note(self, path: Path, words: str) -> None:
        self.notes.append(Note(path, words))

    def mappings(self, found: Any, path: Path) -> dict[str, dict[str, Any]]:
        """What must be a mapping of mappings; what is none of it is said."""
        if found is not None and not isinstance(found, dict):
            self.note(path, "is no mapping, and was left out")
        entries = found if isinstance(found, dict) else {}
        for name, each in entries.items():
            if not isinstance(each, dict):
                self.note((*path, name), "is no mapping, and was left out")
        return {str(name): each for name, each in entries.items() if isinstance(each, dict)}

    def is_url(self, url: str, path: Path) -> bool:
        try:
            base_url(without_variables(url))
        except ValueError as problem:
            self.note(path, f"{problem}; it was left out")
            return False
        return True

    def timeouts(self, said: Any, path: Path) -> dict[str, str]:
        found = {}
        for key, value in mapping(said).items():
            seconds = whole(value, 0)
            if key not in TIMEOUTS:
                self.note((*path, key), "has no counterpart")
            elif seconds or key == "responseHeader":
                found[TIMEOUTS[key]] = f"{seconds}s"
            else:
                self.note((*path, key), "a connection must stand within some time: the default of 5s holds")
        return found

    def filters(self, said: Any, path: Path) -> None:
        for key in mapping(said):
            self.note((*path, key), FILTERS)

    def expect(self, keys: Mapping[str, Any], path: Path, kinds: Mapping[str, type]) -> None:
        """What is of another kind than it should be is left out, and said."""
        for key, kind in kinds.items():
            if keys.get(key) is not None and not isinstance(keys[key], kind):
                self.note((*path, key), f"is no {KINDS[kind]}, and was left out")

    def unknown(self, keys: Mapping[str, Any], path: Path, known: set[str]) -> None:
        for key in keys:
            if key not in known:
                self.note((*path, key), "is not known to this import")


def mapping(value: Any) -> dict[str, Any]:
    """What is no mapping is an empty one."""
    return value if isinstance(value, dict) else {}


def several(value: Any) -> list[Any]:
    """What is no list is an empty one."""
    return value if isinstance(value, list) else []


def whole(value: Any, default: int) -> int:
    """A number of seconds or of requests; what is none is the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default
