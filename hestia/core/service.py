"""One service as it is now: who uses it and whether its upstream answers.

Plain methods without an await between reading and changing: a lease and its release are on the path of every request.
`now` is always the loop's time; the calendar comes in as `wall` and is read only when the state changes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from hestia.words.spec import Service as Spec
from hestia.words.status import PlaceStatus, ServiceStatus, State


class Service:
    """The leases and the heat of one configured service. Only its own methods change it."""

    __slots__ = ("hot_since", "id", "last_error", "last_used", "leases", "reason", "spec", "state", "wall")

    def __init__(self, spec: Spec, wall: Callable[[], float] | None = None) -> None:
        self.id: str = spec.id
        self.spec = spec
        self.wall = wall
        self.leases = 0
        self.last_used: float | None = None
        self.state: State = "cold"
        self.reason: str | None = None
        self.hot_since: float | None = None
        self.last_error: str | None = None

    def lease_nowait(self) -> bool:
        """Take a lease for one exchange. True: it may go on now; each True is paid back by one `release`."""
        self.leases += 1
        return True

    def release(self, now: float) -> None:
        """Give a lease back. Idle time counts from the last one."""
        self.leases -= 1
        self.last_used = now

    def answered(self) -> None:
        """The upstream gave an answer, to a request or to a probe: it is hot."""
        if self.state != "hot":
            self.state = "hot"
            self.reason = None
            self.hot_since = self.wall() if self.wall is not None else None

    def unreachable(self, reason: str) -> None:
        """No connection to the upstream, or its check failed: it is cold, and why."""
        self.state = "cold"
        self.reason = self.last_error = reason
        self.hot_since = None

    def status(self, now: float, wall: float) -> ServiceStatus:
        """How it is, for people and programs. `now` and `wall` are the same moment by the loop and by the calendar."""
        spec = self.spec
        place = spec.places[0]
        idle = self.state == "hot" and not self.leases and self.last_used is not None
        return ServiceStatus(
            id=self.id,
            state=self.state,
            readiness="ready" if self.state == "hot" else "not_ready",
            reason=self.reason,
            machine=place.machine,
            base_url=place.base_url,
            places=tuple(self._place_status(number) for number in range(len(spec.places))),
            leases=self.leases,
            idle_for_s=round(now - self.last_used, 3) if idle and self.last_used is not None else None,
            idle_timeout_s=spec.idle_timeout,
            hot_since=_rfc3339(self.hot_since),
            last_used=_rfc3339(wall - (now - self.last_used) if self.last_used is not None else None),
            last_error=self.last_error,
        )

    def _place_status(self, number: int) -> PlaceStatus:
        # Requests go to the first place only, so it alone has leases and heat.
        place = self.spec.places[number]
        if number:
            return PlaceStatus(machine=place.machine, base_url=place.base_url, state="cold")
        return PlaceStatus(
            machine=place.machine,
            base_url=place.base_url,
            state=self.state,
            reason=self.reason,
            leases=self.leases,
        )

    def __repr__(self) -> str:
        return f"<Service {self.id} {self.state} leases={self.leases}>"


def _rfc3339(wall: float | None) -> str | None:
    if wall is None:
        return None
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
