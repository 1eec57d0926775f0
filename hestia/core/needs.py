"""What depends on a service: the places of others that need it hot, and lease it as long as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestia.core.refusals import too_long
from hestia.words.states import Failed, Phase

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.core.service import Service


class Needs:
    """The dependents of one service: `service.dependents` lease it, `service.needing` wait for it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._kept: dict[str, float] = {}  # who kept it awake, and for how long
        self._since: dict[Life, float] = {}
        self._warm_since: float | None = None
        self._needed_at = 0.0

    def need(self, dependent: Life) -> None:
        """`dependent` wants it hot, and to stay so."""
        service = self.service
        if service.state == "hot":
            self.lease(dependent)
            return
        refusal = service.refusal()
        if refusal is not None and refusal.code != "cold":
            self._fail(dependent, f"{service.id}, which it depends on: {refusal.detail}")
            return
        if not service.needing:
            self._needed_at = service.fleet.clock()
        service.needing[dependent] = None
        service.begin("dependency", dependent.owner.request_id, dependent.owner.id)

    def lease(self, dependent: Life) -> None:
        """`dependent` runs, or is about to: what is hot of it stays so."""
        self.service.dependents.add(dependent)
        self._since.setdefault(dependent, self.service.fleet.clock())

    def has(self, dependent: Life) -> bool:
        """Whether it is hot for `dependent`."""
        return self.service.state == "hot" and dependent in self.service.dependents

    def met(self) -> None:
        """It is hot."""
        service = self.service
        for dependent in list(service.needing):
            del service.needing[dependent]
            self.lease(dependent)
            service.fleet.needs_met(dependent)

    def failed(self, reason: str) -> None:
        """It will not be hot for those that wait."""
        waiting, self.service.needing = list(self.service.needing), {}
        for dependent in waiting:
            self._fail(dependent, reason)

    def _fail(self, dependent: Life, reason: str) -> None:
        if dependent.phase is Phase.NEEDS:
            self.service.fleet.apply(dependent, Failed(reason))

    @property
    def due(self) -> float | None:
        """Nobody who has his room waits for ever for one who has none."""
        service = self.service
        if not service.needing or not any(life.phase is Phase.ROOM for life in service.lives):
            return None
        return max(service.began, self._needed_at) + service.spec.queue_timeout

    def look(self, now: float) -> None:
        due = self.due
        if due is not None and due <= now:
            self.failed(f"{self.service.id}, which it depends on, has no room: {too_long(self.service).detail}")

    def no_more(self, dependent: Life) -> None:
        """`dependent` is cold: idle time counts from now."""
        service = self.service
        service.needing.pop(dependent, None)
        if dependent in service.dependents:
            service.dependents.discard(dependent)
            now = service.fleet.clock()
            self._keep(dependent.owner.id, now - self._since.pop(dependent, now))
            gives_way = dependent.stop_cause == "room" and dependent.phase is Phase.COLD  # it is the next to go
            if not service.dependents and not gives_way:
                for life in service.lives:
                    life.count_idle(service.fleet.clock())
        service.end_policy.go_on()

    # --- who kept it awake

    def keep_warm(self) -> None:
        """Asked again and again: the time since is `keep_warm`'s if it was hot for it all the while."""
        service = self.service
        now = service.fleet.clock()
        if self._warm_since is not None:
            self._keep("keep_warm", now - self._warm_since)
        self._warm_since = now if service.kept_warm and service.state == "hot" else None

    def _keep(self, who: str, seconds: float) -> None:
        if seconds > 0:
            self._kept[who] = round(self._kept.get(who, 0.0) + seconds, 3)

    def take_kept(self) -> dict[str, float]:
        """For its end; counted anew from then on."""
        kept, self._kept = self._kept, {}
        self._warm_since = None
        return kept

    def owners(self) -> list[Service]:
        """The services that depend on it now, in a fixed order."""
        return sorted({each.owner for each in (*self.service.dependents, *self.service.needing)}, key=lambda s: s.id)
