"""A storm over the core: random services, everything that can happen to them in random order, and what must hold
after every step. One seed is one storm.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hestia.core.life import Life
from hestia.core.service import Service
from hestia.core.starts import under_way
from hestia.rules.marks import ConfigError
from hestia.words import states
from hestia.words.states import STARTING, Phase
from tests.support.world import LAUNCHED, Asker, Script, Stage, stage

QUIET = 5_000.0
"""Seconds after which everything is cold, however long the longest stop delay and cool-down are."""
LEFT_OVER = {Phase.STOPPING, Phase.CLEARING}


def configuration(rnd: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Services and machines that a file could name."""
    wake = {"launch": {"kind": "command", "start": ["w"], "stop": ["s"]}}
    machines: dict[str, Any] = {"local": {"capacity": {"v": rnd.choice([3, 4, 6])}}}
    if rnd.random() < 0.7:
        machines["desk"] = {**wake, "idle_timeout": rnd.choice([0, 5, 60]), "capacity": {"v": rnd.choice([3, 4])}}
    if rnd.random() < 0.3:
        machines["barn"] = {"health": "tcp://barn:22"}
    services: dict[str, Any] = {}
    for number in range(rnd.randint(1, 6)):
        services[f"s{number}"] = _service(rnd, list(machines), list(services))
    return services, machines


def _service(rnd: random.Random, machines: list[str], others: list[str]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "idle_timeout": rnd.choice([0, 1, 10, 30, 30]),
        "start_timeout": rnd.choice([2, 5]),
        "start_attempts": rnd.choice([1, 2, 3]),
        "retry_delay": rnd.choice([0, 1]),
        "failure_cooldown": rnd.choice([0, 3]),
        "drain_timeout": rnd.choice([0, 5]),
        "queue_size": rnd.choice([1, 3, 100]),
        "queue_timeout": rnd.choice([1, 20, 60]),
        "max_concurrency": rnd.choice([0, 0, 1, 2]),
        "min_hot": rnd.choice([0, 1, 10]),
        "warmup": rnd.choice([0, 0, 1]),
        "needs": rnd.choice([{}, {"v": 1}, {"v": 2}, {"v": 3}]),
        "waiting": rnd.choice(["auto", "auto", "auto", "refuse"]),
    }
    if rnd.random() < 0.2:
        said["busy"] = {"url": "http://127.0.0.1:9/busy", "match": "x"}
    if rnd.random() < 0.2:
        said["keep_warm"] = ["always"]
    if others and rnd.random() < 0.35:
        said["depends_on"] = rnd.sample(others, 1)
        said["needs"] = {}
    where = rnd.random()
    if where < 0.1:
        return {**said, "base_url": "http://127.0.0.1:9", "warmup": 0}
    if where < 0.5:
        return {**said, **_place(rnd, rnd.choice(machines))}
    places = [_place(rnd, rnd.choice(machines)) for _ in range(rnd.randint(2, 3))]
    return {**said, "places": places, "replicas": rnd.choice([1, 1, 2])}


def _place(rnd: random.Random, machine: str) -> dict[str, Any]:
    known = {"base_url": "http://127.0.0.1:9"} if rnd.random() < 0.5 else {}
    return {**LAUNCHED, **known, "machine": machine}


@dataclass(eq=False)
class Tunnel:
    """An upgraded connection: its lease, awake or silent."""

    life: Life
    silent: bool = False


