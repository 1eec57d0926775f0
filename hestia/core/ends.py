"""How a service ends: by a command, by idle time, by its death; and what it is asked before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestia.core.starts import under_way
from hestia.words.refusal import Refusal
from hestia.words.states import AskIdle, Phase, Stop

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.core.service import Service
    from hestia.words.notes import Cause
    from hestia.words.states import Died, Idle

BUSY_ASKED_AGAIN = 60.0
LOOK_AGAIN = 5.0
WHY = {
    "shutdown": "the gateway is shutting down",
    "reload": "its configuration changed",
    "hold": "the operator holds it",
}
GONE = "it is no longer in the configuration"


class Ends:
    """The end policy of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._cause: Cause = "command"
        self._until = 0.0  # until then leases may go on

    def stop(self, cause: Cause, drain: float | None) -> None:
        """First what depends on it, then itself. `drain`: for so long its leases may go on."""
        service = self.service
        service.cool_down_over()
        service.start_policy.candidates = []
        service.start_policy.again = service.wanted = False
        service.kept_cold = service.kept_cold or cause == "command"
        gone = service.id not in service.fleet.services
        why = GONE if gone else WHY.get(cause, "it was stopped by a command")
        service.refuse_all(Refusal("stopped", f"{service.id}: {why}"))
        for owner in service.needs.owners():
            owner.stop(cause, drain=drain)
        service.needing.clear()
        self._begin(cause, service.spec.drain_timeout if drain is None else drain)

    def make_way(self, cause: Cause = "reload") -> None:
        """It ends as by a stop and may start anew: whoever waits goes on waiting, also for what depends on it."""
        self.service.start_policy.candidates = []
        for owner in self.service.needs.owners():
            owner.end_policy.make_way(cause)
        self.service.needing.clear()
        self._begin(cause, self.service.spec.drain_timeout)

    def leave(self, life: Life, cause: Cause) -> None:
        """This place ends. If nothing else of it is hot, so does what depends on it; whoever waits goes on waiting."""
        if any(each.hot for each in self.service.lives if each is not life):
            self.service.fleet.apply(life, Stop(cause, self.service.spec.drain_timeout))
        else:
            self.make_way(cause)

    def _begin(self, cause: Cause, drain: float) -> None:
        service = self.service
        until = service.fleet.clock() + drain
        self._until = min(self._until, until) if service.ending else until
        self._cause = cause
        service.ending = True
        for life in service.lives:
            if not life.hot:
                self._end(life)
        service.refresh()
        self.go_on()

    def go_on(self) -> None:
        """Nothing hot depends on it any more: now it ends itself."""
        service = self.service
        if service.ending and not service.dependents:
            service.ending = False
            for life in service.lives:
                self._end(life)
            service.refresh()
            service.fleet.went_cold(service)  # it may have died meanwhile: then its new places come now
            service.start_policy.resume()

    def _end(self, life: Life) -> None:
        self.service.fleet.apply(life, Stop(self._cause, max(0.0, self._until - self.service.fleet.clock())))

    # --- idle time

    def idle(self, message: Idle) -> None:
        service, life = self.service, message.life
        if not life.hot:
            return
        if service.awake_anyway or not self._all_idle():
            self._look_again(life)
        elif service.spec.busy is None and service.spec.idle_rule is None:
            self._stop_idle()
        else:
            life.due = service.fleet.clock() + BUSY_ASKED_AGAIN
            service.fleet.do(AskIdle(service, life, "idle"))

    def answered(self, life: Life, *, yes: bool, cause: Cause) -> None:
        """Much may have happened since it was asked."""
        service = self.service
        service.fleet.rooms.answered(life, yes=yes)
        if not life.hot:
            return
        if not yes:
            life.busy_until = service.fleet.clock() + BUSY_ASKED_AGAIN
            if cause == "idle":
                life.due = life.busy_until
            service.say("service.busy", life, cause=cause)
            return
        life.busy_until = 0.0
        if cause == "idle":
            if self._all_idle() and not service.awake_anyway:
                self._stop_idle()
            else:
                self._look_again(life)

    def _look_again(self, life: Life) -> None:
        now = self.service.fleet.clock()
        life.due = max(life.busy_until, now + min(LOOK_AGAIN, life.settings.idle_timeout))

    def _all_idle(self) -> bool:
        """A replica that still starts is never stopped for it."""
        now, lives = self.service.fleet.clock(), self.service.lives
        if any(under_way(life) and life.phase is not Phase.ROOM for life in lives):
            return False
        return all(_idle_long_enough(life, now) and now >= life.busy_until for life in lives if life.hot)

    def _stop_idle(self) -> None:
        """All places stop together."""
        service = self.service
        hot = [life for life in service.lives if life.hot]
        idle_for = service.fleet.clock() - max(life.idle_since for life in hot)
        service.say("service.idle", cause="idle", idle_s=round(idle_for, 3))
        service.start_policy.candidates = []
        for life in hot:  # one that still drains is not cut short
            service.fleet.apply(life, Stop("idle"))

    # --- death

    def died(self, message: Died) -> None:
        self.service.last_error = message.reason
        self.service.say("service.died", message.life, cause="died", reason=message.reason)


def _idle_long_enough(life: Life, now: float) -> bool:
    return not life.leases and now >= life.idle_since + life.settings.idle_timeout
