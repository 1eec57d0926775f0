"""How a service starts: which place first, what follows when a place gives up, and who starts it again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hestia.core.refusals import did_not_start
from hestia.words.states import STARTING, Elsewhere, Phase, Start

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.core.service import Service
    from hestia.words.notes import Cause
    from hestia.words.states import GaveUp, NotYet, Retrying


def under_way(life: Life) -> bool:
    """Whether it is on its way to be hot: the pause between two attempts, and the end before a start, count."""
    if life.phase in STARTING or life.start_again:
        return True
    return life.phase in {Phase.STOPPING, Phase.CLEARING} and life.stop_cause == "failed"


class Starts:
    """The start policy of one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.candidates: list[Life] = []  # places that were not tried yet, in their order
        self.reasons: list[str] = []  # why each that was tried gave up
        self.again = False  # it is wanted as soon as its end is over
        self.no_more_before = 0.0  # a further replica that failed is not tried again at once

    def begin(self, cause: Cause, request_id: str, who: str) -> None:
        service = self.service
        if service.state != "hot":
            service.wanted = service.wanted or cause == "command"
        if cause != "keep_warm":
            service.kept_cold = False
        if service.ending or service.next_spec is not None:
            self.again = True
            return
        if service.state in {"starting", "hot"}:
            return
        service.due = None
        service.cause, service.request_id = cause, request_id
        service.began = service.fleet.clock()
        service.number = service.fleet.next_number()
        self.reasons = []
        self.candidates = service.fleet.placement(service)
        service.starts += 1
        for _ in range(min(service.spec.replicas, len(self.candidates))):
            self._next_place()
        more: dict[str, Any] = {"who": who} if who else {}
        service.say("service.starting", cause=cause, request_id=request_id, **more)

    def _next_place(self) -> None:
        life = self.candidates.pop(0)
        life.cause = self.service.cause
        self.service.fleet.apply(life, Start())

    def instead(self, life: Life, other: Life) -> None:
        """There is room for `other` and none for `life`."""
        self.candidates.remove(other)
        self.candidates.insert(0, life)
        self.service.fleet.apply(life, Elsewhere())
        other.cause = self.service.cause
        self.service.fleet.apply(other, Start())

    def drop(self, life: Life) -> None:
        """It still waits for room, and nobody wants it any more."""
        self.candidates = []
        self.service.fleet.apply(life, Elsewhere())
        self.service.say("service.dropped", life, cause=self.service.cause)

    def top_up(self) -> None:
        """A replica that died comes back while the others are hot."""
        service = self.service
        now = service.fleet.clock()
        if service.spec.replicas == 1 or service.state != "hot" or service.fleet.closing or now < self.no_more_before:
            return
        missing = service.spec.replicas - sum(life.hot or under_way(life) for life in service.lives)
        if missing > 0:
            self.candidates = [life for life in service.fleet.placement(service) if life.phase is Phase.COLD]
            for _ in range(min(missing, len(self.candidates))):
                self._next_place()

    # --- what its places tell

    def ready(self, life: Life) -> None:
        """The first place to be ready releases the line."""
        service = self.service
        service.wanted = False
        if service.announced:
            return
        service.announced = True
        if life.found or life.cause == "adoption":
            cause: Cause = "found" if life.found else "adoption"
            service.say("service.ready", life, cause=cause, managed=life.managed)
        else:
            service.last_start_s = service.fleet.clock() - service.began
            took = service.last_start_s
            service.say("service.ready", life, cause=service.cause, request_id=service.request_id, took_s=took)

    def not_yet(self, message: NotYet) -> None:
        self.service.say("place.not_ready", message.life, reason=message.reason)

    def retrying(self, message: Retrying) -> None:
        life, service = message.life, self.service
        service.last_error = message.reason
        delay = round(message.delay, 3)
        service.say("place.retry", life, reason=message.reason, attempt=life.attempt, delay_s=delay)

    def gave_up(self, message: GaveUp) -> None:
        service, life = self.service, message.life
        reason = message.reason
        self.reasons.append(f"{life.machine}: {reason}" if len(service.lives) > 1 else reason)
        service.last_error = reason
        if under_way(life):  # it was asked to start again meanwhile
            return
        if life.cause == "adoption":  # it did not answer any more: a request starts it as any other
            service.refresh()
            self.resume()
        elif self.candidates:
            to = self.candidates[0].machine
            self._next_place()  # first, for its service goes on starting
            service.say("place.fallback", life, reason=reason, to=to)
        elif any(each.hot or under_way(each) for each in service.lives):
            self.no_more_before = service.fleet.clock() + service.spec.failure_cooldown
        else:
            self.fail("; ".join(self.reasons), life)

    def fail(self, reason: str, last: Life) -> None:
        """`last`: the place that was tried last."""
        service = self.service
        now = service.fleet.clock()
        service.last_error = reason
        service.wanted = False
        service.due = now + service.spec.failure_cooldown
        service.state = "failed"
        took = now - service.began
        service.say(
            "service.start_failed",
            last,
            cause=service.cause,
            request_id=service.request_id,
            took_s=took,
            reason=reason,
        )
        service.refuse_all(did_not_start(service, service.spec.failure_cooldown))
        service.needs.failed(f"{service.id}, which it depends on, did not start: {reason}")
        service.refresh()

    def resume(self) -> None:
        """It is cold. Whoever waits for it, or needs it, starts it again."""
        service = self.service
        if service.state != "cold" or service.ending or service.next_spec is not None:
            return
        again, self.again = self.again, False
        if not (again or service.line or service.dependents or service.needing):
            return
        barred = service.barred()
        if barred is not None:
            service.refuse_all(barred)
            service.needs.failed(f"{service.id}, which it depends on: {barred.detail}")
            return
        waiter = service.line.first()
        if waiter is not None:
            self.begin(waiter.cause, waiter.request_id, waiter.who)
        else:
            owners = service.needs.owners()
            self.begin("dependency" if owners else "command", "", owners[0].id if owners else "")
