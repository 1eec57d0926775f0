"""The machine under the bench: cores, processes of ours, and what they took of it. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE).search
GRACE_S: Final = 5.0
PR_SET_PDEATHSIG: Final = 1
LAST: Final = 19
PROC: Final = Path("/proc")


class Cores(NamedTuple):
    """Who may run where. All the same where the machine allows no choice."""

    proxy: frozenset[int]
    upstream: frozenset[int]
    load: frozenset[int]

    @property
    def pinned(self) -> bool:
        return self.proxy != self.load


def share(available: Sequence[int]) -> Cores:
    """The proxy has one core to itself; upstream and load share what is left, or have one each."""
    first, *others = sorted(available)
    if not others:
        alone = frozenset((first,))
        return Cores(alone, alone, alone)
    load = frozenset(others[1:]) or frozenset(others)
    return Cores(frozenset((first,)), frozenset(others[:1]), load)


def cores() -> Cores:
    return share(list(os.sched_getaffinity(0)))


def allow_many_files() -> None:
    """A thousand streams are four thousand sockets in all. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child:
    """A process of ours, on cores of its own, that ends with us. Its output goes to a file."""

    def __init__(
        self, command: Sequence[str], on: frozenset[int], output: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.command = list(command)
        with output.open("ab") as sink:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                preexec_fn=lambda: settle(on),  # noqa: PLW1509 - the bench has no threads
            )
        self.output = output

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_for(self, port: int, path: str, timeout: float = 20.0) -> None:
        """Until it answers with 200. Raises RuntimeError."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"it ended with {self.process.returncode}: {self.last_words()}")
            with contextlib.suppress(OSError):
                if get(port, path).startswith(b"HTTP/1.1 200"):
                    return
            time.sleep(0.05)
        raise RuntimeError(f"no answer within {timeout:g} s: {self.last_words()}")

    def last_words(self) -> str:
        lines = self.output.read_text(errors="replace").strip().splitlines()
        return " | ".join(line[:200] for line in lines[-3:]) or "it said nothing"

    def cpu_s(self) -> float:
        return sum(cpu_s(pid) for pid in tree(self.pid))

    def waited_s(self) -> float:
        return sum(waited_s(pid) for pid in tree(self.pid))

    def rss_mib(self) -> float:
        return sum(rss_mib(pid) for pid in tree(self.pid))

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def settle(on: frozenset[int], *, aside: bool = False) -> None:
    """In the child, before its program runs: its cores, and its end when the bench is gone, however that went."""
    if aside:
        os.nice(LAST)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, on)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def get(port: int, path: str, timeout: float = 5.0) -> bytes:
    """One small request, its whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout) as connection:
        connection.settimeout(timeout)
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = b""
        while not whole(answer) and (data := connection.recv(65536)):
            answer += data
    return answer


def whole(answer: bytes) -> bool:
    """Whether nothing more will come; what says no length ends with its connection."""
    end = answer.find(b"\r\n\r\n")
    length = LENGTH(answer[: end + 2]) if end >= 0 else None
    return length is not None and len(answer) >= end + 4 + int(length[1])


def tree(pid: int) -> list[int]:
    """The process and its descendants."""
    found = [pid]
    for tasks in PROC.glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):
            for child in tasks.read_text().split():
                found += tree(int(child))
    return found


def cpu_s(pid: int) -> float:
    """What its living threads ran, to the nanosecond where the kernel says that."""
    total = schedstat(pid, 0)
    if total:
        return total / 1e9
    with contextlib.suppress(OSError):
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def waited_s(pid: int) -> float:
    """For how long they could have run and their core was another's."""
    return schedstat(pid, 1) / 1e9


def schedstat(pid: int, column: int) -> int:
    total = 0
    for task in PROC.glob(f"{pid}/task/*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(task.read_text().split()[column])
    return total


def rss_mib(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in (PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0
