"""Room: what the places on a machine take of its capacity, and how it is made for one that starts.

A start takes its room together with that of what it depends on and still has to start there. Idle places give way, the
one that was used least recently first. If only leases or `min_hot` stand in the way, the start waits in the machine's
line, and the places it needs gone take no new leases: so nobody starves.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from hestia.words.states import AskIdle, Phase, Room, Stop

if TYPE_CHECKING:
    from hestia.core.fleet import Fleet
    from hestia.core.life import Life
    from hestia.core.service import Service

FITS, COMES, MAKES, WAITS, BLOCKED = range(5)
"""There is room; it is on its way; idle places give way; leases or `min_hot` stand in the way; something else does."""


ROUNDING = 1e-9
"""Amounts are what people write: 0.1 and 0.2 fit into 0.3."""


YES_HOLDS_S = 1.0
"""One that works without a request was asked so lately: its answer still counts."""


class Plan(NamedTuple):
    """How a place could get its room. `victims` are to be stopped, or to take no new leases where it WAITS."""

    kind: int
    victims: tuple[Life, ...] = ()


class Pool:
    """A machine's capacity while the starts that want some of it are looked at in their order.

    `free` is free now. `later` is what is left when everything that ends has ended and everybody in front has its room:
    it may be less, for what somebody in front waits for is not given away behind its back.
    """

    def __init__(self, machine: str, lives: list[Life], fleet: Fleet) -> None:
        self._fleet = fleet
        self.free = dict(fleet.machines[machine].spec.capacity)
        for life in lives:
            _take(self.free, fleet.needs_of(life))
        self.later = dict(self.free)
        for life in lives:
            if is_ending(life):
                _give(self.later, fleet.needs_of(life))
        self.above = {life: above(life) for life in lives if fleet.may_go(life)}
        movable = sorted(self.above, key=self._last_used)
        now = fleet.clock()
        free = {life for life in movable if all(_is_free(each, now) for each in (life, *self.above[life]))}
        self.idle = [life for life in movable if (life.hot or dozing(life)) and life in free]
        self.used = [life for life in movable if life not in self.idle]

    def _last_used(self, life: Life) -> tuple[bool, float]:
        """What dozes goes before all; of a hot one also what depends on it counts."""
        return (not dozing(life), max(each.idle_since for each in (life, *self.above[life])))

    def plan(self, wanted: dict[str, float], spared: set[Service]) -> Plan:
        """Changes nothing. `spared`: those that it needs itself."""
        if _fits(self.free, wanted) and _fits(self.later, wanted):
            return Plan(FITS)
        if _fits(self.later, wanted):
            return Plan(COMES)
        idle = [life for life in self.idle if not self._touches(life, spared)]
        used = [life for life in self.used if not self._touches(life, spared)]
        for kind, lives in ((MAKES, idle), (WAITS, idle + used)):
            victims = self._enough(dict(self.later), wanted, lives)
            if victims is not None:
                return Plan(kind, victims)
        return Plan(BLOCKED)

    def _enough(self, free: dict[str, float], wanted: dict[str, float], lives: list[Life]) -> tuple[Life, ...] | None:
        """The least recently used that suffice, without those that turn out not to be needed for it."""
        chosen: list[Life] = []
        for life in lives:
            if _fits(free, wanted):
                break
            needs = self._fleet.needs_of(life)
            if any(free.get(name, inf) < amount and needs.get(name) for name, amount in wanted.items()):
                _give(free, needs)
                chosen.append(life)
        if not _fits(free, wanted):
            return None
        for life in list(chosen):
            spared = dict(free)
            _take(spared, self._fleet.needs_of(life))
            if _fits(spared, wanted):
                free = spared
                chosen.remove(life)
        return tuple(chosen)

    def claim(self, wanted: dict[str, float], plan: Plan) -> None:
        """Those behind see what is left once this one has its room."""
        if plan.kind == FITS:
            _take(self.free, wanted)
        for life in plan.victims:
            _give(self.later, self._fleet.needs_of(life))
        _take(self.later, wanted)
        self.idle = [life for life in self.idle if life not in plan.victims]
        self.used = [life for life in self.used if life not in plan.victims]

    def spare(self, services: set[Service]) -> None:
        """Those behind leave alone what this one counts on."""
        self.idle = [life for life in self.idle if not self._touches(life, services)]
        self.used = [life for life in self.used if not self._touches(life, services)]

    def _touches(self, life: Life, services: set[Service]) -> bool:
        """Whether its end would be one of theirs."""
        return any(each.owner in services for each in (life, *self.above[life]))


class Rooms:
    """The room of all machines. `review` is the one decision, made anew whenever something has changed."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.line: list[Life] = []  # starts without room, those that began first in front
        self.reserved: dict[Life, list[Life]] = {}  # a start -> what it depends on and has room for already
        self._yielding: set[Life] = set()
        self._asked: dict[Life, int] = {}  # asked whether it works without a request, in which of its phases
        self._said_yes: dict[Life, float] = {}
        self.due: float | None = None

    def want(self, life: Life) -> None:
        """A start that has reached ROOM. One that was found runs already, whatever room there is."""
        if life.found:
            self._grant(life, [])
        elif life not in self.line:
            self.line.append(life)

    def leave(self, life: Life) -> None:
        """It is cold, or goes elsewhere: what was kept for it is free again."""
        if life in self.line:
            self.line.remove(life)
        for other in self.reserved.pop(life, []):
            if other.phase is Phase.COLD:
                other.room = other.dozes

    def review(self) -> None:
        """Who has room now, who gives way, and who has to wait for what."""
        if not self.line and not self._yielding:
            self.due = None
            return
        fleet = self._fleet
        self.line = [life for life in self.line if life.phase is Phase.ROOM]
        self.line.sort(key=_turn)
        yields: set[Life] = set()
        pools = {id_: fleet.pool(id_) for id_ in {life.machine for each in self.line for life in fleet.choices(each)}}
        for life in list(self.line):
            self._decide(life, pools, yields)
        self._apply_yields(yields)
        self._set_timer()

    def _decide(self, life: Life, pools: dict[str, Pool], yields: set[Life]) -> None:
        """The first place where it fits once idle ones have gone; else the first where only leases are in the way."""
        fleet = self._fleet
        if life.phase is not Phase.ROOM:
            return
        wanted_by_anybody = life.owner.wanted_by_anybody
        passes = [(FITS, COMES, MAKES), (WAITS,)] if wanted_by_anybody else [(FITS,)]
        choices = [(each, *fleet.closure(each)) for each in fleet.choices(life)]
        spared = fleet.spared(life)
        plans = [(*choice, _later(choice[1], pools[choice[0].machine].plan(choice[2], spared))) for choice in choices]
        for kinds in passes:
            for each, others, wanted, plan in plans:
                if plan.kind in kinds and (plan.kind != WAITS or not fleet.gentle(life)):
                    pools[each.machine].claim(wanted, plan)
                    for pool in pools.values():
                        pool.spare(spared)
                    self._go_on(life, each, others, plan, yields)
                    return
        if not wanted_by_anybody:
            life.owner.start_policy.drop(life)

    def _go_on(self, life: Life, chosen: Life, others: list[Life], plan: Plan, yields: set[Life]) -> None:
        if plan.kind == FITS:
            self.line.remove(life)
            if chosen is life:
                self._grant(life, others)
            else:
                chosen.room = True
                self._reserve(chosen, others)
                life.owner.start_policy.instead(life, chosen)
        elif plan.kind in {MAKES, WAITS}:
            now = self._fleet.clock()
            going = [each for victim in plan.victims for each in (*above(victim), victim)]
            if plan.kind == WAITS:
                yields.update(going)
            for each in dict.fromkeys(going):
                if dozing(each):
                    self._fleet.apply(each, Stop("room"))
                elif each.hot and _is_free(each, now) and not each.owner.dependents:  # what depends on it goes first
                    self._move(each)

    def _move(self, victim: Life) -> None:
        """It gives way, once it has said that it does not work without a request."""
        spec = victim.owner.spec
        said = self._fleet.clock() - self._said_yes.get(victim, -inf) < YES_HOLDS_S
        if (spec.busy is None and spec.idle_rule is None) or said:
            self._fleet.apply(victim, Stop("room"))
        elif self._asked.get(victim) != victim.epoch:
            self._asked[victim] = victim.epoch
            self._fleet.do(AskIdle(victim.owner, victim, "room"))

    def answered(self, victim: Life, *, yes: bool) -> None:
        """It has said so: the decision is made anew, now."""
        self._asked.pop(victim, None)
        now = self._fleet.clock()
        fresh = {life: at for life, at in self._said_yes.items() if now - at < YES_HOLDS_S}
        self._said_yes = {life: at for life, at in fresh.items() if life is not victim}
        if yes:
            self._said_yes[victim] = now

    def _grant(self, life: Life, others: list[Life]) -> None:
        self._reserve(life, others)
        self._fleet.apply(life, Room())

    def _reserve(self, life: Life, others: list[Life]) -> None:
        """Its own room, and that of what it depends on; what is hot of it stays so."""
        self._fleet.pin(life)
        if others:
            self.reserved[life] = others
        for other in others:
            if other.phase is Phase.ROOM:
                self.line.remove(other)
                self._fleet.apply(other, Room())
            else:
                other.room = True

    def _apply_yields(self, yields: set[Life]) -> None:
        yields = {life for life in yields if life.hot}
        changed = yields ^ self._yielding
        self._yielding = yields
        for life in sorted(changed, key=lambda each: each.key):
            life.yields = life in yields
            life.owner.refresh()
            life.owner.pump()

    def _set_timer(self) -> None:
        """When `min_hot` or what was said of work has run out."""
        now = self._fleet.clock()
        times = [
            time
            for life in self._fleet.places()
            if self.line and life.hot
            for time in (life.hot_at + life.owner.spec.min_hot, life.busy_until)
            if time > now
        ]
        self.due = min(times, default=None)


