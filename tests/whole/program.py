"""The gateway as its users run it: a process, a config file, ports, standard error in a file."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Self

ROOT = Path(__file__).parents[2]
START_LIMIT = 20.0
CLASHES = 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hestia.cli.hestia", *arguments]


def environment(home: Path, **extra: str) -> dict[str, str]:
    """Ours without what speaks to Hestia, so that a shell's settings change no result; but HESTIA_LOOP is a choice."""
    ours = ("HESTIA", "SEMAPHORE", "OLLAMA")
    kept = {name: text for name, text in os.environ.items() if name == "HESTIA_LOOP" or not name.startswith(ours)}
    kept |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    return kept | extra


def run(home: Path, *arguments: str, limit: float = 30.0, **extra: str) -> subprocess.CompletedProcess[str]:
    """One command from begin to end."""
    return subprocess.run(
        command(*arguments),
        cwd=home,
        env=environment(home, **extra),
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )


class Program:
    """One gateway process. `ports` maps the names that stand as `@NAME@` in the config text to port numbers."""

    def __init__(self, home: Path, config: str, *, serial: int = 0) -> None:
        self.home = home
        self.text = config
        self.log = home / f"stderr-{serial}.log"
        self.file = home / f"hestia_config-{serial}.yml"
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return self.ports["PORT"]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def stderr(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def lines(self) -> list[str]:
        return self.stderr.splitlines()

    def start(self, *, stderr: int | None = None, argv: list[str] | None = None, **extra: str) -> "Program":
        """Serve, and come back when `/__health` answers. Another program may take a free port first: try again.

        In `argv`, `{file}` and `{port}` are the config file and the port of `@PORT@`.
        """
        for _ in range(CLASHES):
            self._write_config()
            words = argv or [*command("serve", "--config"), "{file}"]
            words = [word.replace("{file}", str(self.file)).replace("{port}", str(self.port)) for word in words]
            self._spawn(stderr, words, extra)
            if self._answers():
                return self
            if "in use" not in self.stderr and "taken" not in self.stderr:
                break
        code = self.process.poll() if self.process else None
        self.kill()
        message = f"the gateway did not come up (exit {code}):\n{self.stderr}\n--- config\n{self.file.read_text()}"
        raise AssertionError(message)

    def _write_config(self) -> None:
        text = self.text
        names = {part for part in text.split("@")[1::2] if part.isupper()} | {"PORT"}
        self.ports = {name: free_port() for name in sorted(names)}
        for name, port in self.ports.items():
            text = text.replace(f"@{name}@", str(port))
        self.file.write_text(text)

    def _spawn(self, stderr: int | None, argv: list[str], extra: Mapping[str, str]) -> None:
        with self.log.open("wb") as file:
            sink: IO[bytes] | int = file if stderr is None else stderr
            self.process = subprocess.Popen(
                argv,
                cwd=self.home,
                env=environment(self.home, **extra),
                stdin=subprocess.DEVNULL,
                stdout=file if stderr is None else subprocess.DEVNULL,
                stderr=sink,
            )

    def _answers(self) -> bool:
        assert self.process is not None
        deadline = time.monotonic() + START_LIMIT
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.healthy():
                return True
            time.sleep(0.05)
        return False

    def healthy(self) -> bool:
        try:
            return self.get("/__health", limit=2.0)[0] == 200
        except OSError:
            return False

    def get(self, target: str, *, limit: float = 10.0, **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit)
        try:
            connection.request("GET", target, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error
        finally:
            connection.close()

    def connect(self, limit: float = 10.0) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=limit)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self, limit: float) -> int:
        """The exit code; fails when the process is still there after `limit` seconds."""
        assert self.process is not None
        return self.process.wait(limit)

    def kill(self) -> None:
        process = self.process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait(10)
        if process.stderr is not None:
            process.stderr.close()

    def memory(self, field: str) -> int:
        """A figure of /proc/PID/status, in bytes."""
        return memory_of(self.pid, field)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def no_traceback(text: str) -> None:
    assert "Traceback" not in text
    assert 'File "' not in text


Start = Callable[..., Program]
"""What the fixture `start` is: a config text in, a program that answers out."""


def memory_of(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise LookupError(field)
