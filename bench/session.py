"""One session: every peer in every scenario, round after round, each round in an order of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

from bench.figures import Results, Sample
from bench.peers import BY_ID, Running
from bench.scenarios import Rig, Scenario, others_of, takes_part

MOST_LOGGED: Final = 1 << 26


class Job(NamedTuple):
    round: int
    scenario: Scenario
    peer: str


class Outcome:
    """All results, and what did not work."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        rows = [row for scenario in scenarios for row in (scenario, *others_of(scenario))]
        self.scenarios = {row.id: row for row in rows}
        self.results = {row.id: Results(row.measure) for row in rows}
        self.failures: list[str] = []

    @property
    def empty(self) -> bool:
        return not any(results.samples for results in self.results.values())

    def add(self, job: Job, sample: Sample) -> None:
        for row in (job.scenario, *others_of(job.scenario)):
            self.results[row.id].add(job.peer, job.round, sample)


def plan(scenarios: Sequence[Scenario], peers: Sequence[str], rounds: int, random: Random) -> list[Job]:
    """Each round holds every pair once. Peers of one scenario run next to each other in time, in a shuffled order:
    what a pair of figures is compared by is then minutes apart at most, and no peer has a place of its own.
    """
    jobs = []
    for round_ in range(rounds):
        turn = [scenario for scenario in scenarios if round_ < scenario.rounds]
        random.shuffle(turn)
        for scenario in turn:
            who = [peer for peer in peers if takes_part(scenario, BY_ID[peer])]
            random.shuffle(who)
            jobs += [Job(round_, scenario, peer) for peer in who]
    return jobs


def perform(
    jobs: Sequence[Job], rig: Rig, running: dict[str, Running], outcome: Outcome, say: Callable[[str], None]
) -> None:
    """Adds to `outcome` job by job: an interrupted session still has its figures."""
    began = time.monotonic()
    for number, job in enumerate(jobs, 1):
        label = f"[{number}/{len(jobs)}] round {job.round + 1} {job.scenario.id:<12} {job.peer:<15}"
        try:
            sample = measured(job, rig, running)
        except (RuntimeError, ValueError, OSError) as problem:
            outcome.failures.append(f"{job.scenario.id}, {job.peer}, round {job.round + 1}: {problem}")
            say(f"{label} failed: {problem}")
        else:
            outcome.add(job, sample)
            measure = job.scenario.measure
            left = (time.monotonic() - began) / number * (len(jobs) - number)
            errors = f", {sample['errors']:g} errors" if sample.get("errors") else ""
            unit = measure.unit.removesuffix(" added")
            say(f"{label} {sample[measure.key]:>12,.1f} {unit}{errors}   about {left / 60:.0f} min left")
        trim(running[job.peer].site.folder)


def trim(folder: Path) -> None:
    """Access logs of a session would fill a disk: nobody reads them."""
    for file in folder.glob("*.log"):
        if file.stat().st_size > MOST_LOGGED:
            os.truncate(file, 0)  # all of them are written by appending


def measured(job: Job, rig: Rig, running: dict[str, Running]) -> Sample:
    """Raises RuntimeError, ValueError or OSError. A peer that died is begun anew for the next one."""
    peer = running[job.peer]
    if not peer.alive:
        peer.stop()
        running[job.peer] = peer = rig.fresh(peer.peer, f"again-{job.peer}-{time.monotonic_ns()}")
    return job.scenario.run(rig, peer)
