"""One place's life, or one machine's: its fields, and the leases on it.

What happens to it stands in core/table.py. Leases are plain methods beside the table: they are on the path of every
request.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from hestia.words.states import Enter, Phase

if TYPE_CHECKING:
    from hestia.words.notes import Cause
    from hestia.words.run import Run

Effects = list[Any]


class Settings(NamedTuple):
    """What the configuration says of a place or a machine, as far as its life depends on it."""

    launches: bool = True  # it, or its machine's wake, can be started by us
    own_launch: bool = True  # it has a launcher of its own
    stops: bool = True  # something can stop it
    known: bool = True  # its address is known before it is started
    checked: bool = True  # something tells when it is ready, apart from `warmup`
    machine: bool = False  # it is one
    start_timeout: float = 60.0
    attempts: int = 2
    retry_delay: float = 1.0
    warmup: float = 0.0
    idle_timeout: float = 600.0  # 0: never
    dies_by_exit: bool = False  # its launcher tells of its end, so a slow check is no death


class Life:
    """One place's, or one machine's. `owner` is its service or the machine itself."""

    __slots__ = (
        "attempt",
        "awake",
        "began",
        "busy_until",
        "cause",
        "counted_from",
        "dozes",
        "due",
        "epoch",
        "failures",
        "found",
        "hears",
        "hot_at",
        "idle_since",
        "key",
        "leases",
        "looked",
        "machine",
        "more_delay",
        "needs",
        "number",
        "owner",
        "phase",
        "quiet",
        "reason",
        "room",
        "run",
        "settings",
        "slots",
        "spec",
        "start_again",
        "stop_cause",
        "tries_to_stop",
        "used_at",
        "wants_its_end",
        "way",
        "yields",
    )

    def __init__(
        self, key: str, owner: Any, spec: Any, settings: Settings, *, number: int = 0, machine: str = ""
    ) -> None:
        self.key = key
        self.owner = owner
        self.spec = spec
        self.settings = settings
        self.number = number
        self.machine = machine
        self.phase = Phase.COLD
        self.epoch = 0
        self.due: float | None = None
        # who uses it
        self.leases = 0
        self.quiet = 0  # exchanges that keep nobody awake
        self.slots = 0  # leases that count for `max_concurrency`
        self.idle_since = 0.0  # its last lease's end, or what counts like one
        self.counted_from = 0.0  # when it was set without a lease
        self.used_at: float | None = None  # the last use before that
        self.hot_at = 0.0
        self.wants_its_end = False  # it wants to know when its last lease ends
        self.hears = False  # somebody wants to know of each lease's end
        self.yields = False  # a start needs its room: it takes no new leases
        self.busy_until = 0.0  # it said that it works without a request; asked again then
        # its start
        self.attempt = 0
        self.began = 0.0
        self.looked = self.found = self.room = self.awake = self.needs = False
        self.reason: str | None = None
        self.failures = 0
        self.more_delay: Callable[[], float] = float  # 0 to 1, for the jitter
        self.start_again = False
        self.dozes = False  # it was paused: cold, but its room is not free
        self.cause: Cause = "request"
        # its end
        self.stop_cause: Cause = "command"
        self.tries_to_stop = 0
        # what the keeper has of it
        self.run: Run | None = None
        self.way: Any = None

    # --- the hot path: plain methods beside the table

    def release(self, now: float) -> None:
        """One lease with its slot is given back."""
        self.leases -= 1
        self.slots -= 1
        if not self.leases:
            self.idle_since = now
        if self.hears:
            self.owner.released(self)

    def tunnel_begins(self) -> None:
        """A tunnel keeps its lease and gives back its slot."""
        self.slots -= 1
        if self.hears:
            self.owner.released(self)

    def tunnel_ended(self, now: float) -> None:
        self.slots += 1
        self.release(now)

    def quieten(self, now: float) -> None:
        """A tunnel is silent for too long: it keeps nobody awake."""
        self.quiet += 1
        self.tunnel_ended(now)

    def waken(self) -> bool:
        """It speaks again. False: too late, it is being stopped."""
        if self.phase is not Phase.HOT:
            return False
        self.quiet -= 1
        self.leases += 1
        return True

    def release_quiet(self, _now: float) -> None:
        self.quiet -= 1
        if self.hears:
            self.owner.released(self)

    # --- everything else

    def count_idle(self, now: float) -> None:
        """Idle time counts from now, though no lease ended."""
        self.used_at = self.last_use
        self.idle_since = self.counted_from = now

    @property
    def last_use(self) -> float | None:
        """When its last lease ended."""
        return self.idle_since if self.idle_since > self.counted_from else self.used_at

    @property
    def managed(self) -> bool:
        """Whether we may stop it: we started it, or its launcher knows it for its own."""
        return self.run is not None and self.settings.stops

    @property
    def hot(self) -> bool:
        return self.phase is Phase.HOT

    def listen(self, *, to_its_end: bool | None = None) -> None:
        """Whether the end of a lease matters to anybody: to itself, to a line, to a start that needs its room."""
        if to_its_end is not None:
            self.wants_its_end = to_its_end
        self.hears = self.wants_its_end or self.yields or self.owner.crowded

    def enter(self, phase: Phase, due: float | None = None) -> Effects:
        self.phase = phase
        self.due = due
        self.epoch += 1
        return [Enter(self, self.epoch)]

    def __repr__(self) -> str:
        return f"<Life {self.key} {self.phase} leases={self.leases} attempt={self.attempt}>"
