"""All services of a configuration, by id."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hestia.core.service import Service
from hestia.words.spec import Config


class Fleet:
    """Owns the live `Service` objects. They keep their identity for as long as their id is configured."""

    __slots__ = ("services",)

    def __init__(self, config: Config, wall: Callable[[], float] | None = None) -> None:
        self.services: dict[str, Service] = {id_: Service(spec, wall) for id_, spec in config.services.items()}

    def __iter__(self) -> Iterator[Service]:
        return iter(self.services.values())

    @property
    def leases(self) -> int:
        """Exchanges in progress, over all services: what a graceful end waits for."""
        return sum(service.leases for service in self.services.values())