@dataclass
class Storm:
    """`seed` decides everything."""

    seed: int
    trouble: float = 0.15  # how often something fails
    rnd: random.Random = field(init=False)
    stage: Stage = field(init=False)
    asked: dict[str, list[Asker]] = field(default_factory=dict)  # who waits, in the order in which they came
    running: list[tuple[Asker, Life]] = field(default_factory=list)
    tunnels: list[Tunnel] = field(default_factory=list)
    quiet: list[Life] = field(default_factory=list)
    before: dict[Life, Phase] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    events: int = 0
    calm: bool = False
    seen: dict[str, int] = field(default_factory=dict)
    said: dict[str, Any] = field(init=False)  # the services as the file says them
    machines: dict[str, Any] = field(init=False)
    absent: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rnd = random.Random(self.seed)
        while True:
            self.said, self.machines = configuration(self.rnd)
            try:
                self.stage = stage(self.said, machines=self.machines)
                break
            except ConfigError:  # what the file may not say is no storm: another one
                continue
        self.stage.chance = self.rnd
        self.stage.watching = self.watch
        self.stage.scripts[""] = Script(
            checking=self._checking, launching=self._launching, probing=self._probing, hot=self._hot, stopping=self._stopping
        )

    # --- how launchers, checks and stops behave

    def _fails(self, share: float = 1.0) -> bool:
        return not self.calm and self.rnd.random() < self.trouble * share

    def _soon(self) -> float:
        return self.rnd.choice([0.0, 0.01, 0.3, 2.0])

    def _checking(self, life: Life) -> list[tuple[float, Any]]:
        if life.run is not None:
            return [(self._soon(), states.Found(life.run) if self.rnd.random() < 0.5 else states.NotFound())]
        return [(self._soon(), states.Found(None) if self._fails(0.4) else states.NotFound("refused"))]

    def _launching(self, life: Life) -> list[tuple[float, Any]]:
        if self._fails():
            return self.rnd.choice([[], [(self._soon(), states.Failed("no"))], [(self._soon(), states.Exited("code 3"))]])
        return [(self._soon(), states.Launched())]

    def _probing(self, life: Life) -> list[tuple[float, Any]]:
        refused = (0.1, states.NotReady("connection refused"))
        if self._fails():
            return self.rnd.choice([[refused], [refused, (1.0, states.Exited("code 1"))], [(0.5, states.Failed("a stranger"))]])
        return [refused, (0.2 + self._soon(), states.Ready())]

    def _hot(self, life: Life) -> list[tuple[float, Any]]:
        if self._fails(0.5):
            when = self.rnd.choice([0.5, 5.0, 40.0])
            bad = self.rnd.choice([states.Exited("killed"), states.NotReady("slow", at_once=False), states.Refused("refused")])
            return [(when, bad), (when + 10, bad)]
        return []

    def _stopping(self, life: Life) -> list[tuple[float, Any]]:
        if self._fails(0.5):
            return [(self._soon(), states.StopFailed("engine away"))]
        pauses = not life.settings.machine and life.stop_cause == "idle" and int(life.owner.id[1:] or 0) % 2 == 0
        return [(self._soon(), states.Stopped(dozes=pauses))]

    # --- what people and programs do

    def step(self) -> None:
        """One thing happens."""
        self.events += 1
        names = list(ACTIONS)
        name = self.rnd.choices(names, [ACTIONS[each] for each in names])[0]
        self.seen[name] = self.seen.get(name, 0) + 1
        getattr(self, name)()
        self.check()

    def service(self) -> Service:
        return self.rnd.choice(list(self.stage.fleet))

    def life(self) -> Life:
        return self.rnd.choice(list(self.stage.fleet.lives()))

    def a_request(self) -> None:
        service = self.service()
        waiting = self.asked.setdefault(service.id, [])
        before = list(waiting)
        asker = Asker(service.id, since=self.stage.now)
        waiting.append(asker)
        self.stage.ask_as(service.id, asker)
        if asker in waiting and asker.life is not None:
            assert not before, f"{service.id}: somebody overtook {len(before)} who wait"
            waiting.remove(asker)
            self.running.append((asker, asker.life))

    def a_request_ends(self) -> None:
        if self.running:
            _, life = self.running.pop(self.rnd.randrange(len(self.running)))
            life.release(self.stage.now)
            self.stage.fleet.settle()

    def a_tunnel_begins(self) -> None:
        if self.running:
            _, life = self.running.pop(self.rnd.randrange(len(self.running)))
            life.tunnel_begins()
            self.tunnels.append(Tunnel(life))

    def a_tunnel_goes_on(self) -> None:
        if not self.tunnels:
            return
        tunnel = self.rnd.choice(self.tunnels)
        if not tunnel.silent:
            tunnel.life.quieten(self.stage.now)
            tunnel.silent = True
        elif tunnel.life.waken():
            tunnel.silent = False
        else:
            tunnel.life.release_quiet(self.stage.now)
            self.tunnels.remove(tunnel)

    def a_tunnel_ends(self) -> None:
        if self.tunnels:
            tunnel = self.tunnels.pop(self.rnd.randrange(len(self.tunnels)))
            if tunnel.silent:
                tunnel.life.release_quiet(self.stage.now)
            else:
                tunnel.life.tunnel_ended(self.stage.now)

    def a_quiet_request(self) -> None:
        life = self.service().lease_quietly()
        if life is not None:
            self.quiet.append(life)

    def a_quiet_request_ends(self) -> None:
        if self.quiet:
            self.quiet.pop().release_quiet(self.stage.now)

    def a_waiter_leaves(self) -> None:
        waiting = [(id_, asker) for id_, askers in self.asked.items() for asker in askers]
        if waiting:
            id_, asker = self.rnd.choice(waiting)
            self.asked[id_].remove(asker)
            self.stage.leave(id_, asker)

    def a_page(self) -> None:
        service = self.service()
        if service.refusal() is None and service.state != "hot":
            service.page("tab")
            service.begin("page")
            self.stage.fleet.settle()

    def a_page_leaves(self) -> None:
        self.service().page_left("tab")
        self.stage.fleet.settle()

    def a_death(self) -> None:
        life = self.life()
        if life.phase in {Phase.HOT, Phase.LAUNCHING, Phase.PROBING, Phase.WARMING, Phase.DRAINING} and not _always(life):
            self.stage.fleet.tell(life, states.Exited("killed"))

    def a_refused_connection(self) -> None:
        life = self.life()
        if life.phase is Phase.HOT and not life.settings.machine:
            self.stage.fleet.tell(life, states.Refused("refused"))

    def a_failed_check(self) -> None:
        life = self.life()
        if life.phase is Phase.HOT and not _always(life):
            self.stage.fleet.tell(life, states.NotReady("500", at_once=self.rnd.random() < 0.5, refused=self.rnd.random() < 0.2))

    def a_look_at_a_cold_one(self) -> None:
        life = self.life()
        if life.phase is Phase.COLD and not life.settings.machine and not life.settings.launches:
            self.stage.fleet.tell(life, states.Found(None))

    def a_stop(self) -> None:
        self.service().stop("command", drain=self.rnd.choice([None, 0.0]))
        self.stage.fleet.settle()

    def a_start(self) -> None:
        service = self.service()
        if service.barred() is None:
            service.cool_down_over()
            service.begin("command")
        self.stage.fleet.settle()

    def a_restart(self) -> None:
        service = self.service()
        service.stop("command")
        if service.barred() is None:
            service.begin("command")
        self.stage.fleet.settle()

    def a_hold(self) -> None:
        service = self.service()
        service.held_until = self.stage.world.wall() + self.rnd.choice([3, 30])
        service.stop("hold")
        self.stage.fleet.settle()

    def a_hold_of_a_machine(self) -> None:
        machine = self.rnd.choice(list(self.stage.fleet.machines.values()))
        machine.held_until = self.stage.world.wall() + self.rnd.choice([3, 30])
        machine.sleep("hold")
        self.stage.fleet.settle()

    def a_hold_of_all(self) -> None:
        self.stage.fleet.held_all_until = self.stage.world.wall() + 5
        for service in self.stage.fleet:
            service.stop("hold")
        self.stage.fleet.settle()

    def a_machine_wakes(self) -> None:
        self.rnd.choice(list(self.stage.fleet.machines.values())).wake("command")
        self.stage.fleet.settle()

    def a_machine_sleeps(self) -> None:
        self.rnd.choice(list(self.stage.fleet.machines.values())).sleep("command")
        self.stage.fleet.settle()

    def a_window(self) -> None:
        inside = {service.id: bool(service.spec.keep_warm) and not self.calm and self.rnd.random() < 0.7 for service in self.stage.fleet}
        self.stage.fleet.tick(inside)

    def busy_or_not(self) -> None:
        service = self.service()
        self.stage.busy[service.id] = not self.stage.busy.get(service.id, False)

    def time_passes(self) -> None:
        self.stage.run(self.rnd.choice([0.0, 0.01, 0.1, 0.5, 1.0, 3.0, 11.0]))

    def a_reload(self) -> None:
        """Something is said anew: a limit, a place, a machine; or a service goes or comes back."""
        said = {id_: dict(one) for id_, one in self.said.items()}
        absent = dict(self.absent)
        id_ = self.rnd.choice(list(said))
        kind = self.rnd.choice(["limit", "place", "machine", "go", "come"])
        if kind == "limit":
            said[id_].update(idle_timeout=self.rnd.choice([1, 30]), min_hot=self.rnd.choice([0, 10]), drain_timeout=self.rnd.choice([0, 5]))
        elif kind == "place" and "launch" in said[id_]:
            said[id_]["launch"] = {"kind": "process", "command": ["serve", "{port}", str(self.events)]}
        elif kind == "machine" and "machine" in said[id_]:
            said[id_]["machine"] = self.rnd.choice(list(self.machines))
        elif kind == "go" and len(said) > 1:
            absent[id_] = said.pop(id_)
        elif kind == "come" and absent:
            back = self.rnd.choice(list(absent))
            said[back] = absent.pop(back)
        try:
            self.stage.reload(said, machines=self.machines)
        except ConfigError:  # what the file may not say changes nothing
            return
        self.said, self.absent = said, absent

    def the_gateway_is_killed(self) -> None:
        self.asked.clear()
        self.running.clear()
        self.tunnels.clear()
        self.quiet.clear()
        self.before.clear()
        self.stage.again()

    # --- what must hold

    def watch(self, effect: Any) -> None:
        """Each effect, as it is performed."""
        match effect:
            case states.Grant(waiter, life):
                line = self.asked[life.owner.id]
                assert line[0] is waiter.asker, f"{life.owner.id}: not the first one was granted"
                assert life.phase is Phase.HOT, f"{life} was granted"
                assert life.leases > 0
                self.running.append((line.pop(0), life))
            case states.Refuse(waiter, _):
                waiting = [line for line in self.asked.values() if waiter.asker in line]
                waiting[0].remove(waiter.asker)
            case states.Enter(life, _):
                self._entered(life, self.before.get(life, Phase.COLD))
                self.before[life] = life.phase

    def _entered(self, life: Life, before: Phase) -> None:
        if life.phase in LEFT_OVER and life.stop_cause in {"room", "idle"} and before not in LEFT_OVER:
            assert before is Phase.HOT or life.dozes or life.hot_at == self.stage.now, f"{life} was stopped for {life.stop_cause} while {before}"
            assert not life.leases, f"{life} was stopped for {life.stop_cause} under lease"
        if life.phase is Phase.LAUNCHING and not life.settings.machine:
            self._has_room(life)
            assert self.stage.fleet.machines[life.machine].awake, f"{life} is launched on a machine that sleeps"
            for other in self.stage.fleet.needed_by(life):
                assert life in other.dependents, f"{life} is launched before {other}"

    def _has_room(self, life: Life) -> None:
        fleet = self.stage.fleet
        capacity = fleet.machines[life.machine].spec.capacity
        there = [each for each in fleet.places() if each.machine == life.machine and each.room]
        if any(each.found or each.cause == "adoption" for each in there):
            return
        for name, most in capacity.items():
            used = sum(fleet.needs_of(each).get(name, 0.0) for each in there)
            assert used <= most + 1e-9, f"{life.machine} has {most} {name} and gives {used}: {there}"

    def check(self) -> None:
        """After every step."""
        for life in self.stage.fleet.lives():
            self._check_life(life)
        for service in self.stage.fleet:
            self._check_service(service)
        for machine in self.stage.fleet.machines.values():
            for place in machine.users:
                assert place.phase is not Phase.COLD, f"{place} is cold and uses {machine}"
            assert machine.life.leases == len(machine.users)
        assert self.stage.running.keys() <= self.stage.written.keys(), "something runs that is not written down"
        assert self.stage.fleet.next_look() > self.stage.now - 1e-6 or self.stage.fleet.next_look() >= self.stage.now

    def _check_life(self, life: Life) -> None:
        assert life.quiet >= 0
        assert life.leases >= 0
        assert 0 <= life.slots <= life.leases, life
        if life.settings.machine:
            return
        ours = sum(one is life for _, one in self.running) + sum(one.life is life and not one.silent for one in self.tunnels)
        assert life.leases == ours, f"{life}: {ours} leases are known"
        if life.phase is Phase.COLD:
            assert life.run is None, life
            assert not life.awake, life
        if life.hot:
            assert life.room, life
            idles = life.settings.idle_timeout > 0 and life.settings.launches
            assert not idles or life.due is not None or (life.leases and life.wants_its_end and life.hears), f"{life} will never be idle"
            assert life.hears or not life.owner.line
            assert life in self.stage.fleet.machines[life.machine].users
        if life.phase is Phase.ROOM:
            assert life in self.stage.fleet.rooms.line, f"{life} is forgotten"
        if life.phase is Phase.WAKING:
            assert life in self.stage.fleet.machines[life.machine].wanting, f"{life} is forgotten"
            machine = self.stage.fleet.machines[life.machine]
            assert under_way(machine.life) or machine.ending, f"{life} waits for {machine.life}"
        if life.phase is Phase.NEEDS:
            assert any(life in other.needing for other in self.stage.fleet.needed_by(life)), f"{life} is forgotten"

    def _check_service(self, service: Service) -> None:
        now = self.stage.now
        known = [asker.waiter for asker in self.asked.get(service.id, [])]
        assert list(service.line) == known, f"{service}: the line is not the one that is known"
        assert len(service.line) <= service.spec.queue_size
        for waiter in service.line:
            assert waiter.deadline >= now, f"{service}: somebody waits for too long"
        shown = (service.state, service.open)
        service.refresh()
        assert shown == (service.state, service.open), f"{service} showed {shown}"
        if service.open is not None:
            assert service.open.hot, service
            assert service.state == "hot", service
        if service.state == "hot":
            assert any(life.hot for life in service.lives)
        if service.line and service.state not in {"starting", "hot"}:
            assert service.ending or any(life.phase in {Phase.DRAINING, *LEFT_OVER} for life in service.lives), f"{service} forgets its line"
        if service.line and service.state == "hot":
            most = service.spec.max_concurrency
            free = [life for life in service.lives if life.hot and not life.yields and (not most or life.slots < most)]
            assert not free, f"{service} has a turn and gives it to nobody"
        assert not service.ending or service.dependents, f"{service} ends for ever"
        if service.state == "failed":
            assert service.due is not None
        for life in service.needing:
            assert life.phase is Phase.NEEDS, life

    # --- its end

    def calm_down(self) -> None:
        """Everybody leaves, nothing fails any more, and enough time passes."""
        self.calm = True
        self.stage.busy.clear()
        fleet = self.stage.fleet
        fleet.tick({})
        for id_, askers in self.asked.items():
            for asker in list(askers):
                self.stage.leave(id_, asker)
            askers.clear()
        while self.running:
            self.a_request_ends()
        while self.tunnels:
            self.a_tunnel_ends()
        while self.quiet:
            self.a_quiet_request_ends()
        self.check()
        self.stage.run(QUIET)
        self.check()
        for service in fleet:
            if any(not life.settings.idle_timeout or not life.settings.launches for life in service.lives):
                service.stop("command")
        fleet.settle()
        self.stage.run(QUIET)
        self._check_machines()
        for machine in fleet.machines.values():
            machine.sleep("command")
        fleet.settle()
        self.stage.run(QUIET)
        self.check()
        for service in fleet:
            assert service.state == "cold", f"{service} is not cold in the end"
            assert not service.dependents, service
        assert not self.stage.running, self.stage.running
        assert not self.stage.written, self.stage.written
        assert not fleet.rooms.line
        assert not fleet.rooms.reserved
        assert not fleet.leaving

    def _check_machines(self) -> None:
        for machine in self.stage.fleet.machines.values():
            assert not machine.users, f"{machine} is used in the end"
            if machine.life.settings.idle_timeout and machine.life.settings.launches:
                assert not machine.awake, f"{machine} is awake in the end"


