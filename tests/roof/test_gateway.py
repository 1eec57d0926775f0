import asyncio
import contextlib
import json
import socket
import sqlite3
from math import inf

import pytest

from hestia.roof.build import build
from hestia.roof.config import load_text
from hestia.roof.listen import CannotStart
from hestia.telemetry.log import Log
from tests.life.serving import Diary, alive, ask, launched, problem, reaches, state, told, until, waiting
from tests.support.gateway import Running, config_text, running
from tests.support.wire import Upstream, dial

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


def built(folder, services=None, *, lines=None, **top):
    loaded = load_text(config_text(str(folder), services or {}, top), name=f"{folder}/hestia_config.yml")
    said = [] if lines is None else lines
    return Running(build(loaded.config, Log(said.append)), str(folder), said)


@contextlib.asynccontextmanager
async def opened(folder, services=None, **more):
    run = built(folder, services, **more)
    await run.gateway.open()
    try:
        yield run
    finally:
        await run.gateway.close(0)


@contextlib.asynccontextmanager
async def silent_upstream():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()


# --- opening


async def test_an_address_that_is_taken_leaves_everything_free_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match="is taken"):
            await built(tmp_path / "a", listen=[f"127.0.0.1:{port}"]).gateway.open()
    async with opened(tmp_path / "a", listen=[f"127.0.0.1:{port}"]) as run:
        assert (await run.ask(GET % b"/__health")).status == 200


async def test_a_second_gateway_on_one_data_folder_is_refused_and_touches_nothing(tmp_path):
    async with opened(tmp_path):
        second = built(tmp_path)
        with pytest.raises(CannotStart, match=r"another gateway \(pid \d+\) uses the data folder"):
            await second.gateway.open()
        assert second.gateway.addresses == []


async def test_a_database_of_a_later_version_is_a_mistake_of_usage_and_stays_as_it_is(tmp_path):
    async with opened(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "hestia.db")) as database:
        database.execute("PRAGMA user_version = 999")
    before = (tmp_path / "hestia.db").read_bytes()
    run = built(tmp_path)
    with pytest.raises(CannotStart) as caught:
        await run.gateway.open()
    assert caught.value.usage
    assert run.gateway.addresses == []
    assert (tmp_path / "hestia.db").read_bytes() == before


async def test_the_id_of_the_gateway_is_kept_in_its_database(tmp_path):
    async with opened(tmp_path) as run:
        first = run.gateway.shared.loop_tag
    async with opened(tmp_path) as run:
        assert run.gateway.shared.loop_tag == first
    assert first.startswith(b"hestia-")
    assert len(first) > len(b"hestia-") + 8


async def test_what_the_operator_held_is_held_after_a_restart(tmp_path):
    services = {"a": {"base_url": "http://127.0.0.1:1"}, "b": {"base_url": "http://127.0.0.1:1"}}
    async with opened(tmp_path, services) as run:
        await run.gateway.commands.stop("a", hold=inf)
    async with opened(tmp_path, services) as run:
        assert run.gateway.commands.status("a").held_until == "forever"
        assert run.gateway.commands.status("b").held_until is None
        assert problem(await run.ask(ask())) == (503, "held")


async def test_a_hold_of_everything_is_held_after_a_restart(tmp_path):
    services = {"a": {"base_url": "http://127.0.0.1:1"}}
    async with opened(tmp_path, services) as run:
        await run.gateway.commands.stop_all(hold=3600.0)
    async with opened(tmp_path, services) as run:
        assert problem(await run.ask(ask())) == (503, "held")


async def test_how_long_a_start_takes_is_known_after_a_restart(tmp_path):
    services = {"a": launched(Diary(tmp_path / "diary"))}
    async with opened(tmp_path, services) as run:
        assert (await run.ask(ask())).status == 200
        took = run.gateway.commands.status("a").last_start_s
    async with opened(tmp_path, services) as run:
        assert run.gateway.commands.status("a").expected_start_s == pytest.approx(took, abs=0.01)


# --- closing


async def test_after_the_close_nobody_listens_and_idle_connections_are_closed():
    async with running() as gateway:
        client = await gateway.dial()
        port = gateway.port
        assert await gateway.gateway.close(5.0) == 0
        await client.until(lambda: client.ended)
        with pytest.raises(ConnectionRefusedError):
            await dial(port)


