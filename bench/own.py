"""What only Hestia does: waiting, starting, being asked while it relays. Each has a gateway of its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from bench import configs, wrk
from bench.figures import Measure, Sample, percentile
from bench.machine import get
from bench.peers import BY_ID, HESTIA, SMALL, Running
from bench.scenarios import MANY, Rig, Scenario

STARTS_S: Final = (0.3, 0.55)
"""A start takes some time between these: the moment of readiness falls anywhere between two checks."""
SERVICES: Final = 50
CLIENTS: Final = 50
HALF: Final = 0.5
CONNECTIONS: Final = 64
ROOT: Final = Path(__file__).parents[1]


def sleeper(delay: float) -> str:
    """A service that listens so long after its launch and then says since when."""
    command = [sys.executable, "-m", "bench.upstream", "{port}", f"{delay:.3f}"]
    launch = f"{{kind: process, cwd: '{ROOT}', command: {command}}}"
    health = "'http://127.0.0.1:{port}/small'"
    rules = f"queue_size: {2 * MANY}, idle_timeout: 10m"
    return f"  sleeper: {{launch: {launch}, health_url: {health}, {rules}}}\n"


@contextmanager
def gateway(rig: Rig, name: str, services: str) -> Iterator[Running]:
    peer = BY_ID[HESTIA]
    own = peer._replace(launches=lambda program, site: (configs.hestia(program, site, "uvloop", services),))
    running = rig.fresh(own, f"{name}-{time.monotonic_ns()}")
    try:
        yield running
    finally:
        running.stop()


def waiters(count: int, *, once: bool = False) -> Callable[[Rig, Running], Sample]:
    def run(rig: Rig, _running: Running) -> Sample:
        rounds: list[Sample] = []
        for _ in range(1 if once else rig.tries):
            with gateway(rig, "waiters", sleeper(Random().uniform(*STARTS_S))) as running:
                before = running.rss_mib()
                rounds.append(rig.load("crowd", running.site.quick, "/services/sleeper/since", count, 30))
                rounds[-1]["mib"] = running.rss_mib() - before
        return {
            "first_ms": percentile([sample["first_ms"] for sample in rounds], 0.95),
            "last_ms": percentile([sample["last_ms"] for sample in rounds], 0.95),
            "lost": sum(count - sample["served"] for sample in rounds),
            "mib": max(sample["mib"] for sample in rounds),
            "starts": len(rounds),
        }

    return run


def at_half(rig: Rig, running: Running, beside: Callable[[float], Sample]) -> Sample:
    """The relay's p99 at half of what it can, without and with something beside it."""
    port, path = running.at("quick", SMALL)
    background = partial(
        wrk.run, rig.folder, url=running.url("quick", SMALL), connections=CONNECTIONS, cores=rig.cores.load, aside=True
    )
    fast = wrk.finish(background(wrk.get_script(port, path, varied=True), seconds=1), 1)
    delay = 1000 * CONNECTIONS / (fast["rps"] * HALF) - fast["p50_us"] / 1000 / 4
    script = wrk.get_script(port, path, varied=True, delay_ms=delay)
    alone = wrk.finish(background(script, seconds=rig.seconds), rig.seconds)
    process = background(script, seconds=rig.seconds)
    try:
        figures = beside(time.monotonic() + rig.seconds - 0.3)
    finally:
        together = wrk.finish(process, rig.seconds)
    return {
        **figures,
        "moved_ms": (together["p99_us"] - alone["p99_us"]) / 1000,
        "alone_p99_ms": alone["p99_us"] / 1000,
        "together_p99_ms": together["p99_us"] / 1000,
        "share": alone["rps"] / fast["rps"],
    }


def scrape(rig: Rig, _: Running) -> Sample:
    more = "".join(f"  other{number}: {{base_url: 'http://127.0.0.1:9'}}\n" for number in range(SERVICES - 2))
    with gateway(rig, "scrape", more) as running:

        def beside(until: float) -> Sample:
            took = []
            while time.monotonic() < until:
                began = time.monotonic()
                if b"hestia_requests_total" not in get(running.site.quick, "/metrics"):
                    raise RuntimeError("/metrics gave no metrics")
                took.append((time.monotonic() - began) * 1000)
                time.sleep(0.2)
            return {"scrape_ms": statistics.median(took), "scrapes": len(took)}

        return at_half(rig, running, beside)


def control(rig: Rig, _: Running) -> Sample:
    with gateway(rig, "control", "") as running:
        socket = running.site.folder / "control.sock"

        def beside(_: float) -> Sample:
            figures = rig.load("control", socket, CLIENTS, 1000, aside=True)
            return {"control_s": figures["seconds"], "control_p95_ms": figures["p95_ms"]}

        return at_half(rig, running, beside)


def client(rig: Rig, running: Running) -> Sample:
    """`hestiactl ping` as a whole process, beside a Python that does nothing."""
    socket = str(running.site.folder / "control.sock")
    ping = [sys.executable, "-m", "hestia.ctl.main", "--socket", socket, "ping"]
    bare = [sys.executable, "-c", "pass"]
    took: dict[str, list[float]] = {"bare": [], "ping": []}
    for _ in range(3 * rig.tries):
        for name, command in (("bare", bare), ("ping", ping)):
            began = time.monotonic()
            done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, timeout=20)
            took[name].append((time.monotonic() - began) * 1000)
            if done.returncode:
                raise RuntimeError(f"hestiactl ping: {done.stderr.decode(errors='replace').strip()[-200:]}")
    return {f"{name}_ms": statistics.median(values) for name, values in took.items()}


ALONE: Final = frozenset((HESTIA,))
OWN: Final = (
    Scenario(
        "first-waiter",
        "from ready to the first released waiter, p95 (checks each 250 ms)",
        Measure("first_ms", "ms"),
        waiters(1),
        ALONE,
    ),
    Scenario(
        "waiters",
        "1,000 waiters: from ready to the last answer",
        Measure("last_ms", "ms"),
        waiters(MANY, once=True),
        ALONE,
    ),
    Scenario(
        "scrape",
        "relay at half capacity: a scrape of 50 services moves its p99",
        Measure("moved_ms", "ms"),
        scrape,
        ALONE,
    ),
    Scenario(
        "control",
        "relay at half capacity: 1,000 control requests of 50 clients move its p99",
        Measure("moved_ms", "ms"),
        control,
        ALONE,
    ),
    Scenario("hestiactl", "a start of hestiactl (ping)", Measure("ping_ms", "ms"), client, ALONE, rounds=3),
)