def _always(life: Life) -> bool:
    return bool(life.settings.machine and life.owner.always)


ACTIONS = {
    "a_request": 30,
    "a_request_ends": 25,
    "time_passes": 40,
    "a_tunnel_begins": 3,
    "a_tunnel_goes_on": 3,
    "a_tunnel_ends": 3,
    "a_quiet_request": 2,
    "a_quiet_request_ends": 3,
    "a_waiter_leaves": 5,
    "a_page": 3,
    "a_page_leaves": 2,
    "a_death": 2,
    "a_refused_connection": 2,
    "a_failed_check": 3,
    "a_look_at_a_cold_one": 2,
    "a_stop": 2,
    "a_start": 3,
    "a_restart": 1,
    "a_hold": 1,
    "a_hold_of_a_machine": 1,
    "a_hold_of_all": 0.3,
    "a_machine_wakes": 1,
    "a_machine_sleeps": 1,
    "a_window": 4,
    "a_reload": 1.5,
    "busy_or_not": 1,
    "the_gateway_is_killed": 0.3,
}
"""What happens, and how often compared with the others."""


def blow(seed: int, events: int) -> Storm:
    """One storm, from its first event until everything is cold again."""
    storm = Storm(seed)
    for _ in range(events):
        storm.step()
    storm.calm_down()
    return storm


__all__ = ["STARTING", "Storm", "blow"]