async def test_an_exchange_may_finish_while_the_gateway_closes():
    go = asyncio.Event()

    async def slow(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running({"a": {"base_url": url}}) as gateway:
        client = await gateway.dial()
        await client.send(GET % b"/services/a/")
        await until(lambda: gateway.gateway.fleet.leases)
        closing = asyncio.ensure_future(gateway.gateway.close(10.0))
        await asyncio.sleep(0)
        go.set()
        answer = await client.answer(b"GET")
        assert (answer.status, answer.body) == (200, b"done")
        assert await closing == 0
        await client.until(lambda: client.ended)
    server.close()


async def test_what_does_not_finish_in_time_is_broken_off_and_counted():
    async with silent_upstream() as url, running({"a": {"base_url": url}}) as gateway:
        client = await gateway.dial()
        await client.send(GET % b"/services/a/")
        await until(lambda: gateway.gateway.fleet.leases)
        assert await gateway.gateway.close(0) == 1
        await client.until(lambda: client.ended)
        assert gateway.gateway.fleet.leases == 0


async def test_who_waits_for_a_start_is_told_that_the_gateway_ends(tmp_path):
    services = {"a": launched(Diary(tmp_path / "diary"), "--gate", tmp_path / "gate")}
    async with opened(tmp_path, services) as run:
        client = await waiting(run, ask())
        closing = asyncio.ensure_future(run.gateway.close(5.0))
        assert problem(await client.answer()) == (503, "stopped")
        await closing


async def test_what_was_launched_is_gone_when_the_gateway_has_closed(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with opened(tmp_path, {"a": launched(diary)}) as run:
        assert (await run.ask(ask())).status == 200
        assert alive(diary.starts[0])
        await run.gateway.close(5.0)
        assert not alive(diary.starts[0])
        assert told(run, "service.stopped", "a")[-1]["cause"] == "shutdown"


async def test_what_shall_go_on_is_found_again_by_the_next_gateway(tmp_path):
    diary = Diary(tmp_path / "diary")
    services = {"a": launched(diary, launch={"keep_running": True})}
    async with opened(tmp_path, services) as run:
        assert (await run.ask(ask())).status == 200
    async with opened(tmp_path, services) as run:
        assert state(run) in {"starting", "hot"}  # it is asked whether it is ready, and never started again
        assert int((await run.ask(ask())).body) == diary.starts[0]
        assert told(run, "place.adopted", "a")
        await run.gateway.commands.stop("a", wait=True)
    assert len(diary.starts) == 1
    assert not alive(diary.starts[0])


async def test_what_runs_and_is_gone_from_the_configuration_is_stopped_and_the_log_says_why(tmp_path):
    diary = Diary(tmp_path / "diary")
    async with opened(tmp_path, {"a": launched(diary, launch={"keep_running": True})}) as run:
        assert (await run.ask(ask())).status == 200
    async with opened(tmp_path, {}) as run:
        await until(lambda: not alive(diary.starts[0]))
        (said,) = told(run, "place.left_over", "a")
        assert said["reason"] == "it is no longer in the configuration"


async def test_closing_twice_is_no_mistake(tmp_path):
    async with opened(tmp_path) as run:
        await run.gateway.close(0)


# --- connections to a place


async def test_a_stopped_service_keeps_no_idle_connection(tmp_path):
    async with opened(tmp_path, {"a": launched(Diary(tmp_path / "diary"))}) as run:
        assert (await run.ask(ask())).status == 200
        (life,) = run.gateway.fleet.places()
        assert life.way.pool.idle
        await run.gateway.commands.stop("a", wait=True)
        await reaches(run, "cold")
        assert not life.way.pool.idle


async def test_who_streams_when_the_drain_is_over_is_broken_off(tmp_path):
    services = {"a": launched(Diary(tmp_path / "diary"), drain_timeout="50ms")}
    async with opened(tmp_path, services) as run:
        client = await run.dial()
        await client.send(ask("/stream?30"))
        await client.through(b"data: x")
        await run.gateway.commands.stop("a", wait=True)
        await client.until(lambda: client.ended)
        assert b"\r\n0\r\n\r\n" not in client.unread


async def test_what_is_busy_is_counted(tmp_path):
    async with silent_upstream() as url, running({"a": {"base_url": url}}) as run:
        client = await run.dial()
        await client.send(GET % b"/services/a/")
        await until(lambda: run.gateway.fleet.leases)
        assert json.dumps(run.gateway.busy()) == '{"connections": 1, "leases": 1}'
        client.close()


async def test_a_connection_that_was_just_accepted_gets_its_answer_while_the_gateway_closes():
    async with running() as gateway:
        client = await gateway.dial()
        while not gateway.gateway.shared.fronts:
            await asyncio.sleep(0)
        closing = asyncio.ensure_future(gateway.gateway.close(10.0))
        await asyncio.sleep(0)
        await client.send(b"GET /__health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await client.answer()).status == 200
        assert await closing == 0


async def test_a_disk_that_takes_nothing_keeps_nobody_from_his_services():
    async with Upstream() as upstream:
        nowhere = {"data_dir": "/proc/nowhere", "control_socket": "/proc/nowhere/control.sock"}
        async with running({"a": {"base_url": upstream.base_url}}, strict=False, **nowhere) as gateway:
            assert (await gateway.ask(b"GET /services/a/ HTTP/1.1\r\nHost: localhost\r\n\r\n")).status == 200
            assert "hestiactl cannot reach" in gateway.gateway.warnings[0]
