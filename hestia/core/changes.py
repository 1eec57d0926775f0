"""A new configuration for what lives: what is unchanged keeps its place, its heat and its line.

All of it is one step. A service whose places changed is drained and stopped, and whoever comes meanwhile waits for the
new ones; one that is gone is drained and stopped, and whoever waits for it is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hestia.core.machine import Machine
from hestia.core.service import Service
from hestia.core.settings import always_awake, settings_of_machine, settings_of_place
from hestia.core.starts import under_way
from hestia.words.states import Enter, Phase, Stop

if TYPE_CHECKING:
    from hestia.core.fleet import Fleet
    from hestia.core.life import Life
    from hestia.words.spec import Config, Place
    from hestia.words.spec import Machine as MachineSpec
    from hestia.words.spec import Service as Spec


class Changes(NamedTuple):
    """Ids of services and machines. `changed` is what was said anew in any way."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def adopt(fleet: Fleet, config: Config) -> Changes:
    """The fleet is what `config` says, but for what still has to end."""
    before = {**fleet.services, **{f"machine {id_}": machine for id_, machine in fleet.machines.items()}}
    others = {id_ for id_, spec in config.machines.items() if _adopt_machine(fleet, spec)}
    gone = [service for id_, service in fleet.services.items() if id_ not in config.services]
    for service in gone:
        fleet.leaving[service.id] = service
    known = {**fleet.leaving, **fleet.services}
    fresh = [id_ for id_ in config.services if id_ not in known]
    fleet.services = {id_: known.get(id_) or Service(spec, fleet) for id_, spec in config.services.items()}
    for id_ in config.services:
        fleet.leaving.pop(id_, None)
    for id_ in fresh:
        _appear(fleet.services[id_])
    changed = [id_ for id_, spec in config.services.items() if id_ not in fresh and _adopt_service(fleet, spec, others)]
    for service in gone:
        service.stop("reload")
    _drop_machines(fleet, config)
    fleet.drop_left()
    fleet.settle()
    now = {**fleet.services, **{f"machine {id_}": machine for id_, machine in fleet.machines.items()}}
    added = tuple(id_ for id_ in now if id_ not in before)
    removed = tuple(id_ for id_ in before if id_ not in now)
    return Changes(added, removed, (*(f"machine {id_}" for id_ in config.machines if id_ in others), *changed))


# --- services


def _adopt_service(fleet: Fleet, spec: Spec, machines: set[str]) -> bool:
    """Whether anything of it has changed. `machines`: those that are others now, and may be woken or not."""
    service = fleet.services[spec.id]
    if service.next_spec is None and spec == service.spec:
        if any(place.machine in machines for place in spec.places):
            _retune(service, spec)
        return False
    if service.next_spec is None and same_places(service.spec, spec):
        _retune(service, spec)
    elif service.next_spec is None and _only_cold_ones_change(service, spec):
        _refit(service, spec)
        _retune(service, spec)
    else:
        service.next_spec = spec
        service.end_policy.make_way()
        settle_change(service)
    return True


def same_places(before: Spec, after: Spec) -> bool:
    """Whether what runs now is what would be started."""
    same = len(before.places) == len(after.places) and before.depends_on == after.depends_on
    return same and all(map(_same_place, before.places, after.places))


def _same_place(before: Place, after: Place) -> bool:
    return all(
        getattr(before, key) == getattr(after, key)
        for key in ("base_url", "health_url", "health_status", "machine", "launch", "stop_with")
    )


def _only_cold_ones_change(service: Service, spec: Spec) -> bool:
    """It is hot, and what runs of it stays: a further place was named, or a spare one is another now."""
    if service.state != "hot" or service.ending or any(under_way(life) for life in service.lives):
        return False
    stays = _stay(service, spec).values()
    return service.spec.depends_on == spec.depends_on and all(
        (life.phase is Phase.COLD and not life.dozes) or life in stays for life in service.lives
    )


def _stay(service: Service, spec: Spec) -> dict[int, Life]:
    """Those whose place is the same, by its number."""
    pairs = zip(service.lives, service.spec.places, spec.places, strict=False)
    return {life.number: life for life, before, after in pairs if _same_place(before, after)}


def _refit(service: Service, spec: Spec) -> None:
    """New lives beside those that stay."""
    stays = _stay(service, spec)
    service.spec = spec
    service.start_policy.candidates = []
    service.lives.clear()
    service.make_lives()
    service.lives[:] = [stays.get(life.number, life) for life in service.lives]
    _appear(service)


def _retune(service: Service, spec: Spec) -> None:
    """Waits, limits and rules of the same places hold from the next request on."""
    fleet = service.fleet
    fewer = spec.replicas < service.spec.replicas
    service.spec = spec
    for life, place in zip(service.lives, spec.places, strict=True):
        life.spec = place
        machine = fleet.machines[place.machine].spec
        life.settings = settings_of_place(spec, place, machine, dies_by_exit=fleet.watched_by_launcher(place.launch))
        if life.hot:
            _rearm(life, fleet.clock())
            fleet.do(Enter(life, life.epoch))
    if fewer:
        _stop_surplus(service)
    service.refresh()
    service.pump()


def _stop_surplus(service: Service) -> None:
    """Fewer replicas from now on: the last ones end."""
    awake = [life for life in service.lives if life.hot] + [life for life in service.lives if under_way(life)]
    for life in awake[service.spec.replicas :]:
        service.fleet.apply(life, Stop("reload", service.spec.drain_timeout))


def _rearm(life: Life, now: float) -> None:
    """Its idle time may be another one now."""
    idles = life.settings.idle_timeout > 0 and life.settings.launches
    life.due = max(now, life.idle_since + life.settings.idle_timeout) if idles else None


def settle_change(service: Service) -> None:
    """Once nothing of the old places is left, the new ones take their stead, and whoever waits starts them."""
    spec = service.next_spec
    if spec is None or service.ending or any(life.phase is not Phase.COLD for life in service.lives):
        return
    service.next_spec = None
    service.spec = spec
    service.cool_down_over()
    service.last_error = None
    service.lives.clear()
    service.make_lives()
    _appear(service)
    service.refresh()
    service.start_policy.resume()


def _appear(service: Service) -> None:
    """New places are cold; from now on it is noticed when somebody else starts them."""
    for life in service.lives:
        if life.phase is Phase.COLD:
            service.fleet.do(Enter(life, life.epoch))


# --- machines


def _adopt_machine(fleet: Fleet, spec: MachineSpec) -> bool:
    machine = fleet.machines.get(spec.id)
    if machine is None:
        fleet.machines[spec.id] = Machine(spec, fleet)
        return False
    if machine.spec == spec:
        return False
    machine.spec = machine.life.spec = spec
    machine.life.settings = settings_of_machine(spec)
    before, machine.always = machine.always, always_awake(spec)
    if machine.always and machine.life.phase is Phase.COLD:
        machine.life.phase = Phase.HOT
    elif before and not machine.always and not machine.users:
        machine.life.phase = Phase.COLD  # nobody knows whether it is awake: the next start looks
    if machine.life.hot:
        _rearm(machine.life, fleet.clock())
    return True


def _drop_machines(fleet: Fleet, config: Config) -> None:
    """A machine that is gone from the configuration goes when its last place has."""
    for id_, machine in list(fleet.machines.items()):
        if id_ not in config.machines:
            machine.unwanted = True
            machine.sleep("reload")
