"""Sockets that a service manager has opened before: each is matched by its address, and outlives the gateway."""

import http.client
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.whole.program import environment
from tests.whole.upstream import upstream

WITHIN = 20.0
CONFIG = """\
listen: ["127.0.0.1:{main}", "unix:{home}/main.sock"]
admin_listen: ["127.0.0.1:{admin}"]
control_socket: "{home}/c.sock"
data_dir: "{home}/data"
services:
  ollama: null
  app: {{base_url: "{url}", listen: ["127.0.0.1:{own}"]}}
"""
ACTIVATED = """
import os, sys
for number, descriptor in enumerate(map(int, sys.argv[1].split(",")), 100):
    os.dup2(descriptor, number)
for number in range(int(sys.argv[2])):
    os.dup2(100 + number, 3 + number)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": sys.argv[2]}
os.execv(sys.executable, [sys.executable, "-m", "hestia.cli.hestia", "serve", "--config", sys.argv[3]])
"""


def unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def ask(sock: socket.socket, path: str) -> tuple[int, bytes]:
    """Of whoever serves this listening socket, now or in a moment."""
    with socket.socket(sock.family) as caller:
        caller.settimeout(WITHIN)
        caller.connect(sock.getsockname())
        caller.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = http.client.HTTPResponse(caller)
        answer.begin()
        return answer.status, answer.read()


@pytest.mark.parametrize("shift", (0, 1, 2, 3))
def test_each_socket_is_what_its_address_says_in_whatever_order_they_come(tmp_path, shift):
    tcp = {name: socket.create_server(("127.0.0.1", 0)) for name in ("main", "admin", "own")}
    sockets = {**tcp, "unix": unix(tmp_path / "main.sock")}
    order = [*sockets.values()][shift:] + [*sockets.values()][:shift]
    numbers = [sock.fileno() for sock in order]
    config = tmp_path / "hestia_config.yml"
    with upstream() as behind:
        ports = {name: sock.getsockname()[1] for name, sock in tcp.items()}
        config.write_text(CONFIG.format(home=tmp_path, url=behind.url, **ports))
        words = [sys.executable, "-c", ACTIVATED, ",".join(map(str, numbers)), str(len(numbers)), str(config)]
        for _ in range(2):  # the second gateway takes over the same sockets
            gateway = subprocess.Popen(words, pass_fds=numbers, env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                assert ask(sockets["own"], "/any/path") == (200, b"fine")
                assert ask(sockets["unix"], "/services/app/x") == (200, b"fine")
                assert ask(sockets["main"], "/v1/services")[0] == 404
                status, body = ask(sockets["admin"], "/v1/services")
                assert (status, [each["id"] for each in json.loads(body)["services"]]) == (200, ["app"])
            finally:
                gateway.terminate()
                assert gateway.wait(WITHIN) == 0
            assert (tmp_path / "main.sock").exists()  # it is the manager's
    for sock in sockets.values():
        sock.close()


def test_a_connection_that_came_during_a_restart_is_answered(tmp_path):
    server = socket.create_server(("127.0.0.1", 0))
    config = tmp_path / "hestia_config.yml"
    config.write_text(f'listen: ["127.0.0.1:{server.getsockname()[1]}"]\ncontrol_socket: "{tmp_path}/c.sock"\ndata_dir: "{tmp_path}/data"\nservices: {{ollama: null}}\n')
    words = [sys.executable, "-c", ACTIVATED, str(server.fileno()), "1", str(config)]
    for _ in range(2):
        early = socket.create_connection(server.getsockname(), timeout=WITHIN)
        early.sendall(b"GET /__health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        gateway = subprocess.Popen(words, pass_fds=[server.fileno()], env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            assert early.recv(15) == b"HTTP/1.1 200 OK"
        finally:
            early.close()
            gateway.terminate()
            assert gateway.wait(WITHIN) == 0
    server.close()


def test_a_socket_that_no_key_names_is_told(tmp_path):
    server = socket.create_server(("127.0.0.1", 0))
    config = tmp_path / "hestia_config.yml"
    config.write_text(f'listen: ["127.0.0.1:0"]\ncontrol_socket: "{tmp_path}/c.sock"\ndata_dir: "{tmp_path}/data"\nservices: {{ollama: null}}\n')
    words = [sys.executable, "-c", ACTIVATED, str(server.fileno()), "1", str(config)]
    with subprocess.Popen(words, pass_fds=[server.fileno()], env=environment(tmp_path), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as gateway:
        told = []
        for line in gateway.stderr:
            told.append(json.loads(line))
            if told[-1]["event"] == "gateway.started":
                gateway.terminate()
    port = server.getsockname()[1]
    assert [each["detail"] for each in told if each["event"] == "gateway.warning" and "service manager" in each["detail"]] == [
        f"the service manager opened 127.0.0.1:{port}, and no `listen`, `admin_listen` or service names it: nobody is answered there"
    ]
    server.close()
