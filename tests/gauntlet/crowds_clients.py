"""The clients of a crowd, a process of their own: `crowds_clients.py KIND PORT COUNT SECONDS [RATE]`.

`idle`: they connect, ask once, and keep still. `slow`: they send a head byte by byte, for ever. `busy`: each asks again as
soon as it is answered. `normal`: they ask at the rate of RATE a second, and every answer is timed.
It prints one line of JSON when all are there, and one at the end: after SECONDS, or when standard input closes (`idle`, `slow`).
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from contextlib import suppress
from time import perf_counter
from typing import Any

GET = b"GET /services/up/small HTTP/1.1\r\nHost: localhost\r\n\r\n"
TRICKLE = b"GET /services/up/small HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"x" * 5000
ADDRESS_HOLDS = 4000  # connections to one port, well below the number of ephemeral ports
AT_ONCE = 200
SLICES = 20
"""A slow client sends a byte a second, and so many parts of the crowd do so one after the other."""


class Client(asyncio.Protocol):
    """One connection. It counts what came, and tells its crowd of each whole answer."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.transport: asyncio.Transport | None = None
        self.asked_at = 0.0
        self.left = 0  # of the answer at hand
        self.sent = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.crowd.open.add(self)

    def ask(self) -> None:
        assert self.transport is not None
        self.asked_at = perf_counter()
        self.transport.write(GET)

    def data_received(self, data: bytes) -> None:
        if not self.left:
            head, _, _ = data.partition(b"\r\n\r\n")
            status = data[9:12]
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r", 1)[0])
            self.left = len(head) + 4 + length
            if status != b"200":
                self.crowd.error(f"status {status.decode('latin-1')}")
        self.left -= len(data)
        if self.left == 0:
            self.crowd.answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.open.discard(self)
        self.crowd.lost(self, exc)


class Crowd:
    """All connections of one kind, and what came of them."""

    def __init__(self, kind: str, port: int, count: int, seconds: float, rate: float) -> None:
        self.kind, self.port, self.count, self.seconds, self.rate = kind, port, count, seconds, rate
        self.open: set[Client] = set()
        self.idle: list[Client] = []
        self.times: list[float] = []
        self.errors: dict[str, int] = {}
        self.done = 0
        self.cut = 0
        self.ending = False
        self.number = 0

    def error(self, what: str) -> None:
        self.errors[what] = self.errors.get(what, 0) + 1

    def answered(self, client: Client) -> None:
        self.done += 1
        if self.kind == "busy" and not self.ending:
            self.times.append(perf_counter() - client.asked_at)
            client.ask()
        elif self.kind == "normal":
            self.times.append(perf_counter() - client.asked_at)
            self.idle.append(client)

    def lost(self, client: Client, exc: Exception | None) -> None:
        if self.ending:
            return
        if self.kind == "slow":
            self.cut += 1  # that is what the gateway should do: the attacker comes again
        else:
            self.error(f"lost: {exc!r}")

    async def dial(self) -> None:
        self.number += 1
        source = f"127.0.0.{2 + self.number // ADDRESS_HOLDS}"
        loop = asyncio.get_running_loop()
        try:
            _, client = await loop.create_connection(lambda: Client(self), "127.0.0.1", self.port, local_addr=(source, 0))
        except OSError as problem:
            self.error(f"connect: {problem.strerror}")
            return
        if self.kind in {"idle", "busy"}:
            client.ask()
        elif self.kind == "normal":
            self.idle.append(client)

    async def gather(self, count: int) -> None:
        for begin in range(0, count, AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for _ in range(min(AT_ONCE, count - begin)):
                    group.create_task(self.dial())

    async def trickle(self) -> None:
        """One byte a second from each, and a new one for each that was cut. Once all were cut it says so."""
        told = False
        while True:
            crowd = list(self.open)
            for part in range(SLICES):
                for client in crowd[part::SLICES]:
                    self.drip(client)
                await asyncio.sleep(1 / SLICES)
                if len(self.open) < self.count:
                    await self.gather(min(self.count - len(self.open), AT_ONCE))
            if self.cut >= self.count and not told:
                told = True
                say(cut=self.cut)

    def drip(self, client: Client) -> None:
        if client.transport is not None and not client.transport.is_closing():
            client.transport.write(TRICKLE[client.sent : client.sent + 1] if client.sent else TRICKLE[:60])
            client.sent = client.sent + 1 if client.sent else 60

    async def pace(self) -> None:
        """So many requests a second, as evenly as the loop's clock allows."""
        begun, asked = perf_counter(), 0
        while (now := perf_counter() - begun) < self.seconds:
            due = int(now * self.rate) - asked
            while due > 0 and self.idle:
                self.idle.pop(0).ask()
                asked, due = asked + 1, due - 1
            await asyncio.sleep(0.0005)
        self.seconds = perf_counter() - begun

    async def run(self) -> None:
        await self.gather(self.count)
        if self.kind == "idle":
            await self.until(lambda: self.done >= len(self.open))
        say(held=len(self.open), errors=self.errors)
        if self.kind == "normal":
            await self.pace()
        elif self.kind == "busy":
            begun, before = perf_counter(), self.done
            await asyncio.sleep(self.seconds)
            self.done -= before
            self.seconds = perf_counter() - begun
        else:
            await self.hold()
        self.ending = True
        self.times.sort()
        say(held=len(self.open), cut=self.cut, errors=self.errors, done=self.done, rate=round(self.done / self.seconds), p50=self.at(0.5), p99=self.at(0.99))

    async def hold(self) -> None:
        work = asyncio.ensure_future(self.trickle()) if self.kind == "slow" else None
        with suppress(TimeoutError):
            async with asyncio.timeout(self.seconds):
                await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        if work is not None:
            work.cancel()

    async def until(self, condition: Any, within: float = 60.0) -> None:
        end = perf_counter() + within
        while not condition() and perf_counter() < end:
            await asyncio.sleep(0.01)

    def at(self, share: float) -> float:
        """In milliseconds."""
        return round(self.times[int(len(self.times) * share)] * 1000, 3) if self.times else 0.0


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


def main(kind: str, port: str, count: str, seconds: str, rate: str = "0") -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if kind in {"idle", "slow"}:  # their own work shall not be taken for what they do to the gateway
        os.nice(19)
    asyncio.run(Crowd(kind, int(port), int(count), float(seconds), float(rate)).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
