"""A gateway as the use-cases see it, without one: it remembers what it was asked, and does what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from hestia.doors import verbs_answers as answers
from hestia.doors.verbs_house import House
from hestia.plugins.strategies import Reloaded as StrategiesTold
from hestia.plugins.strategies import StrategyInfo
from hestia.roof.config import load_text
from hestia.rules.marks import ConfigError, Mark, Mistake
from hestia.store.reader import Wanted
from hestia.words.activity import Activity, Entry, Kept, Report, ServiceReport, Woke
from hestia.words.refusal import Refusal
from hestia.words.run import Run
from hestia.words.status import MachineStatus, ServiceStatus

CONFIG = """
services:
  ollama: {base_url: "http://127.0.0.1:11434", hosts: [chat.example.org, "*.chat.example.org"]}
  demo: {base_url: "http://127.0.0.1:9", listen: ["127.0.0.1:18081"], queue_timeout: 5s}
routes:
  - {match: {path: "/v1/*", method: POST, header: {x-team: a}, json: {model: "llama*"}}, service: ollama}
  - {match: {path: "/v1/*"}, strategy: by_model}
"""
TIME = "2026-05-01T12:00:00Z"


class FakeKeeper:
    """Services that start when `ready` is set, and stop at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.services = {
            "ollama": ServiceStatus(id="ollama", state="hot", readiness="ready", machine="desk", leases=2, starts=3),
            "demo": ServiceStatus(id="demo", state="cold", readiness="not_ready", machine="local", expected_start_s=4.0),
        }
        self.fleet = {
            "local": MachineStatus(id="local", state="hot"),
            "desk": MachineStatus(id="desk", state="hot", capacity={"vram": 24}, used={"vram": 12}, holds=("ollama",)),
        }
        self.ready = asyncio.Event()
        self.waiting = 0
        self.fails: str | None = None
        self.log: FakeLog | None = FakeLog()

    def status(self, id_: str) -> ServiceStatus:
        try:
            return self.services[id_]
        except KeyError:
            raise Refusal("unknown_service", f"no service is called {id_[:64]!r}; the nearest known id is 'demo'") from None

    def statuses(self) -> tuple[ServiceStatus, ...]:
        return tuple(self.services.values())

    async def look(self, ids: Sequence[str]) -> None:
        self.asked.append(("look", *ids))

    async def start(self, id_: str, cause: str = "command", wait: float | None = None) -> ServiceStatus:
        self.asked.append(("start", id_, cause, wait))
        self._becomes(id_, "starting", phase="launching")
        if wait is None:
            return self.services[id_]
        self.waiting += 1
        try:
            async with asyncio.timeout(wait):
                await self.ready.wait()
        except TimeoutError:
            raise Refusal("wait_timeout", f"{id_} was not ready in time") from None
        finally:
            self.waiting -= 1
        if self.fails is not None:
            raise Refusal("start_failed", self.fails)
        return self._becomes(id_, "hot", phase=None, last_start_s=2.5)

    def _becomes(self, id_: str, state: Any, **more: Any) -> ServiceStatus:
        self.services[id_] = msgspec.structs.replace(self.status(id_), state=state, **more)
        return self.services[id_]

    async def stop(self, id_: str, hold: float | None = None, wait: bool = False) -> ServiceStatus:
        self.asked.append(("stop", id_, hold, wait))
        return self._becomes(id_, "cold", held_until=None if hold is None else "forever" if hold == float("inf") else TIME)

    async def restart(self, id_: str) -> ServiceStatus:
        self.asked.append(("restart", id_))
        return self._becomes(id_, "starting")

    async def stop_all(self, hold: float | None = None) -> tuple[ServiceStatus, ...]:
        self.asked.append(("stop_all", hold))
        return self.statuses()

    def machines(self) -> tuple[MachineStatus, ...]:
        return tuple(self.fleet.values())

    def _machine(self, id_: str, verb: str, *more: Any) -> MachineStatus:
        self.asked.append((verb, id_, *more))
        try:
            return self.fleet[id_]
        except KeyError:
            raise Refusal("not_found", f"no machine is called {id_!r}") from None

    async def wake(self, machine: str) -> MachineStatus:
        return self._machine(machine, "wake")

    async def sleep(self, machine: str) -> MachineStatus:
        if machine == "local":
            raise Refusal("bad_request", "local is always awake")
        return self._machine(machine, "sleep")

    async def hold_machine(self, machine: str, seconds: float) -> MachineStatus:
        return self._machine(machine, "hold", seconds)

    def logs(self, id_: str) -> tuple[Any, Run] | None:
        return None if self.log is None else (self.log, Run(id="1", owner=id_, machine="local", launch=None))


class FakeLog:
    def __init__(self) -> None:
        self.kept = [f"line {number}" for number in range(200)]
        self.stream = FakeStream()

    async def lines(self, run: Run, last: int) -> list[str]:
        return self.kept[-last:]

    def follow(self, run: Run) -> FakeStream:
        return self.stream


