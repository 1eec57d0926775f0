"""What the relay has to reach, and what it is after. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from bench.figures import Results, Spread
from bench.peers import HESTIA, HESTIA_DEFAULT


class Gate(NamedTuple):
    """`to` names the peer of a ratio; empty: the figure itself. `least`: it must be so much or more, else at most."""

    scenario: str
    to: str
    gate: float | None
    aim: float | None
    least: bool
    peer: str = HESTIA


GATES: Final = (
    Gate("get-64", "caddy", 2.2, 3.5, least=True),
    Gate("get-64", "nginx", 0.40, 0.65, least=True),
    Gate("get-64", HESTIA, 0.85, None, least=True, peer=HESTIA_DEFAULT),
    Gate("get-1", "caddy", 0.7, None, least=False),
    Gate("get-1", "nginx", None, 1.3, least=False),
    Gate("get-1", "", 200, None, least=False),
    Gate("post", "nginx", 0.45, 0.65, least=True),
    Gate("down", "caddy", 1.2, 1.5, least=True),
    Gate("down", "nginx", 0.65, 0.9, least=True),
    Gate("up", "caddy", 1.2, 1.5, least=True),
    Gate("up", "nginx", 0.65, 0.9, least=True),
    Gate("sse", "nginx", 1.7, 1.2, least=False),
    Gate("tunnel", "nginx", 0.6, 0.85, least=True),
    Gate("idle", "", 8, 2, least=False),
    Gate("streams", "", 24, 12, least=False),
    Gate("first-waiter", "", 270, 255, least=False),
    Gate("waiters", "", 2000, None, least=False),
    Gate("scrape", "", 2, None, least=False),
    Gate("control", "", 2, None, least=False),
    Gate("hestiactl", "", 100, 50, least=False),
)


class Judged(NamedTuple):
    gate: Gate
    found: Spread | None
    word: str


def judge(gate: Gate, results: Mapping[str, Results]) -> Judged | None:
    """None: that scenario, or the peer it is compared with, was not in this session."""
    of = results.get(gate.scenario)
    if of is None or gate.peer not in of.samples or (gate.to and gate.to not in of.samples):
        return None
    found = of.ratio(gate.peer, gate.to) if gate.to else of.spread(gate.peer)
    if found is None:
        return Judged(gate, None, "load-bound" if of.load_bound else "no figure")
    by_cpu = " by CPU" if gate.to and of.load_bound else ""
    return Judged(gate, found, said(gate, found.median) + by_cpu)


def said(gate: Gate, value: float) -> str:
    def reached(limit: float) -> bool:
        return value >= limit if gate.least else value <= limit

    if gate.aim is not None and reached(gate.aim):
        return "aim reached"
    if gate.gate is None:
        return "aim not reached"
    return "passed" if reached(gate.gate) else "MISSED"
