"""`python -m bench`: one session. `make bench` is this; `make bench-all` is the long one that may be quoted."""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench import chart, report, wrk
from bench.figures import DIRECT
from bench.machine import Cores, allow_many_files, cores
from bench.own import OWN
from bench.packages import Packages
from bench.peers import BY_ID, HESTIA, PEERS, Peer, Running, Upstreams, start_upstreams
from bench.scenarios import COMMON, Rig
from bench.session import Outcome, perform, plan

ROOT: Final = Path(__file__).parents[1]
SCENARIOS: Final = {scenario.id: scenario for scenario in (*COMMON, *OWN)}
MIB: Final = 1 << 20
VERSION: Final = {"nginx": "-v", "haproxy": "-v", "caddy": "version", "traefik": "version"}


class Size(NamedTuple):
    """How long a session is."""

    rounds: int
    seconds: int
    bulk_mib: int
    tries: int
    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    peers: tuple[str, ...] = tuple(BY_ID)


SIZES: Final = {
    "quick": Size(3, 2, 256, 3, ("get-64", "get-1"), (DIRECT, HESTIA, "nginx", "caddy")),
    "bench": Size(5, 2, 1024, 5),
    "all": Size(9, 5, 1024, 20),
}


def flags() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What does Hestia add? See bench/README.md.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", dest="size", action="store_const", const="quick", help="two scenarios, under 90 s")
    length.add_argument("--all", dest="size", action="store_const", const="all", help="the long one: two hours")
    parser.set_defaults(size="bench")
    parser.add_argument("--only", metavar="A,B", help=f"scenarios, of {', '.join(SCENARIOS)}")
    parser.add_argument("--peers", metavar="A,B", help=f"of {', '.join(BY_ID)}")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--seconds", type=int, metavar="N", help="of each load run, whole")
    parser.add_argument("--bulk", type=int, metavar="MIB", help="of one bulk transfer")
    parser.add_argument("--tries", type=int, metavar="N", help="starts in each round of `first-waiter`")
    parser.add_argument("--seed", type=int, metavar="N", help="of the shuffling")
    parser.add_argument("--out", type=Path, metavar="DIR", default=ROOT / ".make" / "bench" / "results")
    return parser


def chosen(asked: argparse.Namespace, parser: argparse.ArgumentParser) -> Size:
    size = SIZES[asked.size]
    for name, known in (("only", SCENARIOS), ("peers", BY_ID)):
        words = getattr(asked, name)
        if words is not None:
            unknown = set(words.split(",")) - set(known)
            if unknown:
                parser.error(f"--{name}: no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
            taken = tuple(words.split(","))
            size = size._replace(peers=taken) if name == "peers" else size._replace(scenarios=taken)
    numbers = {"rounds": asked.rounds, "seconds": asked.seconds, "bulk_mib": asked.bulk, "tries": asked.tries}
    given = {name: value for name, value in numbers.items() if value is not None}
    if any(value < 1 for value in given.values()):
        parser.error("rounds, seconds, bulk and tries are numbers from 1 on")
    return size._replace(**given)


def say(text: str) -> None:
    print(text, flush=True)


def gather(size: Size) -> tuple[Packages, list[Peer], list[str]]:
    """The environment for the peers, those that take part, and why the others do not."""
    wanted = [peer for peer in PEERS if peer.id in size.peers]
    packages = Packages(ROOT / ".make" / "bench" / "venv", say)
    packages.install(frozenset().union(*(peer.packages for peer in wanted)))
    out = [f"{peer.id}: {why}" for peer in wanted if (why := peer.missing(packages))]
    return packages, [peer for peer in wanted if not peer.missing(packages)], out


def begin(peers: Sequence[Peer], rig: Rig, left_out: list[str]) -> dict[str, Running]:
    """Those that come up."""
    running: dict[str, Running] = {}
    for peer in peers:
        try:
            running[peer.id] = rig.fresh(peer, peer.id)
        except (RuntimeError, OSError) as problem:
            left_out.append(f"{peer.id}: it did not start: {problem}")
    return running


def about(
    size: Size, seed: int, on: Cores, upstreams: Upstreams, peers: Sequence[Peer], packages: Packages
) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "cpu": cpu_name(), "kernel": platform.release(), "load": os.getloadavg()},
        "python": platform.python_version(),
        "cores": {"pinned": on.pinned, **{name: sorted(getattr(on, name)) for name in Cores._fields}},
        "upstream": upstreams.words,
        "settings": {**size._asdict(), "seed": seed},
        "versions": {peer.id: version(peer, packages) for peer in peers if peer.id in VERSION},
    }


def cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def version(peer: Peer, packages: Packages) -> str:
    command = [peer.program(packages), VERSION[peer.id]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    return (done.stdout + done.stderr).strip().split("\n")[0][:100]


def run(size: Size, seed: int, out: Path) -> int:
    packages, peers, left_out = gather(size)
    allow_many_files()
    on = cores()
    scenarios = [scenario for id_, scenario in SCENARIOS.items() if id_ in size.scenarios]
    outcome = Outcome(scenarios)
    with tempfile.TemporaryDirectory(prefix="hestia-bench-") as name:
        upstreams = start_upstreams(Path(name) / "upstreams", on.upstream)
        rig = Rig(Path(name), packages, on, upstreams, size.seconds, size.bulk_mib * MIB, size.tries)
        running = begin(peers, rig, left_out)
        facts = about(size, seed, on, upstreams, peers, packages) | {"left_out": left_out}
        say(heading(facts))
        jobs = plan(scenarios, list(running), size.rounds, random.Random(seed))
        try:
            perform(jobs, rig, running, outcome, say)
        except KeyboardInterrupt:
            say("Interrupted: what was measured so far")
        finally:
            for one in running.values():
                one.stop()
            upstreams.stop()
    if outcome.empty:
        say("Nothing was measured.")
        return 1
    publish(outcome, facts, [peer.id for peer in peers], out)
    return 1 if outcome.failures else 0


def heading(facts: dict[str, Any]) -> str:
    machine, on = facts["machine"], facts["cores"]
    places = f"proxy on core {on['proxy']}, upstream {on['upstream']}, load {on['load']}"
    pinned = places if on["pinned"] else "not pinned"
    cpu = f"{machine['cores']} cores ({machine['cpu']}), load {machine['load'][0]:.1f}"
    lines = [
        f"{cpu}; {pinned}; Python {facts['python']}",
        f"upstream: {facts['upstream']}; seed {facts['settings']['seed']}",
        *(f"{id_}: {words}" for id_, words in facts["versions"].items()),
        *(f"LEFT OUT {words}" for words in facts["left_out"]),
    ]
    if machine["load"][0] > 1:
        lines.append("This machine is busy with something else: only ratios mean anything here.")
    return "\n".join(lines)


def publish(outcome: Outcome, facts: dict[str, Any], peers: Sequence[str], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    text = report.table(report.rows(outcome.scenarios, outcome.results, peers))
    gates = report.gate_rows(outcome.results)
    parts = [report.first_figure(outcome.results), text, report.table(gates) if len(gates) > 1 else ""]
    parts += [f"FAILED {words}" for words in outcome.failures] + [f"LEFT OUT {words}" for words in facts["left_out"]]
    whole = "\n\n".join(part for part in parts if part)
    say("\n" + whole)
    rounds = f"medians and quartiles of {facts['settings']['rounds']} rounds"
    note = f"{facts['at'][:10]}, {heading(facts).splitlines()[0]}; {rounds}"
    (out / "bench.md").write_text(heading(facts) + "\n\n" + whole + "\n")
    (out / "bench.json").write_text(report.as_json(facts, outcome.scenarios, outcome.results, outcome.failures) + "\n")
    (out / "bench.svg").write_text(chart.chart(outcome.scenarios, outcome.results, note))
    say(f"\nWritten: {out / 'bench.md'}, bench.json, bench.svg")


def main(words: Sequence[str] | None = None) -> int:
    parser = flags()
    asked = parser.parse_args(words)
    size = chosen(asked, parser)
    if not sys.platform.startswith("linux"):
        parser.exit(2, "The bench needs Linux: it pins processes and reads /proc.\n")
    if wrk.find() is None:
        parser.exit(2, "The bench needs wrk. On Debian and Ubuntu: apt-get install wrk\n")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    return run(size, random.randrange(1 << 30) if asked.seed is None else asked.seed, asked.out)


if __name__ == "__main__":
    sys.exit(main())
