"""A gateway as its users run it, and what an attacker does to it from outside: raw bytes, figures of /proc."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.whole.program import Program

SERVED = Path(__file__).parents[1] / "support" / "served.py"
HEAD = """listen: ["127.0.0.1:@PORT@"]
data_dir: {home}/data
control_socket: {home}/control.sock
log: {{format: json}}
{head}
services:
  ollama: null
"""
QUICK = {
    "start_timeout": "5s",
    "start_attempts": 1,
    "retry_delay": "50ms",
    "failure_cooldown": "300ms",
    "health_interval": "20ms",
    "drain_timeout": "1s",
    "queue_timeout": "10s",
    "idle_timeout": "60s",
}


class Gateway:
    """One program with its services; everything is asked from outside."""

    def __init__(self, home: Path, services: dict[str, dict[str, Any]], head: str = "") -> None:
        self.home = home
        text = HEAD.format(home=home, head=head)
        for name, keys in services.items():
            text += f"  {name}: {json.dumps({**QUICK, **keys})}\n"  # JSON is YAML
        self.program = Program(home, text)

    @property
    def port(self) -> int:
        return self.program.port

    def raw(self, data: bytes, limit: float = 10.0) -> bytes:
        """All that comes back until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=limit) as client:
            client.sendall(data)
            return _read(client)

    def ask(self, method: str, target: str, body: bytes | None = None, limit: float = 10.0, **fields: str) -> "Answer":
        named = {"Host": "localhost", "Connection": "close"} | {k.replace("_", "-"): v for k, v in fields.items()}
        if body is not None:
            named["Content-Length"] = str(len(body))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items()), "", ""]
        return Answer(self.raw("\r\n".join(lines).encode() + (body or b""), limit))

    def api(self, target: str, body: bytes, **fields: str) -> "Answer":
        return self.ask("POST", target, body, **{"Content-Type": "application/json", **fields})

    def call(self, line: bytes | dict[str, Any], limit: float = 10.0) -> bytes:
        """What the control socket says to a line, until it closes."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(limit)
            client.connect(str(self.home / "control.sock"))
            client.sendall(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            client.shutdown(socket.SHUT_WR)
            return _read(client)

    def verb(self, method: str, **params: Any) -> dict[str, Any]:
        said = self.call({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer: dict[str, Any] = json.loads(said.splitlines()[0])
        return answer

    def status(self, service: str) -> dict[str, Any]:
        result: dict[str, Any] = self.verb("services.status", id=service)["result"]
        return result

    @property
    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.program.pid}/fd"))

    @property
    def memory(self) -> int:
        return self.program.memory("VmRSS")

    def mistakes(self) -> list[str]:
        """What the log says of mistakes of ours."""
        return [line for line in self.program.lines() if '"event":"internal"' in line or "Traceback" in line]

    def until(self, condition: Callable[[], Any], within: float = 5.0, what: object = "") -> Any:
        end = time.monotonic() + within
        while not (said := condition()):
            said_so = what() if callable(what) else what
            assert time.monotonic() < end, f"waited {within} s in vain {said_so}\n{self.program.stderr[-3000:]}"
            time.sleep(0.01)
        return said

    def left_over(self) -> list[str]:
        """Processes that name our folder, but for the gateway."""
        found = subprocess.run(["ps", "-wweo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
        rows = [line for line in found.splitlines() if str(self.home) in line and line.split()[1][0] != "Z"]
        return [line for line in rows if "hestia.cli" not in line]


class Answer:
    """Status, header fields and body of the last answer that the bytes hold."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(first.split(" ")[1]) if first.startswith("HTTP/") else 0
        self.fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def code(self) -> str:
        return str(self.json()["code"])

    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


def _read(client: socket.socket) -> bytes:
    data = b""
    try:
        while piece := client.recv(1 << 16):
            data += piece
    except ConnectionError:
        pass
    return data


def served(home: Path, name: str, *flags: object, **keys: Any) -> dict[str, Any]:
    """A service that is a process of ours (tests/support/served.py); what it did stands in `diary-NAME`."""
    words = [sys.executable, "-S", "-E", str(SERVED), "--log", str(home / f"diary-{name}"), "--port", "{port}"]
    return {"launch": {"kind": "process", "stop_grace": "1s", "command": [*words, *map(str, flags)]}, **keys}


def shell(script: str, **keys: Any) -> dict[str, Any]:
    return {"launch": {"kind": "process", "stop_grace": "500ms", "command": ["/bin/sh", "-c", script]}, **keys}


def diary(home: Path, name: str, kind: str) -> list[str]:
    path = home / f"diary-{name}"
    return [line for line in path.read_text().splitlines() if line.startswith(kind)] if path.exists() else []
