"""The gauntlet: mixed traffic, and every fault we know, for a bounded time.

A first half in one gateway's life, so that what it holds can be compared at its begin and end; then a part in which
gateways are killed and stopped over and over; and a last one in one life again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.gauntlet.faults_acts import Acts
from tests.gauntlet.faults_house import Calm, House
from tests.gauntlet.faults_ledger import KINDS, Diaries, Ledger, read_diaries
from tests.gauntlet.faults_services import NAPPERS, house_of
from tests.gauntlet.faults_traffic import Client, Traffic

WARM, STEADY, RESTARTS = 0.08, 0.4, 0.85  # until which part of the time
EACH_S = 15.0  # every kind of fault comes at least once in so many seconds: 20 times in five minutes
GATEWAYS = ("gateway killed (SIGKILL)", "gateway stopped (SIGTERM) and started")


@dataclass
class Outcome:
    """All there is to say about a run."""

    seconds: float
    ledger: Ledger
    diaries: Diaries
    calm: list[Calm] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    @property
    def faults(self) -> Counter[str]:
        """How often each kind has come."""
        naps = sum(count for name, count in self.diaries.starts.items() if name in NAPPERS)
        return Counter({**self.ledger.faults, "cold start after an idle stop": naps})


class Gauntlet:
    """One run."""

    def __init__(self, folder: Path, seconds: float) -> None:
        services, top = house_of(folder)
        self.seconds = seconds
        self.house = House(folder, services, top)
        self.ledger = Ledger()
        self.over = False
        self.restarts = False
        self.traffic = Traffic(self.house.port, self.ledger, lambda: not self.over)
        self.acts = Acts(self.house, self.ledger, self.traffic)
        self.busy = 0
        self.calm: list[Calm] = []

    async def run(self) -> Outcome:
        await self.house.begin()
        async with asyncio.TaskGroup() as tasks:
            self._clients(tasks)
            self._faults(tasks)
            await self._parts()
            self.over = True
            self.traffic.gate.set()
        self.house.process.terminate()
        code = await self.house.over(45.0)
        if code != 0:
            self.ledger.wrong.append(f"the last gateway ended with {code}")
        diaries = read_diaries(self.house.folder / "diaries")
        self.ledger.judge(diaries.got)
        return Outcome(self.seconds, self.ledger, diaries, self.calm, self.house.left_over(), self.house.mistakes())

    async def _parts(self) -> None:
        began = time.monotonic()

        async def until(part: float) -> None:
            await asyncio.sleep(max(0.0, began + part * self.seconds - time.monotonic()))

        await until(WARM)
        await self._look()
        await until(STEADY)
        await self._look()
        self.restarts = True
        await until(RESTARTS)
        await self._have_come(GATEWAYS, began + 2 * self.seconds)
        self.restarts = False
        await until(1.0)
        await self._have_come(KINDS, began + 3 * self.seconds)
        await self._look()

    @property
    def least(self) -> int:
        return max(1, int(self.seconds / EACH_S))

    async def _have_come(self, kinds: tuple[str, ...], limit: float) -> None:
        """A slow machine is given more time, so that each kind of fault comes as often as it must."""
        while min(self.ledger.faults[kind] for kind in kinds) < self.least and time.monotonic() < limit:
            await asyncio.sleep(0.2)

    async def _look(self) -> None:
        """Everybody pauses until all is cold; what the gateway holds then is compared later."""
        self.traffic.gate.clear()
        end = time.monotonic() + 90
        while self.ledger.open or self.busy:
            assert time.monotonic() < end, f"{self.ledger.open} requests do not end, {self.busy} faults neither"
            await asyncio.sleep(0.05)
        self.calm.append(await self.house.calm())
        self.traffic.gate.set()

    def _clients(self, tasks: asyncio.TaskGroup) -> None:
        visits: list[tuple[Callable[[Client, str], Awaitable[None]], str, int, float, float]] = [
            (Client.mixed, "plain", 6, 0.0, 0.02),
            (Client.chosen, "plain", 1, 0.05, 0.2),
            (Client.dispatched, "plain", 1, 0.05, 0.2),
            (Client.own, "", 1, 0.1, 0.3),
            *((Client.comes_in_a_burst, name, 1, 0.25, 0.9) for name in NAPPERS),
            (Client.mixed, "prey", 2, 0.0, 0.1),
            (Client.mixed, "frozen", 2, 0.0, 0.1),
            (Client.mixed, "halted", 2, 0.0, 0.1),
            (Client.mixed, "shifting", 2, 0.0, 0.1),
            (Client.mixed, "gone", 1, 0.0, 0.2),
            (Client.get, "held", 1, 0.0, 0.3),
            (Client.is_cut_off, "cut", 1, 0.1, 0.4),
            (Client.get, "hung", 1, 0.2, 1.5),
            (Client.post, "stuck", 1, 0.3, 0.8),
            (Client.crowds, "crowded", 1, 0.5, 1.5),
            (Client.reads_slowly, "plain", 1, 0.2, 1.0),
            (Client.sends_slowly, "plain", 1, 0.2, 1.0),
            (Client.vanishes, "plain", 3, 0.05, 0.3),
        ]
        seed = 0
        for visit, service, count, low, high in visits:
            for _ in range(count):
                seed += 1
                tasks.create_task(self.traffic.come_and_go(seed, _to(visit, service), low, high))

    def _faults(self, tasks: asyncio.TaskGroup) -> None:
        acts = self.acts
        always: list[tuple[Callable[[], Awaitable[None]], float, float]] = [
            (acts.upstream_killed, 0.5, 2.0),
            (acts.upstream_frozen, 1.0, 3.0),
            (acts.launcher_hangs, 1.0, 3.0),
            (acts.launcher_hangs_once, 1.0, 3.0),
            (acts.stopped, 0.5, 3.0),
            (acts.cancelled, 0.2, 1.0),
            (acts.held, 1.0, 3.0),
            (acts.reloaded, 1.0, 4.0),
            (acts.reloaded_badly, 1.0, 5.0),
            (acts.shifted, 1.0, 4.0),
            (acts.removed, 1.0, 4.0),
            (acts.strategies_reloaded, 1.0, 4.0),
            (acts.clock_jumps, 1.0, 4.0),
        ]
        for seed, (act, low, high) in enumerate(always):
            tasks.create_task(self._rounds(seed, act, low, high, lambda: True))
        tasks.create_task(self._rounds(100, acts.disk_full, 0.5, 3.0, lambda: not self.restarts))
        tasks.create_task(self._rounds(101, acts.gateway_ended, 0.2, 0.8, lambda: self.restarts))

    async def _rounds(
        self, seed: int, act: Callable[[], Awaitable[None]], low: float, high: float, may: Callable[[], bool]
    ) -> None:
        chance = random.Random(1000 + seed)
        while not self.over:
            await asyncio.sleep(chance.uniform(low, high))
            await self.traffic.gate.wait()
            if self.over or not may():
                continue
            self.busy += 1
            try:
                await act()
            finally:
                self.busy -= 1


def _to(visit: Callable[[Client, str], Awaitable[None]], service: str) -> Callable[[Client], Awaitable[None]]:
    return lambda client: visit(client, service)
