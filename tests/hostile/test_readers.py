"""Streams whose readers do not read, and control callers who only ask (sections 7 and 9)."""

import contextlib
import json
import socket
import time

from tests.hostile.gateway import Gateway, served

LIST = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "services.list"}).encode() + b"\n"
MIB = 1 << 20


def follower(gateway: Gateway, path: str) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(5)
    client.connect(("127.0.0.1", gateway.port))
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return client


def caller(gateway: Gateway) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    client.connect(str(gateway.home / "control.sock"))
    return client


def health(gateway: Gateway) -> float:
    begin = time.monotonic()
    assert gateway.ask("GET", "/__health").status == 200
    return time.monotonic() - begin


def test_hundreds_who_follow_and_do_not_read_slow_nobody_and_leave_nothing(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a", "--flood", 3)})
    files, memory = gateway.files, gateway.memory
    clients = [follower(gateway, "/v1/events") for _ in range(150)]
    clients += [follower(gateway, "/v1/services/a/logs?follow=true") for _ in range(50)]
    gateway.until(lambda: gateway.files >= files + 180)  # a start leaves some of its own open for a moment
    took = []
    for _ in range(8):
        assert gateway.ask("GET", "/services/a/x").status == 200
        assert gateway.ask("POST", "/v1/services/a/stop?wait=true").status == 200
        took.append(health(gateway))
    assert sorted(took)[len(took) // 2] < 0.25
    assert gateway.memory - memory < 64 * MIB
    for client in clients:
        client.close()
    gateway.until(lambda: gateway.files <= files + 5, what="descriptors")


def test_a_caller_who_asks_and_never_reads_is_not_read_from(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a")})
    memory = gateway.memory
    client = caller(gateway)
    client.setblocking(False)
    sent, end = 0, time.monotonic() + 1.0
    while time.monotonic() < end:
        try:
            sent += client.send(LIST * 50)
        except BlockingIOError:
            health(gateway)
    assert sent < 32 * MIB
    assert gateway.memory - memory < 32 * MIB
    client.close()


def test_callers_who_asked_too_much_and_left_keep_nothing(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a", "--gate", tmp_path / "gate", start_timeout="60s", queue_timeout="60s")})
    files = gateway.files
    start = {"jsonrpc": "2.0", "id": 1, "method": "services.start", "params": {"id": "a", "wait": True}}
    callers = [caller(gateway) for _ in range(30)]
    for client in callers:
        client.sendall((json.dumps(start).encode() + b"\n") * 40)  # more than are answered at a time
    gateway.until(lambda: gateway.files >= files + 20)
    for client in callers:
        client.close()
    gateway.until(lambda: gateway.files <= files + 3, within=2, what="callers that have left")


def test_ten_thousand_lines_at_once_are_all_answered(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a")})
    memory = gateway.memory
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "log.level"}).encode() + b"\n"
    with caller(gateway) as client:
        count, rest = 0, memoryview(ping * 10_000)
        client.setblocking(False)
        end = time.monotonic() + 20
        while count < 10_000:
            assert time.monotonic() < end
            with contextlib.suppress(BlockingIOError):
                rest = rest[client.send(rest[:65536]) :] if rest else rest
            try:
                count += client.recv(1 << 16).count(b"\n")
            except BlockingIOError:
                time.sleep(0.001)
    assert gateway.memory - memory < 32 * MIB


def test_a_line_of_garbage_gets_one_error_and_harms_nobody(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a")})
    parse, request = -32700, -32600
    lines = {
        b"\x00\xff\xfe\n": parse,
        b"[" * 100_000 + b"\n": parse,
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001 + b"\n": parse,
        b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b',"method":"hello"}\n': parse,
        b'{"jsonrpc":"2.0","id":"\\ud800","method":"hello"}\n': parse,
        b"[" + b",".join([LIST.strip()] * 101) + b"]\n": request,
        b" " * MIB + b"x\n": request,
    }
    for line, code in lines.items():
        assert json.loads(gateway.call(line))["error"]["code"] == code, line[:40]
    assert gateway.call(LIST.strip()) == b""  # a line without its end is not obeyed
    assert b"result" in gateway.call(LIST)
