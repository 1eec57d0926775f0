"""What is measured with every peer. Each scenario takes a running peer and gives the figures of one round."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from bench import wrk
from bench.figures import DIRECT, Measure, Sample
from bench.machine import Cores, get, settle
from bench.packages import Packages
from bench.peers import SMALL, Peer, Running, Upstreams, start

MIB: Final = 1 << 20
GIB: Final = 1 << 30
POST_BYTES: Final = 65536
STREAMS: Final = 50
EVENTS_A_SECOND: Final = 200
MANY: Final = 1000
WARM: Final = 40


class Rig(NamedTuple):
    """What the scenarios of one session share."""

    folder: Path
    packages: Packages
    cores: Cores
    upstreams: Upstreams
    seconds: int
    bulk: int
    """Bytes of one bulk transfer."""
    tries: int
    """How often what takes one start is repeated, in a round."""

    def fresh(self, peer: Peer, name: str) -> Running:
        return start(peer, self.folder / name, self.packages, self.upstreams, self.cores)

    def load(self, *words: object, limit: float = 180.0, aside: bool = False) -> Sample:
        """One of our own clients. `aside`: it gives way to wrk on their core. Raises RuntimeError with its words."""
        command = [sys.executable, "-m", "bench.load", *map(str, words)]
        try:
            done = subprocess.run(
                command,
                cwd=Path(__file__).parents[1],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=limit,
                preexec_fn=lambda: settle(self.cores.load, aside=aside),
            )
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the load did not end within {limit:g} s") from None
        lines = done.stdout.strip().splitlines()
        figures: Sample = json.loads(lines[-1]) if lines else {}
        if done.returncode or not figures:
            raise RuntimeError(str(figures.get("error", done.stderr.strip()[-200:])))
        return figures


class Scenario(NamedTuple):
    """`who`: the peers it is for; empty: all that can."""

    id: str
    words: str
    measure: Measure
    run: Callable[[Rig, Running], Sample]
    who: frozenset[str] = frozenset()
    not_direct: bool = False
    rounds: int = 99
    """At most so many: what hardly varies need not be repeated."""


class Meter:
    """What a peer's processes run from now on."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.before = running.cpu_s(), running.waited_s()

    def read(self, key: str, per: float) -> Sample:
        """CPU seconds by `per`, and which share of its time the peer waited for a core that others had."""
        cpu, waited = self.running.cpu_s() - self.before[0], self.running.waited_s() - self.before[1]
        return {key: cpu * per, "waited": waited / (cpu + waited) if cpu > 0 else 0.0}


def warm(running: Running, upstream: str) -> None:
    port, path = running.at(upstream, SMALL)
    for _ in range(WARM):
        get(port, path)


def wrk_run(
    rig: Rig, running: Running, upstream: str, script: Callable[[int, str], str], connections: int, path: str
) -> Sample:
    port, at = running.at(upstream, path)
    warm(running, upstream)
    meter = Meter(running)
    process = wrk.run(
        rig.folder,
        script(port, at),
        running.url(upstream, path),
        connections=connections,
        seconds=rig.seconds,
        cores=rig.cores.load,
    )
    sample = wrk.finish(process, rig.seconds)
    return sample | meter.read("cpu_us", 1e6 / sample["requests"])


def small(connections: int, *, varied: bool) -> Callable[[Rig, Running], Sample]:
    def run(rig: Rig, running: Running) -> Sample:
        def script(port: int, path: str) -> str:
            return wrk.get_script(port, path, varied=varied)

        return wrk_run(rig, running, "quick", script, connections, SMALL)

    return run


def post(rig: Rig, running: Running) -> Sample:
    return wrk_run(rig, running, "light", lambda _port, _path: wrk.post_script(POST_BYTES), 16, "/sink")


def bulk(kind: str) -> Callable[[Rig, Running], Sample]:
    def run(rig: Rig, running: Running) -> Sample:
        port, path = running.at("light", f"/{kind}")
        warm(running, "light")
        meter = Meter(running)
        seconds = rig.load(kind, port, path, rig.bulk)["seconds"]
        return {"mb_s": rig.bulk / 1e6 / seconds, **meter.read("cpu_s_gib", GIB / rig.bulk)}

    return run


