import errno
import json
import signal
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from hestia.roof import run
from hestia.roof.config import load, load_text

ROOT = Path(__file__).parents[2]


def loaded(text="{}", **keys):
    return load_text(text, **keys)


@pytest.fixture
def defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return load(None, {"XDG_STATE_HOME": str(tmp_path)})


async def test_the_built_in_demo_is_served_inside_the_gateway(defaults):
    closed = []

    async def close():
        closed.append(True)

    async def start():
        return 4711, close

    async with AsyncExitStack() as stack:
        config = await run._with_demo(defaults, start, stack)
    demo = config.services["demo"]
    assert (demo.places[0].base_url, demo.places[0].launch) == ("http://127.0.0.1:4711", None)
    assert defaults.config.services["demo"].places[0].base_url is None
    assert closed == [True]


async def test_a_demo_of_the_operators_own_is_left_alone():
    mine = loaded("services: {demo: {base_url: 'http://127.0.0.1:5'}}")

    async def start():
        raise AssertionError

    async with AsyncExitStack() as stack:
        assert await run._with_demo(mine, start, stack) is mine.config


@pytest.mark.parametrize(
    ("listen", "beyond"),
    [
        (["127.0.0.1:8080", "[::1]:8080"], False),
        (["localhost:8080"], False),
        (["unix:/tmp/x.sock"], False),
        (["0.0.0.0:8080"], True),
        (["127.0.0.1:8080", "192.168.1.5:8080"], True),
        (["[::]:8080"], True),
    ],
)
def test_what_other_machines_can_reach_is_known(listen, beyond):
    assert run.beyond_loopback(loaded(f"listen: {json.dumps(listen)}").config) is beyond


def greeting(addresses, services="{a: {base_url: 'http://127.0.0.1:5'}, ollama: null}"):
    gateway = SimpleNamespace(addresses=addresses, config=loaded(f"services: {services}").config)
    return run.greeting(gateway)


def test_the_greeting_has_one_line_to_try():
    assert greeting(["http://127.0.0.1:8081"])[1] == "try: curl http://localhost:8081/services/a/"
    assert greeting(["unix:/x.sock", "http://192.0.2.1:80"])[1] == "try: curl http://192.0.2.1:80/services/a/"


def test_without_a_service_there_is_nothing_to_try():
    assert len(greeting(["http://127.0.0.1:8081"], "{ollama: null}")) == 1


def test_an_unknown_loop_ends_with_usage(capsys):
    assert run.serve(loaded(), environ={"HESTIA_LOOP": "trio"}) == 2
    assert capsys.readouterr().err.startswith("hestia: HESTIA_LOOP='trio'")


class Program:
    """A gateway process, its words on stdout, its log on stderr."""

    def __init__(self, folder, listen, base_url="http://127.0.0.1:1"):
        services = {"ollama": None, "slow": {"base_url": base_url}}
        text = json.dumps({"listen": [listen], "data_dir": str(folder), "services": services})
        file = folder / "hestia_config.yml"
        file.write_text(text)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hestia.cli.hestia", "serve", "--config", str(file)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def port(self):
        """Where it listens: it says so when it does."""
        return int(self.process.stdout.readline().rpartition(":")[2])

    def end(self):
        """The exit code and the log."""
        try:
            _, errors = self.process.communicate(timeout=20)
        finally:
            self.process.kill()
        return self.process.returncode, errors

    def until(self, event):
        for line in self.process.stderr:
            if event in line:
                return


def events(errors):
    return [json.loads(line)["event"] for line in errors.splitlines()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(tmp_path, number):
    program = Program(tmp_path, "127.0.0.1:0")
    program.port()
    program.process.send_signal(number)
    code, errors = program.end()
    assert code == 0
    assert events(errors)[-2:] == ["gateway.stopping", "gateway.stopped"]


def test_hup_is_said_and_never_ends_it(tmp_path):
    program = Program(tmp_path, "127.0.0.1:0")
    port = program.port()
    program.process.send_signal(signal.SIGHUP)
    program.until("config.reload_unsupported")
    socket.create_connection(("127.0.0.1", port)).close()
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 0


def test_a_second_signal_ends_it_at_once_with_another_code(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(20)
        program = Program(tmp_path, "127.0.0.1:0", base_url=f"http://127.0.0.1:{upstream.getsockname()[1]}")
        with socket.create_connection(("127.0.0.1", program.port())) as client:
            client.sendall(b"GET /services/slow/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with upstream.accept()[0] as asked:
                asked.recv(1)  # from here on an exchange runs, and the first signal waits for it
                program.process.send_signal(signal.SIGTERM)
                program.until("gateway.stopping")
                program.process.send_signal(signal.SIGTERM)
                assert program.end()[0] == 128 + signal.SIGTERM


def test_an_address_that_is_taken_is_one_line_and_exit_1(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, errors = Program(tmp_path, f"127.0.0.1:{port}").end()
    assert code == 1
    assert len(errors.splitlines()) == 1
    assert errors.startswith(f"hestia: 127.0.0.1:{port} is taken")
    assert errno.errorcode[errno.EADDRINUSE] not in errors
