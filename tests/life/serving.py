"""What the tests of the life share: services that are real processes, what they wrote down, and waits with a deadline."""

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.gateway import Running
from tests.support.gateway import running as _running
from tests.support.wire import Message, Wire

SERVED = Path(__file__).parents[1] / "support" / "served.py"
DEADLINE = 5.0
QUICK: dict[str, Any] = {
    "start_timeout": "5s",
    "start_attempts": 1,
    "retry_delay": "50ms",
    "failure_cooldown": "10s",
    "health_interval": "20ms",
    "drain_timeout": "5s",
}


OUTSIDE = frozenset({"service.start_failed", "machine.failed"})
"""Errors that are nobody's mistake here."""


@asynccontextmanager
async def running(services: dict[str, Any], **more: Any) -> AsyncIterator[Running]:
    """A gateway in this loop; what nobody saw but the loop or the log fails the test."""
    async with _running(services, strict=False, **more) as run:
        yield run
    assert not run.unseen, run.unseen
    mistakes = [event for event in run.events if event.get("level") == "error" and event["event"] not in OUTSIDE]
    assert not mistakes, mistakes


class Diary:
    """What a service wrote down, over all its lives."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def lines(self, kind: str) -> list[list[str]]:
        text = self.path.read_text() if self.path.exists() else ""
        return [words[1:] for line in text.splitlines() if (words := line.split(" "))[0] == kind]

    @property
    def starts(self) -> list[int]:
        """The pid of each life."""
        return [int(words[0]) for words in self.lines("start")]

    @property
    def children(self) -> list[int]:
        return [int(words[0]) for words in self.lines("child")]

    @property
    def ready_at(self) -> float:
        """When it began to listen, the last time."""
        return float(self.lines("listen")[-1][0])

    @property
    def requests(self) -> list[str]:
        """`METHOD TARGET`, in the order in which they came."""
        return [f"{words[1]} {words[2]}" for words in self.lines("request")]

    def bodies(self) -> list[tuple[int, int]]:
        """Length and checksum of each request's body."""
        return [(int(words[3]), int(words[4])) for words in self.lines("request")]


def program(diary: Diary, *flags: object, port: object = "{port}") -> list[str]:
    """The command line of a service. Without `--unix` and `--tell` it listens on a port that is chosen for it."""
    words = [str(flag) for flag in flags]
    if port is not None and not {"--unix", "--tell"} & set(words):
        words = ["--port", str(port), *words]
    return [sys.executable, "-S", "-E", str(SERVED), "--log", str(diary.path), *words]


def launched(diary: Diary, *flags: object, port: object = "{port}", launch: dict[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    """A service that is a process of ours; `launch` and `keys` as in a configuration."""
    spec = {"kind": "process", "command": program(diary, *flags, port=port), "stop_grace": "3s", **(launch or {})}
    if port not in ("{port}", None):
        keys = {"base_url": f"http://127.0.0.1:{port}", **keys}
    return {**QUICK, "launch": spec, **keys}


def alive(pid: int) -> bool:
    """A zombie is over, unless threads of it still end: until then its sockets are open."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in "ZX" or int(fields[17]) > 1


def processes_of(word: str) -> list[int]:
    """Every process whose command line names it."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                line = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line:
                found.append(int(entry))
    return found


async def until(condition: Callable[[], Any], within: float = DEADLINE, what: object = "") -> Any:
    """Look every few milliseconds until it holds, and give back what it said."""
    end = time.monotonic() + within
    while not (said := condition()):
        assert time.monotonic() < end, f"waited {within} s in vain {what() if callable(what) else what}"
        await asyncio.sleep(0.005)
    return said


def state(run: Running, service: str = "a") -> str:
    return run.gateway.commands.status(service).state


async def reaches(run: Running, wanted: str, service: str = "a", within: float = DEADLINE) -> None:
    await until(lambda: state(run, service) == wanted, within, lambda: (state(run, service), run.events[-5:]))


def told(run: Running, kind: str, service: str | None = None) -> list[dict[str, Any]]:
    """The notes of one kind, in order."""
    return [event for event in run.events if event["event"] == kind and (service is None or event.get("service") == service)]


def ask(target: str = "/x", *lines: str, service: str = "a", method: str = "GET", body: bytes | None = None) -> bytes:
    """One request as bytes."""
    rows = [f"{method} /services/{service}{target} HTTP/1.1", "Host: localhost", *lines]
    if body is not None:
        rows.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*rows, "", ""]).encode() + (body or b"")


def navigation(target: str = "/x", *lines: str, service: str = "a") -> bytes:
    """As a browser sends it when somebody follows a link."""
    return ask(target, "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Accept: text/html", *lines, service=service)


def api(path: str, method: str = "POST") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


async def waiting(run: Running, raw: bytes, count: int = 1, service: str = "a") -> Wire:
    """Send it; come back when so many wait."""
    client = await run.dial()
    await client.send(raw)
    await until(lambda: run.gateway.commands.status(service).waiters >= count, what=lambda: run.events[-5:])
    return client


def problem(answer: Message) -> tuple[int, str]:
    """Status and code of a refusal of ours."""
    return answer.status, json.loads(answer.body)["code"]


def detail(answer: Message) -> str:
    return json.loads(answer.body)["detail"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def somebody(diary: Diary, port: int, *flags: object) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that somebody else started."""
    child = await asyncio.create_subprocess_exec(*program(diary, *flags, port=port))
    try:
        await until(lambda: diary.starts)
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()
