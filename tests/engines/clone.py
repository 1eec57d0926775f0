"""A fresh clone of this repository, and a Docker Engine in a network of its own to build and run it with.

Every port of `compose.yml` is the engine's own business there: nothing of it is seen on the machine.
"""

import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from tests.engines.dockerd import Dockerd, program

ROOT = Path(__file__).parents[2]
BASE = "python:3.13-slim"  # the default of the Containerfile: here it is a Debian of our own
BUILD_S = 1500
COMMAND_S = 180
ALONE = 'ip link set lo up && exec "$@"'
NO_BRIDGE = ("--bridge=none", "--userland-proxy=false")


class OwnNetwork(Dockerd):
    """An engine with bridges and published ports, all of them in a network namespace that ends with it."""

    def __init__(self, home, base):
        super().__init__(home)
        program("ip", "iproute2")
        daemon = [storage(home) if each == "vfs" else each for each in self.argv if each not in NO_BRIDGE]
        self.argv = [program("unshare", "util-linux"), "--net", "/bin/sh", "-c", ALONE, "sh", *daemon]
        self.base = base
        self.environ = self.env | {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0", "HOME": str(home)}
        self.environ |= {"COMPOSE_DOCKER_CLI_BUILD": "0", "COMPOSE_PROJECT_NAME": "hestia"}

    def load(self):
        """Under the name that the Containerfile takes by default."""
        self.docker("import", str(self.base), BASE)

    def docker(self, *words, within=COMMAND_S, **more):
        return self.run(program("docker", "docker.io"), *words, within=within, **more)

    def run(self, *argv, within=COMMAND_S, cwd=None, ends=0, **environ):
        """What a command printed, and when it is to fail its complaints too; `ends`: its exit code."""
        done = subprocess.run(
            argv,
            env=self.environ | environ,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        assert done.returncode == ends, f"{argv} ended with {done.returncode}:\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout + (done.stderr if ends else "")

    def inside(self, *argv):
        """A command line that runs in the engine's network."""
        return [program("nsenter", "util-linux"), "--net", "--target", str(self.process.pid), "--", *argv]

    def inspect(self, container, of):
        """One value of a container, by a path such as `State.Health.Status`."""
        found = self.call("GET", f"/containers/{container}/json")
        for name in of.split("."):
            found = found[name]
        return found


def storage(home):
    """The engine's driver: `vfs` runs anywhere and copies the whole image at each step of a build (170 s instead of 28)."""
    parts = {name: home / "overlay" / name for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir(parents=True)
    options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
    argv = ["unshare", "--mount", "mount", "-t", "overlay", "overlay", "-o", options, str(parts["merged"])]
    return "vfs" if subprocess.run(argv, capture_output=True, timeout=COMMAND_S, check=False).returncode else "overlay2"


class Clone:
    """The files that a clone would have: those that git knows or would add, and nothing that happens to lie beside them."""

    def __init__(self, folder, engine):
        self.folder, self.engine = folder, engine
        folder.mkdir()
        listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, check=True, capture_output=True, timeout=COMMAND_S).stdout.decode().split("\0")
        with tarfile.open(folder / "clone.tar", "w") as tar:
            for name in sorted(set(names) - {""}):
                if os.path.lexists(ROOT / name):
                    tar.add(ROOT / name, name, recursive=False)
        unpack = ["tar", "-x", "--no-same-permissions", "--no-same-owner", "-f", "clone.tar"]  # as a clone: by the umask
        subprocess.run(unpack, cwd=folder, check=True, timeout=COMMAND_S)
        (folder / "clone.tar").unlink()

    def wheelhouse(self, python):
        """As the docs say, for the Python of the base image."""
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        argv += ["--python-version", python, "--dest", "wheelhouse", "-r", "requirements.lock"]
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=BUILD_S, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    def compose(self, *words, within=COMMAND_S, **more):
        return self.engine.run(
            program("docker-compose", "docker-compose"), "--ansi=never", *words, within=within, cwd=self.folder, **more
        )

    def container(self, service="hestia"):
        return self.compose("ps", "-q", service).strip()

    def ctl(self, *words):
        """`hestiactl` in the container."""
        return json.loads(self.compose("exec", "-T", "hestia", "hestiactl", *words, "--json") or "null")

    def health(self, service="hestia"):
        return self.engine.inspect(self.container(service), "State.Health.Status")

    def until_healthy(self, service="hestia", within=90.0):
        until(lambda: self.health(service) == "healthy", within, lambda: self.compose("logs", "--tail=40"))


def until(what, within=30.0, otherwise=lambda: "it did not come to pass"):
    end = time.monotonic() + within
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.1)
    raise AssertionError(otherwise())
