"""Places in the order of the configuration: the first is preferred."""

from collections.abc import Sequence

from hestia.rules.strategies import Place, Registry


def in_order(places: Sequence[Place]) -> list[Place]:
    return sorted(places, key=lambda place: place.number)


def register_strategy(registry: Registry) -> None:
    registry.add("in_order", in_order, kind="placement")
