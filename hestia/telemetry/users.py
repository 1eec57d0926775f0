"""Who uses which service, and for how long: what keeps it awake. Taken by the note of its next stop."""

from __future__ import annotations

MOST_NAMES = 64
OTHERS = "others"
TOLD = 5


class Users:
    """Seconds of exchanges by name (a key's, a person's, an address). Bounded: no client makes it grow."""

    __slots__ = ("_seconds",)

    def __init__(self) -> None:
        self._seconds: dict[str, dict[str, float]] = {}

    def used(self, service: str, who: str, seconds: float) -> None:
        """One exchange is over. On the path of every request."""
        names = self._seconds.get(service)
        if names is None:
            names = self._seconds[service] = {}
        if who in names:
            names[who] += seconds
        elif len(names) < MOST_NAMES:
            names[who] = seconds
        else:
            names[OTHERS] = names.get(OTHERS, 0.0) + seconds

    def take(self, service: str) -> dict[str, float]:
        """Those who used it longest since this was asked last, and all others together."""
        return _first(self._seconds.pop(service, {}))

    def now(self) -> dict[str, dict[str, float]]:
        """The same of all services, to look at."""
        return {service: _first(names) for service, names in self._seconds.items()}


def _first(names: dict[str, float]) -> dict[str, float]:
    ranked = sorted(names.items(), key=lambda each: (each[0] == OTHERS, -each[1]))
    told = dict(ranked[:TOLD])
    for _, seconds in ranked[TOLD:]:
        told[OTHERS] = told.get(OTHERS, 0.0) + seconds
    return {who: round(seconds, 3) for who, seconds in told.items()}
