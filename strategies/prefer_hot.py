"""The place that is ready soonest: hot or starting before cold, a machine that is awake before one that sleeps.

Places that are alike keep the order of the configuration.
"""

from collections.abc import Sequence

from hestia.rules.strategies import Place, Registry

SOONEST = ("hot", "starting")


def prefer_hot(places: Sequence[Place]) -> list[Place]:
    return sorted(places, key=_distance)


def _distance(place: Place) -> tuple[int, bool, bool, int]:
    warmth = SOONEST.index(place.state) if place.state in SOONEST else len(SOONEST)
    return warmth, not place.machine_awake, not place.fits, place.number


def register_strategy(registry: Registry) -> None:
    registry.add("prefer_hot", prefer_hot, kind="placement")
