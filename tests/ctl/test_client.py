"""The connection: four ways of not being reachable, and gateways that behave oddly."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from hestia.ctl.client import Client, Failed, Where, find
from hestia.ctl.commands import COMMANDS
from hestia.ctl.main import main
from tests.support.control_server import environ, run


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextlib.contextmanager
def listening(path, answer=None, backlog=5):
    """A socket that listens; `answer` is called with each connection."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen(backlog)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                caller, _ = sock.accept()
                with caller:
                    answer(caller)

    thread = threading.Thread(target=serve, daemon=True)
    if answer:
        thread.start()
    try:
        yield
    finally:
        sock.shutdown(socket.SHUT_RDWR)
        sock.close()


def test_nothing_at_the_usual_place_means_not_running(folder):
    done = run("ping", HOME=str(folder))
    assert (done.returncode, done.stdout) == (7, "")
    assert "the gateway is not running" in done.stderr
    assert "hestia serve" in done.stderr


def test_a_socket_that_nobody_listens_at_means_not_running(folder):
    left = socket.socket(socket.AF_UNIX)
    left.bind("c.sock")
    left.close()
    done = run("ping", socket=f"{folder}/c.sock")
    assert (done.returncode, "not running: nobody listens at" in done.stderr) == (7, True)


@pytest.mark.parametrize("path", ("/no/such/folder/c.sock", "file", "dir", "x" * 200))
def test_a_wrong_path_is_told_apart_and_says_who_named_it(folder, path):
    (folder / "file").touch()
    (folder / "dir").mkdir()
    done = run("ping", socket=path)
    assert (done.returncode, done.stderr.startswith("hestiactl: wrong path: ")) == (7, True)
    assert "(from $HESTIA_SOCKET)" in done.stderr
    assert "(from --socket)" in run("ping", "--socket", path).stderr


def test_a_gateway_that_says_nothing_is_not_answering(folder):
    with listening("c.sock"), pytest.raises(Failed, match="not answering") as caught, Client(Where("c.sock", "")) as client:
        client.call("hello", within=0.05)
    assert caught.value.code == 7


LINES = {
    "status": "status demo", "start": "start demo --wait", "stop": "stop demo --wait", "restart": "restart demo", "logs": "logs demo -f", "cancel": "cancel r1", "events": "events -f",
    "machines wake": "machines wake desk", "machines sleep": "machines sleep desk", "machines hold": "machines hold desk", "keys create": "keys create x", "keys revoke": "keys revoke x",
    "backup": "backup x.db", "__complete": "__complete services",
}
ASKING = [LINES.get(command.name, command.name) for command in COMMANDS if command.name != "completion"]


@pytest.mark.parametrize("words", ASKING)
def test_whatever_is_asked_of_a_frozen_gateway_it_is_soon_said_that_it_does_not_answer(folder, capsys, monkeypatch, words):
    monkeypatch.setattr(Client.__init__, "__kwdefaults__", {"answer_s": 0.05})
    monkeypatch.chdir(folder)
    with listening("c.sock"):
        assert main(["--socket", "c.sock", *words.split()]) == 7
    said = capsys.readouterr()
    assert (said.out, said.err.startswith("hestiactl: the gateway at c.sock is not answering: ")) == ("", True)


def test_a_gateway_that_works_for_long_is_given_its_time(folder):
    def answer(caller):
        caller.recv(1000)
        caller.sendall(b'{"jsonrpc":"2.0","id":0,"result":{}}\n')
        time.sleep(0.2)
        caller.sendall(b'{"jsonrpc":"2.0","id":1,"result":5}\n')

    with listening("c.sock", answer), Client(Where("c.sock", ""), answer_s=0.1) as client:
        assert client.call("services.restart", {"id": "demo"}, within=None) == 5


