"""Small clients for what wrk cannot do. Each runs as a process of its own and prints one JSON object.

python -m bench.load down|up PORT PATH BYTES
python -m bench.load events|echo PORT PATH CONNECTIONS SECONDS
python -m bench.load crowd PORT PATH CONNECTIONS SECONDS
python -m bench.load control SOCKET CLIENTS REQUESTS
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from bench.figures import percentile

READ: Final = 1 << 20
BLOCK: Final = 1 << 24
MESSAGE: Final = b"e" * 64
WAY_OUT_S: Final = 120.0


def get_head(port: int, path: str, more: str = "") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{more}\r\n".encode()


# --- bulk: blocking sockets, and no byte is copied in this process


def down(port: int, path: str, size: int) -> dict[str, float]:
    with socket.create_connection(("127.0.0.1", port), WAY_OUT_S) as connection:
        began = time.monotonic()
        connection.sendall(get_head(port, f"{path}?{size}"))
        head = connection.recv(65536)
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"it answered {head[:80]!r}")
        if b"\r\ntransfer-encoding" in head.lower():
            raise RuntimeError("it took the length off the answer")
        left = size - (len(head) - head.index(b"\r\n\r\n") - 4)
        scratch = bytearray(READ)
        while left > 0:
            took = connection.recv_into(scratch, READ, socket.MSG_TRUNC)
            if not took:
                raise RuntimeError(f"{left} bytes are missing")
            left -= took
        return {"seconds": time.monotonic() - began}


def up(port: int, path: str, size: int) -> dict[str, float]:
    bulk = os.memfd_create("bulk")
    os.truncate(bulk, BLOCK)
    with socket.create_connection(("127.0.0.1", port), WAY_OUT_S) as connection:
        began = time.monotonic()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode())
        with os.fdopen(bulk, "rb") as file:
            for sent in range(0, size, BLOCK):
                connection.sendfile(file, 0, min(BLOCK, size - sent))
        answer = connection.recv(65536)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"it answered {answer[:80]!r}")
        return {"seconds": time.monotonic() - began}


# --- many connections: raw protocols


class Client(asyncio.Protocol):
    """One connection that sends a head and counts what comes."""

    def __init__(self, head: bytes, status: bytes) -> None:
        self.head = head
        self.status = status
        self.buffer: bytes | None = b""  # None: the answer's head was seen
        self.done = 0
        self.lags: list[int] = []
        self.failed = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self.head)  # type: ignore[attr-defined] # a stream's transport

    def data_received(self, data: bytes) -> None:
        if self.buffer is not None:
            data = self.buffer + data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                self.buffer = data
                return
            if not data.startswith(b"HTTP/1.1 " + self.status):
                self.failed = f"it answered {data[:80]!r}"
                self.transport.close()
                return
            self.buffer = None
            self.begins(data[: end + 4], data[end + 4 :])
        else:
            self.more(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed = self.failed or (f"it broke off: {exc}" if exc else "it was closed")

    def begins(self, head: bytes, rest: bytes) -> None:
        if rest:
            self.more(rest)

    def more(self, data: bytes) -> None:
        raise NotImplementedError


class Listener(Client):
    """Reads events, and how long each was under way. An event is one small chunk: hardly ever cut in two."""

    def more(self, data: bytes) -> None:
        now = time.monotonic_ns()
        for part in data.split(b"data: ")[1:]:
            self.done += 1
            sent = part.partition(b"\n")[0]
            if len(sent) > 9:  # noqa: PLR2004 - nanoseconds: a shorter one was cut
                self.lags.append(now - int(sent))


class Echo(Client):
    """Sends a message when the last one is back."""

    left = len(MESSAGE)
    at = 0

    def begins(self, head: bytes, rest: bytes) -> None:
        self.say()

    def say(self) -> None:
        self.left = len(MESSAGE)
        self.at = time.monotonic_ns()
        self.transport.write(MESSAGE)  # type: ignore[attr-defined]

    def more(self, data: bytes) -> None:
        self.left -= len(data)
        if self.left <= 0:
            self.done += 1
            self.lags.append(time.monotonic_ns() - self.at)
            self.say()


class Waiter(Client):
    """Notes when its answer came, and what time stood in it."""

    came = 0.0
    since = 0.0

    def begins(self, head: bytes, rest: bytes) -> None:
        self.came = time.monotonic()
        self.more(rest)

    def more(self, data: bytes) -> None:
        if data:
            self.since = float(data)
            self.done = 1
            self.transport.close()


async def connect(port: int, make: Callable[[], Client], count: int) -> list[Client]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(make, "127.0.0.1", port))[1] for _ in range(count)]


async def many(port: int, make: Callable[[], Client], count: int, seconds: float) -> dict[str, float]:
    """So many connections for so long; what was done in that time, when all of them stood."""
    clients = await connect(port, make, count)
    await asyncio.sleep(0.2)
    before = sum(client.done for client in clients)
    for client in clients:
        client.lags.clear()
    began = time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    lags = [lag / 1000 for client in clients for lag in client.lags]
    failed = [client.failed for client in clients if client.failed]
    done = sum(client.done for client in clients) - before
    if failed or not lags:
        raise RuntimeError(failed[0] if failed else "nothing came")
    rest = {f"p{share}_us": percentile(lags, share / 100) for share in (50, 95, 99)}
    return {"done": done, "seconds": took, "rate": done / took, **rest}


async def crowd(port: int, path: str, count: int, seconds: float) -> dict[str, float]:
    """So many requests at a time for one that sleeps; when the first and the last were answered after it was ready."""
    head = get_head(port, path)
    clients = await connect(port, lambda: Waiter(head, b"200"), count)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not all(client.done or client.failed for client in clients):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    served = [client for client in clients if isinstance(client, Waiter) and client.done]
    if not served:
        raise RuntimeError(clients[0].failed or f"no answer within {seconds:g} s")
    lags = [(client.came - client.since) * 1000 for client in served]
    return {"served": len(served), "first_ms": min(lags), "p95_ms": percentile(lags, 0.95), "last_ms": max(lags)}


async def control(path: str, clients: int, requests: int) -> dict[str, float]:
    """So many JSON-RPC requests in all, each client one at a time."""
    lags: list[float] = []

    async def one(share: int) -> None:
        reader, writer = await asyncio.open_unix_connection(path, limit=READ)
        for number in range(share):
            began = time.monotonic()
            writer.write(b'{"jsonrpc":"2.0","id":%d,"method":"services.list"}\n' % number)
            answer = await reader.readline()
            if b'"result"' not in answer:
                raise RuntimeError(f"it answered {answer[:200]!r}")
            lags.append((time.monotonic() - began) * 1000)
        writer.close()

    began = time.monotonic()
    async with asyncio.timeout(WAY_OUT_S), asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(one(requests // clients))
    return {"requests": len(lags), "seconds": time.monotonic() - began, "p95_ms": percentile(lags, 0.95)}


def run(words: Sequence[str]) -> dict[str, float]:
    kind, *rest = words
    if kind == "control":
        return asyncio.run(control(rest[0], int(rest[1]), int(rest[2])))
    port, path, count = int(rest[0]), rest[1], int(rest[2])
    if kind == "down":
        return down(port, path, count)
    if kind == "up":
        return up(port, path, count)
    seconds = float(rest[3])
    if kind == "crowd":
        return asyncio.run(crowd(port, path, count, seconds))
    if kind == "events":
        head = get_head(port, path)
        return asyncio.run(many(port, lambda: Listener(head, b"200"), count, seconds))
    head = get_head(port, path, "Connection: Upgrade\r\nUpgrade: echo\r\n")
    return asyncio.run(many(port, lambda: Echo(head, b"101"), count, seconds))


def main(words: Sequence[str]) -> int:
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - the load may be faster than what it loads

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        print(json.dumps(run(words)))
    except (RuntimeError, OSError, ExceptionGroup) as error:
        print(json.dumps({"error": str(getattr(error, "exceptions", (error,))[0])}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
