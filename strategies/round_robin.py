"""Each place in its turn. A place that joins or leaves does not disturb the turns of the others."""

from collections.abc import Sequence

from hestia.rules.strategies import Place, Registry, Request


class RoundRobin:
    """Built once for each service: remembers whose turn was last."""

    def __init__(self) -> None:
        self.last = -1

    def __call__(self, request: Request, places: Sequence[Place]) -> Place:
        turns = sorted(places, key=lambda place: place.number)
        chosen = next((place for place in turns if place.number > self.last), turns[0])
        self.last = chosen.number
        return chosen


def register_strategy(registry: Registry) -> None:
    registry.add("round_robin", RoundRobin, kind="balance")
