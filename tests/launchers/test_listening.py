"""Who listens: only what is certain is said."""

import os
import socket
import subprocess
import sys

import pytest

from hestia.launchers import listening
from hestia.launchers.listening import stranger_at
from hestia.launchers.owned import own

TCP = "import socket,sys,time; s=socket.create_server((sys.argv[1],0),family=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET); print(s.getsockname()[1],flush=True); time.sleep(1000)"
UNIX = "import socket,sys,time; s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print('up',flush=True); time.sleep(1000)"
CHILD = "import subprocess,sys; subprocess.run([sys.executable,'-c',sys.argv[1],'127.0.0.1'])"


@pytest.fixture
def spawn():
    children = []

    def spawned(*command):
        child = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return own(child.pid), child

    yield spawned
    for child in children:
        os.killpg(child.pid, 9)
        child.stdout.close()
        child.wait()


def listener(spawn, host="127.0.0.1"):
    owned, child = spawn(sys.executable, "-c", TCP, host)
    return owned, int(child.stdout.readline())


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:{}/x"),
        ("127.0.0.1", "tcp://localhost:{}"),
        ("0.0.0.0", "http://127.0.0.1:{}"),
        ("::1", "http://[::1]:{}"),
        ("::", "http://127.0.0.1:{}"),
    ],
)
def test_one_who_was_there_before_is_named(spawn, host, url):
    first, port = listener(spawn, host)
    late, _ = spawn("sleep", "1000")
    assert stranger_at(url.format(port), late) == f"{listening._name(first.pid)} (pid {first.pid})"
    assert stranger_at(url.format(port), first) is None


def test_hestia_itself_is_a_stranger_too(spawn):
    late, _ = spawn("sleep", "1000")
    with socket.create_server(("127.0.0.1", 0)) as ours:
        assert f"pid {os.getpid()}" in stranger_at(f"http://127.0.0.1:{ours.getsockname()[1]}", late)


def test_a_child_of_it_is_it(spawn):
    owned, child = spawn(sys.executable, "-c", CHILD, TCP)
    port = int(child.stdout.readline())
    assert stranger_at(f"http://127.0.0.1:{port}", owned) is None


def test_a_younger_listener_may_belong_to_it(spawn):
    early, _ = spawn("sleep", "1000")
    import time

    time.sleep(0.05)  # start times are counted in hundredths of a second
    _, port = listener(spawn)
    assert stranger_at(f"http://127.0.0.1:{port}", early) is None


def test_a_unix_socket(spawn, tmp_path):
    path = str(tmp_path / "s.sock")
    first, child = spawn(sys.executable, "-c", UNIX, path)
    child.stdout.readline()
    late, _ = spawn("sleep", "1000")
    assert f"pid {first.pid}" in stranger_at(f"http+unix://{path}", late)
    assert stranger_at(f"http+unix://{path}", first) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:80",
        "http://example.org",
        "http://127.0.0.1:1",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http+unix:///no",
        "",
    ],
)
def test_what_cannot_be_told_is_not_said(spawn, url):
    owned, _ = spawn("sleep", "1000")
    assert stranger_at(url, owned) is None


def test_nothing_is_said_without_proc_without_permission_and_when_it_takes_too_long(spawn, monkeypatch):
    _, port = listener(spawn)
    late, _ = spawn("sleep", "1000")
    url = f"http://127.0.0.1:{port}"
    assert stranger_at(url, late)
    with monkeypatch.context() as patch:
        patch.setattr(listening, "HAS_PROC", False)
        assert stranger_at(url, late) is None
    with monkeypatch.context() as patch:
        patch.setattr(listening, "LOOK_WITHIN_S", -1)
        assert stranger_at(url, late) is None

    def denied(pid):
        raise PermissionError

    monkeypatch.setattr(listening, "_links", denied)
    assert stranger_at(url, late) is None
