"""A keeper whose outside is in memory: a launcher, checks, a notebook, and two clocks that the test can move."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from hestia.keeper.commands import Commands
from hestia.keeper.keeper import Keeper
from hestia.keeper.outside import Outside
from hestia.keeper.turnstile import Turnstile
from hestia.ports import Check, Seen
from hestia.roof.config import load_text
from hestia.words.notes import Note
from hestia.words.refusal import Refusal
from hestia.words.run import Run
from hestia.words.spec import Config
from tests.support.fake_launcher import FakeLauncher, World

DEADLINE = 3.0
LAUNCH = {"kind": "process", "command": ["serve"]}


class Notebook:
    """What is written down: it outlives the gateway."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.holds: dict[str, float | None] = {}
        self.slow = asyncio.Event()
        self.slow.set()

    async def record(self, run: Run) -> None:
        await self.slow.wait()
        self.runs[run.id] = run

    async def forget(self, run_id: str) -> None:
        self.runs.pop(run_id, None)

    async def hold(self, what: str, until: float | None) -> None:
        self.holds[what] = until
        await self.slow.wait()


class Asker:
    """A request, as the line sees it."""

    def __init__(self) -> None:
        self.lease: Any = None
        self.waited: float | None = None
        self.refusal: Refusal | None = None

    def granted(self, lease: Any, waited: float | None) -> None:
        self.lease, self.waited = lease, waited

    def refused(self, refusal: Refusal) -> None:
        self.refusal = refusal

    @property
    def answered(self) -> bool:
        return self.lease is not None or self.refusal is not None


class Stage:
    """One gateway's keeper. `world` and `notebook` may be those of a gateway before it."""

    def __init__(self, services: dict[str, Any], top: dict[str, Any], world: World | None, notebook: Notebook | None) -> None:
        self.launcher = FakeLauncher(world)
        self.notebook = notebook or Notebook()
        self.notes: list[Note] = []
        self.mistakes: list[BaseException] = []
        self.hung_up: list[tuple[str, bool]] = []
        self.checks: list[str] = []
        self.answers: dict[str, Seen] = {}  # url -> what a check of it sees; else whether its service runs
        self.busy: dict[str, str | None] = {}
        self.ahead = self.wall_ahead = 0.0
        self.serial = 0
        self.keeper = Keeper(configured(services, top), self.outside())
        self.commands = Commands(self.keeper)

    def reload(self, services: dict[str, Any], **top: Any) -> None:
        self.keeper.adopt(configured(services, top))

    def outside(self) -> Outside:
        return Outside(
            clock=lambda: time.monotonic() + self.ahead,
            wall=lambda: time.time() + self.wall_ahead,
            launcher_for=lambda _launch: self.launcher,
            probe=self.probe,
            asks=self.asks,
            records=self.notebook,
            tell=self.notes.append,
            way_to=lambda _life, url: url,
            hang_up=lambda life, break_off: self.hung_up.append((life.owner.id, break_off)),
            failed=self.mistakes.append,
            free_port=lambda taken: next(port for port in range(20000, 30000) if port not in taken),
            private_socket=lambda name: f"/run/{name}.sock",
            new_id=self.new_id,
            data_dir="/data",
        )

    def new_id(self) -> str:
        self.serial += 1
        return f"run-{id(self) % 10_000}-{self.serial}"

    async def probe(self, check: Check) -> Seen:
        self.checks.append(check.url)
        await asyncio.sleep(0)
        if check.url in self.answers:
            return self.answers[check.url]
        owner = (urlsplit(check.url).hostname or "").partition(".")[0]
        return Seen() if f"service:{owner}:0" in self.launcher.world.running else Seen("connection refused")

    async def asks(self, url: str) -> str | None:
        return self.busy.get(url)

    def service(self, id_: str = "a") -> Any:
        return self.keeper.fleet.services[id_]

    def life(self, id_: str = "a", number: int = 0) -> Any:
        return self.service(id_).lives[number]

    def state(self, id_: str = "a") -> str:
        return self.commands.status(id_).state

    def kinds(self, service: str = "a") -> list[str]:
        return [note.kind for note in self.notes if note.service == service]

    def ask(self, id_: str = "a") -> Asker:
        """A request that has to wait."""
        asker = Asker()
        Turnstile(self.service(id_), self.keeper.fleet).wait(asker, f"request-{id(asker)}", "tester")
        return asker

    async def until(self, condition: Callable[[], Any], within: float = DEADLINE) -> Any:
        end = time.monotonic() + within
        while not (said := condition()):
            assert time.monotonic() < end, (self.keeper.fleet.services, self.notes[-5:], self.mistakes)
            await asyncio.sleep(0.001)
        return said

    async def reaches(self, wanted: str, id_: str = "a") -> None:
        await self.until(lambda: self.state(id_) == wanted)


def configured(services: dict[str, Any], top: dict[str, Any]) -> Config:
    filled = {"ollama": None, **{id_: {**quick(id_), **said} for id_, said in services.items()}}
    return load_text(json.dumps({"services": filled, **top}), name="hestia_config.yml").config


def quick(id_: str) -> dict[str, Any]:
    return {
        "base_url": f"http://{id_}.test",
        "launch": LAUNCH,
        "health_interval": "5ms",
        "start_timeout": "2s",
        "start_attempts": 1,
        "failure_cooldown": "30s",
        "watch_interval": 0,
    }


@asynccontextmanager
async def staged(
    services: dict[str, Any] | None = None,
    *,
    world: World | None = None,
    notebook: Notebook | None = None,
    mistakes: bool = False,
    **top: Any,
) -> AsyncIterator[Stage]:
    """Open, and closed without stopping anything; a mistake that nobody expects fails the test."""
    stage = Stage({"a": {}} if services is None else services, top, world, notebook)
    stage.keeper.open()
    stage.keeper.follow_the_calendar()
    try:
        yield stage
    finally:
        await stage.keeper.close()
    assert bool(stage.mistakes) == mistakes, stage.mistakes
