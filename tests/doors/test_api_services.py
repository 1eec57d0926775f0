"""`/v1/services` and `/v1/services/{id}/status`, `start` and `stop`."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.life.serving import Diary, launched, reaches, until
from tests.support.asking import get, post, raw, said
from tests.support.gateway import running

STATUS_KEYS = [
    "id",
    "state",
    "readiness",
    "phase",
    "reason",
    "machine",
    "base_url",
    "managed",
    "places",
    "waiters",
    "leases",
    "idle_for_s",
    "idle_timeout_s",
    "hot_since",
    "last_used",
    "starts",
    "last_start_s",
    "expected_start_s",
    "last_error",
    "cooldown_s",
    "held_until",
    "kept_by",
]


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


@asynccontextmanager
async def upstream():
    """A server with one answer for everything, and the requests that it saw."""
    seen = []

    async def answer(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()


async def free_url():
    """The address of a port that nobody listens at any more."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"http://127.0.0.1:{port}"


# status and list


async def test_a_watched_service_that_runs_is_hot_without_a_request():
    async with upstream() as (url, seen), running({"a": {"base_url": url}}, hot=False) as run:
        code, status = await get(run, "/v1/services/a/status")
    assert (code, status["state"], status["readiness"], status["base_url"]) == (200, "hot", "ready", url)
    assert list(status) == STATUS_KEYS
    assert len(seen) == 1


async def test_a_watched_service_that_does_not_run_is_cold_with_the_reason():
    async with running({"a": {"base_url": await free_url()}}, hot=False) as run:
        _, status = await get(run, "/v1/services/a/status")
    assert (status["state"], status["reason"]) == ("cold", "connection refused")


async def test_the_list_has_every_service_in_the_order_of_the_configuration():
    url = await free_url()
    async with upstream() as (up, _), running({"b": {"base_url": url}, "a": {"base_url": up}}, hot=False) as run:
        _, listed = await get(run, "/v1/services")
    assert [(each["id"], each["state"]) for each in listed["services"]] == [("b", "cold"), ("a", "hot")]


async def test_an_upstream_that_says_nothing_delays_a_status_by_about_a_second_only():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    services = {f"s{number}": {"base_url": url} for number in range(5)}
    async with running(services, hot=False) as run:
        began = asyncio.get_running_loop().time()
        _, listed = await get(run, "/v1/services")
        assert asyncio.get_running_loop().time() - began < 2.0
    assert {each["state"] for each in listed["services"]} == {"cold"}
    server.close()


async def test_many_who_ask_at_once_cost_one_probe():
    async with upstream() as (url, seen), running({"a": {"base_url": url}}, hot=False) as run:
        await asyncio.gather(*(get(run, "/v1/services/a/status") for _ in range(10)))
    assert len(seen) == 1


@pytest.mark.parametrize("path", ["GET /v1/services/b/status", "POST /v1/services/b/start", "POST /v1/services/b/stop?hold=1h"])
async def test_an_unknown_service_is_a_404(path):
    async with running({"a": {"base_url": "http://127.0.0.1:1"}}) as run:
        message = await run.ask(raw(*path.split()))
    assert (message.status, said(message)["code"]) == (404, "unknown_service")


# start


async def test_a_start_is_answered_at_once_with_202_and_the_status(diary, tmp_path):
    async with running({"a": launched(diary, "--gate", tmp_path / "gate")}) as run:
        code, status = await post(run, "/v1/services/a/start")
        assert (code, status["state"]) == (202, "starting")
        assert status["phase"] in {"launching", "probing", "waking_machine", "making_room"}
        (tmp_path / "gate").touch()
        await reaches(run, "hot")


@pytest.mark.parametrize("how", ["?wait=true", "?wait=1", "?wait"])
async def test_a_start_that_is_waited_for_is_200_when_it_is_ready(diary, how):
    async with running({"a": launched(diary)}) as run:
        code, status = await post(run, f"/v1/services/a/start{how}")
    assert (code, status["state"], status["starts"], len(diary.starts)) == (200, "hot", 1, 1)


async def test_the_wish_to_wait_may_stand_in_the_body(diary):
    async with running({"a": launched(diary)}) as run:
        code, status = await post(run, "/v1/services/a/start", b'{"wait": true, "timeout": "4s"}')
    assert (code, status["state"]) == (200, "hot")


