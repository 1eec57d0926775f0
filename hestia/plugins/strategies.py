"""All strategies there are: the shipped ones and the operator's, looked up by kind and name, reloaded in one step.

A file that breaks keeps its last good version, and so does one that somebody still uses. Loading runs the file, in a
thread once the gateway is up; what it brought is put in place on the loop.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from msgspec import Struct

from hestia.plugins.blame import BROKEN, said
from hestia.plugins.files import File, Key, load, paths, stage, twice
from hestia.plugins.strategy import Strategy
from hestia.rules.nearest import nearest
from hestia.rules.strategies import Kind
from hestia.rules.strategy_calls import Misfit, Offer, build
from hestia.words.notes import Note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hestia.words.spec import StrategyUse

Succession = tuple[Strategy, Offer, Any]


class StrategyInfo(Struct, frozen=True, kw_only=True):
    """A strategy for people and programs."""

    name: str
    kind: Kind
    file: str | None
    options: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()
    failures: int = 0
    switched_off: bool = False
    last_error: str | None = None


class Reloaded(Struct, frozen=True, kw_only=True):
    """What a reload did. A file with a problem keeps its last good version."""

    loaded: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class Strategies:
    """All strategies there are: the shipped ones and the operator's."""

    def __init__(
        self, folder: Path | None, tell: Callable[[Note], None], *, clock: Callable[[], float] = monotonic
    ) -> None:
        self._folder = folder
        self._tell = tell
        self._clock = clock
        self._shipped: dict[Key, Offer] = {}
        self._digests: set[bytes] = set()
        self._files: dict[str, File] = {}
        self._offers: dict[Key, Offer] = {}
        self._uses: WeakSet[Strategy] = WeakSet()
        self._lock = asyncio.Lock()

    def load(self) -> tuple[str, ...]:
        """At the start: everything, and what is wrong with the operator's files.

        A name that two of them claim is nobody's, and neither file is taken up.
        """
        for path in sorted((Path(str(files("hestia"))) / "strategies").glob("[a-z]*.py")):
            shipped = load(str(path), path.read_bytes(), shipped=True)
            self._shipped |= _offered({shipped.path: shipped})
            self._digests.add(shipped.digest)
        found, problems = stage(self._folder, {})
        claimed = twice(found.values())
        self._put({path: each for path, each in found.items() if not each.keys & claimed.keys()})
        return self._told(Reloaded(problems=(*problems, *claimed.values()))).problems

    async def move(self, folder: Path | None) -> None:
        """Read another folder from now on."""
        if folder != self._folder:
            self._folder = folder
            await self.reload()

    async def reload(self) -> Reloaded:
        """Take up changed files. Cancelled, it changes nothing."""
        async with self._lock:
            old = self._files
            found, problems = await asyncio.to_thread(stage, self._folder, old)
            kept, successions, words = self._settled(found)
            claimed = twice(kept.values())
            if claimed:
                _forget(found, old)
                return self._told(Reloaded(problems=(*problems, *claimed.values())))
            for use, after, call in successions:
                use.adopt(after, call)
            for use in self._uses:
                use.forgive()
            _forget(found, kept)
            self._put(kept)
            loaded = tuple(sorted(path for path, each in kept.items() if old.get(path) is not each))
            removed = tuple(sorted(old.keys() - kept.keys()))
            return self._told(Reloaded(loaded=loaded, removed=removed, problems=(*problems, *words)))

    def use(self, kind: Kind, wanted: StrategyUse, owner: str) -> Strategy:
        """A strategy for `owner` (`services.ollama.balance`), with its options. Keep it as long as it is used.

        Raises ValueError with words for the operator: no such strategy, options that do not fit, a class that fails.
        """
        found = self._offers.get((kind, wanted.name))
        if found is None:
            raise ValueError(self._unknown(kind, wanted.name))
        try:
            use = Strategy(found, wanted.options, owner, self._tell, self._clock)
        except Misfit:
            raise
        except BROKEN as problem:
            raise ValueError(f"the strategy {wanted.name!r} cannot be built: {said(problem, found.file)}") from problem
        self._uses.add(use)
        return use

    def infos(self) -> tuple[StrategyInfo, ...]:
        """All of them, by kind and name."""
        return tuple(self._info(each) for _, each in sorted(self._offers.items()))

    def stamp(self) -> tuple[object, ...]:
        """Changes when a file of the folder does: for those who watch."""
        if self._folder is None:
            return ()
        rows: list[object] = []
        for path in paths(self._folder):
            with suppress(OSError):
                now = path.stat()
                rows.append((path.name, now.st_mtime_ns, now.st_size, now.st_ino, now.st_mode))
        return tuple(rows)

    def _info(self, each: Offer) -> StrategyInfo:
        uses = sorted((use for use in self._uses if use.offer is each), key=lambda use: use.owner)
        return StrategyInfo(
            name=each.name,
            kind=each.kind,
            file=None if each.shipped else each.file,
            options=each.options.__struct_encode_fields__ if each.options is not None else (),
            used_by=tuple(use.owner for use in uses),
            failures=sum(use.failures for use in uses),
            switched_off=any(use.off for use in uses),
            last_error=next((use.last_error for use in uses if use.last_error), None),
        )

    def _unknown(self, kind: Kind, name: str) -> str:
        others = sorted({other for other, called in self._offers if called == name})
        if others:
            return f"the strategy {name!r} is for {others[0]}, not for {kind}"
        known = sorted(called for of, called in self._offers if of == kind)
        near = nearest(name, known)
        hint = f": do you mean {near!r}?" if near else f"; there is {', '.join(known) or 'none'}"
        return f"no {kind} strategy is called {name!r}{hint}"

    def _put(self, found: dict[str, File]) -> None:
        """From now on these files count."""
        _forget(self._files, found)
        before = self._offers
        own = self._own(found)
        self._files = found
        self._offers = self._shipped | own
        for key in sorted(own.keys() & self._shipped.keys()):
            if before.get(key) is not own[key]:
                more = {"strategy": key[1], "strategy_kind": key[0], "file": own[key].file}
                self._tell(Note(kind="strategy.replaced", more=more))

    def _own(self, found: Mapping[str, File]) -> dict[Key, Offer]:
        """What the operator's files offer. A mere copy of a shipped one replaces nothing."""
        return _offered({path: each for path, each in found.items() if each.digest not in self._digests})

    def _settled(self, found: dict[str, File]) -> tuple[dict[str, File], list[Succession], list[str]]:
        """The files that shall count: where somebody's strategy would be lost or break, the last version stays."""
        kept, words = dict(found), []
        while True:
            successions = []
            for use in sorted(self._uses, key=lambda use: use.owner):
                offers = self._shipped | self._own(kept)
                try:
                    successions.append(_succession(use, offers))
                except BROKEN as problem:
                    path = offers.get((use.offer.kind, use.offer.name), use.offer).file
                    if kept.get(path) is self._files.get(path):  # it is as it was: there is nothing to go back to
                        continue
                    words.append(f"{path}: {said(problem, path)}; the last version stays")
                    self._back(kept, path)
                    break
            else:
                return kept, [each for each in successions if each[0].offer is not each[1]], words

    def _back(self, kept: dict[str, File], path: str) -> None:
        """To the file as it was, or to none."""
        kept.pop(path, None)
        if path in self._files:
            kept[path] = self._files[path]

    def _told(self, done: Reloaded) -> Reloaded:
        for problem in done.problems:
            self._tell(Note(kind="strategy.broken", more={"detail": problem}))
        if done.loaded or done.removed:
            self._tell(Note(kind="strategies.reloaded", more={"loaded": done.loaded, "removed": done.removed}))
        return done


def _offered(found: Mapping[str, File]) -> dict[Key, Offer]:
    return {(each.kind, each.name): each for file in found.values() for each in file.offers}


def _succession(use: Strategy, offers: Mapping[Key, Offer]) -> Succession:
    """What a use will call. Raises where that is gone or cannot be built."""
    after = offers.get((use.offer.kind, use.offer.name))
    if after is None:
        raise ValueError(f"{use.owner} still uses its {use.offer.kind} strategy {use.offer.name!r}")
    return use, after, None if after is use.offer else build(after, use.options)


def _forget(these: Mapping[str, File], but: Mapping[str, File]) -> None:
    """Files that do not count leave nothing behind."""
    for module in {each.module for each in these.values()} - {each.module for each in but.values()}:
        sys.modules.pop(module, None)
