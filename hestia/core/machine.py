"""A machine: the same life as a place, leased by the places on it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from hestia.core.life import Life
from hestia.core.room import dozing
from hestia.core.settings import always_awake, settings_of_machine
from hestia.core.starts import under_way
from hestia.words.notes import Note
from hestia.words.states import (
    Awake,
    BecameHot,
    Died,
    Failed,
    GaveUp,
    Idle,
    Phase,
    Retrying,
    Say,
    Start,
    Stop,
    WentCold,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from hestia.core.fleet import Fleet
    from hestia.core.service import Service
    from hestia.words.notes import Cause
    from hestia.words.spec import Machine as Spec
    from hestia.words.status import State

LOOK_AGAIN = 5.0


class Machine:
    """Woken for a place, kept awake by its hot places, put to sleep after its idle time."""

    crowded = False

    def __init__(self, spec: Spec, fleet: Fleet) -> None:
        self.id: str = spec.id
        self.spec = spec
        self.fleet = fleet
        self.life = Life(f"machine/{spec.id}", self, spec, settings_of_machine(spec), machine=spec.id)
        self.life.more_delay = fleet.jitter
        self.always = always_awake(spec)
        if self.always:
            self.life.phase = Phase.HOT
        self.wanting: dict[Life, None] = {}  # places that wait for it
        self.users: set[Life] = set()  # places that it is awake for
        self.held_until: float | None = None  # by the calendar
        self.unwanted = False  # it is no longer configured
        self.ending: Cause | None = None  # it sleeps when its last place is cold
        self.last_error: str | None = None
        self._hears: dict[type, Callable[[Any], None]] = {
            BecameHot: self._became_hot,
            GaveUp: self._gave_up,
            WentCold: self._went_cold,
            Died: self._died,
            Retrying: self._retrying,
            Idle: self._idle,
        }

    @property
    def awake(self) -> bool:
        return self.life.hot

    @property
    def state(self) -> State:
        return state_of(self.life.phase)

    def is_awake(self, _life: Life) -> bool:
        """A machine stands on nothing."""
        return True

    def refresh(self) -> None:
        """Nothing follows from its phase but what it says itself."""

    # --- who wants it

    def wake_for(self, place: Life) -> None:
        """`place` is told `Awake` or `Failed`; from then on it uses the machine until it lets go."""
        if self.awake and self.ending is None:
            self._use(place)
            return
        self.wanting[place] = None
        self.wake(place.cause, place.owner.id)

    def wake(self, cause: Cause, who: str = "") -> None:
        if self.always or self.life.hot:
            return
        if not under_way(self.life):
            self.life.cause = cause
            more: dict[str, Any] = {"who": who} if who else {}
            self._say("machine.waking", cause=cause, **more)
        self.fleet.apply(self.life, Start())

    def _use(self, place: Life) -> None:
        if place.phase is Phase.WAKING:
            self.uses(place)
            self.fleet.apply(place, Awake())

    def uses(self, place: Life) -> None:
        if place not in self.users:
            self.users.add(place)
            self.life.leases += 1
            self.life.slots += 1

    def let_go(self, place: Life) -> None:
        self.wanting.pop(place, None)
        if place in self.users:
            self.users.discard(place)
            self.life.release(self.fleet.clock())
            self._end()

    def sleep(self, cause: Cause) -> None:
        """First what is hot on it, or wants to be, then itself."""
        if self.always:
            return
        self.ending = cause
        for service in self._services():
            service.stop(cause)
        self._end()

    def hold(self, until: float) -> None:
        """What runs on it ends, or goes on elsewhere; then it sleeps."""
        self.held_until = until
        for service in self.fleet:  # a start elsewhere must not come here
            starts = service.start_policy
            starts.candidates = [place for place in starts.candidates if place.machine != self.id]
        for place in [place for place in self.fleet.places() if place.machine == self.id]:
            service = place.owner
            if place.phase is not Phase.COLD and self.fleet.held(service) is None:
                service.end_policy.leave(place, "hold")
            elif place.phase is not Phase.COLD:
                service.stop("hold")
            elif place.dozes:
                self.uses(place)  # it must be awake until that has ended
                self.fleet.apply(place, Stop("hold"))
        if not self.always and self.life.settings.stops:
            self.ending = "hold"
            self._end()

    def stay_awake(self) -> None:
        """A place on it that could not be stopped is in use again: it will not sleep, so nobody waits for that."""
        if self.ending is not None:
            self.ending = None
            self._serve()

    def _serve(self) -> None:
        wanting, self.wanting = list(self.wanting), {}
        for place in wanting:
            self._use(place)

    def _services(self) -> list[Service]:
        """Of the places that use it or want it, in a fixed order."""
        return sorted({place.owner for place in (*self.users, *self.wanting)}, key=lambda service: service.id)

    def _end(self) -> None:
        if self.ending is not None and not self.users:
            cause, self.ending = self.ending, None
            self.fleet.apply(self.life, Stop(cause))
            self._wake_for_those_who_wait()

    def _wake_for_those_who_wait(self) -> None:
        """Those that came while it went to sleep."""
        places = [place for place in self.wanting if place.phase is Phase.WAKING]
        self.wanting = dict.fromkeys(places)
        if places:
            self.wake(places[0].cause, places[0].owner.id)

    def released(self, life: Life) -> None:
        """Nobody waits for a turn on a machine; it only counts the time since its last place."""
        self.fleet.released(life)

    # --- what its life tells

    def on(self, message: Any) -> None:
        hears = self._hears.get(type(message))  # it takes no room and needs nothing
        if hears is not None:
            hears(message)

    def _became_hot(self, _message: BecameHot) -> None:
        life = self.life
        if not life.hot:
            return
        self._say("machine.awake", cause=life.cause, took_s=round(self.fleet.clock() - life.began, 3))
        self._serve()

    def _gave_up(self, message: GaveUp) -> None:
        self.last_error = message.reason
        self._say("machine.failed", reason=message.reason)
        wanting, self.wanting = list(self.wanting), {}
        for place in wanting:
            if place.phase is Phase.WAKING:
                self.fleet.apply(place, Failed(f"the machine {self.id} did not wake: {message.reason}"))

    def _went_cold(self, message: WentCold) -> None:
        self._say("machine.asleep", cause=message.cause)
        for place in self.fleet.places():
            if place.machine == self.id and dozing(place):  # nobody could end it there, so it must not be in the way
                place.dozes = place.room = False
        self._wake_for_those_who_wait()
        self.fleet.drop_left()

    def _died(self, message: Died) -> None:
        self.last_error = message.reason
        self._say("machine.lost", reason=message.reason)

    def _retrying(self, message: Retrying) -> None:
        self.last_error = message.reason
        self._say("machine.retry", reason=message.reason, delay_s=round(message.delay, 3))

    def _idle(self, _message: Idle) -> None:
        life = self.life
        if not life.hot:
            return
        if self.users or self.fleet.kept_warm_on(self.id):
            life.due = self.fleet.clock() + min(LOOK_AGAIN, life.settings.idle_timeout)
        else:
            self.fleet.apply(life, Stop("idle"))

    def may_stop(self, life: Life, *, yes: bool, cause: Cause) -> None:
        """It is never asked: what works on a machine is a place of ours."""

    def next_look(self) -> float:
        return inf

    def _say(self, kind: str, *, cause: Cause | None = None, took_s: float | None = None, **more: Any) -> None:
        note = Note(kind=kind, machine=self.id, state=self.state, cause=cause, took_s=took_s, more=more)
        self.fleet.do(Say(note))

    def __repr__(self) -> str:
        return f"<Machine {self.id} {self.life.phase} users={len(self.users)}>"
