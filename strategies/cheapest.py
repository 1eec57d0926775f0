"""The place that costs least an hour; a machine without a price costs `unpriced`, by default nothing.

Places of one price keep the order of the configuration.
"""

from collections.abc import Sequence

from msgspec import Struct

from hestia.rules.strategies import Place, Registry


class Options(Struct, forbid_unknown_fields=True):
    unpriced: float = 0.0


def cheapest(places: Sequence[Place], options: Options) -> list[Place]:
    return sorted(places, key=lambda place: (_price(place, options), place.number))


def _price(place: Place, options: Options) -> float:
    return options.unpriced if place.cost_per_hour is None else place.cost_per_hour


def register_strategy(registry: Registry) -> None:
    registry.add("cheapest", cheapest, kind="placement", options=Options)
