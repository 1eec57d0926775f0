"""A world for the core: virtual time, and a keeper that performs effects at once or after a while, as told."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any

from hestia.core.fleet import Fleet, World
from hestia.core.life import Life
from hestia.core.line import Waiter
from hestia.core.service import Service
from hestia.roof.config import load_text
from hestia.words import states
from hestia.words.refusal import Refusal
from hestia.words.run import Run
from hestia.words.states import Phase


def ready(_life: Life) -> list[tuple[float, Any]]:
    """What happens in a phase: events, each so many seconds after it was entered."""
    return [(0.01, states.Ready())]


@dataclass
class Script:
    """How one service's (or machine's) launcher, check and stop behave: (delay, event) for each phase."""

    checking: Callable[[Life], list[tuple[float, Any]]] = lambda _life: [(0.001, states.NotFound())]
    launching: Callable[[Life], list[tuple[float, Any]]] = lambda _life: [(0.01, states.Launched())]
    probing: Callable[[Life], list[tuple[float, Any]]] = ready
    hot: Callable[[Life], list[tuple[float, Any]]] = lambda _life: []
    stopping: Callable[[Life], list[tuple[float, Any]]] = lambda _life: [(0.01, states.Stopped())]


@dataclass(eq=False)
class Asker:
    """A request, as the fleet sees it."""

    name: str = "r"
    life: Life | None = None
    refusal: Refusal | None = None
    waiter: Waiter | None = None
    since: float = 0.0
    done_at: float | None = None


@dataclass
class Stage:
    """The fleet in its world."""

    config: Any
    world: World = field(init=False)
    fleet: Fleet = field(init=False)
    lived: int = 0  # how often the gateway was started again
    now: float = 1000.0
    wall: float = 1_700_000_000.0
    scripts: dict[str, Script] = field(default_factory=dict)
    notes: list[Any] = field(default_factory=list)
    granted: list[Asker] = field(default_factory=list)
    running: dict[str, Run] = field(default_factory=dict)  # what really runs, by run id
    written: dict[str, Run] = field(default_factory=dict)  # what is written down
    busy: dict[str, bool] = field(default_factory=dict)
    broken_off: list[Life] = field(default_factory=list)
    agenda: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    order: Any = field(default_factory=count)
    watching: Callable[[Any], None] | None = None
    chance: random.Random = field(default_factory=lambda: random.Random(1))

    def __post_init__(self) -> None:
        self.world = World(
            clock=lambda: self.now,
            wall=lambda: self.wall + self.now - 1000.0,
            perform=lambda effects: self.perform(effects),  # noqa: PLW0108 - a test may replace it
            jitter=lambda: self.chance.random(),  # noqa: PLW0108 - likewise
            watched_by_launcher=lambda launch: launch is not None,
        )
        self.fleet = Fleet(self.config, self.world)

    def script(self, life: Life) -> Script:
        return self.scripts.get(life.owner.id, self.scripts.setdefault("", Script()))

    def at(self, delay: float, work: Callable[[], None]) -> None:
        heappush(self.agenda, (self.now + delay, next(self.order), work))

    # --- the keeper's part

    def perform(self, effects: list[Any]) -> None:
        for effect in effects:
            if self.watching is not None:
                self.watching(effect)
            match effect:
                case states.Enter(life, epoch):
                    if life.epoch == epoch:
                        self.enter(life, epoch)
                case states.Grant(waiter, life):
                    waiter.asker.life = life
                    waiter.asker.done_at = self.now
                    self.granted.append(waiter.asker)
                case states.Refuse(waiter, refusal):
                    waiter.asker.refusal = refusal
                    waiter.asker.done_at = self.now
                case states.Say(note):
                    self.notes.append(note)
                case states.Forget(run):
                    assert run.id not in self.running, f"{run.id} is forgotten and runs"
                    del self.written[run.id]
                case states.AskIdle(owner, life, cause):
                    yes = not self.busy.get(owner.id, False)
                    self.at(0.01, lambda o=owner, x=life, y=yes, c=cause: self.answer(o, x, yes=y, cause=c))
                case states.Hangup(life, True):
                    self.broken_off.append(life)

    def answer(self, owner: Service, life: Life, *, yes: bool, cause: Any) -> None:
        self.fleet.answered(owner, life, yes=yes, cause=cause)

    def enter(self, life: Life, epoch: int) -> None:
        script = self.script(life)
        if life.phase is Phase.LAUNCHING:
            self.launch(life, epoch)
        plans = {
            Phase.CHECKING: script.checking,
            Phase.LAUNCHING: script.launching,
            Phase.PROBING: script.probing,
            Phase.HOT: script.hot,
            Phase.STOPPING: script.stopping,
            Phase.CLEARING: script.stopping,
        }
        for delay, event in plans.get(life.phase, lambda _life: [])(life):
            self.at(delay, lambda e=event: self.told(life, epoch, e))

    def launch(self, life: Life, epoch: int) -> None:
        of = "machine" if life.settings.machine else "service"
        run = Run(
            id=f"{life.key}#{self.lived}.{epoch}", of=of, owner=life.owner.id, number=life.number, machine=life.machine, launch=None
        )
        twins = [one.id for one in self.running.values() if (one.of, one.owner, one.number) == (of, run.owner, run.number)]
        assert not twins, f"{run.id} is launched while {twins} may still run"
        life.run = run
        self.written[run.id] = run
        self.running[run.id] = run

    def told(self, life: Life, epoch: int, event: Any) -> None:
        if life.epoch != epoch:
            return
        if isinstance(event, states.Stopped) and life.run is not None:
            self.running.pop(life.run.id, None)
        self.fleet.tell(life, event)

    def again(self) -> None:
        """The gateway is killed and started again: what is written down is adopted, machines first."""
        self.lived += 1
        self.agenda.clear()
        self.fleet = Fleet(self.config, self.world)
        for run in sorted(self.written.values(), key=lambda one: one.of != "machine"):
            life = self.place_of(run)
            if life is None:  # gone from the configuration: it is stopped
                del self.running[run.id], self.written[run.id]
            else:
                self.fleet.tell(life, states.Adopt(run))

    def place_of(self, run: Run) -> Life | None:
        if run.of == "machine":
            machine = self.fleet.machines.get(run.owner)
            return machine.life if machine is not None and not machine.always else None
        service = self.fleet.services.get(run.owner)
        lives = [life for life in service.lives if life.number == run.number] if service is not None else []
        return lives[0] if lives and lives[0].machine == run.machine else None

    def reload(self, services: dict[str, Any], **top: Any) -> None:
        """Another configuration."""
        self.config = configured(services, **top)
        self.fleet.adopt(self.config)

    # --- time

    def run_until(self, when: float) -> None:
        """Everything that is due until then, in its order."""
        while self.next_at() <= when:
            self.step()
        self.now = max(self.now, when)

    def next_at(self) -> float:
        return min(self.fleet.next_look(), self.agenda[0][0] if self.agenda else float("inf"))

    def step(self) -> bool:
        """The next thing that is due. False: nothing ever is."""
        due, first = self.fleet.next_look(), self.agenda[0][0] if self.agenda else float("inf")
        if min(due, first) == float("inf"):
            return False
        self.now = max(self.now, min(due, first))
        if due <= first:
            self.fleet.look()
        else:
            heappop(self.agenda)[2]()
        return True

    def run(self, seconds: float) -> None:
        self.run_until(self.now + seconds)

    # --- requests

    def ask(self, service: str, name: str = "r") -> Asker:
        """A request: leased at once, or in the line, or refused."""
        asker = Asker(name, since=self.now)
        self.ask_as(service, asker)
        return asker

    def ask_as(self, service: str, asker: Asker) -> None:
        owner = self.fleet.services[service]
        life = owner.lease_nowait()
        if life is not None:
            asker.life, asker.done_at = life, self.now
            self.granted.append(asker)
            return
        asker.waiter = Waiter(asker, asker.name)
        owner.ask(asker.waiter)
        self.fleet.settle()

    def end(self, asker: Asker) -> None:
        """Its exchange is over."""
        assert asker.life is not None
        asker.life.release(self.now)
        self.fleet.settle()

    def leave(self, service: str, asker: Asker) -> None:
        """Its client goes away while it waits."""
        self.fleet.services[service].left(asker.waiter)
        self.fleet.settle()

    def kinds(self, service: str | None = None) -> list[str]:
        return [note.kind for note in self.notes if service is None or note.service == service]


LAUNCHED = {"launch": {"kind": "process", "command": ["serve", "{port}"]}}


def configured(services: dict[str, Any], **top: Any) -> Any:
    """A configuration as a file would say it."""
    filled = {
        id_: said if {"base_url", "launch", "places"} & said.keys() else {**LAUNCHED, **said} for id_, said in services.items()
    }
    text = json.dumps({"services": {"ollama": None, **filled}, **top})
    return load_text(text, name="hestia_config.yml").config


def stage(services: dict[str, Any], **top: Any) -> Stage:
    """A fleet of these services; a service without any key of a place is a launched process."""
    return Stage(configured(services, **top))
