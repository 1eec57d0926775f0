"""Strategies where they are used: placement, balance, `ready_rule` and `idle_rule`, in a gateway with real sockets."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hestia.keeper.uses import UnknownStrategies, Uses, make_uses
from hestia.plugins.strategies import Strategies
from hestia.roof.config import load_text
from hestia.rules.marks import ConfigError
from tests.doors.test_choosing import get, until
from tests.support.gateway import config_text, running
from tests.support.wire import Upstream


def write(folder: Path, text: str) -> str:
    (folder / "mine.py").write_text(text)
    return str(folder)


def loaded(folder: Path, services: dict[str, Any], **top: Any) -> Any:
    return load_text(config_text(str(folder), services, top), name=str(folder / "c.yml")).config


def strategies(folder: Path | None = None) -> Strategies:
    found = Strategies(folder, lambda _note: None)
    assert found.load() == ()
    return found


def life(number: int, leases: int = 0) -> Any:
    return SimpleNamespace(number=number, leases=leases)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    services = {
        "a": {"base_url": "http://x", "balance": "least_bussy", "ready_rule": "in_order"},
        "b": {"base_url": "http://y", "placement": {"name": "cheapest", "options": {"price": 1}}},
    }
    with pytest.raises(ConfigError) as told:
        loaded(tmp_path, services, routes=[{"strategy": "none"}])
    words = "; ".join(map(str, told.value.mistakes))
    assert "routes[0].strategy: no route strategy is called 'none'" in words
    assert "services.a.balance: no balance strategy is called 'least_bussy': do you mean 'least_busy'?" in words
    assert "services.a.ready_rule: the strategy 'in_order' is for placement, not for readiness" in words
    assert "services.b.placement: the strategy 'cheapest' has no option 'price'" in words


def test_one_that_waits_cannot_choose_in_the_middle_of_a_decision(tmp_path):
    config = loaded(tmp_path, {"a": {"base_url": "http://x", "placement": "in_order"}})
    write(tmp_path, "async def f(places):\n    return places\n\ndef register_strategy(r):\n    r.add('in_order', f, kind='placement')\n")
    with pytest.raises(UnknownStrategies, match="services.a.placement: the strategy 'in_order' is `async`"):
        make_uses(config, strategies(tmp_path))


def test_uses_that_stay_the_same_are_the_same(tmp_path):
    known = strategies()
    before = make_uses(loaded(tmp_path, {"a": {"base_url": "http://x", "balance": "round_robin"}}), known)
    after = make_uses(loaded(tmp_path, {"a": {"base_url": "http://x", "balance": "round_robin", "placement": "cheapest"}}), known, before)
    assert after.services["a", "balance"] is before.services["a", "balance"]
    assert after.services["a", "placement"] is not before.services["a", "placement"]


def test_without_a_word_the_least_busy_place_is_taken_and_places_keep_their_order():
    uses, service = Uses(), SimpleNamespace(id="a")
    places = [life(0, 2), life(1, 1), life(2, 1)]
    assert uses.balance(service, places) is places[1]
    assert uses.placement(service, places) is places



def placed(*ups: Upstream, **more: Any) -> dict[str, Any]:
    machines = ["local", "m1", "m2"]
    places = [{"base_url": up.base_url, "machine": machine} for up, machine in zip(ups, machines, strict=False)]
    return {"a": {"places": places, "start_timeout": "2s", **more}}


MACHINES = {"m1": {}, "m2": {}}


async def test_round_robin_gives_each_place_its_turn():
    async with Upstream() as x, Upstream() as y, Upstream() as z, running(
        placed(x, y, z, replicas=3, balance="round_robin"), machines=MACHINES
    ) as gateway:  # fmt: skip
        for _ in range(6):
            await gateway.ask(get("/services/a/x"))
        assert [len(up.requests()) for up in (x, y, z)] == [2, 2, 2]


BY_REQUEST = """
def sticky(request, places):
    return sorted(places, key=lambda place: place.number)[int(request.headers["x-place"])]

