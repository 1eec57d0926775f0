"""Which models each service lists: asked once when it becomes hot, and again when somebody looks for one in vain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from hestia.keeper.runs import base_url_of
from hestia.rules.models import LIST_PATHS, names_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from hestia.core.service import Service
    from hestia.fence import Fence
    from hestia.keeper.keeper import Keeper
    from hestia.words.notes import Note

    Fetch = Callable[[str, str, bool | str, Mapping[str, str]], Awaitable[bytes | None]]
    """The body of a good answer at this address and path, with `tls_verify` and headers; None: there is none."""

FRESH_FOR: Final = 5.0
LONGEST: Final = 2.0
"""A request that names an unknown model waits so long for the lists."""


class Keeps(Protocol):
    """Who keeps lists over restarts: the store."""

    def models(self) -> dict[str, tuple[str, ...]]: ...

    def keep_models(self, service: str, names: Iterable[str], /) -> None: ...


class Lists:
    """`known` is read by everybody, written here."""

    def __init__(self, keeper: Keeper, keeps: Keeps, fetch: Fetch, fence: Fence) -> None:
        self.known: dict[str, tuple[str, ...]] = {}
        self.learns = True
        self._keeper = keeper
        self._keeps = keeps
        self._fetch = fetch
        self._fence = fence
        self._asked: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def open(self) -> None:
        """What was known before this gateway began."""
        self.known.update(self._keeps.models())

    def heard(self, note: Note) -> None:
        """A service that has become hot is asked."""
        if note.kind == "service.ready" and note.service is not None and self.learns:
            service = self._keeper.fleet.services.get(note.service)
            if service is not None:
                self._ask(service)

    def stale(self) -> bool:
        """Whether a hot service could be asked anew."""
        return any(self._is_stale(service) for service in self._keeper.fleet)

    async def refresh(self) -> None:
        """Ask those that are hot, within a bound. Wakes nothing."""
        tasks = [self._ask(service) for service in self._keeper.fleet if self._is_stale(service)]
        tasks += [task for task in self._asking.values() if task not in tasks]
        if tasks:
            await asyncio.wait(tasks, timeout=LONGEST)

    def _is_stale(self, service: Service) -> bool:
        asked = self._asked.get(service.id, -FRESH_FOR)
        return self.learns and service.state == "hot" and self._keeper.outside.clock() - asked >= FRESH_FOR

    def _ask(self, service: Service) -> asyncio.Task[None]:
        task = self._asking.get(service.id)
        if task is None:
            self._asked[service.id] = self._keeper.outside.clock()
            task = self._asking[service.id] = self._fence.spawn(self._learn(service))
        return task

    async def _learn(self, service: Service) -> None:
        try:
            names = await self._listed(service)
            if names is not None:
                self.known[service.id] = names
                self._keeps.keep_models(service.id, names)
        finally:
            del self._asking[service.id]

    async def _listed(self, service: Service) -> tuple[str, ...] | None:
        """Of the first of its places that is hot. What is no list leaves what was known."""
        life = next((each for each in service.lives if each.hot), None)
        base = base_url_of(life) if life is not None else None
        if life is None or base is None:
            return None
        for path in LIST_PATHS:
            body = await self._fetch(base, path, service.spec.tls_verify, life.spec.headers.set)
            names = names_in(body) if body is not None else None
            if names is not None:
                return names
        return None
