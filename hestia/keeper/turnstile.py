"""A service as the relay meets it: leases at once, or a place in its line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hestia.core.line import Waiter
from hestia.words.states import Refused

if TYPE_CHECKING:
    from hestia.core.fleet import Fleet
    from hestia.core.service import Service


class Turnstile:
    """What it does beyond a hot lease ends with the fleet's step: whoever is concerned is told before it returns."""

    __slots__ = ("_fleet", "_service", "lease_nowait", "lease_quietly")

    def __init__(self, service: Service, fleet: Fleet) -> None:
        self._service = service
        self._fleet = fleet
        self.lease_nowait = service.lease_nowait  # bound once: it is asked for every request
        self.lease_quietly = service.lease_quietly

    def wait(self, asker: Any, request_id: str, who: str) -> Waiter:
        waiter = Waiter(asker, request_id, who=who)
        self._service.ask(waiter)
        self._fleet.settle()
        return waiter

    def left(self, ticket: object) -> None:
        assert isinstance(ticket, Waiter)  # noqa: S101 - it came from `wait`
        self._service.left(ticket)
        self._fleet.settle()

    def no_answer(self, lease: Any, reason: str) -> None:
        """Nobody listens there: it may have died."""
        self._fleet.tell(lease, Refused(reason))
