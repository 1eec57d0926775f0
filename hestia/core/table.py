"""THE table: what each event does to a life in each phase.

A handler changes fields and returns effects; it waits for nothing and knows no clock. Who drives it performs the
effects and tells the next events. A cell that is neither in the table nor ignored cannot happen, and raises.

    COLD, CHECKING, ROOM, WAKING, NEEDS, LAUNCHING, PROBING, WARMING, HOT, DRAINING, STOPPING, COLD

A failed attempt is stopped, waits as PAUSED, and goes on from what is still missing. A death goes through CLEARING.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hestia.core import rows_end, rows_start
from hestia.words.states import (
    STARTING,
    Adopt,
    Awake,
    Due,
    Elsewhere,
    Emptied,
    Event,
    Exited,
    Failed,
    Found,
    Launched,
    NeedsHot,
    NotFound,
    NotReady,
    Phase,
    Ready,
    Refused,
    Room,
    Start,
    Stop,
    StopFailed,
    Stopped,
)

if TYPE_CHECKING:
    from hestia.core.life import Effects, Life


def tell(life: Life, event: Event, now: float) -> Effects:
    """The one way in. Raises AssertionError for what cannot happen."""
    handler = TABLE[life.phase].get(type(event))
    if handler is not None:
        return handler(life, event, now)
    if type(event) in IGNORED[life.phase]:
        return []
    message = f"{type(event).__name__} cannot happen to {life.key} while it is {life.phase}"
    raise AssertionError(message)


P = Phase
TABLE: dict[Phase, dict[type, Callable[[Life, Any, float], Effects]]] = {
    P.COLD: {
        Start: rows_start.start,
        Found: rows_start.seen_hot,
        NotReady: rows_start.note,
        Adopt: rows_start.adopt,
        Stop: rows_start.stop_cold,
    },
    P.CHECKING: {Found: rows_start.found, NotFound: rows_start.not_found, Stop: rows_start.stop_start},
    P.ROOM: {
        Room: rows_start.room,
        Elsewhere: rows_start.elsewhere,
        Stop: rows_start.stop_start,
        Failed: rows_start.give_up,
    },
    P.WAKING: {Awake: rows_start.awake, Failed: rows_start.give_up, Stop: rows_start.stop_start},
    P.NEEDS: {NeedsHot: rows_start.needs, Failed: rows_start.give_up, Stop: rows_start.stop_start},
    P.LAUNCHING: {
        Launched: rows_start.launched,
        Failed: rows_start.attempt_failed,
        Exited: rows_start.attempt_failed,
        Due: rows_start.too_late,
        Stop: rows_start.stop_start,
    },
    P.PROBING: {
        Ready: rows_start.ready,
        NotReady: rows_start.note,
        Failed: rows_start.attempt_failed,
        Exited: rows_start.attempt_failed,
        Due: rows_start.too_late,
        Stop: rows_start.stop_start,
    },
    P.WARMING: {Due: rows_start.hot, Exited: rows_start.attempt_failed, Stop: rows_start.stop_start},
    P.PAUSED: {Due: rows_start.again, Stop: rows_start.stop_start},
    P.HOT: {
        Due: rows_end.idle,
        Emptied: rows_end.idle_again,
        Ready: rows_end.check_passed,
        NotReady: rows_end.check_failed,
        Refused: rows_end.refused,
        Exited: rows_end.died,
        Stop: rows_end.stop_hot,
    },
    P.DRAINING: {
        Emptied: rows_end.emptied,
        Due: rows_end.end,
        Exited: rows_end.died_draining,
        Start: rows_end.start_later,
        Stop: rows_end.stop_sooner,
    },
    P.STOPPING: {
        Stopped: rows_end.stopped,
        StopFailed: rows_end.stop_failed,
        Due: rows_end.stop_again,
        Start: rows_end.start_later,
        Stop: rows_end.no_start,
    },
    P.CLEARING: {
        Stopped: rows_end.stopped,
        StopFailed: rows_end.stop_failed,
        Due: rows_end.stop_again,
        Start: rows_end.start_later,
        Stop: rows_end.no_start,
    },
}


_WHILE_STARTING = (Start, Emptied, Refused, NotReady)
IGNORED: dict[Phase, tuple[type, ...]] = {
    P.COLD: (Exited, Refused, Emptied),
    P.CHECKING: (*_WHILE_STARTING, Exited),
    P.ROOM: (*_WHILE_STARTING, Exited),
    P.WAKING: (*_WHILE_STARTING, Exited),
    P.NEEDS: (*_WHILE_STARTING, Exited),
    P.LAUNCHING: _WHILE_STARTING,
    P.PROBING: (Start, Emptied, Refused),
    P.WARMING: _WHILE_STARTING,
    P.PAUSED: (*_WHILE_STARTING, Exited),
    P.HOT: (Start,),
    P.DRAINING: (NotReady, Ready, Refused),
    P.STOPPING: (Exited, NotReady, Ready, Refused, Emptied),
    P.CLEARING: (Exited, NotReady, Ready, Refused, Emptied),
}
"""What comes too late or says nothing new. It is harmless, and nothing follows."""

assert set(TABLE) == set(IGNORED) == set(Phase)  # noqa: S101 - a phase without a row would be found by a user
assert set(TABLE) > STARTING  # noqa: S101
