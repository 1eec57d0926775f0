"""The light upstream and the small clients, against each other."""

import socket
import sys

import pytest

from bench import load
from bench.machine import Child, cores, free_port, get


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    number = free_port()
    output = tmp_path_factory.mktemp("upstream") / "out"
    child = Child([sys.executable, "-m", "bench.upstream", str(number)], cores().load, output, {"PYTHONPATH": "."})
    child.wait_for(number, "/small")
    yield number
    child.stop()


@pytest.mark.parametrize("kind", ("down", "up"))
@pytest.mark.parametrize("size", (1, 70_000, 40_000_001))
def test_bulk_comes_whole_in_both_directions(port, kind, size):
    assert load.run([kind, str(port), f"/{kind}", str(size)])["seconds"] > 0


def test_a_connection_is_used_again_after_a_body(port):
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        for _ in range(2):
            client.sendall(b"POST /sink HTTP/1.1\r\nContent-Length: 5\r\n\r\nabcde")
            assert client.recv(1000).endswith(b"\r\n\r\nok")


def test_a_head_may_come_in_pieces(port):
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in (b"GET /sm", b"all HTTP/1.1\r\n", b"\r", b"\n"):
            client.sendall(part)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_events_are_counted_and_their_way_is_timed(port):
    figures = load.run(["events", str(port), "/events?0.01", "3", "0.5"])
    assert figures["done"] > 30
    assert 0 < figures["p50_us"] <= figures["p95_us"]


def test_a_tunnel_echoes(port):
    assert load.run(["echo", str(port), "/echo", "2", "0.3"])["done"] > 10


def test_a_crowd_is_served_with_the_time_of_readiness(port):
    figures = load.run(["crowd", str(port), "/since", "20", "10"])
    assert figures["served"] == 20
    assert 0 < figures["first_ms"] <= figures["last_ms"]


def test_the_time_since_it_listens_is_a_number(port):
    assert float(get(port, "/since").rpartition(b"\r\n\r\n")[2]) > 0


def test_a_load_that_fails_says_why_and_ends_with_1(port, capsys):
    assert load.main(["echo", str(port), "/small", "1", "0.1"]) == 0
    assert load.main(["down", str(free_port()), "/down", "10"]) == 1
    assert "error" in capsys.readouterr().out
