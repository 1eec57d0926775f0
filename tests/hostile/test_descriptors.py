"""File descriptors run short: whoever is too many is told so at once, nothing spins, and all is well when they leave."""

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from hestia.roof.host import connection_limit
from tests.hostile.gateway import Gateway, diary, served
from tests.whole.program import command

FILES = 256
SHARE = connection_limit(10_000, FILES)
"""Clients that fit: some descriptors are the gateway's own, and each client may need a second one."""
REFUSED = 32  # who are told so at the same time (doors/front)
GET = b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n"
LIMITED = ["/bin/sh", "-c", f'ulimit -n {FILES} && exec "$@"', "sh", *command("serve", "--config"), "{file}"]


@pytest.fixture
def gateway(tmp_path):
    """With so few descriptors, and a service that it launched."""
    gateway = Gateway(tmp_path, {"a": served(tmp_path, "a")})
    try:
        gateway.program.start(argv=LIMITED)
        assert gateway.ask("GET", "/services/a/x").status == 200
        yield gateway
    finally:
        gateway.program.signal(15)
        gateway.program.wait(15)
        gateway.program.kill()
    assert not gateway.mistakes(), gateway.mistakes()


def busy_s(pid):
    """The processor time that it has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answer_of(client):
    """The status of an answer, or 0 where the connection ended without one. It comes in time."""
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            piece = client.recv(1 << 16)
            if not piece:
                return 0, data
            data += piece
    except ConnectionError:
        return 0, data
    return int(data.split(b" ", 2)[1]), data


def connect(gateway, stack):
    client = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    stack.callback(client.close)
    return client


def ask_all(clients):
    """Each asks once; what they get."""
    for client in clients:
        try:
            client.sendall(GET)
        except ConnectionError:  # it was told already, or cut off
            continue
    return [answer_of(client) for client in clients]


def still_serves(gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as client:
        client.sendall(GET)
        return answer_of(client)[0] == 200


def asked_within(gateway, seconds):
    """What one more client gets; None where it still waits to be let in."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=seconds) as client:
        client.sendall(GET)
        try:
            return answer_of(client)[0]
        except TimeoutError:
            return None


def children(gateway):
    pids = [line.split()[0] for line in gateway.left_over() if "--log" in line]
    return sorted(pids)


def test_more_clients_than_fit_are_told_so_and_the_others_served(gateway):
    before, log = children(gateway), len(gateway.program.stderr)
    with ExitStack() as stack:
        clients = [connect(gateway, stack) for _ in range(3 * SHARE)]
        begun = busy_s(gateway.program.pid)
        answers = ask_all(clients)
        statuses = [status for status, _ in answers]
        assert set(statuses) == {0, 200, 503}
        assert SHARE - REFUSED <= statuses.count(200) <= SHARE  # those who are just being refused take descriptors too
        for status, data in answers:
            if status == 503:
                assert b'"too_many_connections"' in data
                assert b"limits.connections" in data or b"ulimit -n" in data
        served_ones = [client for client, status in zip(clients, statuses, strict=True) if status == 200]
        assert {status for status, _ in ask_all(served_ones[:20])} == {200}
        # a second of rest: nobody asks anything, and the gateway does next to nothing
        rest = busy_s(gateway.program.pid)
        time.sleep(1.0)
        assert busy_s(gateway.program.pid) - rest < 0.5
        assert rest - begun < 5.0
        assert gateway.files <= FILES
    gateway.until(lambda: still_serves(gateway), 10.0, "recovery")
    assert len(gateway.program.stderr) - log < 400_000
    assert children(gateway) == before
    assert len(diary(gateway.home, "a", "start")) <= 1
    gateway.until(lambda: gateway.files < FILES // 2, 10.0, "descriptors given back")


def test_when_none_is_left_at_all_it_waits_without_spinning_and_goes_on_afterwards(gateway):
    """Callers of the control socket have no share of their own: more of them than there are descriptors."""
    before = children(gateway)
    with ExitStack() as stack:
        for _ in range(FILES + 50):
            caller = socket.socket(socket.AF_UNIX)
            stack.callback(caller.close)
            caller.settimeout(10)
            caller.connect(str(gateway.home / "control.sock"))
        gateway.until(lambda: gateway.files >= FILES - 2 or "accept_failed" in gateway.program.stderr, 10.0, "all of them taken")
        log, rest = len(gateway.program.stderr), busy_s(gateway.program.pid)
        status = asked_within(gateway, 3.0)
        assert status in {None, 0, 200, 503}
        assert busy_s(gateway.program.pid) - rest < 1.5
        assert len(gateway.program.stderr) - log < 50_000
    gateway.until(lambda: still_serves(gateway), 15.0, "recovery")
    assert gateway.verb("hello")["result"]["pid"] == gateway.program.pid
    assert children(gateway) == before
