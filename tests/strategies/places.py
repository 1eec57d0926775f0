"""A place, a service and a request as strategies see them."""

from dataclasses import dataclass, field


@dataclass
class P:
    number: int = 0
    machine: str = "local"
    state: str = "cold"
    leases: int = 0
    cost_per_hour: float | None = None
    machine_awake: bool = True
    fits: bool = True
    service: str = "a"
    base_url: str | None = None
    hot_for_s: float | None = None
    idle_for_s: float | None = None
    expected_start_s: float | None = None


@dataclass
class S:
    id: str
    models: tuple = ()
    listed: tuple = ()
    state: str = "cold"


@dataclass
class R:
    model: str | None = None
    services: tuple = ()
    method: str = "GET"
    host: str = "box"
    path: str = "/"
    query: str = ""
    client: str = ""
    headers: dict = field(default_factory=dict)


def numbers(places):
    return [place.number for place in places]