def test_a_gateway_whose_line_is_full_is_not_answering(folder):
    with listening("c.sock", backlog=0), contextlib.ExitStack() as stack:
        for _ in range(3):
            caller = stack.enter_context(socket.socket(socket.AF_UNIX))
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect("c.sock")
        with pytest.raises(Failed, match="not answering"), Client(Where("c.sock", "")):
            pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_no_permission_is_exit_4(folder):
    outside = f"/tmp/hestia-{os.getpid()}"
    os.mkdir(outside, 0o755)
    try:
        with listening(f"{outside}/c.sock"):
            os.chmod(f"{outside}/c.sock", 0o600)
            code = "import os, sys, hestia.ctl.act as _; from hestia.ctl.main import main; os.setgid(54321); os.setuid(54321); sys.exit(main(['ping']))"
            done = subprocess.run([sys.executable, "-c", code], env=environ(HESTIA_SOCKET=f"{outside}/c.sock"), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith(f"hestiactl: no permission for the control socket {outside}/c.sock (from $HESTIA_SOCKET)")
    finally:
        os.unlink(f"{outside}/c.sock")
        os.rmdir(outside)


def test_a_caller_whom_the_gateway_does_not_know_has_no_permission(folder):
    line = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32000,"message":"user 5 may not","data":{"code":"forbidden"}}}\n'
    with listening("c.sock", lambda caller: caller.sendall(line)):
        done = run("ping", socket=f"{folder}/c.sock")
    assert (done.returncode, done.stderr) == (4, "hestiactl: user 5 may not\n")


def test_a_gateway_that_ends_in_the_middle_says_so(folder):
    with listening("c.sock", lambda caller: caller.recv(1000)):
        done = run("ping", socket=f"{folder}/c.sock")
    assert (done.returncode, "closed the connection" in done.stderr) == (7, True)


@pytest.mark.parametrize("line", (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff\xfe\n"))
def test_another_program_is_no_gateway(folder, line):
    def answer(caller):
        caller.recv(1000)
        caller.sendall(line)

    with listening("c.sock", answer):
        done = run("ping", socket=f"{folder}/c.sock")
    assert (done.returncode, "no Hestia gateway" in done.stderr) == (7, True)


def test_an_answer_in_pieces_and_strangers_between_are_read(folder):
    pieces = [b"[1]\n", b'{"jsonrpc":"2.0","id":77,"result":0}\n', b'{"jsonrpc":"2.0","method":"x","params":{}}\n{"jsonrpc":"2.0",', b'"id":1,"result":5}\n']

    def answer(caller):
        caller.recv(1000)
        for piece in pieces:
            caller.sendall(piece)
        caller.recv(1)

    with listening("c.sock", answer), Client(Where("c.sock", "")) as client:
        assert client.call("hello") == 5


def test_words_of_a_gateway_cannot_steer_the_terminal(folder):
    line = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"\\u001b[2Jx\\ny"}}\n'
    with listening("c.sock", lambda caller: caller.sendall(line)):
        done = run("ping", socket=f"{folder}/c.sock")
    assert (done.returncode, done.stderr) == (1, "hestiactl: \\x1b[2Jx\ny\n")


def test_the_first_usual_place_that_is_there_is_taken(folder):
    environ = {"HOME": str(folder), "XDG_RUNTIME_DIR": f"{folder}/run"}
    assert find(None, environ).path == f"{folder}/run/hestia/control.sock"
    beside = folder / ".local/state/hestia"
    beside.mkdir(parents=True)
    (beside / "control.sock").touch()
    assert find(None, environ).path == f"{beside}/control.sock"
    assert find(None, {**environ, "HESTIA_SOCKET": "/x"}).path == "/x"
    assert find("/y", {**environ, "HESTIA_SOCKET": "/x"}).path == "/y"


def loaded_by_nothing():
    """What this Python loads by itself: an editable install has a finder that loads more than a bare one."""
    done = subprocess.run([sys.executable, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_program_loads_no_more_than_it_needs(gateway):
    code = "import sys; from hestia.ctl.main import main; code = main(sys.argv[1:]); print(code, *sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, "status"], env=environ(HESTIA_SOCKET=gateway.path), capture_output=True, text=True, check=True)
    first, *loaded = done.stderr.split()
    assert first == "0"
    heavy = {"asyncio", "aiohttp", "msgspec", "yaml", "dataclasses", "structlog", "argparse", "typing", "pathlib", "logging", "subprocess", "inspect"}
    assert (set(loaded) - loaded_by_nothing()) & heavy == set()
