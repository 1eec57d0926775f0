"""Looks at services that are only watched: now and then by themselves, and at once for a status."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from hestia.keeper.runs import check_of
from hestia.ports import Seen
from hestia.words.states import Found, NotReady, Phase

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.core.service import Service
    from hestia.keeper.keeper import Keeper

FRESH_FOR = 1.0


class Looks:
    """Of several who want to know at once, one asks. What is found hot is so from then on."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._seen_at: dict[str, float] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def tick(self) -> None:
        """Begins those that are due by their `watch_interval`."""
        for service in self._keeper.fleet:
            every = service.spec.watch_interval
            if every and _only_watched(service) and self._age(service) >= every:
                self._begin(service)

    async def at(self, services: list[Service], patience: float = 1.0) -> None:
        """For a status. It comes back after `patience` at the latest, the look goes on."""
        stale = [each for each in services if _only_watched(each) and self._age(each) >= FRESH_FOR]
        tasks = [self._begin(each) for each in stale]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)

    def _age(self, service: Service) -> float:
        return self._keeper.outside.clock() - self._seen_at.get(service.id, -inf)

    def _begin(self, service: Service) -> asyncio.Task[None]:
        task = self._under_way.get(service.id)
        if task is None:
            task = self._under_way[service.id] = self._keeper.fence.spawn(self._look(service))
        return task

    async def _look(self, service: Service) -> None:
        try:
            for life in service.lives:
                await self._see(life)
            self._seen_at[service.id] = self._keeper.outside.clock()
        finally:
            del self._under_way[service.id]

    async def _see(self, life: Life) -> None:
        keeper = self._keeper
        asked = check_of(life, keeper.outside)
        if asked is None or not _cold(life) or not life.settings.checked:
            return
        seen = await keeper.outside.probe(asked)
        said = await keeper.uses.not_ready(life) if seen.reason is None else None
        seen = seen if said is None else Seen(said)
        if not _cold(life):  # much may have happened meanwhile
            return
        if seen.reason is None:
            keeper.set_way(life)
        keeper.fleet.tell(life, Found(None) if seen.reason is None else NotReady(seen.reason))


def _cold(life: Life) -> bool:
    return life.phase is Phase.COLD


def _only_watched(service: Service) -> bool:
    return service.state in {"cold", "failed"} and not any(life.settings.launches for life in service.lives)
