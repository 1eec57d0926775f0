"""All services and machines, and what joins them: who is told what, in which order, and when somebody is due.

`apply` tells a life an event at once; what the life tells its owner waits until that step is over, so nobody is told
anything in the middle of a decision. What is to be done outside is handed over when everything has been decided.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from hestia.core.changes import Changes, adopt, settle_change
from hestia.core.life import Life
from hestia.core.machine import Machine
from hestia.core.refusals import hold_of, in_the_way
from hestia.core.room import Pool, Rooms, above, dozing, is_ending
from hestia.core.service import Service
from hestia.core.starts import under_way
from hestia.core.table import tell
from hestia.words.refusal import Refusal
from hestia.words.states import FOR_OWNERS, STARTING, Due, Emptied, Event, Found, NeedsHot, Phase

if TYPE_CHECKING:
    from hestia.words.launch_spec import Launch
    from hestia.words.spec import Config

FOREVER = inf


def _in_order(_service: Service, places: list[Life]) -> list[Life]:
    return places


def _least_busy(_service: Service, places: list[Life]) -> Life:
    return min(places, key=lambda life: life.leases)


class World(NamedTuple):
    """What the fleet is given of the outside: two clocks, chance, the rules of strategies, and who does its effects."""

    clock: Callable[[], float]
    wall: Callable[[], float]
    perform: Callable[[list[Any]], None]
    jitter: Callable[[], float] = float
    watched_by_launcher: Callable[[Launch | None], bool] = bool
    placement: Callable[[Service, list[Life]], list[Life]] = _in_order
    balance: Callable[[Service, list[Life]], Life] = _least_busy


class Fleet:
    """Owns the live objects. They keep their identity for as long as their id is configured."""

    def __init__(self, config: Config, world: World) -> None:
        self.clock = world.clock
        self.wall = world.wall
        self.jitter = world.jitter
        self.watched_by_launcher = world.watched_by_launcher
        self.balance = world.balance
        self._placement = world.placement
        self._perform = world.perform
        self._inbox: deque[Any] = deque()
        self._out: list[Any] = []
        self._settling = False
        self._starts = 0
        self.closing = False
        self.held_all_until: float | None = None
        self.rooms = Rooms(self)
        self.machines = {id_: Machine(spec, self) for id_, spec in config.machines.items()}
        self.services = {id_: Service(spec, self) for id_, spec in config.services.items()}
        self.leaving: dict[str, Service] = {}  # gone from the configuration, and not cold yet

    def __iter__(self) -> Iterator[Service]:
        return iter(self.services.values())

    @property
    def leases(self) -> int:
        """Exchanges in progress, over all services: what a graceful end waits for."""
        return sum(life.leases + life.quiet for life in self.places())

    def places(self) -> Iterator[Life]:
        return (life for service in (*self.services.values(), *self.leaving.values()) for life in service.lives)

    def lives(self) -> Iterator[Life]:
        """Of places and machines."""
        yield from self.places()
        for machine in self.machines.values():
            yield machine.life

    # --- one step

    def tell(self, life: Life, event: Event) -> None:
        """From outside: the event and all that follows from it."""
        if life.phase is Phase.COLD and type(event) is Found and not self.welcomes(life):
            return
        self.apply(life, event)
        self.settle()

    def welcomes(self, life: Life) -> bool:
        """Whether a cold one may be found hot, whoever started it: not what is held, nor what is about to go."""
        service: Service = life.owner
        stays = self.services.get(service.id) is service and service.next_spec is None and life in service.lives
        return stays and self.held(service) is None

    def apply(self, life: Life, event: Event) -> None:
        """From inside a step."""
        before = life.epoch
        for effect in tell(life, event, self.clock()):
            (self._inbox if type(effect) in FOR_OWNERS else self._out).append(effect)
        if life.epoch != before:
            life.owner.refresh()  # at once: one that is being stopped must not be leased

    def do(self, effect: Any) -> None:
        self._out.append(effect)

    def settle(self) -> None:
        """Everybody is told what concerns him; then what is to be done is handed over, once, in order."""
        if self._settling:
            return
        self._settling = True
        try:
            while True:
                while self._inbox:
                    message = self._inbox.popleft()
                    message.life.owner.on(message)
                self.rooms.review()
                if not self._inbox:
                    break
        finally:
            self._settling = False
            out, self._out = self._out, []
            self._perform(out)

    def released(self, life: Life) -> None:
        """A lease ended, and somebody wanted to hear of it."""
        if not life.leases and life.wants_its_end:
            self.apply(life, Emptied())
        if not life.settings.machine:
            life.owner.pump()
        self.settle()

    def answered(self, owner: Any, life: Life, *, yes: bool, cause: Any) -> None:
        """Whether it may be stopped now, as far as it was asked (`AskIdle`)."""
        owner.may_stop(life, yes=yes, cause=cause)
        self.settle()

    def close_lines(self, refusal: Refusal) -> None:
        """The gateway closes: who waits is told, and nobody waits any more."""
        self.closing = True
        for service in self:
            service.refuse_all(refusal)
        self.settle()

    # --- time

    def next_look(self) -> float:
        """When somebody is due; inf: nobody."""
        times = [life.due for life in self.lives() if life.due is not None]
        times += [service.next_look() for service in self.services.values()]
        if self.rooms.due is not None:
            times.append(self.rooms.due)
        return min(times, default=inf)

    def look(self) -> None:
        """Tells everybody who is due."""
        now = self.clock()
        for life in list(self.lives()):
            if life.due is not None and life.due <= now:
                life.due = None
                self.apply(life, Due())
        for service in list(self.services.values()):
            if service.next_look() <= now:
                service.look(now)
        self.settle()

    def tick(self, inside: Mapping[str, bool]) -> None:
        """Looks at what should be hot without a request; `inside` says for which services a window is open now."""
        for service in list(self.services.values()):
            service.set_warm(inside=inside.get(service.id, False))
        self.settle()

    def next_number(self) -> int:
        """Of a start, among all."""
        self._starts += 1
        return self._starts

    # --- room

    def want_room(self, life: Life) -> None:
        if life.phase is Phase.ROOM:
            self.rooms.want(life)

    def let_go(self, life: Life) -> None:
        """A place is cold: its room, its machine and what it depends on are free of it."""
        self.rooms.leave(life)
        self.machines[life.machine].let_go(life)
        for service in self.needed_by(life):
            service.needs.no_more(life)

    def take_up(self, life: Life) -> None:
        """A place that ran already keeps its machine awake, and what is hot of what it depends on.

        One that dozes and is ended needs its machine for that, and nothing else.
        """
        self.machines[life.machine].uses(life)
        for service in self.needed_by(life) if life.phase is not Phase.CLEARING else ():
            service.needs.lease(life)

    def pin(self, life: Life) -> None:
        """What it depends on and is hot must not be stopped while it starts."""
        for service in self.needed_by(life):
            if service.state == "hot":
                service.needs.lease(life)

    def what_is_in_the_way(self, life: Life) -> str:
        return in_the_way(self, life)

    def needs_of(self, life: Life) -> dict[str, float]:
        return dict(life.owner.spec.needs) if not life.settings.machine else {}

    def pool(self, machine: str) -> Pool:
        lives = [life for life in self.places() if life.machine == machine and life.room]
        return Pool(machine, lives, self)

    def may_go(self, life: Life) -> bool:
        """Whether it may be stopped to make room: now, or when its leases have ended and it was hot for long enough.

        One that starts will be hot soon. One that is kept awake by something else is in the way for longer: so is one
        that a hot one depends on, unless that one never sleeps by itself (`idle_timeout: 0`) and may go before it.
        """
        return self._is_no_obstacle(life) and all(
            is_ending(each) or (not each.settings.idle_timeout and self._is_no_obstacle(each))
            for each in above(life)
        )

    def _is_no_obstacle(self, life: Life) -> bool:
        """But for what depends on it."""
        service = life.owner
        if dozing(life):
            return service not in self.needed_by_starts()
        if service.needing or service.kept_warm:
            return False
        if self.clock() < life.busy_until or service in self.needed_by_starts():
            return False
        s = life.settings
        return life.managed if life.hot else bool(under_way(life) and s.own_launch and s.stops)

    def needed_by_starts(self) -> set[Service]:
        """All that lies below a start which has its room already: it counts on what is there."""
        starts = {life.owner for life in self.places() if life.room and life.phase in STARTING}
        return {below for service in starts for below in self._below(service)}

    def choices(self, life: Life) -> list[Life]:
        """Where this start could take place: where it is, then the places that its service did not try yet."""
        return [life, *life.owner.start_policy.candidates]

    def closure(self, life: Life) -> tuple[list[Life], dict[str, float]]:
        """What it depends on and has to start on the same machine, and the room that all of them take together."""
        wanted = self.needs_of(life)
        others: list[Life] = []
        for service in self._below(life.owner):
            first = self._where_it_starts(service)
            has_room = first.room and under_way(first) and first.phase in STARTING
            if service.state == "hot" or has_room or dozing(first) or first.machine != life.machine:
                continue
            both = _sum(wanted, self.needs_of(first))
            if self._never_fits(life.machine, both) and any(each.machine != life.machine for each in service.lives):
                continue  # it starts at another of its places
            others.append(first)
            wanted = both
        return others, wanted

    def _never_fits(self, machine: str, wanted: dict[str, float]) -> bool:
        capacity = self.machines[machine].spec.capacity
        return any(amount > capacity.get(name, amount) for name, amount in wanted.items())

    def _below(self, service: Service) -> list[Service]:
        """All that it depends on, each once."""
        found: dict[str, Service] = {}
        queue = deque(service.spec.depends_on)
        while queue:
            id_ = queue.popleft()
            if id_ not in found and (id_ in self.services or id_ in self.leaving):
                found[id_] = self.services.get(id_) or self.leaving[id_]
                queue.extend(found[id_].spec.depends_on)
        return list(found.values())

    def _where_it_starts(self, service: Service) -> Life:
        """The place where it is on its way, else the first."""
        return next((life for life in service.lives if under_way(life)), service.lives[0])

    def spared(self, life: Life) -> set[Service]:
        """Those that a start never pushes out: itself, what it depends on, and what waits for it."""
        above = {dependent.owner for dependent in life.owner.needing}
        queue = deque(above)
        while queue:
            more = {dependent.owner for dependent in queue.popleft().needing} - above
            above |= more
            queue.extend(more)
        return {life.owner, *self._below(life.owner), *above}

    def gentle(self, life: Life) -> bool:
        """A start that only `keep_warm` wants makes nobody wait; a further replica neither."""
        service = life.owner
        asked = service.line or service.needing or service.dependents or service.pages or service.wanted
        return bool(service.state == "hot" or not asked)

    # --- a new configuration

    def adopt(self, config: Config) -> Changes:
        """In one step. What it says of a service that runs holds at once, or as soon as that is cold."""
        return adopt(self, config)

    def went_cold(self, service: Service) -> None:
        settle_change(service)
        self.drop_left()

    def drop_left(self) -> None:
        """What is gone from the configuration and has ended."""
        for service in list(self.leaving.values()):
            if all(life.phase is Phase.COLD for life in service.lives):
                del self.leaving[service.id]
        for machine in list(self.machines.values()):
            used = machine.users or any(life.machine == machine.id for life in self.places())
            if machine.unwanted and not used and (machine.always or machine.life.phase is Phase.COLD):
                del self.machines[machine.id]

    # --- dependencies and machines

    def needed_by(self, life: Life) -> list[Service]:
        """What it depends on. One that is gone from the configuration may still have to end."""
        known = (self.services.get(id_) or self.leaving.get(id_) for id_ in life.owner.spec.depends_on)
        return [service for service in known if service is not None]

    def want_awake(self, life: Life) -> None:
        if life.phase is Phase.WAKING:
            self.machines[life.machine].wake_for(life)

    def want_needs(self, life: Life) -> None:
        for service in self.needed_by(life):
            if life.phase is not Phase.NEEDS:
                return
            service.needs.need(life)
        self.needs_met(life)

    def needs_met(self, life: Life) -> None:
        """All that it depends on is hot, or one of them is not yet."""
        if life.phase is Phase.NEEDS and all(service.needs.has(life) for service in self.needed_by(life)):
            self.apply(life, NeedsHot())

    def kept_warm_on(self, machine: str) -> list[str]:
        """The services that keep a machine awake though nobody uses them: it never sleeps under their `keep_warm`."""
        return [
            service.id
            for service in self
            if service.kept_warm and any(life.machine == machine for life in service.lives)
        ]

    def placement(self, service: Service) -> list[Life]:
        """The places of a start, in the order in which they are tried. Held machines are left out."""
        usable = [life for life in service.lives if self._held_for(self.machines[life.machine].held_until) is None]
        ordered = self._placement(service, usable)
        return [life for life in ordered if life in usable] or usable

    # --- holds

    def held(self, service: Service) -> Refusal | None:
        """Why it may not start, if the operator keeps it cold."""
        until = self.held_until(service)
        return None if until is None else hold_of(service, until)

    def held_below(self, service: Service) -> Refusal | None:
        """The hold of something that it depends on and that is not hot."""
        holds = (self.held(each) for each in self._below(service) if each.state != "hot")
        return next((hold for hold in holds if hold is not None), None)

    def held_until(self, service: Service) -> float | None:
        """By the calendar; `FOREVER`. One that has a machine that is not held may start there."""
        machines = [self.machines[life.machine].held_until for life in service.lives]
        free = any(self._held_for(until) is None for until in machines)
        untils = [self.held_all_until, service.held_until]
        if not free:
            untils.append(min(until for until in machines if until is not None))
        return max((until for until in untils if until is not None and self._held_for(until) is not None), default=None)

    def _held_for(self, until: float | None) -> float | None:
        """Seconds that are left of a hold; None: there is none."""
        if until is None or (until != FOREVER and until <= self.wall()):
            return None
        return until - self.wall() if until != FOREVER else FOREVER


def _sum(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {name: one.get(name, 0.0) + other.get(name, 0.0) for name in {**one, **other}}


__all__ = ["Fleet", "World"]
