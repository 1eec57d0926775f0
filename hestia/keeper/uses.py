"""Who uses which strategy: made from the configuration, asked by the core and the keeper.

Where a strategy says nothing that can be used, the built-in choice is made: places in their order, the least busy one,
ready when its check passes, and it may stop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from hestia.keeper.place_view import PlaceView
from hestia.plugins.strategy import BUILT_IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from hestia.core.life import Life
    from hestia.core.service import Service
    from hestia.plugins.strategies import Strategies
    from hestia.plugins.strategy import Strategy
    from hestia.rules.strategies import Kind
    from hestia.rules.strategies import Request as Asked
    from hestia.words.spec import Config, StrategyUse

LEAST_BUSY: Final = "least_busy"
IN_ORDER: Final = "in_order"
AT_ONCE: Final = frozenset(("placement", "balance"))
"""Asked in the middle of a decision: these cannot wait."""


class UnknownStrategies(ValueError):
    """The configuration names strategies that there are not, or gives options that do not fit."""

    def __init__(self, mistakes: list[tuple[tuple[str | int, ...], str]]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {words}" for path, words in mistakes))


class Made(NamedTuple):
    """Every use of a strategy that a configuration names. Kept as long as it is in force."""

    routes: dict[int, Strategy]
    services: dict[tuple[str, Kind], Strategy]


def make_uses(config: Config, strategies: Strategies, before: Made | None = None) -> Made:
    """Uses of `before` that are the same stay: they may remember things. Raises UnknownStrategies with all mistakes."""
    mistakes: list[tuple[tuple[str | int, ...], str]] = []
    known = {use.owner: use for use in [*before.routes.values(), *before.services.values()]} if before else {}

    def use(kind: Kind, wanted: StrategyUse, path: tuple[str | int, ...]) -> Strategy | None:
        owner = ".".join(map(str, path))
        same = known.get(owner)
        if same is not None and (same.offer.name, same.options) == (wanted.name, wanted.options):
            return same
        try:
            made = strategies.use(kind, wanted, owner)
        except ValueError as problem:
            mistakes.append((path, str(problem)))
            return None
        if made.waits and kind in AT_ONCE:
            mistakes.append((path, f"the strategy {wanted.name!r} is `async`: one for {kind} is asked at once"))
        return made

    routes = {
        number: use("route", route.strategy, ("routes", number, "strategy"))
        for number, route in enumerate(config.routes)
        if route.strategy is not None
    }
    services: dict[tuple[str, Kind], Strategy | None] = {}
    for service in config.services.values():
        path = ("services", service.id)
        services[service.id, "balance"] = use("balance", service.balance, (*path, "balance"))
        services[service.id, "placement"] = use("placement", service.placement, (*path, "placement"))
        if service.ready_rule is not None:
            services[service.id, "readiness"] = use("readiness", service.ready_rule, (*path, "ready_rule"))
        if service.idle_rule is not None:
            services[service.id, "idle"] = use("idle", service.idle_rule, (*path, "idle_rule"))
    if mistakes:
        raise UnknownStrategies(mistakes)
    return Made(
        {number: made for number, made in routes.items() if made is not None},
        {key: made for key, made in services.items() if made is not None},
    )


class Uses:
    """Asked by the core and the keeper; `follow` replaces what is in force."""

    def __init__(self) -> None:
        self.made = Made({}, {})
        self.who_asks: Callable[[Any], Asked | None] = lambda _asker: None
        """The request of one who waits in a line, set by the door that knows requests; without one: at the door."""

    def follow(self, made: Made) -> None:
        self.made = made

    # --- asked by the core, in the middle of a step

    def placement(self, service: Service, places: list[Life]) -> list[Life]:
        """The order in which a start tries its places."""
        use = self.made.services.get((service.id, "placement"))
        if use is None or len(places) < 2 or _shipped(use, IN_ORDER):  # noqa: PLR2004 - nothing to choose from
            return places
        given = use.call([PlaceView(life) for life in places])
        return places if given is BUILT_IN else [view.life for view in given]

    def balance(self, service: Service, places: list[Life]) -> Life:
        """The place of a request. It is asked for each, so the usual choice is made here."""
        use = self.made.services.get((service.id, "balance"))
        if use is None or _shipped(use, LEAST_BUSY):
            return _least_busy(places)
        waiter = service.line.first()
        request = self.who_asks(waiter.asker if waiter is not None else None)
        given = use.call(request, [PlaceView(life) for life in places])
        return _least_busy(places) if given is BUILT_IN else given.life

    # --- asked by the keeper

    async def not_ready(self, life: Life) -> str | None:
        """Why the place is not ready though its check passes; None: it is."""
        use = self.made.services.get((life.owner.id, "readiness"))
        if use is None or life.settings.machine or await use.ask(PlaceView(life)) is not False:
            return None
        return f"`ready_rule` {use.offer.name} says that it is not ready"

    async def may_stop(self, life: Life) -> bool:
        use = self.made.services.get((life.owner.id, "idle"))
        return use is None or await use.ask(PlaceView(life)) is not False


def _shipped(use: Strategy, name: str) -> bool:
    """Whether it is ours, whose choice is made without calling it."""
    return use.offer.shipped and use.offer.name == name


def _least_busy(places: list[Life]) -> Life:
    least = places[0]
    for life in places:
        if life.leases < least.leases:
            least = life
    return least
