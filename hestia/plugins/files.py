"""The files of strategies: found, checked, run once for each version, and asked what they offer."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from contextlib import suppress
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from hestia.plugins.blame import BROKEN, where
from hestia.rules.strategies import Kind
from hestia.rules.strategy_calls import Offer, offer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LONGEST_FILE: Final = 1024 * 1024
OTHERS_WRITE: Final = stat.S_IWOTH

Key = tuple[Kind, str]


class File(Struct, frozen=True):
    """One file as it was loaded."""

    path: str
    digest: bytes
    offers: tuple[Offer, ...]
    module: str

    @property
    def keys(self) -> set[Key]:
        return {(each.kind, each.name) for each in self.offers}


class Registered:
    """What `register_strategy` gets."""

    def __init__(self, path: str, *, shipped: bool) -> None:
        self.offers: dict[Key, Offer] = {}
        self._path = path
        self._shipped = shipped

    def add(self, name: str, thing: Any, *, kind: Kind, options: type[Struct] | None = None) -> None:
        line = sys._getframe(1).f_lineno  # noqa: SLF001 - where the file says so, for its author
        made = offer(name, thing, kind, options, file=self._path, line=line, shipped=self._shipped)
        known = self.offers.setdefault((kind, name), made)
        if known is not made:
            raise ValueError(f"two {kind} strategies are called {name!r}: the first is added in line {known.line}")


def stage(folder: Path | None, old: Mapping[str, File]) -> tuple[dict[str, File], list[str]]:
    """The operator's files as they are now; one that cannot be loaded counts as it was before."""
    found: dict[str, File] = {}
    problems: list[str] = []
    for path in paths(folder) if folder is not None else ():
        name = str(path)
        before = old.get(name)
        try:
            source = _read(path)
            unchanged = before is not None and before.digest == _digest(source)
            found[name] = before if before is not None and unchanged else load(name, source)
        except BROKEN as problem:
            problems.append(where(problem, name))
            if before is not None:
                found[name] = before
    return found, problems


def paths(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(path for path in folder.iterdir() if path.suffix == ".py" and path.name[0] not in "._")
    return []


def _read(path: Path) -> bytes:
    """The file's bytes, unless somebody else could have written them. Raises OSError and ValueError."""
    for folder in {path.parent.resolve(), path.resolve().parent}:
        if folder.stat().st_mode & OTHERS_WRITE:
            raise ValueError(f"refused: everybody may write in {folder} (chmod o-w)")
    # Looked at as it is opened, so that what is checked is what is read; a pipe in its place does not hold us.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError("refused: it is no regular file")
        if mode & OTHERS_WRITE:
            raise ValueError("refused: everybody may write to it (chmod o-w)")
        source = file.read(LONGEST_FILE + 1)
    if len(source) > LONGEST_FILE:
        raise ValueError("refused: it is larger than 1 MiB")
    return source


def _digest(source: bytes) -> bytes:
    return hashlib.sha256(source).digest()


def load(path: str, source: bytes, *, shipped: bool = False) -> File:
    """Runs a file and asks it for its strategies. Raises whatever it raises."""
    # Of its own for each version: msgspec finds the annotations of a struct by its module's name.
    name = f"hestia_strategy_{_digest(path.encode() + source).hex()}"
    module = ModuleType(name)
    module.__file__ = path
    registry = Registered(path, shipped=shipped)
    sys.modules[name] = module
    try:
        exec(compile(source, path, "exec", dont_inherit=True), vars(module))  # noqa: S102 - that is what a plug-in is
        register = getattr(module, "register_strategy", None)
        if register is None:
            raise ValueError("it does not define register_strategy(registry)")
        register(registry)
    except BaseException:
        del sys.modules[name]
        raise
    return File(path, _digest(source), tuple(registry.offers.values()), name)


def twice(found: Iterable[File]) -> dict[Key, str]:
    """Names that two files claim, with words that name both."""
    claimed: dict[Key, Offer] = {}
    names: dict[Key, str] = {}
    for each in (each for file in found for each in file.offers):
        first = claimed.setdefault((each.kind, each.name), each)
        if first is not each:
            names[each.kind, each.name] = (
                f"{each.file}:{each.line}: the {each.kind} strategy {each.name!r} is also added by "
                f"{first.file}:{first.line}; nothing of either is taken up"
            )
    return names
