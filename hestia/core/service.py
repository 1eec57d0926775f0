"""One service as it is now: its places, its line, and the hot path to them.

A hot lease is one plain method. Everything else asks the lives of its places (core/table.py) and acts on what they
tell: how it starts stands in core/starts.py, how it ends in core/ends.py, what it depends on in core/needs.py. Nothing
here waits and nothing knows a clock: `fleet` has both.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from hestia.core.ends import Ends
from hestia.core.life import Life
from hestia.core.line import Line, Waiter
from hestia.core.needs import Needs
from hestia.core.refusals import did_not_start, too_long
from hestia.core.settings import settings_of_place
from hestia.core.starts import Starts, under_way
from hestia.words.notes import Note
from hestia.words.refusal import Refusal
from hestia.words.states import (
    BecameHot,
    Died,
    GaveUp,
    Grant,
    Idle,
    LetGo,
    NotYet,
    Phase,
    Refuse,
    Retrying,
    Say,
    TookUp,
    WantsAwake,
    WantsNeeds,
    WantsRoom,
    WentCold,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hestia.core.fleet import Fleet
    from hestia.words.notes import Cause
    from hestia.words.spec import Service as Spec
    from hestia.words.status import State

PAGE_COUNTS_FOR = 10.0


class Service:
    """Only its own methods change it. Each that may change a state ends with `fleet.settle()`, by its caller."""

    def __init__(self, spec: Spec, fleet: Fleet) -> None:
        self.id: str = spec.id
        self.fleet = fleet
        self.spec = spec
        self.lives: list[Life] = []
        self.line = Line()
        self.open: Life | None = None  # the one place that anybody may lease without further thought
        self.pages: dict[str, float] = {}  # waiting pages, and until when each counts
        self.state: State = "cold"
        self.due: float | None = None  # the end of the cool-down
        # the start at hand
        self.start_policy = Starts(self)
        self.cause: Cause = "request"
        self.request_id = ""
        self.began = 0.0
        self.number = 0  # its place among all starts: who asked for room first
        self.wanted = False  # by a command: a start that waits for room goes on
        # what keeps it awake, or cold
        self.end_policy = Ends(self)
        self.needs = Needs(self)
        self.dependents: set[Life] = set()
        self.needing: dict[Life, None] = {}  # dependents that wait for it to be hot
        self.warm = False  # inside a window of `keep_warm`
        self.kept_cold = False  # by a stop command, for the rest of the window
        self.held_until: float | None = None  # by the calendar
        self.announced = False  # that it is ready
        self.ending = False  # it is stopped once its dependents are
        self.next_spec: Spec | None = None  # other places, once nothing of these is left
        # what a status tells
        self.last_error: str | None = None
        self.hot_since: float | None = None  # by the calendar
        self.hot_seconds = 0.0
        self.hot_from = 0.0
        self.starts = 0
        self.last_start_s: float | None = None
        self.expected_start_s: float | None = None
        self.hears = self._ears()
        self.make_lives()

    def make_lives(self) -> None:
        """One for each place of the configuration."""
        for number, place in enumerate(self.spec.places):
            machine = self.fleet.machines[place.machine]
            settings = settings_of_place(
                self.spec, place, machine.spec, dies_by_exit=self.fleet.watched_by_launcher(place.launch)
            )
            life = Life(f"{self.id}/{number}", self, place, settings, number=number, machine=place.machine)
            life.more_delay = self.fleet.jitter
            self.lives.append(life)

    # --- the hot path

    def lease_nowait(self) -> Life | None:
        """A lease for one exchange, or None: then it has to `ask`. Each is paid back by one `release` of the life."""
        life = self.open
        if life is None:
            life = self._choose() if self.state == "hot" and not self.line else None
            if life is None:
                return None
        life.leases += 1
        life.slots += 1
        return life

    def lease_quietly(self) -> Life | None:
        """For a request that keeps nobody awake and wakes nobody."""
        hot = [life for life in self.lives if life.hot]
        if not hot or self.state != "hot":
            return None
        life = min(hot, key=lambda each: each.leases + each.quiet)
        life.quiet += 1
        return life

    def _choose(self) -> Life | None:
        most = self.spec.max_concurrency
        free = [life for life in self.lives if life.hot and not life.yields and (not most or life.slots < most)]
        if len(free) < 2:  # noqa: PLR2004 - nothing to choose from
            return free[0] if free else None
        return self.fleet.balance(self, free)

    def released(self, life: Life) -> None:
        """A lease on `life` ended, and somebody wanted to hear of it."""
        self.fleet.released(life)

    @property
    def crowded(self) -> bool:
        """Whether the end of a lease may be somebody's turn."""
        return bool(self.line)

    # --- requests

    @property
    def waiters(self) -> int:
        """Requests in the line, and pages that wait."""
        return len(self.line) + len(self.pages)

    def ask(self, waiter: Waiter) -> None:
        """It waits its turn, or is refused at once."""
        refusal = self.refusal()
        if refusal is None and len(self.line) >= self.spec.queue_size:
            refusal = Refusal("queue_full", f"the line of {self.id} is full: {len(self.line)} wait (`queue_size`)")
        if refusal is not None:
            self.fleet.do(Refuse(waiter, refusal))
            return
        now = self.fleet.clock()
        waiter.since = now
        waiter.deadline = now + self.spec.queue_timeout
        self.line.join(waiter)
        self.kept_cold = False
        if self.state != "hot":
            waiter.started = True
            self.begin(waiter.cause, waiter.request_id, waiter.who)
        self.pump()

    def refusal(self) -> Refusal | None:
        """Why a request that would wait is refused now; None if it may wait."""
        refusal = self.barred()
        if refusal is not None:
            return refusal
        if self.state == "failed":
            return did_not_start(self, (self.due or 0.0) - self.fleet.clock())
        if self.spec.waiting == "refuse" and self.state != "hot":
            return Refusal("cold", f"{self.id} is {self.state} and says `waiting: refuse`")
        return None

    def barred(self) -> Refusal | None:
        """Why nothing may start it now, whoever wants it."""
        if self.fleet.closing:
            return Refusal("stopped", "the gateway is shutting down")
        return self.fleet.held(self) or self.fleet.held_below(self)

    def left(self, waiter: Waiter) -> None:
        """Its client is gone. A start that has begun goes on; one that still waits for room is dropped."""
        if self.line.leave(waiter):
            self.refresh()

    def page(self, key: str) -> None:
        """A waiting page asked: it counts as a waiter from now on, for a while."""
        self.pages[key] = self.fleet.clock() + PAGE_COUNTS_FOR

    def page_left(self, key: str) -> None:
        self.pages.pop(key, None)

    def pump(self) -> None:
        """Grants as long as there is somebody and something. Nobody overtakes."""
        while self.line and self.state == "hot":
            life = self._choose()
            waiter = self.line.first()
            if life is None or waiter is None:
                break
            self.line.leave(waiter)
            life.leases += 1
            life.slots += 1
            self.fleet.do(Grant(waiter, life))
        self.refresh()

    def refuse_all(self, refusal: Refusal) -> None:
        for waiter in self.line.clear():
            self.fleet.do(Refuse(waiter, refusal))

    # --- its life

    def begin(self, cause: Cause, request_id: str = "", who: str = "") -> None:
        """Make it hot, unless that is under way. A place that is being stopped starts again when it is gone."""
        self.start_policy.begin(cause, request_id, who)

    def begun_before(self, request_id: str) -> None:
        """It was started by a gateway before this one."""
        self.cause, self.request_id = "adoption", request_id
        self.began = self.fleet.clock()

    def cool_down_over(self) -> None:
        """A command, a retry, readiness that was seen, or time ends it."""
        self.due = None
        if self.state == "failed":
            self.state = "cold"
            self.refresh()

    def stop(self, cause: Cause, *, drain: float | None = None) -> None:
        """Make it cold: first what depends on it, then itself. Whoever waits is told."""
        self.end_policy.stop(cause, drain)

    def may_stop(self, life: Life, *, yes: bool, cause: Cause) -> None:
        """The answer to whether it works without a request."""
        self.end_policy.answered(life, yes=yes, cause=cause)

    def set_warm(self, *, inside: bool) -> None:
        """Inside a window it is hot without a request, but for a stop by command: that holds for the window's rest."""
        self.needs.keep_warm()
        if self.warm and not inside:
            self.kept_cold = False
        self.warm = inside
        if self.kept_warm and self.state == "cold" and self.barred() is None:
            self.begin("keep_warm")
        self.start_policy.resume()  # what is needed by one that was adopted
        self.start_policy.top_up()

    @property
    def kept_warm(self) -> bool:
        return self.warm and not self.kept_cold

    @property
    def awake_anyway(self) -> bool:
        """Kept awake by something else than leases."""
        return bool(self.dependents) or bool(self.line) or self.kept_warm

    @property
    def wanted_by_anybody(self) -> bool:
        """Whether a start that still waits for room goes on."""
        return bool(self.line or self.pages or self.wanted or self.needing or self.dependents or self.kept_warm)

    def is_awake(self, life: Life) -> bool:
        """Whether the machine of this place is."""
        return self.fleet.machines[life.machine].awake

    # --- what its places tell

    def _ears(self) -> dict[type, Callable[[Any], None]]:
        starts, fleet = self.start_policy, self.fleet
        return {
            BecameHot: self._became_hot,
            GaveUp: starts.gave_up,
            Retrying: starts.retrying,
            NotYet: starts.not_yet,
            Died: self.end_policy.died,
            WentCold: self._went_cold,
            Idle: self.end_policy.idle,
            WantsRoom: lambda message: fleet.want_room(message.life),
            WantsAwake: lambda message: fleet.want_awake(message.life),
            WantsNeeds: lambda message: fleet.want_needs(message.life),
            TookUp: lambda message: fleet.take_up(message.life),
            LetGo: lambda message: fleet.let_go(message.life),
        }

    def on(self, message: Any) -> None:
        """Deferred by the fleet: what is told may be over already, so each looks at what is now."""
        self.hears[type(message)](message)
        self.refresh()

    def _became_hot(self, message: BecameHot) -> None:
        if not message.life.hot:
            return
        self.due = None
        self.refresh()
        self.fleet.machines[message.life.machine].stay_awake()
        self.start_policy.ready(message.life)
        self.needs.met()
        self.pump()

    def _went_cold(self, message: WentCold) -> None:
        if message.cause not in {"died", "failed"}:
            self.say("service.stopped", message.life, cause=message.cause, kept_by=self.needs.take_kept())
        self.refresh()
        self.fleet.went_cold(self)
        self.start_policy.resume()

    # --- time

    def look(self, now: float) -> None:
        """What is overdue: waiters, pages, the cool-down."""
        for waiter in self.line.overdue(now):
            self.fleet.do(Refuse(waiter, too_long(self)))
        for key in [key for key, until in self.pages.items() if until <= now]:
            del self.pages[key]
        self.needs.look(now)
        if self.due is not None and self.due <= now:
            self.cool_down_over()
            self.start_policy.resume()  # one that is needed by what is hot is tried again
        self.refresh()

    def next_look(self) -> float:
        """When `look` has something to do."""
        times = [self.due, self.line.due, self.needs.due, *self.pages.values()]
        return min((time for time in times if time is not None), default=inf)

    # --- what follows from the places

    def refresh(self) -> None:
        """The state, and which place may be leased without thought, after anything has changed."""
        before = self.state
        self.state = self._state()
        hot = [life for life in self.lives if life.hot and not life.yields]
        plain = len(hot) == 1 and not self.line and not self.spec.max_concurrency and self.state == "hot"
        self.open = hot[0] if plain else None
        for life in self.lives:
            life.listen()
        if before != self.state:
            self._changed(before)

    def _state(self) -> State:
        phases = [life.phase for life in self.lives]
        if Phase.HOT in phases:
            return "stopping" if self.ending else "hot"
        if any(under_way(life) for life in self.lives):
            return "starting"
        if self.state == "failed" and self.due is not None:
            return "failed"
        return "stopping" if Phase.DRAINING in phases or Phase.STOPPING in phases else "cold"

    def _changed(self, before: State) -> None:
        now = self.fleet.clock()
        if self.state == "hot":
            self.hot_from = now
            self.hot_since = self.fleet.wall()
        elif before == "hot":
            self.hot_seconds += now - self.hot_from
            self.hot_since = None
            self.announced = False

    def say(
        self,
        kind: str,
        life: Life | None = None,
        *,
        cause: Cause | None = None,
        request_id: str = "",
        took_s: float | None = None,
        **more: Any,
    ) -> None:
        """One thing that happened to it."""
        self.refresh()
        self.fleet.do(
            Say(
                Note(
                    kind=kind,
                    service=self.id,
                    place=life.number if life is not None else None,
                    machine=life.machine if life is not None else None,
                    state=self.state,
                    cause=cause,
                    request_id=request_id or None,
                    took_s=round(took_s, 3) if took_s is not None else None,
                    more=more,
                )
            )
        )

    def __repr__(self) -> str:
        return f"<Service {self.id} {self.state} waiters={len(self.line)} {self.lives}>"
