import errno
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hestia.roof import run
from hestia.roof.config import load_text
from tests.life.serving import Diary, alive, launched

ROOT = Path(__file__).parents[2]


def loaded(text="{}", **keys):
    return load_text(text, **keys)


def greeting(addresses, services="{a: {base_url: 'http://127.0.0.1:5'}, ollama: null}"):
    gateway = SimpleNamespace(addresses=addresses, config=loaded(f"services: {services}").config)
    return run.greeting(gateway)


def test_the_greeting_has_one_line_to_try():
    assert greeting(["http://127.0.0.1:8081"])[1] == "try: curl http://localhost:8081/services/a/"
    assert greeting(["unix:/x.sock", "http://192.0.2.1:80"])[1] == "try: curl http://192.0.2.1:80/services/a/"


def test_without_a_service_there_is_nothing_to_try():
    assert len(greeting(["http://127.0.0.1:8081"], "{ollama: null}")) == 1


def test_an_unknown_loop_ends_with_usage(capsys):
    assert run.serve(loaded(), loaded, environ={"HESTIA_LOOP": "trio"}) == 2
    assert capsys.readouterr().err.startswith("hestia: HESTIA_LOOP='trio'")


class Program:
    """A gateway process, its words on stdout, its log on stderr."""

    def __init__(self, folder, listen, *flags, base_url="http://127.0.0.1:1"):
        self.file = folder / "hestia_config.yml"
        self.whole = {"listen": [listen], "data_dir": str(folder), "control_socket": f"{folder}/control.sock"}
        self.write({"slow": {"base_url": base_url}})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hestia.cli.hestia", "serve", "--config", str(self.file), *flags],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, services):
        self.file.write_text(json.dumps({**self.whole, "services": {"ollama": None, **services}}))

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
        """Read the log as far as that event; what it says."""
        for line in self.process.stderr:
            said = json.loads(line)
            if said["event"] == event:
                return said
        raise AssertionError(f"it ended without {event}")


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


def status_of(port, path):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return int(client.makefile("rb").readline().split()[1])


def test_hup_reads_the_configuration_again(tmp_path):
    program = Program(tmp_path, "127.0.0.1:0")
    port = program.port()
    program.write({"other": {"base_url": "http://127.0.0.1:1"}})
    program.process.send_signal(signal.SIGHUP)
    assert program.until("config.reloaded")["added"] == ["other"]
    assert status_of(port, "/v1/services/other/status") == 200
    assert status_of(port, "/services/slow/") == 404
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 0


def test_hup_with_a_bad_file_changes_nothing_and_never_ends_it(tmp_path):
    program = Program(tmp_path, "127.0.0.1:0")
    port = program.port()
    program.file.write_text("zebra: 1\n")
    program.process.send_signal(signal.SIGHUP)
    assert "zebra" in program.until("config.rejected")["detail"]
    assert status_of(port, "/v1/services/slow/status") == 200
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 0


def test_with_watch_a_changed_file_is_read_again(tmp_path):
    program = Program(tmp_path, "127.0.0.1:0", "--watch")
    program.port()
    program.write({"other": {"base_url": "http://127.0.0.1:1"}})
    assert program.until("config.reloaded")["removed"] == ["slow"]
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 0


@pytest.mark.parametrize("method", ["gateway.drain", "gateway.shutdown"])
def test_a_command_ends_it_as_a_signal_does(tmp_path, method):
    program = Program(tmp_path, "127.0.0.1:0")
    program.port()
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(f"{tmp_path}/control.sock")
        control.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method}).encode() + b"\n")
        assert "result" in json.loads(control.makefile().readline())
    code, errors = program.end()
    assert code == 0
    assert events(errors)[-2:] == ["gateway.stopping", "gateway.stopped"]
    assert "Infinity" not in errors, "a drain has no end, and JSON no infinity"


def test_what_was_launched_ends_with_the_gateway(tmp_path):
    program = Program(tmp_path, "127.0.0.1:0")
    port = program.port()
    diary = Diary(tmp_path / "diary")
    program.write({"a": launched(diary)})
    program.process.send_signal(signal.SIGHUP)
    program.until("config.reloaded")
    assert status_of(port, "/services/a/") == 200
    (pid,) = diary.starts
    program.process.send_signal(signal.SIGTERM)
    assert program.end()[0] == 0
    assert not alive(pid)


def test_a_second_gateway_on_one_data_folder_ends_at_once_and_names_it(tmp_path):
    first = Program(tmp_path, "127.0.0.1:0")
    first.port()
    code, errors = Program(tmp_path, "127.0.0.1:0").end()
    assert code == 1
    assert errors.startswith(f"hestia: another gateway (pid {first.process.pid}) uses the data folder {tmp_path}")
    assert first.process.poll() is None
    first.process.send_signal(signal.SIGTERM)
    assert first.end()[0] == 0


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
