"""Clients that leave while their service starts (section 5: a client that leaves frees its position within a second)."""

import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.hostile.gateway import Gateway, diary, served

HOST = b"Host: localhost\r\n"
POST = b"POST /services/w/x HTTP/1.1\r\n" + HOST
REQUESTS = {
    "plain": b"GET /services/w/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.0": b"GET /services/w/x HTTP/1.0\r\n\r\n",
    "whole body": POST + b"Content-Length: 5\r\n\r\nhello",
    "half a body": POST + b"Content-Length: 500000\r\n\r\nhello",
    "more body than is kept": POST + b"Content-Length: 500000\r\n\r\n" + b"z" * 200_000,
    "held Expect": POST + b"Content-Length: 500000\r\nExpect: 100-continue\r\n\r\n",
    "chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "pipelined": (b"GET /services/w/x HTTP/1.1\r\n" + HOST + b"\r\n") * 200,
    "half a second head": b"GET /services/w/x HTTP/1.1\r\n" + HOST + b"\r\nGET /ser",
    "upgrade": b"GET /services/w/x HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n" + b"q" * 1000,
    "HEAD": b"HEAD /services/w/x HTTP/1.1\r\n" + HOST + b"\r\n",
}


def close(client: socket.socket) -> None:
    client.close()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


@pytest.fixture
def gateway(serve, tmp_path) -> Gateway:
    keys = {"start_timeout": "60s", "queue_timeout": "60s", "queue_size": 1000}
    return serve({"w": served(tmp_path, "w", "--gate", tmp_path / "gate", **keys)})


def waiters(gateway: Gateway) -> int:
    return int(gateway.status("w")["waiters"])


def begun(gateway: Gateway, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", gateway.port), timeout=5)
    client.sendall(data)
    return client


def test_whatever_was_sent_and_however_it_leaves_its_place_is_free_within_a_second(gateway):
    for name, data in REQUESTS.items():
        for leave in (close, reset, half_close):
            client = begun(gateway, data)
            gateway.until(lambda: waiters(gateway) == 1, what=name)
            leave(client)
            left_at = time.monotonic()
            gateway.until(lambda: waiters(gateway) == 0, what=(name, leave.__name__))
            assert time.monotonic() - left_at < 1, (name, leave.__name__)
            client.close()
    assert gateway.verb("inflight.list")["result"] == {"inflight": []}


def test_who_waits_for_a_start_by_the_api_may_leave_whatever_was_sent_behind_it(gateway):
    files = gateway.files
    start = b"POST /v1/services/w/start?wait=true HTTP/1.1\r\n" + HOST
    behind = {"nothing": b"\r\n", "requests": b"\r\n" + REQUESTS["plain"] * 5_000, "an upgrade": b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n" + b"q" * 200_000}
    for name, data in behind.items():
        for leave in (close, reset):
            clients = [begun(gateway, start + data) for _ in range(10)]
            gateway.until(lambda: gateway.files >= files + 5, what=name)
            gateway.until(lambda: gateway.status("w")["state"] == "starting")
            for client in clients:
                leave(client)
            gateway.until(lambda: gateway.files <= files + 3, within=1.5, what=(name, leave.__name__))


def test_of_hundreds_that_leave_at_the_very_release_nothing_is_sent_or_kept(gateway, tmp_path):
    files = gateway.files
    ways: list[Callable[[socket.socket], None]] = [close, reset]
    clients = [begun(gateway, REQUESTS["plain" if number % 3 else "whole body"]) for number in range(300)]
    gateway.until(lambda: waiters(gateway) == 300)
    (tmp_path / "gate").touch()
    for number, client in enumerate(clients[::2]):
        ways[number % 2](client)
    for client in clients[1::2]:
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.close()
    gateway.until(lambda: waiters(gateway) == 0 and gateway.status("w")["leases"] == 0)
    assert len(diary(tmp_path, "w", "start")) == 1
    assert 150 <= len(diary(tmp_path, "w", "request")) <= 300  # one that left in the same moment may have been sent
    gateway.verb("services.stop", id="w", wait=True)  # and with it the idle connections to it
    gateway.until(lambda: gateway.files <= files + 3, what="descriptors")
