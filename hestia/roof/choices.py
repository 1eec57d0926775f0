"""Who chooses: the strategies, their uses, the lists of models and the routes of the configuration in force."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hestia.doors.chooser import Chooser
from hestia.doors.lists import Lists
from hestia.doors.request_view import RequestView
from hestia.keeper.uses import UnknownStrategies, Uses, make_uses
from hestia.plugins.strategies import Strategies
from hestia.probes import fetch
from hestia.relay.exchange import Exchange
from hestia.roof.listen import CannotStart
from hestia.words.events import EVENTS

if TYPE_CHECKING:
    from hestia.doors.shared import Shared
    from hestia.keeper.keeper import Keeper
    from hestia.keeper.uses import Made
    from hestia.relay.place import Relayed
    from hestia.store.store import Store
    from hestia.telemetry.log import Log
    from hestia.words.notes import Note
    from hestia.words.spec import Config

LOOK_EVERY = 1.0


class Choices:
    """Built before the keeper, which asks it; `put_in_force` makes it whole."""

    def __init__(self, config: Config, beside: Path, log: Log) -> None:
        """`beside`: the folder of the configuration file. Raises CannotStart."""
        self._beside = beside
        self._log = log
        self.strategies = Strategies(folder_of(config, beside), self._tell)
        self.strategies.load()
        self.uses = Uses()
        try:
            self.made = make_uses(config, self.strategies)
        except UnknownStrategies as problem:
            raise CannotStart(str(problem), usage=True) from problem
        self.lists: Lists
        self._shared: Shared

    async def prepare(self, config: Config, before: Config) -> Made:
        """For a reload, which may name another folder. Raises UnknownStrategies, and then nothing has changed."""
        await self.strategies.move(folder_of(config, self._beside))
        try:
            return make_uses(config, self.strategies, self.made)
        except UnknownStrategies:
            await self.stay(before)
            raise

    async def stay(self, before: Config) -> None:
        """The reload came to nothing."""
        await self.strategies.move(folder_of(before, self._beside))

    def compose(self, keeper: Keeper, store: Store) -> None:
        """What the doors ask."""
        self.lists = Lists(keeper, store, fetch, keeper.fence)

    def chooser(self, config: Config, keeper: Keeper, relayed: dict[str, Relayed]) -> Chooser:
        """Puts the strategies of `made` in force, and gives the routes that go with them."""
        self.uses.follow(self.made)
        for id_, each in relayed.items():
            each.sees_requests = config.services[id_].replicas > 1
        return Chooser(config, keeper.fleet.services, relayed, self.made.routes, self.lists)

    def serve(self, shared: Shared) -> None:
        """From now on the choice of a place may go by the request that arrives there."""
        self._shared = shared
        self.uses.who_asks = self._request_of

    def heard(self, note: Note) -> None:
        """Whoever has become hot is asked for its models."""
        self.lists.heard(note)

    def _request_of(self, asker: Any) -> RequestView | None:
        """Of one who waits in a line; else of the one at the door."""
        from_ = asker if isinstance(asker, Exchange) else self._shared.at_door
        if from_ is None:
            return None
        services = self._shared.chooser.services
        return RequestView(from_.method, from_.target, from_.head, lambda: None, lambda: services)

    def _tell(self, note: Note) -> None:
        self._log.event(note.kind, EVENTS[note.kind].level, **note.more)


def folder_of(config: Config, beside: Path) -> Path:
    """The operator's own strategies; by default the folder need not be there."""
    return Path(config.strategies_dir) if config.strategies_dir else beside / "strategies"


class Looked(NamedTuple):
    """What is wrong with the strategies that a configuration names, each with its path, and with files of theirs."""

    mistakes: list[tuple[tuple[str | int, ...], str]]
    broken: list[str]


def look_at(config: Config, beside: Path) -> Looked:
    """Reads the operator's strategies and takes none of them up."""
    broken: list[str] = []

    def hear(note: Note) -> None:
        if note.kind == "strategy.broken":
            broken.append(str(note.more["detail"]))

    strategies = Strategies(folder_of(config, beside), hear)
    strategies.load()
    try:
        make_uses(config, strategies)
    except UnknownStrategies as problem:
        return Looked([*problem.mistakes, *((("strategies_dir",), words) for words in broken)], broken)
    return Looked([], broken)


async def watch_strategies(strategies: Strategies) -> None:
    """Until cancelled: changed files are taken up by themselves."""
    seen = strategies.stamp()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = strategies.stamp()
        if now != seen:
            seen = now
            await strategies.reload()
