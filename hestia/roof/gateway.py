"""A gateway: opened once, closed once, in order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import IO, TYPE_CHECKING

from hestia.doors.control_socket import CannotListen, NoFolder
from hestia.doors.key_desk import KeyDesk
from hestia.keeper.adoption import adopt
from hestia.roof.host import lock
from hestia.roof.listen import CannotStart
from hestia.roof.listening import Listening, Next
from hestia.store.opening import NewerSchema
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hestia.core.fleet import Fleet
    from hestia.core.life import Life
    from hestia.doors.control import Control
    from hestia.doors.shared import Shared
    from hestia.keeper.commands import Commands
    from hestia.keeper.keeper import Keeper
    from hestia.relay.place import Relayed
    from hestia.roof.choices import Choices
    from hestia.roof.house import Rooms
    from hestia.roof.reload import Reload
    from hestia.roof.ways import Ways
    from hestia.rules.marks import Mark
    from hestia.rules.paths import Path
    from hestia.store.store import Store
    from hestia.telemetry.bulletin import Bulletin
    from hestia.words.spec import Config

LONGEST_STOP = 60.0
"""The stops at the end are bounded: what ignores even KILL must not keep the gateway from exiting."""


class Gateway:
    """What the roof has composed. `open` starts it, `close` ends it; nothing else does either."""

    def __init__(
        self,
        config: Config,
        shared: Shared,
        keeper: Keeper,
        commands: Commands,
        store: Store,
        bulletin: Bulletin,
        ways: Ways,
        relayed: dict[str, Relayed],
        choices: Choices,
    ) -> None:
        self.config = config
        self.shared = shared
        self.keeper = keeper
        self.commands = commands
        self.listening = Listening(shared)
        self._store = store
        self._bulletin = bulletin
        self.ways = ways
        self.relayed = relayed
        self.choices = choices
        # Set by the roof before it is opened: they know the gateway themselves.
        self.control: Control
        self.reload: Reload
        self.rooms: Rooms
        self.marks: Mapping[Path, Mark] = {}  # where each key was said
        self.warnings: list[str] = []
        self._lock: IO[str] | None = None
        self._empty = asyncio.Event()
        self.keys = KeyDesk(store, shared, shared.login)

    @property
    def addresses(self) -> list[str]:
        return self.listening.addresses

    @property
    def fleet(self) -> Fleet:
        return self.keeper.fleet

    async def open(self) -> None:
        """Listen everywhere, or nowhere: raises CannotStart. What an earlier gateway left running is adopted."""
        self._lock = lock(self.config.data_dir)
        first: Next | None = None
        try:
            first = self.listening.prepare(self.config)
            await self._open_inside()
        except BaseException:
            if first is not None:
                self.listening.drop(first)
            await self.shared.fence.close()
            await self.keeper.close()
            await self.control.close()
            await self._store.close()
            self._unlock()
            raise
        await self.listening.follow(first)

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _open_inside(self) -> None:
        try:
            await self._store.open()
        except NewerSchema as problem:
            raise CannotStart(str(problem), usage=True) from problem
        self._bulletin.go_on_after(self._store.last_entry)
        self.remember(self.config)
        self.ways.loop_tag = self.shared.loop_tag = f"hestia-{self._store.gateway_id}".encode()
        self.shared.sessions.belong_to(self._store.gateway_id)
        self.keys.settle()  # the keys of the database count from the first request
        try:
            self.warnings = await self.control.open()
        except NoFolder as problem:  # services can be used all the same
            self.warnings = [f"{problem}; until a restart hestiactl cannot reach this gateway"]
        except CannotListen as problem:
            raise CannotStart(str(problem)) from problem
        self._recall()
        self.choices.lists.open()
        self.shared.sweep.chores += [self._prune, self._look_if_empty, self.rooms.minutes.look]
        self.shared.fence.spawn(self.shared.sweep.run())
        self.keeper.open()
        await adopt(self.keeper, self._store.runs())
        await self.control.serve()
        self.keeper.follow_the_calendar()

    def remember(self, config: Config) -> None:
        """What the database says about the configuration in force."""
        self._store.retention = config.retention
        self._store.loaded(config)

    def _recall(self) -> None:
        """What the operator holds, and how long starts took."""
        for (of, id_), until in self._store.holds().items():
            if of == "all":
                self.fleet.held_all_until = until
            elif of == "service" and id_ in self.fleet.services:
                self.fleet.services[id_].held_until = until
            elif of == "machine" and id_ in self.fleet.machines:
                self.fleet.machines[id_].held_until = until
        for service in self.fleet:
            service.expected_start_s = self._store.expected_start(service.id)

    def busy(self) -> dict[str, int]:
        """What a graceful end waits for."""
        return {"connections": len(self.shared.fronts), "leases": self.fleet.leases}

    async def close(self, grace: float) -> int:
        """Stop accepting, let running exchanges finish for `grace` seconds, break off the rest. Returns how many."""
        self.listening.close()
        self.shared.begin_closing()
        self.fleet.close_lines(Refusal("stopped", "the gateway is shutting down"))
        self._look_if_empty()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self._empty.wait()
        unfinished = len(self.shared.fronts)
        self.shared.abort()
        await self._stop_what_was_launched()
        await self._let_go()
        return unfinished

    async def _stop_what_was_launched(self) -> None:
        """But for what shall go on without us: that is found again by the next gateway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_STOP):
                await self.keeper.stop_all_for_good()

    async def _let_go(self) -> None:
        """Close what no client sees. Each step is bounded: nothing here waits for the other side."""
        self._bulletin.close()
        await self.shared.server.shutdown(0.1)
        self.shared.login.close()
        await self.shared.fence.close()
        await self.keeper.close()
        for life in self.fleet.places():
            self.hang_up(life, False)
        self.rooms.minutes.write()
        await self._store.close()
        await self.control.close()  # last: who asked for this end waits for the end of the file
        self._unlock()
        await asyncio.sleep(0)  # transports tell their protocols of their end in the loop's next round

    def hang_up(self, life: Life, break_off: bool) -> None:
        """Idle connections to a place are closed; what still runs through it, too, if it is over."""
        if life.way is not None:
            life.way.pool.close()
        if break_off and (life.leases or life.quiet):
            for front in list(self.shared.fronts):
                front.cut(life)

    def _prune(self) -> None:
        for life in self.fleet.places():
            if life.way is not None:
                life.way.pool.prune()

    def _look_if_empty(self) -> None:
        if self.shared.closing and not self.shared.fronts:
            self._empty.set()
