"""What depends on a service: the places of others that need it hot, and lease it as long as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hestia.words.states import Failed, Phase

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.core.service import Service


class Needs:
    """The dependents of one service: `service.dependents` lease it, `service.needing` wait for it."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def need(self, dependent: Life) -> None:
        """`dependent` wants it hot, and to stay so."""
        service = self.service
        if service.state == "hot":
            service.dependents.add(dependent)
            return
        refusal = service.refusal()
        if refusal is not None and refusal.code != "cold":
            self._fail(dependent, f"{service.id}, which it depends on: {refusal.detail}")
            return
        service.needing[dependent] = None
        service.begin("dependency", dependent.owner.request_id)

    def lease(self, dependent: Life) -> None:
        """`dependent` runs, or is about to: what is hot of it stays so."""
        self.service.dependents.add(dependent)

    def has(self, dependent: Life) -> bool:
        """Whether it is hot for `dependent`."""
        return self.service.state == "hot" and dependent in self.service.dependents

    def met(self) -> None:
        """It is hot."""
        service = self.service
        for dependent in list(service.needing):
            del service.needing[dependent]
            service.dependents.add(dependent)
            service.fleet.needs_met(dependent)

    def failed(self, reason: str) -> None:
        """It will not be hot for those that wait."""
        waiting, self.service.needing = list(self.service.needing), {}
        for dependent in waiting:
            self._fail(dependent, reason)

    def _fail(self, dependent: Life, reason: str) -> None:
        if dependent.phase is Phase.NEEDS:
            self.service.fleet.apply(dependent, Failed(reason))

    def no_more(self, dependent: Life) -> None:
        """`dependent` is cold: idle time counts from now."""
        service = self.service
        service.needing.pop(dependent, None)
        if dependent in service.dependents:
            service.dependents.discard(dependent)
            if not service.dependents:
                for life in service.lives:
                    life.count_idle(service.fleet.clock())
        service.end_policy.go_on()

    def owners(self) -> list[Service]:
        """The services that depend on it now, in a fixed order."""
        return sorted({each.owner for each in (*self.service.dependents, *self.service.needing)}, key=lambda s: s.id)