async def test_a_start_that_fails_is_a_503_that_says_why(diary):
    async with running({"a": launched(diary, "--crash", 3)}, strict=False) as run:
        message = await run.ask(raw("POST", "/v1/services/a/start?wait=true"))
    problem = said(message)
    assert (message.status, problem["code"], problem["service"]) == (503, "start_failed", "a")
    assert "it cannot go on" in problem["detail"]


async def test_a_start_that_takes_longer_than_the_wait_is_a_504_and_goes_on(diary, tmp_path):
    async with running({"a": launched(diary, "--gate", tmp_path / "gate")}) as run:
        message = await run.ask(raw("POST", "/v1/services/a/start?wait=true&timeout=100ms"))
        assert (message.status, said(message)["code"]) == (504, "wait_timeout")
        (tmp_path / "gate").touch()
        await reaches(run, "hot")


async def test_a_client_that_leaves_ends_its_wait_and_not_the_start(diary, tmp_path):
    async with running({"a": launched(diary, "--gate", tmp_path / "gate")}) as run:
        client = await run.dial()
        await client.send(raw("POST", "/v1/services/a/start?wait=true"))
        await until(lambda: diary.starts)
        client.close()
        await until(lambda: not run.gateway.shared.fronts)
        (tmp_path / "gate").touch()
        await reaches(run, "hot")
    assert [line["outcome"] for line in run.events if line["event"] == "request"] == ["client_left"]


@pytest.mark.parametrize("query", ["wait=maybe", "wait=true&timeout=soon", "timeout=5s", "wait=true&timeout=-1"])
async def test_a_wait_that_is_none_is_a_400(query):
    async with running({"a": {"base_url": "http://127.0.0.1:1"}}) as run:
        message = await run.ask(raw("POST", f"/v1/services/a/start?{query}"))
    assert (message.status, said(message)["code"]) == (400, "bad_request")


async def test_an_unknown_query_parameter_is_ignored_also_where_the_use_case_knows_it(diary):
    async with running({"a": launched(diary)}) as run:
        code, status = await post(run, "/v1/services/a/start?wait=true&id=b&all=true&utm_source=x")
        assert (code, status["id"]) == (200, "a")
        assert (await post(run, "/v1/services/a/stop?all=true&wait=true"))[0] == 200


async def test_a_wait_is_no_time_of_the_gateways_own(diary):
    async with running({"a": launched(diary, "--delay", 0.1)}) as run:
        await post(run, "/v1/services/a/start?wait=true")
    line = next(line for line in run.events if line["event"] == "request")
    assert line["duration_ms"] > 90
    assert line["overhead_ms"] == 0


# stop


async def test_a_stop_is_202_and_one_that_is_waited_for_200_when_it_is_cold(diary):
    async with running({"a": launched(diary, "--slow-term", 0.2)}) as run:
        await post(run, "/v1/services/a/start?wait=true")
        code, status = await post(run, "/v1/services/a/stop")
        assert (code, status["state"]) == (202, "stopping")
        code, status = await post(run, "/v1/services/a/stop?wait=true")
        assert (code, status["state"]) == (200, "cold")


async def test_a_hold_is_until_a_time_or_for_ever_and_a_start_ends_it(diary):
    async with running({"a": launched(diary)}) as run:
        _, status = await post(run, "/v1/services/a/stop?hold=2h")
        assert status["held_until"].endswith("Z")
        message = await run.ask(raw("GET", "/services/a/"))
        assert (message.status, said(message)["code"]) == (503, "held")
        for for_ever in ("hold=true", "hold"):
            _, status = await post(run, f"/v1/services/a/stop?{for_ever}")
            assert status["held_until"] == "forever"
        code, status = await post(run, "/v1/services/a/start?wait=true")
        assert (code, status["state"], status["held_until"]) == (200, "hot", None)


@pytest.mark.parametrize("query", ["hold=soon", "hold=-1", "wait=2"])
async def test_a_hold_that_is_none_is_a_400(query):
    async with running({"a": {"base_url": "http://127.0.0.1:1"}}) as run:
        message = await run.ask(raw("POST", f"/v1/services/a/stop?{query}"))
    assert (message.status, said(message)["code"]) == (400, "bad_request")