class FakeStream:
    """Items as a test puts them; None ends it."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = 0
        self.after: str | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        item = await self.items.get()
        if item is None:
            raise StopAsyncIteration
        if isinstance(item, Exception):
            raise item
        return item

    async def aclose(self) -> None:
        self.closed += 1


class FakeSubscription(FakeStream):
    def close(self) -> None:
        self.closed += 1


class FakeEvents:
    def __init__(self) -> None:
        self.streams: list[FakeSubscription] = []

    def subscribe(self, last_event_id: str | None = None) -> FakeSubscription:
        stream = FakeSubscription()
        stream.after = last_event_id
        self.streams.append(stream)
        return stream

    def tell(self, **entry: Any) -> None:
        for stream in self.streams:
            stream.items.put_nowait(Entry(**{"ts": TIME, "kind": "service.ready", **entry}))


class FakeExchanges:
    def __init__(self) -> None:
        self.known = {
            "r1": answers.Inflight(request_id="r1", service="ollama", method="GET", path="/a", state="relaying", since="2026-05-01T12:00:00Z"),
            "r2": answers.Inflight(request_id="r2", service="demo", method="POST", path="/b", state="waiting", since="2026-05-01T12:00:05Z"),
        }

    def inflight(self) -> list[answers.Inflight]:
        return list(self.known.values())

    def cancel(self, request_id: str) -> bool:
        return self.known.pop(request_id, None) is not None


class FakeArchive:
    def __init__(self) -> None:
        self.wanted: list[Any] = []
        self.entries = [
            Entry(id=8, ts="2026-05-01T12:00:08Z", kind="service.ready", service="ollama", state="hot", machine="desk"),
            Entry(id=7, ts="2026-05-01T12:00:01Z", kind="service.starting", service="ollama", state="starting", cause="request", more={"phase": "launching"}),
        ]

    async def activity(self, wanted: Wanted) -> Activity:
        self.wanted.append(wanted)
        return Activity(activity=tuple(self.entries[: wanted.limit]))

    async def report(self, since: float | None, until: float | None) -> Report:
        self.wanted.append((since, until))
        row = ServiceReport(
            id="ollama", hours_hot=6, hours_asleep=18, requests=40, starts=3, cost=0.72, saving=2.16,
            woken_by=(Woke(who="request", starts=3),), kept_awake_by=(Kept(who="request", hours=1.5),),
        )
        other = ServiceReport(id="demo", hours_hot=0, hours_asleep=None, requests=0, starts=0)
        return Report(since="2026-05-01T00:00:00Z", until="2026-05-02T00:00:00Z", services=(row, other), machines=())

    async def backup(self, path: str) -> int:
        self.wanted.append(path)
        return 4096


class FakeFigures:
    def __init__(self) -> None:
        self.requests = 0

    def metrics(self, service: str | None) -> Mapping[str, Any]:
        self.requests += 10
        every = {id_: {"requests": self.requests, "errors": 0} for id_ in ("ollama", "demo")}
        return {"services": every if service is None else {service: every[service]}}


class FakeSettings:
    """Reloads wait for `go` and count how many run at once."""

    def __init__(self) -> None:
        self.config = load_text(CONFIG).config
        self.source: str | None = "/etc/hestia/hestia_config.yml"
        self.mistakes: list[Mistake] = []
        self.reloads = 0
        self.at_once = 0
        self.most_at_once = 0
        self.go = asyncio.Event()
        self.go.set()

    def effective(self) -> Sequence[answers.Setting]:
        source = f"{self.source}:3:3"
        return [
            answers.Setting(key="log.level", value="info", source="default"),
            answers.Setting(key="services.ollama.base_url", value="http://127.0.0.1:11434", source=source),
            answers.Setting(key="semaphore.token", value="(secret)", source="$SEMAPHORE_API_TOKEN"),
        ]

    async def check(self) -> answers.Checked:
        return answers.Checked(ok=not self.mistakes, file=self.source, mistakes=tuple(map(str, self.mistakes)))

    async def reload(self) -> answers.Reloaded:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.go.wait()
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        if self.mistakes:
            raise ConfigError(self.mistakes)
        self.reloads += 1
        return answers.Reloaded(file=self.source, changed=("ollama",), needs_restart=("data_dir",))

    def break_it(self) -> None:
        self.mistakes = [Mistake(Mark("hestia_config.yml", 3, 5), "services.ollama.idle_timout", "unknown key")]


class FakeStrategies:
    def __init__(self) -> None:
        self.reloads = 0
        self.problems: tuple[str, ...] = ()

    def infos(self) -> tuple[StrategyInfo, ...]:
        return (StrategyInfo(name="by_model", kind="route", file=None, used_by=("routes[0]",)),)

    async def reload(self) -> StrategiesTold:
        self.reloads += 1
        return StrategiesTold(loaded=("/s/mine.py",), problems=self.problems)


class FakeKeys:
    def __init__(self) -> None:
        self.names: dict[str, tuple[str, ...]] = {}

    async def create(self, name: str, services: Sequence[str]) -> answers.KeyCreated:
        if name in self.names:
            raise Refusal("bad_request", f"a key is called {name!r} already")
        self.names[name] = tuple(services)
        return answers.KeyCreated(name=name, services=tuple(services), key="hst_secret")

    async def known(self) -> Sequence[answers.KeyShown]:
        return [answers.KeyShown(name=name, services=services, created=TIME) for name, services in self.names.items()]

    async def revoke(self, name: str) -> bool:
        return self.names.pop(name, None) is not None


class FakeGateway:
    def __init__(self) -> None:
        self.addresses = ("http://127.0.0.1:8080",)
        self.started = 1_777_636_800.0
        self.log_level = "info"
        self.ends: list[str] = []
        self.ended = asyncio.Event()

    def set_log_level(self, level: str) -> None:
        self.log_level = level

    def drain(self) -> int:
        self.ends.append("drain")
        self.ended.set()
        return 2

    def shutdown(self) -> int:
        self.ends.append("shutdown")
        self.ended.set()
        return 2


def fake_house() -> House:
    """Made inside a running loop."""
    return House(
        keeper=FakeKeeper(),
        exchanges=FakeExchanges(),
        events=FakeEvents(),
        archive=FakeArchive(),
        figures=FakeFigures(),
        settings=FakeSettings(),
        strategies=FakeStrategies(),
        keys=FakeKeys(),
        gateway=FakeGateway(),
    )
