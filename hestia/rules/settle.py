"""From what was said to the configuration itself: defaults, places, headers, and every `auto` made a figure."""

from typing import Any

from hestia.rules.decode import BAD
from hestia.words.launch_spec import SLOW_KINDS, Launch
from hestia.words.spec import PLACE_KEYS, Config, HeaderRules, Machine, Place, Service

Given = dict[str, Any]
WATCHED, LOCAL, REMOTE = 5.0, 60.0, 180.0
SHORTEST_QUEUE_TIMEOUT = 120.0
# `retry_delay` is lengthened by a quarter at most.
JITTER = 1.25


def settle(given: Given) -> Config:
    """The whole configuration. What was wrong is left out; the mistakes are known already."""
    rest = {key: value for key, value in given.items() if key not in ("services", "machines", "defaults")}
    machines = {machine_id: _machine(machine_id, said) for machine_id, said in _known(given, "machines").items()}
    machines.setdefault("local", Machine(id="local"))
    defaults = given.get("defaults") or {}
    services = {
        service_id: _service(service_id, {**defaults, **said}, machines)
        for service_id, said in _known(given, "services").items()
    }
    return Config(**rest, services=services, machines=machines)


def _known(given: Given, key: str) -> dict[str, Given]:
    """Those that were said as a mapping; `null` removes one that is built in."""
    said = given.get(key) or {}
    return {own_id: one for own_id, one in said.items() if one is not BAD and one is not None}


def _machine(machine_id: str, said: Given) -> Machine:
    return Machine(
        **{**said, "id": machine_id, "start_timeout": said.get("start_timeout") or auto_start(said.get("launch"))}
    )


def auto_start(launch: Launch | None) -> float:
    return REMOTE if isinstance(launch, SLOW_KINDS) else LOCAL


def _service(service_id: str, said: Given, machines: dict[str, Machine]) -> Service:
    own = {key: value for key, value in said.items() if key in PLACE_KEYS}
    said_places: tuple[Given, ...] = said.get("places") or ({},)
    places = tuple(_place(own, one, machines) for one in said_places)
    service = Service(
        **{
            **said,
            "id": service_id,
            "places": places,
            "start_timeout": max(place.start_timeout for place in places),
            "queue_timeout": said.get("queue_timeout") or 0.0,
        }
    )
    if said.get("queue_timeout") is None:
        return _replaced(service, queue_timeout=_auto_queue(service, machines))
    return service


def _replaced(service: Service, **changes: Any) -> Service:
    return Service(**{**{key: getattr(service, key) for key in service.__struct_fields__}, **changes})


def _place(own: Given, said: Given, machines: dict[str, Machine]) -> Place:
    merged = {**own, **said}
    if merged.get("start_timeout") is None:
        merged["start_timeout"] = _auto_place(merged, machines)
    merged["headers"] = _headers(own.get("headers"), said.get("headers"))
    return Place(**merged)


def _auto_place(merged: Given, machines: dict[str, Machine]) -> float:
    launch = merged.get("launch")
    machine = machines.get(merged.get("machine", "local"))
    if launch is None and (machine is None or machine.launch is None):
        return WATCHED
    return auto_start(launch)


def _headers(own: HeaderRules | None, said: HeaderRules | None) -> HeaderRules:
    """The service's rules, then the place's own; a name counts in any spelling."""
    if own is None or said is None:
        return own or said or HeaderRules()
    names = {name.lower() for name in said.set}
    kept = {name: value for name, value in own.set.items() if name.lower() not in names}
    return HeaderRules(set={**kept, **said.set}, remove=tuple(dict.fromkeys((*own.remove, *said.remove))))


def _auto_queue(service: Service, machines: dict[str, Machine]) -> float:
    """What all attempts at all places, the pauses between them and the machines' wakes may take."""
    total = 0.0
    for place in service.places:
        total += service.start_attempts * place.start_timeout + _pauses(service)
        machine = machines.get(place.machine)
        if machine is not None and machine.launch is not None:
            total += machine.start_attempts * machine.start_timeout
    return max(SHORTEST_QUEUE_TIMEOUT, total)


def _pauses(service: Service) -> float:
    doublings = min(service.start_attempts - 1, 40)
    return float(service.retry_delay * JITTER * (2**doublings - 1))
