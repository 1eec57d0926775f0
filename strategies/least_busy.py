"""The place with the fewest requests; of equals the first."""

from collections.abc import Sequence

from hestia.rules.strategies import Place, Registry, Request


def least_busy(_request: Request, places: Sequence[Place]) -> Place:
    least = places[0]
    for place in places:
        if place.leases < least.leases:
            least = place
    return least


def register_strategy(registry: Registry) -> None:
    registry.add("least_busy", least_busy, kind="balance")
