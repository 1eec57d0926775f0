"""One table, the gates, and everything as JSON. Pure: the caller prints and writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.figures import DIRECT, Results, Spread
from bench.gates import GATES, Judged, judge
from bench.peers import HESTIA
from bench.scenarios import Scenario

TO: Final = ("nginx", "caddy")
SMALL_FIGURE: Final = 100
MOST_WAITED: Final = 0.1


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= SMALL_FIGURE else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"  # noqa: PLR2004


def cell(found: Spread | None) -> str:
    """Median and quartiles."""
    if found is None:
        return "-"
    if found.rounds == 1:
        return number(found.median)
    return f"{number(found.median)} [{number(found.low)} - {number(found.high)}]"


def first_figure(results: Mapping[str, Results]) -> str:
    """What the operator reads first: what Hestia adds to a request."""
    of = results.get("get-1")
    own = of.spread(HESTIA) if of is not None else None
    if of is None or own is None:
        return ""
    others = [f"{peer} {found.median / 1000:.3f}" for peer in TO if (found := of.spread(peer)) is not None]
    beside = f" ({', '.join(others)})" if others else ""
    spread = f"quartiles {own.low / 1000:.3f} - {own.high / 1000:.3f}, {own.rounds} rounds"
    return f"Hestia adds {own.median / 1000:.3f} ms to a request at the 95th percentile{beside}; {spread}."


def rows(scenarios: Mapping[str, Scenario], results: Mapping[str, Results], peers: Sequence[str]) -> list[list[str]]:
    found = [["scenario", "peer", "figure", *(f"x {peer}" for peer in TO), "CPU", "errors"]]
    for id_, of in results.items():
        head = f"{id_}: {scenarios[id_].words} ({of.measure.unit})"
        for peer in (peer for peer in peers if peer in of.samples):
            found.append([head, peer, cell(of.spread(peer)), *ratios(of, peer), cpu(of, peer), errors(of, peer)])
            head = ""
    return found


def ratios(of: Results, peer: str) -> list[str]:
    if peer == DIRECT:
        return ["load-bound" if of.load_bound else "-"] + ["-"] * (len(TO) - 1)
    cells = [cell(of.ratio(peer, to)) if to != peer else "1" for to in TO]
    if not of.load_bound:
        return cells
    return [f"{one} by CPU" if of.measure.instead and one != "-" else "load-bound" for one in cells]


def cpu(of: Results, peer: str) -> str:
    for key, unit in (("cpu_us", "us"), ("cpu_s_gib", "s/GiB")):
        found = of.spread(peer, key)
        if found is not None and peer != DIRECT and key != of.measure.key:
            return f"{number(found.median)} {unit}{waiting(of, peer)}"
    return f"-{waiting(of, peer)}" if peer != DIRECT else "-"


def waiting(of: Results, peer: str) -> str:
    """Said where others had the peer's core for long: then its CPU says more than its speed."""
    found = of.spread(peer, "waited")
    return f", waited {found.median:.0%}" if found is not None and found.median > MOST_WAITED else ""


def errors(of: Results, peer: str) -> str:
    return f"{sum(sample.get('errors', sample.get('lost', 0)) for sample in of.samples[peer].values()):g}"


def table(lines: Sequence[Sequence[str]]) -> str:
    """Aligned, and Markdown too."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    cells = [[word.ljust(width) for word, width in zip(line, widths, strict=True)] for line in lines]
    text = [f"| {' | '.join(line)} |" for line in cells]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def gate_rows(results: Mapping[str, Results]) -> list[list[str]]:
    found = [["gate", "peer", "wanted", "aim", "found", ""]]
    return found + [gate_row(judged, results) for gate in GATES if (judged := judge(gate, results)) is not None]


def gate_row(judged: Judged, results: Mapping[str, Results]) -> list[str]:
    gate = judged.gate
    unit = f"x {gate.to}" if gate.to else results[gate.scenario].measure.unit
    sign = ">=" if gate.least else "<="
    wanted = "-" if gate.gate is None else f"{sign} {gate.gate:g} {unit}"
    aim = "-" if gate.aim is None else f"{sign} {gate.aim:g}"
    return [gate.scenario, gate.peer, wanted, aim, cell(judged.found), judged.word]


def as_json(
    about: Mapping[str, Any],
    scenarios: Mapping[str, Scenario],
    results: Mapping[str, Results],
    failures: Sequence[str],
) -> str:
    return json.dumps(
        {
            **about,
            "failures": list(failures),
            "scenarios": {id_: one(scenarios[id_], of) for id_, of in results.items()},
            "gates": [row_of(judged) for gate in GATES if (judged := judge(gate, results)) is not None],
        },
        indent=1,
    )


def one(scenario: Scenario, of: Results) -> dict[str, Any]:
    return {
        "words": scenario.words,
        "figure": of.measure.key,
        "unit": of.measure.unit,
        "more_is_better": of.measure.more,
        "load_bound": of.load_bound,
        "peers": {
            peer: {
                "spread": plain(of.spread(peer)),
                "ratios": {} if peer == DIRECT else {to: plain(of.ratio(peer, to)) for to in TO if to in of.samples},
                "samples": {str(round_ + 1): sample for round_, sample in sorted(of.samples[peer].items())},
            }
            for peer in of.samples
        },
    }


def plain(found: Spread | None) -> dict[str, float] | None:
    return None if found is None else found._asdict()


def row_of(judged: Judged) -> dict[str, Any]:
    return {**judged.gate._asdict(), "found": plain(judged.found), "said": judged.word}
