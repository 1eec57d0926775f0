"""A request and the services as strategies see them (rules/strategies.py): read-only, and made only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hestia.h1.grammar import AUTH

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from hestia.core.service import Service
    from hestia.h1.request import RequestHead
    from hestia.rules.strategies import Served
    from hestia.words.status import State

SECRET: Final = frozenset(name.decode() for name in AUTH)


class ServedView:
    """A service. `lists`: what services listed themselves, by id."""

    __slots__ = ("_lists", "_service", "id", "models")

    def __init__(self, service: Service, lists: Mapping[str, tuple[str, ...]]) -> None:
        self.id = service.id
        self.models = service.spec.models
        self._service = service
        self._lists = lists

    @property
    def state(self) -> State:
        return self._service.state

    @property
    def listed(self) -> tuple[str, ...]:
        return self._lists.get(self.id, ())


class RequestView:
    """A request. `model` and `services` are what is known where it is looked at."""

    __slots__ = ("_head", "_headers", "_method", "_model", "_services", "_target", "known_ids")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        head: RequestHead,
        model: Callable[[], str | None],
        services: Callable[[], Sequence[Served]],
        known_ids: Container[str] = (),
    ) -> None:
        self._method = method
        self._target = target
        self._head = head
        self._model = model
        self._services = services
        self.known_ids = known_ids
        """Of all services, for whoever checks what a strategy says."""
        self._headers: Mapping[str, str] | None = None

    @property
    def method(self) -> str:
        return self._method.decode("ascii")

    @property
    def host(self) -> str:
        return self._head.name.decode("ascii", "replace")

    @property
    def path(self) -> str:
        return self._target.partition(b"?")[0].decode("ascii")

    @property
    def query(self) -> str:
        return self._target.partition(b"?")[2].decode("ascii")

    @property
    def headers(self) -> Mapping[str, str]:
        if self._headers is None:
            self._headers = _readable(self._head)
        return self._headers

    @property
    def client(self) -> str:
        return self._head.client

    @property
    def model(self) -> str | None:
        return self._model()

    @property
    def services(self) -> Sequence[Served]:
        return self._services()


def _readable(head: RequestHead) -> Mapping[str, str]:
    found = {name.decode("ascii"): value.decode("latin-1") for name, value in head.named.items()}
    for line in head.fields:
        name, _, value = line.partition(b":")
        text = value.strip(b" \t").decode("latin-1")
        key = name.decode("ascii").lower()
        if name.lower() not in head.named:
            found[key] = f"{found[key]}, {text}" if key in found else text
    return {name: value for name, value in found.items() if name not in SECRET}