def streams(rig: Rig, running: Running) -> Sample:
    port, path = running.at("light", "/events")
    meter = Meter(running)
    sample = rig.load("events", port, f"{path}?{1 / EVENTS_A_SECOND}", STREAMS, rig.seconds)
    # the clients count for `seconds` of what the proxy worked: 0.2 s of connecting belong to neither
    everything = sample["rate"] * (sample["seconds"] + 0.2)
    sample["delivered"] = sample["rate"] / (STREAMS * EVENTS_A_SECOND)
    return sample | meter.read("cpu_us", 1e6 / everything)


def tunnel(rig: Rig, running: Running) -> Sample:
    port, path = running.at("light", "/echo")
    meter = Meter(running)
    sample = rig.load("echo", port, path, STREAMS, rig.seconds)
    return sample | meter.read("cpu_us", 1e6 / (sample["rate"] * (sample["seconds"] + 0.2)))


def memory(rig: Rig, running: Running) -> Sample:
    """With a process of its own: what a thousand connections without a request keep, and as many running streams."""
    alone = rig.fresh(running.peer, f"memory-{running.peer.id}-{time.monotonic_ns()}")
    try:
        for upstream in ("quick", "light"):
            warm(alone, upstream)
        time.sleep(0.5)
        cold = alone.rss_mib()
        with ExitStack() as open_ones:
            ask(open_ones, alone, SMALL)
            time.sleep(0.5)
            idle = alone.rss_mib() - cold
        time.sleep(1.0)
        with ExitStack() as open_ones:
            sockets = ask(open_ones, alone, "/events?1")
            time.sleep(3.0)
            running_ones = alone.rss_mib() - cold
            served = sum(b"data: " in connection.recv(65536) for connection in sockets)
        return {"cold_mib": cold, "idle_mib": idle, "streams_mib": running_ones, "served": served}
    finally:
        alone.stop()


def ask(open_ones: ExitStack, running: Running, path: str) -> list[socket.socket]:
    """A thousand connections, each with one request under way; the first bytes of the answer are read."""
    port, at = running.at("light", path)
    request = f"GET {at} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: bench\r\n\r\n".encode()
    sockets = []
    for _ in range(MANY):
        connection = open_ones.enter_context(socket.create_connection(("127.0.0.1", port), 10))
        connection.settimeout(10)
        connection.sendall(request)
        sockets.append(connection)
    for connection in sockets:
        if not connection.recv(65536).startswith(b"HTTP/1.1 200"):
            raise RuntimeError("a connection of a thousand was not answered with 200")
    return sockets


RPS: Final = Measure("rps", "requests/s", more=True, instead="cpu_us", instead_unit="1 / CPU us per request")
BULK: Final = Measure("mb_s", "MB/s", more=True, instead="cpu_s_gib", instead_unit="1 / CPU s per GiB")

COMMON: Final = (
    Scenario("get-64", "small GET, 64 connections, one of ten headers changes", RPS, small(64, varied=True)),
    Scenario("get-64-same", "small GET, 64 connections, constant headers", RPS, small(64, varied=False)),
    Scenario(
        "get-1",
        "added p95, 1 connection, one of ten headers changes",
        Measure("p95_us", "us added", added=True),
        small(1, varied=True),
    ),
    Scenario(
        "get-1-same",
        "added p95, 1 connection, constant headers",
        Measure("p95_us", "us added", added=True),
        small(1, varied=False),
    ),
    Scenario("post", "POST of 64 KB, 16 connections", RPS, post),
    Scenario("down", "bulk down", BULK, bulk("down")),
    Scenario("up", "bulk up", BULK, bulk("up")),
    Scenario(
        "sse",
        "50 streams of 200 events/s: CPU for each event",
        Measure("cpu_us", "us CPU/event"),
        streams,
        not_direct=True,
    ),
    Scenario(
        "tunnel",
        "tunnel echo, 50 connections",
        Measure("rate", "messages/s", more=True, instead="cpu_us", instead_unit="1 / CPU us per message"),
        tunnel,
    ),
    Scenario("idle", "memory of 1,000 idle connections", Measure("idle_mib", "MiB"), memory, not_direct=True, rounds=3),
)


def others_of(scenario: Scenario) -> tuple[Scenario, ...]:
    """Rows of the report that one measurement fills beside its own."""
    if scenario.id == "idle":
        measure = Measure("streams_mib", "MiB")
        return (scenario._replace(id="streams", words="memory of 1,000 running streams", measure=measure),)
    return ()


def takes_part(scenario: Scenario, peer: Peer) -> bool:
    if scenario.who:
        return peer.id in scenario.who
    return scenario.id not in peer.cannot and not (scenario.not_direct and peer.id == DIRECT)
