"""Crowds before a gateway: nginx behind it, clients in processes of their own, rounds with and without the crowd in turn."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from hestia.roof.host import connection_limit
from tests.engines.nginx import program as nginx_program
from tests.whole.program import Program, free_port

CLIENTS = Path(__file__).with_name("crowds_clients.py")
OTHERS = 100
NGINX = """\
daemon off;
master_process off;
worker_rlimit_nofile {files};
pid {home}/nginx.pid;
error_log stderr crit;
events {{ worker_connections {most}; }}
http {{
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "{body}"; }}
    }}
}}
"""
CONFIG = """\
listen: ["127.0.0.1:@PORT@"]
log: {{access: false, format: json}}
limits: {{connections: 12000, idle_connection: 30m, head_timeout: {head_timeout}}}
services:
  ollama: null
  up: {{base_url: "http://127.0.0.1:{port}", watch_interval: 0}}
"""
TOLD_WITHIN_S = 120.0


def descriptors() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def room(wanted: int) -> int:
    """How large a crowd may be here, beside the normal client and whoever looks."""
    return connection_limit(wanted + OTHERS, descriptors()) - OTHERS


@contextmanager
def upstream(home: Path) -> Iterator[int]:
    """nginx that answers everything with 200 bytes."""
    home.mkdir()
    port, most = free_port(), min(descriptors() - 100, 16000)
    conf = home / "nginx.conf"
    conf.write_text(NGINX.format(home=home, port=port, most=most, files=descriptors(), body="x" * 200))
    with subprocess.Popen([nginx_program(), "-p", str(home), "-e", "stderr", "-c", str(conf)], stderr=subprocess.PIPE) as process:
        try:
            yield port
        finally:
            process.terminate()


@contextmanager
def gateway(home: Path, port: int, *, head_timeout: str = "30s") -> Iterator[Program]:
    home.mkdir()
    with Program(home, CONFIG.format(port=port, head_timeout=head_timeout)) as program:
        program.start()
        deadline = time.monotonic() + 10
        while program.get("/services/up/small")[0] != 200:
            assert time.monotonic() < deadline
        yield program


class Clients:
    """A process of crowds_clients.py."""

    def __init__(self, kind: str, port: int, count: int, seconds: float = 3600.0, rate: float = 0.0) -> None:
        words = [sys.executable, str(CLIENTS), kind, str(port), str(count), str(seconds), str(rate)]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def told(self) -> dict[str, Any]:
        """The next line that it says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the clients ended with {self.process.wait(5)}"
        said: dict[str, Any] = json.loads(line)
        return said

    def frozen(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thawed(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> dict[str, Any]:
        """What came of them in the end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        said = self.told()
        self.process.wait(TOLD_WITHIN_S)
        return said

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


@contextmanager
def clients(*what: Any) -> Iterator[Clients]:
    one = Clients(*what)
    try:
        yield one
    finally:
        one.kill()


def measured(kind: str, port: int, count: int, seconds: float, rate: float = 0.0) -> dict[str, Any]:
    """One run from begin to end."""
    with clients(kind, port, count, seconds, rate) as one:
        one.told()
        said = one.told()
        one.process.wait(TOLD_WITHIN_S)
        return said


def capacity(port: int, seconds: float = 3.0) -> float:
    """Requests a second of 64 clients that ask as fast as they can, as far as these clients go."""
    return float(measured("busy", port, 64, seconds)["rate"])


class Hurt:
    """A normal client's figures in turn without and with the crowd."""

    def __init__(self) -> None:
        self.alone: list[dict[str, Any]] = []
        self.beside: list[dict[str, Any]] = []

    def p99(self) -> tuple[float, float]:
        return median(each["p99"] for each in self.alone), median(each["p99"] for each in self.beside)

    def p50(self) -> tuple[float, float]:
        return median(each["p50"] for each in self.alone), median(each["p50"] for each in self.beside)

    @property
    def errors(self) -> list[Any]:
        return [each["errors"] for each in (*self.alone, *self.beside) if each["errors"]]


def in_turn(alone: Program, beside: Program, crowd: Clients, rounds: int, seconds: float, rate: float) -> Hurt:
    """Two gateways of one kind; the crowd stands before one of them, and is frozen while the other is measured."""
    hurt = Hurt()
    for number in range(rounds):
        for crowded in ((False, True), (True, False))[number % 2]:
            if crowded:
                crowd.thawed()
                hurt.beside.append(measured("normal", beside.port, 16, seconds, rate))
            else:
                crowd.frozen()
                hurt.alone.append(measured("normal", alone.port, 16, seconds, rate))
                crowd.thawed()
    return hurt


def row(name: str, held: int, errors: int, hurt: Hurt | None, more: str = "") -> str:
    figures = ""
    if hurt is not None:
        (p50, p50_beside), (p99, p99_beside) = hurt.p50(), hurt.p99()
        figures = f"p50 {p50:7.2f} -> {p50_beside:7.2f} ms   p99 {p99:7.2f} -> {p99_beside:7.2f} ms ({p99_beside - p99:+.2f})"
    return f"{name:<26} {held:>6} held  {errors:>4} errors   {figures}   {more}"
