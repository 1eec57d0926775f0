"""Bulk upstreams and clients on plain blocking sockets: they must cost less than what they measure."""

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 1 << 20
GIB = 1 << 30
LOAD = Path(__file__).with_name("load.py")


@contextmanager
def raw_upstream(serve: Callable[[socket.socket, bytes, bytes], None]) -> Iterator[str]:
    """Its URL. `serve(connection, head, rest)` is called in a thread for each connection's first request."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_one, args=(connection, serve), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _one(connection: socket.socket, serve: Callable[[socket.socket, bytes, bytes], None]) -> None:
    with connection, suppress(OSError):
        seen = b""
        while b"\r\n\r\n" not in seen:
            piece = connection.recv(65_536)
            if not piece:
                return
            seen += piece
        head, _, rest = seen.partition(b"\r\n\r\n")
        if b"hestia-probe" in head:  # the readiness check
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        else:
            serve(connection, head, rest)


def sink(connection: socket.socket, head: bytes, rest: bytes) -> None:
    """Reads a body of known length to its end and answers how long it was."""
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")).split()[1])
    seen, room = len(rest), bytearray(MIB)
    while seen < length:
        count = connection.recv_into(room)
        if not count:
            return
        seen += count
    body = b"%d" % seen
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def chunk_sink(connection: socket.socket, head: bytes, rest: bytes) -> None:
    """Reads a chunked body to its last chunk and answers how many bytes came on the wire."""
    seen, tail, room = len(rest), rest[-5:], bytearray(MIB)
    while tail != b"0\r\n\r\n":
        count = connection.recv_into(room)
        if not count:
            return
        seen += count
        tail = (tail + bytes(room[max(count - 5, 0) : count]))[-5:]
    body = b"%d" % seen
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def endless(connection: socket.socket, head: bytes, rest: bytes) -> None:
    """An answer whose length nobody lives to see: sized or in chunks, as the path asks."""
    if b"/chunked" in head:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece = b"10000\r\n" + bytes(65_536) + b"\r\n"
    else:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 50))
        piece = bytes(65_536)
    while True:
        connection.sendall(piece)


def slow_sink(connection: socket.socket, head: bytes, rest: bytes) -> None:
    """Takes 1 MiB of a body each second, for four seconds, then leaves without an answer."""
    room = bytearray(MIB // 16)
    for _ in range(4 * 16):
        connection.recv_into(room)
        time.sleep(1 / 16)


def exchange(port: int, head: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(head + b"\r\nHost: localhost\r\n\r\n")
    return client


def download(port: int, target: str, *, rate: int = 0, seconds: float = 0.0) -> int:
    """Bytes of body read; with a `rate` so many a second, for that many `seconds`, then the client leaves."""
    client = exchange(port, b"GET %b HTTP/1.1\r\nConnection: close" % target.encode())
    head, room, begun = b"", bytearray(MIB), time.monotonic()
    with client:
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        assert head.startswith(b"HTTP/1.1 200 "), head
        seen = len(head.partition(b"\r\n\r\n")[2])
        while not rate or time.monotonic() - begun < seconds:
            count = client.recv_into(room, min(rate // 16, MIB) if rate else MIB)
            if not count:
                break
            seen += count
            if rate:
                time.sleep(max(0.0, begun + seen / rate - time.monotonic()))
    return seen


def upload(port: int, target: str, length: int, *, chunked: bool = False) -> bytes:
    """The body of the answer."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % length
    client = exchange(port, b"POST %b HTTP/1.1\r\nConnection: close\r\n%b" % (target.encode(), framing))
    piece = b"100000\r\n" + bytes(MIB) + b"\r\n" if chunked else bytes(MIB)
    with client:
        for _ in range(length // MIB):
            client.sendall(piece)
        if chunked:
            client.sendall(b"0\r\n\r\n")
        answer = b""
        while data := client.recv(4096):
            answer += data
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    return answer.rpartition(b"\r\n")[2]


def offer(port: int, target: str, *, chunked: bool) -> int:
    """Sends a body without end until it is no longer taken; how many bytes were."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (1 << 50)
    piece = b"10000\r\n" + bytes(65_536) + b"\r\n" if chunked else bytes(65_536)
    sent = 0
    with exchange(port, b"POST %b HTTP/1.1\r\n%b" % (target.encode(), framing)) as client, suppress(OSError):
        while True:
            client.sendall(piece)
            sent += len(piece)
    return sent


def load(port: int, path: str, requests: int) -> int:
    """At least so many GETs over 16 kept connections, each with a target of its own; how many there were."""
    if wrk := shutil.which("wrk"):
        return _wrk(wrk, port, path, requests)
    argv = [sys.executable, str(LOAD), str(port), path, str(requests)]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=170).stdout)


def _wrk(wrk: str, port: int, path: str, requests: int) -> int:
    """wrk counts seconds, not requests: short rounds until there are enough."""
    done = 0
    while done < requests:
        argv = [wrk, "-t1", "-c16", "-d2s", "-s", str(LOAD.with_suffix(".lua")), f"http://127.0.0.1:{port}{path}"]
        words = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout
        assert "Non-2xx" not in words, words
        assert "Socket errors" not in words, words
        done += int(next(line for line in words.splitlines() if " requests in " in line).split()[0])
    return done
