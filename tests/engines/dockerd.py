"""A Docker Engine of the test's own: its daemon runs in a private folder and ends with the test."""

import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

WITHIN_S = 60
IMAGE = "hestia-box:1"
PATH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/sbin:/bin"


def program(name: str, package: str) -> str:
    """Its path; an engines test fails where it is missing, it never skips."""
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is not installed: apt-get install {package}"
    return found


def box_image() -> bytes:
    """A tar of a root folder with one static program in it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in ("bin", "tmp", "proc", "sys", "dev", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        busybox = Path(program("busybox", "busybox-static")).read_bytes()
        entry = tarfile.TarInfo("bin/busybox")
        entry.size, entry.mode = len(busybox), 0o755
        tar.addfile(entry, io.BytesIO(busybox))
        for name in ("sh", "sleep", "echo", "cat", "true", "false", "httpd", "test", "touch", "kill", "rm"):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
    return packed.getvalue()


class OverUnix(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=WITHIN_S)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(WITHIN_S)
        self.sock.connect(self.path)


class Dockerd:
    """The daemon, and what a test does with its containers past the launcher."""

    def __init__(self, home: Path, *more: str) -> None:
        self.home = home
        self.socket = str(home / "docker.sock")
        self.image = IMAGE
        self.env = {"PATH": PATH}
        self.argv = [
            program("dockerd", "docker.io"),
            *("--data-root", str(home / "data"), "--exec-root", str(home / "exec"), "--pidfile", str(home / "pid")),
            *("--storage-driver", "vfs", "-H", f"unix://{self.socket}", "--bridge=none", "--userland-proxy=false"),
            *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", *more),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                self.call("GET", "/_ping")
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the engine did not start:\n{(self.home / 'log').read_text()[-4000:]}")

    def stop(self) -> None:
        """TERM, and only to what `start` began; its containerd ends with it."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the Engine API; an answer that is no success is an error of the test."""
        connection = OverUnix(self.socket)
        try:
            raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            kind = "application/x-tar" if isinstance(body, bytes) else "application/json"
            connection.request(method, path, raw, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status < 400, f"{method} {path}: {answer.status} {text!r}"
        return json.loads(text) if text.startswith((b"{", b"[")) and b"\r\n" not in text else text

    def load(self) -> None:
        """Make the image. It comes from no registry."""
        repository, tag = IMAGE.split(":")
        self.call("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}", box_image())

    def create(self, name: str, script: str, **config: Any) -> str:
        """A container that runs a script; returns its id."""
        host_config = {"NetworkMode": "host", **config.pop("HostConfig", {})}
        said = {"Image": self.image, "Cmd": ["/bin/sh", "-c", script], "HostConfig": host_config, "StopTimeout": 2, **config}
        return str(self.call("POST", f"/containers/create?name={name}", said)["Id"])

    def state(self, name: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/containers/{name}/json")["State"])

    def remove_all(self) -> None:
        for one in self.call("GET", "/containers/json?all=1"):
            self.call("DELETE", f"/containers/{one['Id']}?force=1&v=1")


@contextmanager
def dockerd(home: Path, *more: str) -> Iterator[Dockerd]:
    with serving(Dockerd(home, *more)) as engine:
        yield engine


@contextmanager
def serving(engine: Dockerd) -> Iterator[Dockerd]:
    try:
        engine.start()
        engine.load()
        yield engine
        engine.remove_all()
    finally:
        engine.stop()
        _unmount(engine.home)


def _unmount(home: Path) -> None:
    """What a daemon leaves mounted below its folders would keep them from being removed."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((point for point in points if point.startswith(f"{home}{os.sep}")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
