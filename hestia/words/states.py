"""The words of a life: the phases of a place or a machine, the events that it is told, and the effects that it wants.

The table that joins them stands in core/life.py; core/keeper.py performs the effects and tells what came of them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hestia.words.notes import Cause, Note
    from hestia.words.refusal import Refusal
    from hestia.words.run import Run
    from hestia.words.status import Phase as Shown
    from hestia.words.status import State


class Phase(StrEnum):
    """Where a life stands. Up to HOT in the order in which a start goes through them; some are skipped."""

    COLD = "cold"
    CHECKING = "checking"  # does it answer already?
    ROOM = "room"  # its machine has no room for it yet
    WAKING = "waking"  # its machine sleeps
    NEEDS = "needs"  # what it depends on is not hot yet
    LAUNCHING = "launching"
    PROBING = "probing"
    WARMING = "warming"
    PAUSED = "paused"  # between two attempts
    HOT = "hot"
    DRAINING = "draining"  # no new leases; the open ones may finish
    STOPPING = "stopping"
    CLEARING = "clearing"  # it died: what is left of it is ended


STARTING = frozenset(
    {
        Phase.CHECKING,
        Phase.ROOM,
        Phase.WAKING,
        Phase.NEEDS,
        Phase.LAUNCHING,
        Phase.PROBING,
        Phase.WARMING,
        Phase.PAUSED,
    }
)

SHOWN: dict[Phase, Shown] = {
    Phase.CHECKING: "probing",
    Phase.ROOM: "making_room",
    Phase.WAKING: "waking_machine",
    Phase.NEEDS: "dependencies",
    Phase.LAUNCHING: "launching",
    Phase.PROBING: "probing",
    Phase.WARMING: "warming",
    Phase.PAUSED: "launching",
}
"""What a status calls the phases of a start."""


def state_of(phase: Phase) -> State:
    """The state that a status shows for a phase. One that died is cold at once, whatever is still to be ended."""
    if phase in STARTING:
        return "starting"
    if phase is Phase.HOT:
        return "hot"
    if phase in {Phase.DRAINING, Phase.STOPPING}:
        return "stopping"
    return "cold"


# --- what a life is told


class Start(NamedTuple):
    """Its owner wants it hot."""


class Found(NamedTuple):
    """It answers already. `run` is known to be ours, None is somebody else's."""

    run: Run | None


class NotFound(NamedTuple):
    """It does not answer yet."""

    reason: str = ""


class Room(NamedTuple):
    """Its room is taken for it."""


class Elsewhere(NamedTuple):
    """Its owner starts another place instead."""


class Awake(NamedTuple):
    """Its machine is."""


class NeedsHot(NamedTuple):
    """All that it depends on is."""


class Launched(NamedTuple):
    """Its launcher's start has returned."""


class Failed(NamedTuple):
    """What was under way came to nothing: a launch, a wake, a dependency."""

    reason: str


class Ready(NamedTuple):
    """Its check passed."""


class NotReady(NamedTuple):
    """Its check failed. `at_once`: by an answer, not merely slow. `refused`: nobody listens there."""

    reason: str
    at_once: bool = True
    refused: bool = False


class Exited(NamedTuple):
    """What was launched has ended by itself."""

    reason: str


class Refused(NamedTuple):
    """A connection for a request was refused."""

    reason: str


class Due(NamedTuple):
    """The time that it set itself has come."""


class Emptied(NamedTuple):
    """Its last lease ended, and it wanted to know."""


class Stop(NamedTuple):
    """It shall be cold. `drain`: for so long its leases may go on."""

    cause: Cause
    drain: float = 0.0


class Stopped(NamedTuple):
    """It is gone. `dozes`: it was only paused, and keeps its memory and its room."""

    dozes: bool = False


class StopFailed(NamedTuple):
    """Its launcher could not end it."""

    reason: str


class Adopt(NamedTuple):
    """It was launched by a gateway before this one, and runs."""

    run: Run


Event = (
    Start
    | Found
    | NotFound
    | Room
    | Elsewhere
    | Awake
    | NeedsHot
    | Launched
    | Failed
    | Ready
    | NotReady
    | Exited
    | Refused
    | Due
    | Emptied
    | Stop
    | Stopped
    | StopFailed
    | Adopt
)
EVENTS: tuple[type, ...] = (
    Start,
    Found,
    NotFound,
    Room,
    Elsewhere,
    Awake,
    NeedsHot,
    Launched,
    Failed,
    Ready,
    NotReady,
    Exited,
    Refused,
    Due,
    Emptied,
    Stop,
    Stopped,
    StopFailed,
    Adopt,
)


# --- what a life wants done. The first group is for the keeper, the second for the life's owner.


class Enter(NamedTuple):
    """It entered a phase: whatever was under way for the one before ends, the work of this one begins."""

    life: Any
    epoch: int


class Forget(NamedTuple):
    """Nothing of this run is left."""

    run: Run


class Hangup(NamedTuple):
    """Idle connections to it are of no use any more. `break_off`: neither are the exchanges that still run."""

    life: Any
    break_off: bool = False


class Grant(NamedTuple):
    """The waiter's turn: the lease is taken already."""

    waiter: Any
    life: Any


class Refuse(NamedTuple):
    waiter: Any
    refusal: Refusal


class AskIdle(NamedTuple):
    """May it be stopped now? The answer is told to its owner's `may_stop`, always, also when it could not be asked."""

    owner: Any
    life: Any
    cause: Cause


class Say(NamedTuple):
    note: Note


Effect = Enter | Forget | Hangup | Grant | Refuse | AskIdle | Say


class BecameHot(NamedTuple):
    life: Any


class GaveUp(NamedTuple):
    """Every attempt at it failed. It is cold."""

    life: Any
    reason: str


class WentCold(NamedTuple):
    life: Any
    cause: Cause


class Died(NamedTuple):
    life: Any
    reason: str


class NotYet(NamedTuple):
    """It was ready and refused a connection at once: it is probed again."""

    life: Any
    reason: str


class Retrying(NamedTuple):
    """An attempt failed; another one follows after `delay`."""

    life: Any
    reason: str
    delay: float


class Idle(NamedTuple):
    """It had no lease for its idle time."""

    life: Any


class WantsRoom(NamedTuple):
    life: Any


class WantsAwake(NamedTuple):
    life: Any


class WantsNeeds(NamedTuple):
    life: Any


class TookUp(NamedTuple):
    """It runs already: its room, its machine and its dependencies are its own without having been asked for."""

    life: Any


class LetGo(NamedTuple):
    """It needs its room, its machine and its dependencies no more."""

    life: Any


ToOwner = (
    BecameHot
    | GaveUp
    | WentCold
    | Died
    | NotYet
    | Retrying
    | Idle
    | WantsRoom
    | WantsAwake
    | WantsNeeds
    | TookUp
    | LetGo
)
FOR_OWNERS: frozenset[type] = frozenset(ToOwner.__args__)
