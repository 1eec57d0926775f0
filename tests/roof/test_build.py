import asyncio
import ssl

import pytest

from hestia.roof.build import build
from hestia.roof.config import load_text
from hestia.roof.listen import CannotStart
from hestia.telemetry.log import Log
from tests.support.gateway import config_text, running

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


def configured(tmp_path, services, **top):
    return load_text(config_text(str(tmp_path), services, top), name=str(tmp_path / "hestia_config.yml")).config


async def test_building_opens_nothing(tmp_path):
    gateway = build(configured(tmp_path, {}), Log(lambda _: None))
    assert gateway.addresses == []
    assert gateway.busy() == {"connections": 0, "leases": 0}


async def test_after_the_close_nobody_listens_and_idle_connections_are_closed():
    async with running() as gateway:
        client = await gateway.dial()
        assert await gateway.gateway.close(5.0) == 0
        await client.until(lambda: client.ended)
        with pytest.raises(ConnectionRefusedError):
            await gateway.dial()


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
        while gateway.gateway.fleet.leases == 0:
            await asyncio.sleep(0)
        closing = asyncio.ensure_future(gateway.gateway.close(10.0))
        await asyncio.sleep(0)
        go.set()
        answer = await client.answer(b"GET")
        assert (answer.status, answer.body) == (200, b"done")
        assert await closing == 0
        await client.until(lambda: client.ended)
    server.close()


async def test_what_does_not_finish_in_time_is_broken_off_and_counted():
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with running({"a": {"base_url": url}}) as gateway:
        client = await gateway.dial()
        await client.send(GET % b"/services/a/")
        while gateway.gateway.fleet.leases == 0:
            await asyncio.sleep(0)
        assert await gateway.gateway.close(0) == 1
        await client.until(lambda: client.ended)
        assert gateway.gateway.fleet.leases == 0
    server.close()


async def test_a_service_without_an_address_is_refused_with_a_reason():
    service = {"launch": {"kind": "process", "command": ["llama-server", "--port", "{port}"]}}
    async with running({"a": service}) as gateway:
        answer = await gateway.ask(GET % b"/services/a/")
    assert answer.status == 503
    assert b"start_failed" in answer.body


async def test_the_id_of_the_gateway_is_kept_in_its_data_folder(tmp_path):
    whole = configured(tmp_path, {})
    first = build(whole, Log(lambda _: None)).shared.loop_tag
    assert build(whole, Log(lambda _: None)).shared.loop_tag == first
    assert first.startswith(b"hestia-")


async def test_few_descriptors_lower_the_limit_of_connections(tmp_path):
    gateway = build(configured(tmp_path, {}), Log(lambda _: None), descriptors=256)
    assert gateway.shared.most_connections == 96


async def test_an_https_upstream_is_checked_unless_that_is_switched_off(tmp_path):
    services = {
        "strict": {"base_url": "https://127.0.0.1:1"},
        "lax": {"base_url": "https://127.0.0.1:1", "tls_verify": False},
        "plain": {"base_url": "http://127.0.0.1:1"},
    }
    gateway = build(configured(tmp_path, services), Log(lambda _: None))
    modes = [place.tls.verify_mode if place.tls else None for place in gateway._places]
    assert modes == [ssl.CERT_REQUIRED, ssl.CERT_NONE, None]


async def test_a_ca_file_that_is_none_stops_the_start(tmp_path):
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    whole = configured(tmp_path, {"a": {"base_url": "https://127.0.0.1:1", "tls_verify": str(bad)}})
    with pytest.raises(CannotStart, match=r"services\.a\.tls_verify"):
        build(whole, Log(lambda _: None))
