import ssl

import pytest

from hestia.roof.build import build
from hestia.roof.config import load_text
from hestia.roof.listen import CannotStart
from hestia.telemetry.log import Log
from tests.support.gateway import config_text, running
from tests.support.wire import dial

GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


def configured(tmp_path, services, **top):
    return load_text(config_text(str(tmp_path), services, top), name=str(tmp_path / "hestia_config.yml")).config


async def test_building_opens_nothing_and_writes_nothing(tmp_path):
    gateway = build(configured(tmp_path, {}), Log(lambda _: None))
    assert gateway.addresses == []
    assert gateway.busy() == {"connections": 0, "leases": 0}
    assert list(tmp_path.iterdir()) == []


async def test_few_descriptors_lower_the_limit_of_connections(tmp_path):
    gateway = build(configured(tmp_path, {}), Log(lambda _: None), descriptors=256)
    assert gateway.shared.most_connections == 80


async def test_an_https_upstream_is_checked_unless_that_is_switched_off(tmp_path):
    services = {
        "strict": {"base_url": "https://127.0.0.1:1"},
        "lax": {"base_url": "https://127.0.0.1:1", "tls_verify": False},
        "plain": {"base_url": "http://127.0.0.1:1"},
    }
    async with running(services) as gateway:
        ways = {life.owner.id: life.way.tls for life in gateway.gateway.fleet.places()}
    assert ways["strict"].verify_mode is ssl.CERT_REQUIRED
    assert ways["lax"].verify_mode is ssl.CERT_NONE
    assert ways["plain"] is None


async def test_a_ca_file_that_is_none_stops_the_start(tmp_path):
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    whole = configured(tmp_path, {"a": {"base_url": "https://127.0.0.1:1", "tls_verify": str(bad)}})
    with pytest.raises(CannotStart, match=r"services\.a\.tls_verify"):
        build(whole, Log(lambda _: None))


async def test_a_task_that_fails_is_one_line_with_its_trace():
    async def fail():
        raise KeyError("x")

    async with running(strict=False) as gateway:
        gateway.gateway.shared.fence.spawn(fail())
        await gateway.ask(GET % b"/__health")
    (said,) = [event for event in gateway.events if event["event"] == "internal"]
    assert "KeyError" in said["trace"]


async def test_programs_run_beside_the_configuration_file(tmp_path):
    """What they name is found from there, wherever the gateway was started."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("mine")
    command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "--directory", "page", "{port}"]
    whole = configured(tmp_path, {"a": {"launch": {"kind": "process", "command": command}}}, defaults={"start_timeout": "20s"})
    gateway = build(whole, Log(lambda _: None), source=str(tmp_path / "hestia_config.yml"))
    await gateway.open()
    try:
        port = int(gateway.addresses[0].rpartition(":")[2])
        answer = await asked(port, GET % b"/services/a/", within=20)
    finally:
        await gateway.close(0)
    assert answer.body == b"mine"


async def asked(port, raw, within):
    client = await dial(port)
    await client.send(raw)
    answer = await client.answer(within=within)
    client.close()
    return answer
