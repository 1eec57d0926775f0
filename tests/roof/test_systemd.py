"""The words with a service manager: readiness, reload, signs of life, and sockets that it opened."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from hestia.roof.systemd import Notify, inherited, show_life

CHILD = """
import os, json
os.environ["LISTEN_PID"] = str(os.getpid()) if os.environ["LISTEN_PID"] == "mine" else os.environ["LISTEN_PID"]
from hestia.roof.systemd import inherited
found = inherited(os.environ)
print(json.dumps([[s.getsockname()[1] for s in found], [os.get_inheritable(s.fileno()) for s in found], "LISTEN_FDS" in os.environ]))
"""


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        yield sock


def heard(manager):
    return manager.recv(4096).decode()


def test_ready_reloading_and_stopping_are_told(manager):
    notify = Notify({"NOTIFY_SOCKET": manager.getsockname()})
    notify.ready()
    notify.reloading()
    notify.stopping()
    assert heard(manager) == "READY=1"
    assert heard(manager).startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert heard(manager) == "STOPPING=1"


def test_an_abstract_address_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0hestia-{os.getpid()}")
        Notify({"NOTIFY_SOCKET": f"@hestia-{os.getpid()}"}).ready()
        assert sock.recv(100) == b"READY=1"


@pytest.mark.parametrize("environ", ({}, {"NOTIFY_SOCKET": "/nowhere/notify"}))
def test_nobody_who_listens_is_no_error(environ):
    Notify(environ).ready()


async def test_signs_of_life_come_twice_as_often_as_they_are_wanted(manager):
    notify = Notify({"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"})
    assert notify.watchdog_s == 0.02
    task = asyncio.ensure_future(show_life(notify))
    for _ in range(3):
        assert await asyncio.to_thread(heard, manager) == "WATCHDOG=1"
    task.cancel()


@pytest.mark.parametrize(("environ", "wanted"), (({}, None), ({"WATCHDOG_USEC": "no"}, None), ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}, None)))
def test_a_watchdog_that_is_not_for_us_is_left_alone(environ, wanted):
    assert Notify(environ).watchdog_s is wanted


def as_third(server):
    """The child finds the socket where a service manager puts it."""
    return {"pass_fds": [server.fileno(), 3], "preexec_fn": lambda: os.dup2(server.fileno(), 3)}


def handed_over(pid):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        environ = {**os.environ, "LISTEN_PID": pid, "LISTEN_FDS": "1"}
        done = subprocess.run([sys.executable, "-c", CHILD], **as_third(server), env=environ, capture_output=True, text=True, check=True)
        return port, json.loads(done.stdout)


def test_sockets_of_the_manager_are_taken_and_not_passed_on():
    port, (ports, inheritable, still_said) = handed_over("mine")
    assert (ports, inheritable, still_said) == ([port], [False], False)


def test_sockets_that_are_for_another_process_are_left():
    assert handed_over("1")[1][0] == []


def test_nothing_handed_over_is_nothing():
    assert inherited({}) == []
    assert inherited({"LISTEN_PID": "x", "LISTEN_FDS": "1"}) == []


def test_the_gateway_serves_on_a_socket_that_was_open_before_it_and_says_when_it_is_ready(manager, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        config = tmp_path / "hestia_config.yml"
        config.write_text(f'listen: ["127.0.0.1:{port}"]\ndata_dir: {tmp_path}/data\ncontrol_socket: {tmp_path}/control.sock\nservices: {{ollama: null}}\n')
        early = socket.create_connection(("127.0.0.1", port))
        early.sendall(b"GET /__health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        program = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", sys.executable, "-m", "hestia.cli.hestia", "serve", "--config", str(config)]
        environ = {**os.environ, "LISTEN_FDS": "1", "NOTIFY_SOCKET": manager.getsockname()}
        with subprocess.Popen(program, **as_third(server), env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as gateway:
            try:
                assert heard(manager) == "READY=1"
                early.settimeout(10)
                assert early.recv(15) == b"HTTP/1.1 200 OK"
                early.close()
                gateway.send_signal(signal.SIGHUP)
                assert heard(manager).startswith("RELOADING=1")
                assert heard(manager) == "READY=1"
                gateway.terminate()
                assert heard(manager) == "STOPPING=1"
                assert gateway.wait(15) == 0
            finally:
                gateway.kill()


def test_a_descriptor_that_is_no_socket_is_said():
    code = """
import os
os.dup2(os.open("/dev/null", os.O_RDONLY), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
from hestia.roof.listen import CannotStart
from hestia.roof.systemd import inherited
try:
    inherited(os.environ)
except CannotStart as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("LISTEN_FDS says that descriptor 3 is a socket: ")
