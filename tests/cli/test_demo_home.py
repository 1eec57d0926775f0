"""The demo's gateway: a real one, in a folder of its own, that leaves nothing behind."""

import asyncio
import json
import os
import socket
import stat
import tempfile
from pathlib import Path

import aiohttp
import pytest

from hestia.cli.demo_home import ANY_PORT, config_text, demo_home
from hestia.cli.demo_servers import MODEL
from hestia.roof.config import load_text
from hestia.roof.listen import CannotStart
from hestia.wire import MAX_SOCKET_PATH


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Where temporary files go: short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="h-") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def never():
    raise AssertionError("nobody asked it to end")


def loaded(folder="/srv/demo"):
    return load_text(config_text(ANY_PORT, folder), name=f"{folder}/hestia_config.yml")


def test_the_configuration_has_no_mistake_and_exactly_four_services():
    found = loaded()
    assert found.warnings == ()
    assert list(found.config.services) == ["slow", "chat", "flaky", "big"]
    assert found.config.services["chat"].models == (MODEL,)
    assert [place.machine for place in found.config.services["flaky"].places] == ["desk", "local"]


def test_the_big_one_does_not_fit_beside_the_chat():
    config = loaded().config
    needs = {name: service.needs.get("vram", 0) for name, service in config.services.items()}
    assert max(needs.values()) <= config.machines["local"].capacity["vram"] < needs["chat"] + needs["big"]


@pytest.mark.parametrize("folder", ["/srv/a b", "/srv/a'b", '/srv/a"b', "/srv/${HOME}", "/srv/ä: #x"])
def test_a_folder_may_have_any_name(folder):
    config = loaded(folder).config
    assert (config.data_dir, config.control_socket) == (f"{folder}/data", f"{folder}/control.sock")


async def test_it_answers_and_afterwards_nothing_is_left(temporary):
    async with demo_home(ANY_PORT, never) as home, aiohttp.ClientSession() as session:
        assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
        assert home.config.is_file()
        assert home.control_socket.is_socket()
        assert home.url.startswith("http://127.0.0.1:")
        assert not home.url.endswith(":8080")
        async with session.get(f"{home.url}/v1/services") as answer:
            states = {each["id"]: each["state"] for each in (await answer.json())["services"]}
        assert states == dict.fromkeys(("slow", "chat", "flaky", "big"), "cold")
    assert list(temporary.iterdir()) == []
    with pytest.raises(OSError, match="refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", int(home.url.rpartition(":")[2]))


async def test_what_the_environment_says_of_gateways_is_not_meant_for_it(monkeypatch):
    monkeypatch.setenv("HESTIA__LOG__LEVEL", "nonsense")
    monkeypatch.setenv("CHAT_BASE_URL", "http://127.0.0.1:9")
    async with demo_home(ANY_PORT, never) as home:
        assert home.url


async def test_the_log_goes_to_its_file_and_not_to_the_terminal(capfd):
    async with demo_home(ANY_PORT, never) as home, aiohttp.ClientSession() as session:
        async with session.get(f"{home.url}/services/nobody/") as answer:
            assert answer.status == 404
        async with asyncio.timeout(10):
            while not home.log.read_text():
                await asyncio.sleep(0.01)
        assert json.loads(home.log.read_text().splitlines()[0])["level"]
    assert capfd.readouterr() == ("", "")


async def test_an_address_that_is_taken_is_said_and_leaves_nothing(temporary):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotStart, match=str(port)):
            async with demo_home(f"127.0.0.1:{port}", never):
                pass
    assert list(temporary.iterdir()) == []


async def test_it_can_be_asked_to_end_over_its_control_socket():
    asked = asyncio.Event()
    async with demo_home(ANY_PORT, asked.set) as home:
        reader, writer = await asyncio.open_unix_connection(str(home.control_socket))
        writer.write(b'{"jsonrpc": "2.0", "id": 1, "method": "gateway.shutdown"}\n')
        assert "error" not in json.loads(await asyncio.wait_for(reader.readline(), 10))
        await asyncio.wait_for(asked.wait(), 10)
        writer.close()


async def test_a_changed_configuration_is_read_again():
    async with demo_home(ANY_PORT, never) as home:
        home.config.write_text(home.config.read_text().replace("queue_size: 2", "queue_size: 3"))
        reader, writer = await asyncio.open_unix_connection(str(home.control_socket))
        writer.write(b'{"jsonrpc": "2.0", "id": 1, "method": "config.reload"}\n')
        assert json.loads(await asyncio.wait_for(reader.readline(), 10))["result"]["changed"] == ["big"]
        writer.close()


async def test_where_temporary_files_lie_too_deep_for_a_socket_it_takes_a_shorter_folder(temporary, monkeypatch):
    deep = temporary / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    async with demo_home(ANY_PORT, never) as home:
        assert len(os.fsencode(home.control_socket)) <= MAX_SOCKET_PATH
    assert not home.folder.exists()