def above(life: Life) -> list[Life]:
    """What runs and depends on it, what depends on that, and so on: all of it ends before it does."""
    found: dict[Life, None] = {}
    queue = deque(life.owner.dependents)
    while queue:
        each = queue.popleft()
        if each not in found:
            found[each] = None
            queue.extend(each.owner.dependents)
    return sorted(found, key=lambda each: each.key)


def _turn(life: Life) -> tuple[bool, int, int]:
    """Who began first; but what somebody needs who has his room already goes before all: that room lies idle."""
    needed = any(dependent.room for dependent in life.owner.needing)
    return (not needed, life.owner.number, life.number)


def is_ending(life: Life) -> bool:
    """Whether its room will be free soon. Between two attempts it stays taken; what cannot be stopped keeps it."""
    if life.phase not in {Phase.DRAINING, Phase.STOPPING, Phase.CLEARING}:
        return False
    return life.stop_cause != "failed" and not life.tries_to_stop


def _later(others: list[Life], plan: Plan) -> Plan:
    """What it depends on must have ended before it can have its room anew."""
    if plan.kind == FITS and any(is_ending(other) or other.tries_to_stop for other in others):
        return Plan(COMES)
    return plan


def dozing(life: Life) -> bool:
    """Paused: its next start is quick, as long as nobody needs its room."""
    return life.dozes and life.phase is Phase.COLD


def _is_free(life: Life, now: float) -> bool:
    return dozing(life) or (not life.leases and now >= life.hot_at + life.owner.spec.min_hot)


def _fits(free: dict[str, float], wanted: dict[str, float]) -> bool:
    return all(free[name] >= amount - ROUNDING for name, amount in wanted.items() if name in free)


def _take(free: dict[str, float], needs: dict[str, float]) -> None:
    for name, amount in needs.items():
        if name in free:
            free[name] -= amount


def _give(free: dict[str, float], needs: dict[str, float]) -> None:
    for name, amount in needs.items():
        if name in free:
            free[name] += amount
