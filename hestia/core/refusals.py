"""Why nobody may wait, or waited in vain: in words for the one who did."""

from __future__ import annotations

from math import ceil, inf
from typing import TYPE_CHECKING

from hestia.words.refusal import Refusal
from hestia.words.states import STARTING, Phase

if TYPE_CHECKING:
    from hestia.core.fleet import Fleet
    from hestia.core.life import Life
    from hestia.core.service import Service


ASK_AGAIN_S = 60
"""For a hold without an end: the operator may have ended it by then."""


def hold_of(service: Service, until: float) -> Refusal:
    """`until`: of the hold that lasts longest: of everything, of the service, or of its machines."""
    fleet = service.fleet
    starts = f"hestiactl start {service.id}"
    machines = sorted({life.machine for life in service.lives})
    others = (f"the machine {' and '.join(machines)}", f"hestiactl machines wake {machines[0]}")
    known = {fleet.held_all_until: ("everything", starts), service.held_until: (service.id, starts)}
    what, end = known.get(until, others)
    return held(what, until - fleet.wall(), end)


def held(what: str, left: float, end: str) -> Refusal:
    """`left`: the seconds until the hold is over. `end`: the command that ends it."""
    if left == inf:
        words = f"the operator holds {what} until it is ended (`{end}`)"
        return Refusal("held", words, retry_after=ASK_AGAIN_S)
    return Refusal("held", f"the operator holds {what} for another {ceil(left)} s", retry_after=max(1, ceil(left)))


def did_not_start(service: Service, left: float) -> Refusal:
    """`left`: the seconds until its cool-down is over."""
    return Refusal("start_failed", f"{service.id} did not start: {service.last_error}", retry_after=max(1, ceil(left)))


def too_long(service: Service) -> Refusal:
    """At the end of `queue_timeout`: what it was that took so long."""
    waited = f"waited {service.spec.queue_timeout:g} s (`queue_timeout`)"
    life = next((each for each in service.lives if each.phase is Phase.ROOM), None)
    if life is not None:
        return Refusal("no_room", f"{service.id} {waited}: {in_the_way(service.fleet, life)}")
    if service.state == "hot":
        return Refusal("wait_timeout", f"{waited} for one of `max_concurrency` turns of {service.id}")
    reason = next((each.reason for each in service.lives if each.reason), None)
    words = f"{waited} for {service.id}, which is {service.state}"
    return Refusal("wait_timeout", f"{words}: {reason}" if reason else words)


def in_the_way(fleet: Fleet, life: Life) -> str:
    """What a start needs and who has it."""
    capacity = fleet.machines[life.machine].spec.capacity
    wanted = {name: amount for name, amount in fleet.closure(life)[1].items() if name in capacity}
    holders = [each for each in fleet.places() if each.machine == life.machine and each.room and each is not life]
    names = [f"{each.owner.id} ({_why(each)})" for each in holders if fleet.needs_of(each).keys() & wanted.keys()]
    amounts = [f"{amount:g} of {capacity[name]:g} {name}" for name, amount in wanted.items()]
    return f"it needs {', '.join(amounts)} on {life.machine}; there are {', '.join(names) or 'others before it'}"


def _why(life: Life) -> str:
    """What keeps it there."""
    service = life.owner
    reasons = {
        f"{life.leases} in use": life.leases,
        "starting": life.phase in STARTING,
        "paused": life.dozes,
        "works without a request": service.fleet.clock() < life.busy_until,
        "inside its `keep_warm`": service.kept_warm,
        f"needed by {', '.join(each.id for each in service.needs.owners())}": service.dependents,
        "not ours to stop": life.hot and not life.managed,
    }
    return next((words for words, holds in reasons.items() if holds), str(life.phase))
