"""A place as strategies see it."""

from typing import Any

from hestia.keeper.place_view import PlaceView
from tests.support.gateway import make_hot, running


async def test_it_says_what_the_protocol_promises():
    services: dict[str, Any] = {
        "a": {
            "places": [{"base_url": "http://127.0.0.1:9"}, {"base_url": "http://127.0.0.1:10", "machine": "m"}],
            "cost_per_hour": 1,
            "needs": {"vram": 6},
        }
    }
    async with running(services, machines={"m": {"cost_per_hour": 0.5, "capacity": {"vram": 8}}}, hot=False) as run:
        first, second = (PlaceView(life) for life in run.gateway.fleet.services["a"].lives)
        assert (first.service, first.number, first.machine, first.machine_awake) == ("a", 0, "local", True)
        assert (first.base_url, first.state, first.leases) == ("http://127.0.0.1:9", "cold", 0)
        assert (first.cost_per_hour, second.cost_per_hour) == (1, 1.5)
        assert (first.fits, second.fits) == (True, True)
        assert (first.hot_for_s, first.idle_for_s, first.expected_start_s) == (None, None, None)
        make_hot(run.gateway)
        assert second.state == "hot"
        assert second.hot_for_s is not None
        assert second.idle_for_s is not None
        second.life.leases += 1
        assert (second.leases, second.idle_for_s) == (1, None)
        second.life.leases -= 1
        assert repr(second) == "<place 1 of a on m: hot, 0 leases>"
