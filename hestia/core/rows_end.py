"""Rows of the table (core/table.py): what happens to a hot one, its end, and an end that does not come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hestia.core.rows_start import after_attempt, cold, start
from hestia.words.states import (
    Died,
    Exited,
    Forget,
    GaveUp,
    Hangup,
    Idle,
    NotReady,
    NotYet,
    Phase,
    Refused,
    Stop,
    StopFailed,
    Stopped,
    WentCold,
)

if TYPE_CHECKING:
    from hestia.core.life import Effects, Life

FAILURES_TO_DIE = 2
SETTLING = 1.0
"""A refused connection so soon after ready means `not ready yet`: a port proxy accepts before its service does."""
FIRST_STOP_DELAY, LONGEST_STOP_DELAY = 5.0, 300.0
TRIES_TO_STOP = 2
"""After so many a start that waits for the end of the one before comes to nothing."""


# --- hot


def idle(life: Life, _event: Any, now: float) -> Effects:
    """Idle time counts from the last lease's end; the timer is not moved for each request, but looked at when due."""
    timeout = life.settings.idle_timeout
    life.listen(to_its_end=bool(life.leases))
    if life.leases:
        return []
    if now < life.idle_since + timeout:
        life.due = life.idle_since + timeout
        return []
    return [Idle(life)]


def idle_again(life: Life, _event: Any, now: float) -> Effects:
    s = life.settings
    return idle(life, None, now) if life.due is None and s.idle_timeout > 0 and s.launches else []


def check_passed(life: Life, _event: Any, _now: float) -> Effects:
    life.failures = 0
    return []


def check_failed(life: Life, event: NotReady, now: float) -> Effects:
    """What its launcher watches dies by its exit only, and one that works may be slow to answer."""
    watched = life.settings.dies_by_exit and life.run is not None
    if watched or (life.leases and not event.at_once and not event.refused):
        return []
    if event.refused:
        return refused(life, Refused(event.reason), now)
    life.failures += 1
    return died(life, Exited(event.reason), now) if life.failures >= FAILURES_TO_DIE else []


def refused(life: Life, event: Refused, now: float) -> Effects:
    if now - life.hot_at < SETTLING and life.settings.checked and not life.found:
        life.reason = event.reason
        return [*life.enter(Phase.PROBING, now + life.settings.start_timeout), NotYet(life, event.reason)]
    return died(life, Exited(event.reason), now)


def died(life: Life, event: Exited, _now: float) -> Effects:
    """Cold at once. The rest of its process group is ended before the next start."""
    life.reason = event.reason
    life.stop_cause = "died"
    life.start_again = life.looked = False
    if life.managed:
        return [*life.enter(Phase.CLEARING), Hangup(life), Died(life, event.reason)]
    return [*cold(life), Died(life, event.reason), WentCold(life, "died")]


# --- the end


def stop_hot(life: Life, event: Stop, now: float) -> Effects:
    life.stop_cause = event.cause
    life.start_again = life.looked = False
    if life.leases and event.drain > 0:
        life.listen(to_its_end=True)
        return life.enter(Phase.DRAINING, now + event.drain)
    return end(life, None, now)


def end(life: Life, _event: Any, now: float) -> Effects:
    """What still runs through it is broken off, and it is stopped. What we may not stop is only forgotten."""
    life.listen(to_its_end=False)
    if life.managed:
        return [*life.enter(Phase.STOPPING), Hangup(life, break_off=True)]
    return [Hangup(life, break_off=True), *_gone(life, now)]


def stop_sooner(life: Life, event: Stop, now: float) -> Effects:
    life.stop_cause = event.cause
    life.start_again = False
    if life.due is not None:
        life.due = min(life.due, now + event.drain)
    return []


def emptied(life: Life, event: Any, now: float) -> Effects:
    return [] if life.leases else end(life, event, now)


def died_draining(life: Life, event: Exited, now: float) -> Effects:
    """What our own stop ended is no failure; what ended while it could finish its leases has nothing left to do."""
    life.reason = event.reason
    return end(life, None, now)


def stopped(life: Life, event: Stopped, now: float) -> Effects:
    life.dozes = event.dozes
    if life.stop_cause == "failed":
        run, life.run = life.run, None
        life.tries_to_stop = 0
        forgotten: Effects = [Forget(run)] if run is not None else []
        return [*forgotten, *after_attempt(life, now)]
    return _gone(life, now)


def _gone(life: Life, now: float) -> Effects:
    """Cold; and started again if that was wanted meanwhile."""
    wanted, life.start_again = life.start_again, False
    effects = [*cold(life), WentCold(life, life.stop_cause)]
    return [*effects, *start(life, None, now)] if wanted else effects


# --- an end that does not come


def stop_failed(life: Life, event: StopFailed, now: float) -> Effects:
    """It may still run, and cost: tried again, later and later. A start looks at what is there, and gives up soon."""
    words = f"could not be stopped: {event.reason}"
    life.tries_to_stop += 1
    if life.start_again and not life.looked:
        return start(life, None, now)
    life.due = now + min(FIRST_STOP_DELAY * 2 ** min(life.tries_to_stop - 1, 10), LONGEST_STOP_DELAY)
    failing = life.stop_cause == "failed"
    if life.tries_to_stop < TRIES_TO_STOP or not (life.start_again or failing):
        if not (failing and life.reason):
            life.reason = words
        elif event.reason not in life.reason:  # an engine that is away says the same of the stop as of the start
            life.reason = f"{life.reason}; {words}"
        return []
    reason = life.reason if failing and life.reason else words
    life.start_again = False
    life.reason = reason
    if failing:
        life.stop_cause = "died"
    return [GaveUp(life, reason)]


def stop_again(life: Life, _event: Any, _now: float) -> Effects:
    return life.enter(life.phase)


def start_later(life: Life, _event: Any, now: float) -> Effects:
    """It is being stopped: it starts again when it is gone. One that cannot be stopped is looked at now."""
    if life.stop_cause == "failed":  # its start goes on anyway
        return []
    life.looked = False
    if life.tries_to_stop and life.due is not None:
        return start(life, None, now)
    life.start_again = True
    return []


def no_start(life: Life, event: Stop, _now: float) -> Effects:
    life.start_again = False
    if life.stop_cause == "failed":  # the attempts end here
        life.stop_cause = event.cause
    return []
