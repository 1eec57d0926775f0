"""What the Makefile calls: only what it started is found and stopped."""

import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hestia.cli import dev
from tests.house.tree import ROOT

FAKE = """#!{python}
import signal, sys, threading
told = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: told.set())
print(*sys.argv[1:], flush=True)
told.wait()
"""


@pytest.fixture(autouse=True)
def tree(tmp_path, monkeypatch):
    """A tree like ours, whose `hestia` says its arguments and waits for a TERM."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "hestia_program"
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    (tmp_path / "hestia").mkdir()
    (tmp_path / "hestia" / "code.py").write_text("x = 1\n")
    return tmp_path


@contextmanager
def begin(verb: str, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """A program of ours. A test that fails does not wait for it."""
    code = (
        "import sys; from hestia.cli import dev; real = dev.command;"
        "dev.command = lambda port: ['./hestia_program', *real(port)[1:]];"
        f"sys.exit(dev.main([{verb!r}, *{flags!r}]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()
                with suppress(subprocess.TimeoutExpired):
                    child.wait(10)
                child.kill()


def test_serve_becomes_the_gateway_and_stop_ends_it(capsys):
    with begin("serve", "--port", "8123") as child:
        assert child.stdout.readline().startswith("serve --listen 127.0.0.1:8123")
        assert dev.owner(8123) == child.pid
        assert dev.main(["stop", "--port", "8123"]) == 0
        assert child.wait(10) == 0
    assert f"pid {child.pid}" in capsys.readouterr().out
    assert dev.owner(8123) is None


def test_without_a_port_the_configuration_decides():
    with begin("serve") as child:
        assert child.stdout.readline() == "serve\n"
        assert dev.owner(8080) == child.pid
        child.terminate()


def test_a_second_gateway_for_one_port_is_refused_with_one_line():
    with begin("serve", "--port", "8123") as first:
        first.stdout.readline()
        with begin("serve", "--port", "8123") as second:
            assert second.wait(10) == 1
            assert second.stderr.read() == (
                "make already runs a gateway for port 8123: make stop PORT=8123, or take another PORT\n"
            )
        first.terminate()


def test_stop_leaves_a_stranger_alone_whose_pid_stands_in_an_old_file(capsys):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        dev.lock_path(8123).parent.mkdir()
        dev.lock_path(8123).write_text(f"{stranger.pid}\n")
        assert dev.main(["stop", "--port", "8123"]) == 0
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert capsys.readouterr().out == "make runs no gateway for port 8123\n"


def test_stop_without_a_gateway_is_done(capsys):
    assert dev.main(["stop"]) == 0
    assert capsys.readouterr().out == "make runs no gateway for port 8080\n"


def test_watch_starts_again_when_the_code_changes(tree):
    with begin("watch", "--port", "8123") as child:
        assert child.stdout.readline().startswith("serve")
        file = tree / "hestia" / "code.py"
        os.utime(file, ns=(1, 1))
        assert child.stderr.readline() == "the code changed: starting again\n"
        assert child.stdout.readline().startswith("serve")
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0


def test_a_new_or_a_deleted_file_is_a_change_and_another_kind_is_not(tree):
    before = dev.snapshot()
    (tree / "hestia" / "notes.txt").write_text("x")
    assert dev.snapshot() == before
    (tree / "hestia" / "new.py").write_text("x")
    assert dev.snapshot() != before
    (tree / "hestia" / "new.py").unlink()
    (tree / "hestia" / "code.py").unlink()
    assert dev.snapshot() != before


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        services = [{"id": "demo", "state": "hot"}, {"id": "b", "state": "cold", "reason": "gone"}]
        body = json.dumps({"services": services})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def test_status_prints_one_line_a_service(capsys, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert dev.main(["status", "--port", str(server.server_port)]) == 0
        thread.join()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["demo", "hot"], ["b", "cold", "gone"]]


def test_status_says_when_nothing_answers(capsys):
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        port = server.server_port
    assert dev.main(["status", "--port", str(port)]) == 1
    assert f"no gateway answers at http://127.0.0.1:{port}/v1/services" in capsys.readouterr().err


def test_loopback_v6_is_listened_on_only_where_there_is_one(monkeypatch):
    monkeypatch.setattr(dev, "has_ipv6", lambda: False)
    assert dev.command(81)[1:] == ["serve", "--listen", "127.0.0.1:81"]
    monkeypatch.setattr(dev, "has_ipv6", lambda: True)
    assert dev.command(81)[1:] == ["serve", "--listen", "127.0.0.1:81", "--listen", "[::1]:81"]
    assert Path(dev.command(81)[0]).name == "hestia"
