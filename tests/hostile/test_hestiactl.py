"""`hestiactl` before a socket where something else answers (section 9: exit 7 where the gateway cannot be reached)."""

import contextlib
import json
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole.program import environment

DEEP = b"[" * 100_000
STRANGERS = {"garbage": b"\x00\xff\xfe\n", "HTML": b"HTTP/1.1 400 Bad Request\r\n\r\n", "deep": DEEP + b"\n", "half": b'{"jsonrpc":', "nothing": b""}
SHAPES = {
    "an empty result": {"result": {}},
    "none": {"result": None},
    "text as an error": {"error": "\x1b[31mevil"},
    "other types": {"result": {"services": [5], "machines": [1], "lines": [None], "activity": 5, "inflight": {"a": 1}, "keys": None}},
    "control characters": {"result": {"services": [{"id": "\x1b[31mx", "state": "hot"}], "lines": ["\x1b[2J\x9b31m\r\u202ey"]}},
}
COMMANDS = (["status"], ["status", "a"], ["ping"], ["logs", "a"], ["ps"], ["machines"], ["activity"], ["keys", "list"], ["report"])
MEMORY = 512 << 20


@contextlib.contextmanager
def answering(path: Path, said: bytes, *, again: bool = False) -> Iterator[None]:
    """Whoever calls is told this, whatever was asked; `again` and again."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = server.accept()
                with caller, contextlib.suppress(OSError):
                    caller.recv(65536)
                    caller.sendall(said)
                    while again:
                        caller.sendall(said)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def hestiactl(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hestia.ctl.main", "--socket", str(home / "s.sock"), *words]
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=20, check=False, preexec_fn=limit)


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_gateway_is_said_to_be_none(tmp_path, name):
    with answering(tmp_path / "s.sock", STRANGERS[name]):
        told = hestiactl(tmp_path, "status")
    assert (told.returncode, told.stdout) == (7, "")
    assert "Traceback" not in told.stderr


def test_a_line_without_an_end_fills_no_memory(tmp_path):
    with answering(tmp_path / "s.sock", b"x" * 65536, again=True):
        told = hestiactl(tmp_path, "status")
    assert told.returncode == 7
    assert "is no Hestia gateway" in told.stderr


@pytest.mark.parametrize("name", SHAPES)
def test_an_answer_of_another_shape_is_told_in_words_and_without_control_characters(tmp_path, name):
    line = json.dumps({"jsonrpc": "2.0", "id": 1, **SHAPES[name]}).encode() + b"\n"
    with answering(tmp_path / "s.sock", line):
        for command in COMMANDS:
            told = hestiactl(tmp_path, *command)
            assert "Traceback" not in told.stderr, command
            assert not {"\x1b", "\x9b", "\u202e"} & set(told.stdout + told.stderr), command
