"""A launcher in memory, for tests of what stands above launchers. It passes the conformance suite like the real ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from hestia.ports import LaunchFailed, RunState
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from hestia.ports import Record


class World:
    """What outlives a gateway: which things run, what they print, how they end. Tests reach in here."""

    def __init__(self) -> None:
        self.running: dict[str, int] = {}  # target -> how many
        self.printed: dict[str, list[str]] = {}
        self.ended: dict[str, asyncio.Event] = {}
        self.words: dict[str, str] = {}
        self.down = False  # the engine is out of reach
        self.serial = 0

    def begin(self, target: str) -> None:
        self.running[target] = self.running.get(target, 0) + 1
        self.ended[target] = asyncio.Event()

    def end(self, target: str, words: str = "was ended by signal SIGKILL") -> None:
        """As when it dies by itself."""
        if self.running.pop(target, 0):
            self.words[target] = words
            self.ended[target].set()


class FakeLauncher:
    """How starts go is set by the test: `fails`, `delay`, `crashes` are looked up by the run's owner.

    `did` is the record: ("start", owner), ("stop", owner), in order.
    """

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.fails: dict[str, str] = {}  # owner -> the reason of its failing starts
        self.fails_to_stop: dict[str, str] = {}
        self.crashes: dict[str, str] = {}  # owner -> how it ends, at once
        self.delay: dict[str, float] = {}
        self.stop_delay: dict[str, float] = {}
        self.tells: dict[str, Told] = {}
        self.strangers: dict[str, str] = {}
        self.did: list[tuple[str, str]] = []
        self._turns: dict[str, asyncio.Lock] = {}

    def _turn(self, target: str) -> asyncio.Lock:
        return self._turns.setdefault(target, asyncio.Lock())

    async def start(self, run: Run, record: Record) -> Told:
        target = target_of(run)
        async with self._turn(target):
            self._reach()
            if target in self.world.running:
                return self.tells.get(run.owner, Told())
            if run.owner in self.fails:
                self.did.append(("start", run.owner))
                raise LaunchFailed(self.fails[run.owner])
            await record({"target": target})
            self.did.append(("start", run.owner))
            self.world.begin(target)
            await asyncio.sleep(self.delay.get(run.owner, 0))
            if run.owner in self.crashes:
                self.world.end(target, self.crashes[run.owner])
            return self.tells.get(run.owner, Told())

    async def stop(self, run: Run) -> None:
        target = target_of(run)
        async with self._turn(target):
            self._reach()
            self.did.append(("stop", run.owner))
            if run.owner in self.fails_to_stop:
                raise LaunchFailed(self.fails_to_stop[run.owner])
            await asyncio.sleep(self.stop_delay.get(run.owner, 0))
            self.world.end(target, "was ended by signal SIGTERM")

    def _reach(self) -> None:
        if self.world.down:
            raise LaunchFailed("the engine is out of reach")

    async def state(self, run: Run) -> RunState:
        if self.world.down:
            return "unknown"
        return "running" if target_of(run) in self.world.running else "stopped"

    async def gone(self, run: Run) -> str:
        target = target_of(run)
        if target in self.world.running:
            await self.world.ended[target].wait()
        return self.world.words.get(target, "is gone")

    def told(self, run: Run) -> Told:
        return self.tells.get(run.owner, Told())

    def stranger(self, run: Run, url: str) -> str | None:
        return self.strangers.get(run.owner)

    async def lines(self, run: Run, last: int) -> list[str]:
        return self.world.printed.get(run.owner, [])[-last:] if last > 0 else []

    async def follow(self, run: Run) -> AsyncIterator[str]:
        at = len(self.world.printed.get(run.owner, []))
        while True:
            fresh = self.world.printed.get(run.owner, [])[at:]
            at += len(fresh)
            for line in fresh:
                yield line
            await asyncio.sleep(0.05)


def target_of(run: Run) -> str:
    """One thing for each place or machine, however many lives name it."""
    return f"{run.of}:{run.owner}:{run.number}"


def fake_run(owner: str, **more: Any) -> Run:
    """The least of a run that the fake needs."""
    return Run(**{"id": f"{owner}-1", "owner": owner, "machine": "local", "launch": None, **more})
