"""`/v1/machines`, `wake` and `sleep`."""

import json

import pytest

from tests.life.serving import until
from tests.support.asking import get, post, problem, raw
from tests.support.gateway import running

ON_OFF = {"kind": "command", "start": ["true"], "stop": ["true"], "status": ["true"]}
DESK = {"desk": {"launch": ON_OFF, "capacity": {"vram": 24}, "start_timeout": "5s"}}
SERVICES = {"a": {"base_url": "http://127.0.0.1:1", "machine": "desk", "needs": {"vram": 8}}}


async def test_every_machine_is_listed_with_its_room_and_what_holds_it():
    async with running(SERVICES, machines=DESK) as run:
        code, found = await get(run, "/v1/machines")
    machines = {each["id"]: each for each in found["machines"]}
    assert (code, set(machines)) == (200, {"local", "desk"})
    assert machines["local"]["state"] == "hot"
    assert machines["desk"]["capacity"] == {"vram": 24}
    assert {"used", "holds", "leases", "held_until", "last_error"} <= set(machines["desk"])


async def test_a_machine_is_woken_and_put_to_sleep_with_202_and_its_status():
    async with running({}, machines=DESK) as run:
        code, machine = await post(run, "/v1/machines/desk/wake")
        assert (code, machine["id"]) == (202, "desk")
        await until(lambda: run.gateway.fleet.machines["desk"].state == "hot")
        code, machine = await post(run, "/v1/machines/desk/sleep")
        assert (code, machine["id"]) == (202, "desk")
        assert machine["state"] != "hot"


async def test_the_local_machine_is_always_awake():
    async with running() as run:
        code, machine = await post(run, "/v1/machines/local/wake")
        assert (code, machine["state"]) == (202, "hot")
        assert await problem(run, raw("POST", "/v1/machines/local/sleep")) == (400, "bad_request")


@pytest.mark.parametrize("verb", ["wake", "sleep"])
async def test_an_unknown_machine_is_a_404(verb):
    async with running() as run:
        message = await run.ask(raw("POST", f"/v1/machines/desk/{verb}"))
    assert (message.status, json.loads(message.body)["code"]) == (404, "not_found")
