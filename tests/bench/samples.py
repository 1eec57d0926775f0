"""Rounds of made-up figures."""

from bench.figures import Measure, Results

RPS = Measure("rps", "requests/s", more=True)
BULK = Measure("mb_s", "MB/s", more=True, instead="cpu_s_gib")
ADDED = Measure("p95_us", "us added", added=True)


def results(measure: Measure, key: str = "", **peers: list[float]) -> Results:
    """`results(RPS, direct=[9, 9], nginx=[5, 4])`: a figure for each round."""
    of = Results(measure)
    for peer, values in peers.items():
        for round_, value in enumerate(values):
            of.samples.setdefault(peer.replace("_", "-"), {}).setdefault(round_, {})[key or measure.key] = value
    return of
