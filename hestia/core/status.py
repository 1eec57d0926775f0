"""What is answered about a service and about a machine, made from how they are now.

`now` and `wall` are the same moment, by the loop's clock and by the calendar.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

from hestia.rules.fill import fill
from hestia.words.states import SHOWN, STARTING, Phase, state_of
from hestia.words.status import MachineStatus, PlaceStatus, ServiceStatus

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.core.machine import Machine
    from hestia.core.service import Service
    from hestia.words.status import Phase as Shown

IN_FRONT = (Phase.HOT, Phase.DRAINING, *STARTING, Phase.STOPPING, Phase.CLEARING, Phase.COLD)
"""Of several places, the one that a status speaks of is the first of these."""


def service_status(service: Service, now: float, wall: float) -> ServiceStatus:
    """Every field of the API."""
    life = leading(service)
    idles = any(each.settings.launches for each in service.lives)
    return ServiceStatus(
        id=service.id,
        state=service.state,
        readiness="ready" if service.state == "hot" else "not_ready",
        phase=_phase(service, life),
        reason=_reason(service, life),
        machine=life.machine,
        base_url=_base_url(life),
        managed=any(each.hot and each.managed for each in service.lives),
        places=tuple(_place(each) for each in service.lives),
        waiters=service.waiters,
        leases=sum(each.leases for each in service.lives),
        idle_for_s=_idle_for(service, now) if idles else None,
        idle_timeout_s=service.spec.idle_timeout if idles else None,
        hot_since=rfc3339(service.hot_since),
        last_used=_last_used(service, now, wall),
        starts=service.starts,
        last_start_s=_rounded(service.last_start_s),
        expected_start_s=_rounded(service.expected_start_s),
        last_error=service.last_error,
        cooldown_s=_rounded(max(0.0, service.due - now)) if service.state == "failed" and service.due else None,
        held_until=_held_until(service.fleet.held_until(service)),
        kept_by=_kept_by(service, now),
    )


def machine_status(machine: Machine) -> MachineStatus:
    """`used` is what the services on it take of its room, those that start included."""
    fleet = machine.fleet
    used = dict.fromkeys(machine.spec.capacity, 0.0)
    for life in fleet.places():
        if life.machine == machine.id and life.room:
            for name, amount in fleet.needs_of(life).items():
                used[name] = used.get(name, 0.0) + amount
    awake_for = {life.owner.id for life in machine.users} | set(fleet.kept_warm_on(machine.id))
    held = machine.held_until
    return MachineStatus(
        id=machine.id,
        state=machine.state,
        capacity=dict(machine.spec.capacity),
        used=used,
        held_until=_held_until(held if held is None or held > fleet.wall() else None),
        holds=tuple(sorted(awake_for)),
        leases=machine.life.leases,
        last_error=machine.last_error,
    )


def leading(service: Service) -> Life:
    """The place that stands for the service: the hot one, else the one that starts, else the first."""
    return min(service.lives, key=lambda life: (_rank(life), life.number))


def _rank(life: Life) -> int:
    return IN_FRONT.index(Phase.PAUSED if life.phase in STARTING else life.phase)


def _phase(service: Service, life: Life) -> Shown | None:
    if service.state != "starting":
        return None
    return SHOWN.get(life.phase, "launching")  # what a failed attempt left is stopped, and then it is launched again


def _reason(service: Service, life: Life) -> str | None:
    """Why it is not hot, as far as that is known."""
    if service.state == "hot":
        return None
    return life.reason or (service.last_error if service.state == "failed" else None)


def _base_url(life: Life) -> str | None:
    """Where it is reached in this life; a port that is chosen at its start is not known before."""
    said: str | None = life.spec.base_url
    if said is not None:
        said = fill(said, {"service": life.owner.id, "machine": life.machine})
    return said if life.run is None else life.run.told.base_url or life.run.base_url or said


def _place(life: Life) -> PlaceStatus:
    return PlaceStatus(
        machine=life.machine,
        base_url=_base_url(life),
        state=state_of(life.phase),
        reason=life.reason,
        managed=life.hot and life.managed,
        leases=life.leases,
    )


def _kept_by(service: Service, now: float) -> tuple[str, ...]:
    """By the names under which the activity and the report count it."""
    if service.state != "hot":
        return ()
    kept = sorted({each.owner.id for each in service.dependents})
    if service.kept_warm:
        kept.append("keep_warm")
    if any(life.hot and now < life.busy_until for life in service.lives):
        kept.append("busy")
    return tuple(kept)


def _idle_for(service: Service, now: float) -> float | None:
    """Only a hot one without a lease is idle."""
    if service.state != "hot" or any(life.leases for life in service.lives):
        return None
    return _rounded(max(0.0, now - max(life.idle_since for life in service.lives if life.hot)))


def _last_used(service: Service, now: float, wall: float) -> str | None:
    if any(life.leases for life in service.lives):
        return rfc3339(wall)
    times = [life.last_use for life in service.lives if life.last_use is not None]
    return rfc3339(wall - (now - max(times))) if times else None


def _held_until(until: float | None) -> str | None:
    return "forever" if until == inf else rfc3339(until)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def rfc3339(wall: float | None) -> str | None:
    """A moment of the calendar, in UTC."""
    if wall is None:
        return None
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