def register_strategy(registry):
    registry.add("sticky", sticky, kind="balance")
"""


async def test_a_balance_of_the_operator_sees_the_request(tmp_path):
    folder = write(tmp_path, BY_REQUEST)
    async with Upstream() as x, Upstream() as y:
        services = placed(x, y, replicas=2, balance="sticky")
        async with running(services, machines=MACHINES, strategies_dir=folder) as gateway:
            for place in ("1", "0", "1", "1"):
                await gateway.ask(get("/services/a/x", f"X-Place: {place}"))
            assert [len(up.requests()) for up in (x, y)] == [1, 3]


async def test_one_who_waited_in_the_line_is_balanced_by_its_own_request(tmp_path):
    folder = write(tmp_path, BY_REQUEST)
    async with Upstream() as x, Upstream() as y:
        services = placed(x, y, replicas=2, balance="sticky", max_concurrency=1)
        async with running(services, machines=MACHINES, strategies_dir=folder) as gateway:
            service = gateway.gateway.fleet.services["a"]
            leases = [service.lives[0], service.lives[1]]
            for each in leases:
                each.leases += 1
                each.slots += 1
            service.refresh()
            client = await gateway.dial()
            await client.send(get("/services/a/x", "X-Place: 1"))
            await until(lambda: len(service.line) == 1)
            gateway.gateway.shared.at_door = None
            for each in leases:
                each.leases -= 1
                each.slots -= 1
            service.pump()
            gateway.gateway.fleet.settle()
            assert (await client.answer()).status == 200
            assert [len(up.requests()) for up in (x, y)] == [0, 1]


async def test_a_placement_orders_the_places_of_a_start():
    async with Upstream() as x, Upstream() as y:
        machines = {"m1": {"cost_per_hour": 0.1}, "local": {"cost_per_hour": 2}}
        async with running(placed(x, y, placement="cheapest"), machines=machines, hot=False, strict=False) as gateway:
            assert (await gateway.ask(get("/services/a/x"))).status == 200
            assert b"/x" not in x.seen
            assert b"/x" in y.seen


RULES = """
from pathlib import Path

def says(place, options):
    return Path(options["file"]).read_text() == "yes"

def register_strategy(registry):
    registry.add("ready", says, kind="readiness")
    registry.add("rest", says, kind="idle")
"""


async def test_a_ready_rule_holds_a_start_whose_check_passes(tmp_path):
    folder, file = write(tmp_path, RULES), tmp_path / "said"
    file.write_text("no")
    async with Upstream() as up:
        services = {
            "a": {
                "base_url": up.base_url,
                "start_timeout": "20s",
                "health_interval": "20ms",
                "ready_rule": {"name": "ready", "options": {"file": str(file)}},
            }
        }
        async with running(services, hot=False, strict=False, strategies_dir=folder) as gateway:
            client = await gateway.dial()
            await client.send(get("/services/a/x"))
            life = gateway.gateway.fleet.services["a"].lives[0]
            await until(lambda: life.reason == "`ready_rule` ready says that it is not ready")
            file.write_text("yes")
            assert (await client.answer()).status == 200


async def test_an_idle_rule_keeps_a_service_hot(tmp_path):
    folder, file = write(tmp_path, RULES), tmp_path / "said"
    file.write_text("no")
    service = {"base_url": "http://127.0.0.1:9", "idle_rule": {"name": "rest", "options": {"file": str(file)}}}
    async with running({"a": service}, strategies_dir=folder) as gateway:
        uses, life = gateway.gateway.keeper.uses, gateway.gateway.fleet.services["a"].lives[0]
        assert await uses.may_stop(life) is False
        file.write_text("yes")
        assert await uses.may_stop(life) is True
        file.unlink()  # it fails: the built-in choice is that it may
        assert await uses.may_stop(life) is True
