"""The gateway of the gauntlet: the real program, its configuration, its clock and its disk, killed and started at will."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gauntlet.faults_asking import Broken, Line, Refused, Request, Silent, Unanswered
from tests.support.gateway import config_text
from tests.whole.program import ROOT, environment, free_port

UP_S = 30.0


@dataclass(frozen=True)
class Calm:
    """Figures of a gateway that nobody asks anything and whose services are all cold."""

    generation: int
    memory: int
    files: int
    threads: int
    tasks: int
    objects: int
    names: dict[str, int]


class Doorway:
    """Some pass side by side; who wants to be alone waits until they are through, and then they wait."""

    def __init__(self) -> None:
        self._inside = 0
        self._changed = asyncio.Condition()
        self._alone = asyncio.Lock()

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        async with self._alone:
            self._inside += 1
        try:
            yield
        finally:
            async with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with self._alone:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._inside)
            yield


class House:
    """One gateway after the other over the same configuration and data."""

    def __init__(self, folder: Path, services: dict[str, Any], top: dict[str, Any]) -> None:
        self.folder, self.port = folder, free_port()
        self.services, self.top = services, top
        self.config, self.clock = folder / "hestia_config.yml", folder / "wrong_by"
        self.figures_file, self.log = folder / "figures.json", folder / "gateway.log"
        self.generation = 0
        self.log_from = 0  # where this generation's lines begin
        self.serial = 0
        self.doorway = Doorway()
        self.process: subprocess.Popen[bytes] | None = None
        self.write()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def write(self, extra: str = "", **changed: Any) -> None:
        """A name that changes with every writing: each reload has something to do."""
        self.serial += 1
        top = {"listen": [f"127.0.0.1:{self.port}"], "allowed_hosts": [f"h{self.serial}.example"], **self.top}
        services = {name: keys for name, keys in {**self.services, **changed}.items() if keys is not None}
        beside = self.folder / "next.yml"
        beside.write_text(config_text(str(self.folder / "data"), services, top) + extra)
        beside.replace(self.config)

    async def begin(self) -> None:
        self.generation += 1
        self.log_from = self.log.stat().st_size if self.log.exists() else 0
        words = ["-m", "tests.gauntlet.faults_program", "serve", "--config", str(self.config)]
        handles = {"GAUNTLET_CLOCK": str(self.clock), "GAUNTLET_FIGURES": str(self.figures_file)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words],
                cwd=ROOT,
                env=environment(self.folder, **handles),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        await self.until(self.healthy, "it answers /__health", UP_S)

    async def healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the gateway ended with {self.process.poll()}:\n{self.last_words()}"
        return (await self.ask("/__health"))[0] == 200

    async def ask(self, target: str, method: str = "GET") -> tuple[int, bytes]:
        """One request of the test's own, beside the ledger; status 0 where nobody answers."""
        try:
            line = await Line.open(self.port)
        except Refused:
            return 0, b""
        try:
            await line.send(Request("own", method, target))
            answer = await line.answer(method)
            return answer.status, answer.body
        except (Unanswered, Broken, Silent) as problem:
            return 0, repr(problem).encode()
        finally:
            line.close()

    async def verb(self, method: str, **params: Any) -> dict[str, Any]:
        """Through the control socket: its whole answer, with `result` or `error`."""
        reader, writer = await asyncio.open_unix_connection(str(self.folder / "data/control.sock"), limit=1 << 22)
        try:
            call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            writer.write(json.dumps(call).encode() + b"\n")
            async with asyncio.timeout(60):
                said = json.loads(await reader.readline())
        finally:
            writer.close()
        return said

    async def until(self, condition: Any, what: str, within: float) -> None:
        end = time.monotonic() + within
        while not await condition():
            assert time.monotonic() < end, f"waited {within:g} s in vain until {what}\n{self.last_words()}"
            await asyncio.sleep(0.02)

    async def over(self, within: float) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        end = time.monotonic() + within
        while (code := self.process.poll()) is None:
            assert time.monotonic() < end, f"it did not end within {within:g} s\n{self.last_words()}"
            await asyncio.sleep(0.02)
        return code

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def mistakes(self) -> list[str]:
        """What the log says of mistakes of ours."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if '"event":"internal"' in line or "Traceback" in line]

    def unrecorded(self) -> set[str]:
        """The services of which this gateway has said that a crash would orphan them."""
        told = self.log.read_bytes()[self.log_from :].decode(errors="replace").splitlines()
        return {json.loads(line)["service"] for line in told if '"store.unrecorded"' in line}

    # -- what is done to it

    def fill_the_disk(self, full: bool) -> None:
        """As a full disk would: no file of its grows any more, the database, the logs, its own standard error."""
        unlimited = resource.RLIM_INFINITY
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0 if full else unlimited, unlimited))

    def set_clock(self, wrong_by: float) -> None:
        beside = self.folder / "wrong_by.next"
        beside.write_text(str(wrong_by))
        beside.replace(self.clock)

    # -- what it has

    async def figure(self, name: str) -> float:
        """One of /metrics without labels."""
        _, body = await self.ask("/metrics")
        rows = [line.split() for line in body.decode().splitlines() if line.startswith(f"{name} ")]
        return float(rows[0][1]) if rows else -1.0

    async def calm(self) -> Calm:
        """What it holds when all is quiet: every service cold, nobody connected, everything written."""
        await self.until(self.is_cold, f"all is cold: {await self.states()}", 60.0)
        told = min([await self._figures() for _ in range(5)], key=lambda each: each["tasks"])
        words = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        status = {name: value.split()[0] for name, _, value in (line.partition(":") for line in words) if value.strip()}
        files = len(os.listdir(f"/proc/{self.pid}/fd"))
        memory, threads = int(status["VmRSS"]) * 1024, int(status["Threads"])
        return Calm(self.generation, memory, files, threads, told["tasks"], told["objects"], told["names"])

    async def _figures(self) -> dict[str, Any]:
        """Asked by a signal: no connection of ours is among them."""
        await asyncio.sleep(0.2)
        self.figures_file.unlink(missing_ok=True)
        os.kill(self.pid, signal.SIGUSR2)

        async def shown() -> bool:
            return self.figures_file.exists()

        await self.until(shown, "the figures are written", 10.0)
        told: dict[str, Any] = json.loads(self.figures_file.read_text())
        return told

    async def states(self) -> dict[str, Any]:
        _, body = await self.ask("/v1/services")
        with contextlib.suppress(ValueError, KeyError):
            return {one["id"]: (one["state"], one["waiters"], one["leases"]) for one in json.loads(body)["services"]}
        return {"?": body[:200]}

    async def is_cold(self) -> bool:
        states = await self.states()
        busy = [name for name, (state, waiters, leases) in states.items() if state != "cold" or waiters or leases]
        alone = await self.figure("hestia_connections") <= 1  # this very question
        return not busy and alone and await self.figure("hestia_activity_pending") == 0

    def left_over(self) -> list[str]:
        """Processes that name our folder, but for the gateway."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if not entry.name.isdigit() or int(entry.name) in {os.getpid(), self.pid}:
                    continue
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if f"{self.folder}/" in words and (entry / "environ").read_bytes():
                    found.append(f"{entry.name} {words[:200]}")
        return found

    def end_all(self) -> None:
        """Whatever happened: nothing of ours outlives the test."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for each in self.left_over():
            with contextlib.suppress(OSError):
                os.kill(int(each.split()[0]), signal.SIGKILL)
