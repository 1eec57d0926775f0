"""`/v1/events`."""

import asyncio
import json

import pytest

from tests.life.serving import Diary, launched, until
from tests.support.asking import get, post, problem, raw, streaming
from tests.support.gateway import running


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path / "diary")


async def test_a_change_comes_as_it_happens_with_its_id_and_the_entry_of_the_activity(diary):
    async with running({"a": launched(diary)}) as run:
        async with streaming(run, "/v1/events") as stream:
            await post(run, "/v1/services/a/start?wait=true")
            await stream.until(lambda: "service.ready" in stream.kinds)
            blocks, entries = stream.blocks, stream.data
        _, kept = await get(run, "/v1/activity?limit=1000")
    assert stream.kinds[0] == "service.starting"
    assert [int(block["id"]) for block in blocks] == [entry["id"] for entry in entries]
    assert (entries[0]["service"], entries[0]["cause"], entries[0]["state"]) == ("a", "command", "starting")
    assert {"id", "ts", "kind", "service", "place", "machine", "state", "cause", "request_id"} <= set(entries[0])
    assert [entry for entry in kept["activity"][::-1] if entry["id"] in {each["id"] for each in entries}] == entries


async def test_one_service_may_be_asked_for(diary, tmp_path):
    async with running({"a": launched(diary), "b": launched(Diary(tmp_path / "b"))}) as run:
        async with streaming(run, "/v1/events?service=b") as stream:
            await post(run, "/v1/services/a/start?wait=true")
            await post(run, "/v1/services/b/start?wait=true")
            await stream.until(lambda: "service.ready" in stream.kinds)
            assert {entry["service"] for entry in stream.data} == {"b"}
        assert await problem(run, raw("GET", "/v1/events?service=c")) == (404, "unknown_service")


async def test_who_comes_back_gets_what_was_missed_and_nothing_twice(diary):
    async with running({"a": launched(diary)}) as run:
        async with streaming(run, "/v1/events") as stream:
            await post(run, "/v1/services/a/start?wait=true")
            await stream.until(lambda: "service.ready" in stream.kinds)
            first = stream.blocks[0]["id"]
            expected = stream.data[1:]
        await post(run, "/v1/services/a/stop?wait=true")
        async with streaming(run, "/v1/events", f"Last-Event-ID: {first}") as stream:
            await stream.until(lambda: "service.stopped" in stream.kinds)
            assert stream.data[: len(expected)] == expected
            ids = [int(block["id"]) for block in stream.blocks]
            assert ids == sorted(set(ids))


@pytest.mark.parametrize("last", ["1", "nonsense", "99999999999999999999999999"])
async def test_who_comes_back_from_another_life_is_told_that_something_is_missing(last):
    async with running({"a": {"base_url": "http://127.0.0.1:1"}}) as run, streaming(run, "/v1/events", f"Last-Event-ID: {last}") as stream:
        await stream.until(lambda: stream.blocks)
        assert stream.blocks[0]["event"] == "missed"
        assert "id" not in stream.blocks[0]
        assert json.loads(stream.blocks[0]["data"]) == {"kind": "events.missed", "missed": None}


async def test_a_client_that_leaves_is_no_listener_any_more():
    async with running() as run:
        async with streaming(run, "/v1/events"):
            assert run.gateway._bulletin.listeners == 1
        await until(lambda: run.gateway._bulletin.listeners == 0)


async def test_an_open_stream_does_not_hold_up_the_end_of_the_gateway():
    async with running() as run, streaming(run, "/v1/events") as stream:
        async with asyncio.timeout(5):
            assert await run.gateway.close(30) == 0
        await stream.until(lambda: stream.wire.ended)
        assert bytes(stream.wire.received).endswith(b"0\r\n\r\n")


async def test_a_stream_is_not_ended_by_the_patience_with_stalled_clients(diary):
    async with running({"a": launched(diary)}, limits={"stall_timeout": 0.05, "head_timeout": 0.1, "idle_connection": 0.1}) as run:
        run.gateway.shared.server.streams.keep_alive_s = 0.05
        async with streaming(run, "/v1/events") as stream:
            await stream.until(lambda: stream.text.count(": still here") >= 6)
            await post(run, "/v1/services/a/start?wait=true")
            await stream.until(lambda: "service.ready" in stream.kinds)


async def test_a_reader_that_takes_nothing_is_ended():
    async with running(limits={"stall_timeout": 0.2}) as run:
        run.gateway.shared.server.streams.keep_alive_s = 0
        async with streaming(run, "/v1/events") as stream:
            stream.wire.transport.pause_reading()
            await until(lambda: not run.gateway.shared.fronts, 30)
