"""`/v1/inflight` and `cancel`."""

import asyncio
import json

import pytest

from tests.life.serving import Diary, ask, launched, reaches, until, waiting
from tests.support.asking import get, post, problem, raw
from tests.support.gateway import running


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path / "diary")


async def test_nothing_under_way_is_an_empty_list():
    async with running() as run:
        assert await get(run, "/v1/inflight") == (200, {"inflight": []})


async def test_exchanges_and_waiters_are_listed_newest_first(diary, tmp_path):
    services = {"a": launched(diary), "b": launched(Diary(tmp_path / "b"), "--gate", tmp_path / "gate")}
    async with running(services) as run:
        await post(run, "/v1/services/a/start?wait=true")
        first = await run.dial()
        await first.send(ask("/slow?0.5", "X-Request-ID: one"))
        await until(lambda: run.gateway.fleet.leases == 1)
        second = await waiting(run, ask("/x?1", "X-Request-ID: two", service="b", method="POST", body=b""), service="b")
        _, found = await get(run, "/v1/inflight")
        assert [(each["request_id"], each["service"], each["state"]) for each in found["inflight"]] == [
            ("two", "b", "waiting"),
            ("one", "a", "relaying"),
        ]
        assert (found["inflight"][0]["method"], found["inflight"][0]["path"]) == ("POST", "/services/b/x")
        assert found["inflight"][0]["since"].endswith("Z")
        (tmp_path / "gate").touch()
        assert (await first.answer()).status == 200
        assert (await second.answer(b"POST")).status == 200
        assert await get(run, "/v1/inflight") == (200, {"inflight": []})
        first.close()
        second.close()


async def test_a_waiter_that_is_cancelled_gets_503_stopped_and_its_start_goes_on(diary, tmp_path):
    async with running({"a": launched(diary, "--gate", tmp_path / "gate")}) as run:
        client = await waiting(run, ask("/x", "X-Request-ID: one/two"))
        assert await post(run, "/v1/inflight/one%2Ftwo/cancel") == (202, {"request_id": "one/two", "cancelled": True})
        message = await client.answer()
        assert (message.status, json.loads(message.body)["code"]) == (503, "stopped")
        (tmp_path / "gate").touch()
        await reaches(run, "hot")
        client.close()


async def test_an_exchange_that_is_cancelled_is_broken_off(diary):
    async with running({"a": launched(diary)}) as run:
        await post(run, "/v1/services/a/start?wait=true")
        client = await run.dial()
        await client.send(ask("/stream?5", "X-Request-ID: one"))
        await client.until(lambda: b"\r\n\r\n" in client.received)
        assert (await get(run, "/v1/inflight"))[1]["inflight"][0]["state"] == "relaying"
        assert (await post(run, "/v1/inflight/one/cancel"))[0] == 202
        await client.until(lambda: client.ended)
        assert not bytes(client.received).endswith(b"0\r\n\r\n")
        await until(lambda: run.gateway.fleet.leases == 0)


async def test_a_tunnel_is_listed_as_one_and_ends_when_it_is_cancelled(diary):
    async with running({"a": launched(diary)}) as run:
        await post(run, "/v1/services/a/start?wait=true")
        client = await run.dial()
        await client.send(ask("/switch", "Connection: upgrade", "Upgrade: echo", "X-Request-ID: one"))
        await client.until(lambda: b"101" in client.received)
        assert (await get(run, "/v1/inflight"))[1]["inflight"][0]["state"] == "tunnel"
        assert (await post(run, "/v1/inflight/one/cancel"))[0] == 202
        await client.until(lambda: client.ended)


async def test_all_requests_of_one_id_are_cancelled(diary, tmp_path):
    async with running({"a": launched(diary, "--gate", tmp_path / "gate")}) as run:
        clients = [await waiting(run, ask("/x", "X-Request-ID: same"), number) for number in (1, 2)]
        assert (await post(run, "/v1/inflight/same/cancel"))[0] == 202
        answers = await asyncio.gather(*(client.answer() for client in clients))
        assert [answer.status for answer in answers] == [503, 503]
        for client in clients:
            client.close()


async def test_what_is_not_under_way_is_a_404():
    async with running() as run:
        assert await problem(run, raw("POST", "/v1/inflight/nothing/cancel")) == (404, "not_found")
