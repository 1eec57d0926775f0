"""What a strategy gets and gives: the fields of `request`, `place` and `service`, and the registry it is added to.

A strategy answers one question. It is called with positional arguments, on the event loop, and must not wait unless it
is `async`. What it gets is for reading only.

>>> def register_strategy(registry):
...     registry.add("nights_at_home", nights_at_home, kind="placement")
>>> def nights_at_home(places):
...     return sorted(places, key=lambda place: place.machine != "home")
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from msgspec import Struct

from hestia.words.status import State

Kind = Literal["route", "placement", "balance", "readiness", "idle"]

ARGUMENTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "route": ("request",),
    "placement": ("places",),
    "balance": ("request", "places"),
    "readiness": ("place",),
    "idle": ("place",),
}
"""What a strategy of each kind gets; options come last where it takes one argument more."""


class Served(Protocol):
    """A service, as a route sees it."""

    @property
    def id(self) -> str:
        """Its id, which a route returns."""

    @property
    def state(self) -> State:
        """`cold`, `starting`, `hot`, `stopping` or `failed`."""

    @property
    def models(self) -> Sequence[str]:
        """Names and globs of the models that the configuration says it serves."""

    @property
    def listed(self) -> Sequence[str]:
        """Names of the models that it listed itself when it was hot last."""


class Request(Protocol):
    """A request that looks for its service, or for a place of it."""

    @property
    def method(self) -> str:
        """Such as `GET`, in capitals."""

    @property
    def host(self) -> str:
        """The host it names, in lower case and without a port."""

    @property
    def path(self) -> str:
        """Its path as it came, percent-encoding and all, without the query."""

    @property
    def query(self) -> str:
        """What follows the `?`, as it came."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Its headers by their names in lower case, without credentials."""

    @property
    def client(self) -> str:
        """The client's address; empty on a unix socket."""

    @property
    def model(self) -> str | None:
        """The model that its body or its query names; None also where nothing was looked for."""

    @property
    def services(self) -> Sequence[Served]:
        """The services that its key may use, in the order of the configuration; another one that is chosen is 403."""


class Place(Protocol):
    """A place: one service on one machine."""

    @property
    def service(self) -> str:
        """The service's id."""

    @property
    def number(self) -> int:
        """Where it stands in `places`, from 0."""

    @property
    def machine(self) -> str:
        """The machine's id."""

    @property
    def machine_awake(self) -> bool:
        """Whether that machine is awake now; one without a launcher always is."""

    @property
    def base_url(self) -> str | None:
        """Its address; None while nothing has told it."""

    @property
    def state(self) -> State:
        """`cold`, `starting`, `hot`, `stopping` or `failed`."""

    @property
    def leases(self) -> int:
        """Exchanges in progress."""

    @property
    def cost_per_hour(self) -> float | None:
        """What an hour costs there: of the service and of its machine together; None where nothing is configured."""

    @property
    def fits(self) -> bool:
        """Whether its machine has room for it now, without stopping anything."""

    @property
    def hot_for_s(self) -> float | None:
        """How long it has been hot; None when it is not."""

    @property
    def idle_for_s(self) -> float | None:
        """How long nobody has used it; None while somebody does, and when it is not hot."""

    @property
    def expected_start_s(self) -> float | None:
        """How long its starts took lately; None without one."""


class Registry(Protocol):
    """What `register_strategy` gets."""

    def add(self, name: str, thing: Any, *, kind: Kind, options: type[Struct] | None = None) -> None:
        """Offer a function, or a class that is built once for each use and then called."""
