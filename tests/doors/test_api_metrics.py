"""`/v1/metrics`, `/v1/services/{id}/metrics` and `/metrics`."""

import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.life.serving import Diary, launched
from tests.support.asking import get, post, problem, raw
from tests.support.gateway import running


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path / "diary")


def samples(text):
    """(name, labels) -> value, as Prometheus itself reads it."""
    families = text_string_to_metric_families(text.decode())
    return {(each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples}


async def test_after_n_mixed_requests_the_numbers_say_n(diary):
    async with running({"a": launched(diary)}) as run:
        await post(run, "/v1/services/a/start?wait=true")
        asked = [raw("GET", "/services/a/x")] * 20 + [raw("POST", "/services/a/sum", b"12345")] * 7 + [raw("GET", "/services/b/")] * 3
        await asyncio.gather(*(run.ask(each) for each in asked))
        await post(run, "/v1/services/a/stop?hold=true&wait=true")
        await asyncio.gather(*(run.ask(raw("GET", "/services/a/x")) for _ in range(5)))
        _, one = await get(run, "/v1/services/a/metrics")
        _, whole = await get(run, "/v1/metrics")
        message = await run.ask(raw("GET", "/metrics"))
    found = samples(message.body)
    assert (one["requests"], one["codes"], one["errors"]) == (32, {"200": 27, "503": 5}, 5)
    assert one["unfinished"] == {"held": 5}
    assert one["bytes_in"] == 35
    assert one["request_seconds"]["count"] == one["overhead_seconds"]["count"] == 32
    assert 0 < one["request_seconds"]["p50"] <= one["request_seconds"]["p95"] <= one["request_seconds"]["p99"]
    assert one["starts"] == [{"machine": "local", "outcome": "ready", "count": 1}]
    assert one["start_seconds"]["count"] == 1
    assert whole["services"]["a"]["requests"] == 32
    assert whole["own"]["codes"]["404"] == 3
    assert found["hestia_requests_total", (("code", "200"), ("service", "a"))] == 27
    assert found["hestia_requests_total", (("code", "503"), ("service", "a"))] == 5
    assert found["hestia_requests_total", (("code", "404"), ("service", ""))] == 3
    assert found["hestia_request_seconds_count", (("service", "a"),)] == 32
    assert found["hestia_starts_total", (("machine", "local"), ("outcome", "ready"), ("service", "a"))] == 1
    assert found["hestia_hot_seconds_total", (("service", "a"),)] > 0
    assert found["hestia_state", (("service", "a"), ("state", "cold"))] == 1
    assert found["hestia_machine_state", (("machine", "local"), ("state", "hot"))] == 1
    assert message.get(b"content-type").startswith(b"text/plain; version=0.0.4")


async def test_leases_and_waiters_are_those_of_now(diary, tmp_path):
    async with running({"a": launched(diary, "--gate", tmp_path / "gate")}) as run:
        clients = [await run.dial() for _ in range(3)]
        for client in clients:
            await client.send(raw("GET", "/services/a/x"))
        while run.gateway.commands.status("a").waiters < 3:
            await asyncio.sleep(0.005)
        found = samples((await run.ask(raw("GET", "/metrics"))).body)
        assert found["hestia_waiters", (("service", "a"),)] == 3
        assert (await get(run, "/v1/services/a/metrics"))[1]["waiters"] == 3
        (tmp_path / "gate").touch()
        for client in clients:
            assert (await client.answer()).status == 200
            client.close()


async def test_metrics_of_an_unknown_service_are_a_404():
    async with running() as run:
        assert await problem(run, raw("GET", "/v1/services/a/metrics")) == (404, "unknown_service")
