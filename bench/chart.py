"""The session as a picture: for each scenario a panel of bars with their quartiles. SVG written by hand. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from bench.figures import DIRECT, Results, Spread
from bench.report import number
from bench.scenarios import Scenario

PANELS: Final = ("get-64", "get-1", "post", "down", "up", "sse", "tunnel", "idle", "streams")
WIDTH: Final = 860
COLUMNS: Final = 2
PANEL: Final = 410
BAR: Final = 16
STEP: Final = 22
NAMES: Final = 108
FIGURES: Final = 64
TOP: Final = 34
GAP: Final = 26
STYLE: Final = """
svg { background: #fff; font: 12px system-ui, sans-serif }
text { fill: #222 } .small { fill: #666; font-size: 11px } .title { font-weight: 600 }
.bar { fill: #a9b4c0 } .own { fill: #d9622b } .mark { stroke: #222; stroke-width: 1.2 }
@media (prefers-color-scheme: dark) {
 svg { background: #16181c } text { fill: #e6e6e6 } .small { fill: #9aa0a6 }
 .bar { fill: #4d5763 } .own { fill: #e0783f } .mark { stroke: #e6e6e6 }
}
"""


def chart(scenarios: Mapping[str, Scenario], results: Mapping[str, Results], note: str) -> str:
    """Panels in two columns; best first in each. `note` stands at the foot."""
    drawn = [(scenarios[id_], of) for id_ in PANELS if (of := results.get(id_)) is not None and bars(of)]
    parts, y = [], 10
    for first in range(0, len(drawn), COLUMNS):
        line = drawn[first : first + COLUMNS]
        for column, (scenario, of) in enumerate(line):
            parts.append(panel(scenario, of, 10 + column * (PANEL + 20), y))
        y += TOP + GAP + STEP * max(len(bars(of)) for _, of in line)
    parts.append(f'<text class="small" x="10" y="{y + 8}">{escape(note)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 20}" viewBox="0 0 {WIDTH} {y + 20}"'
    body = "\n".join(parts)
    return f'{head} role="img" aria-label="The bench, by scenario">\n<style>{STYLE}</style>\n{body}\n</svg>\n'


def bars(of: Results) -> list[tuple[str, Spread]]:
    """Peer and figure, best first. What noise drove below nothing is drawn as nothing."""
    found = [(peer, spread) for peer in of.samples if peer != DIRECT and (spread := of.spread(peer)) is not None]
    return sorted(found, key=lambda pair: pair[1].median, reverse=of.measure.more)


def panel(scenario: Scenario, of: Results, x: int, y: int) -> str:
    rows = bars(of)
    most = max([1e-9, *(spread.high for _, spread in rows)])
    better = "more is better" if of.measure.more else "less is better"
    bound = "; load-bound: the load was the limit" if of.load_bound else ""
    parts = [
        f'<text class="title" x="{x}" y="{y + 14}">{escape(scenario.words)}</text>',
        f'<text class="small" x="{x}" y="{y + 28}">{escape(of.measure.unit)}, {better}{bound}</text>',
    ]
    for row, (peer, spread) in enumerate(rows):
        parts.append(bar(peer, spread, most, x, y + TOP + row * STEP))
    return "\n".join(parts)


def bar(peer: str, spread: Spread, most: float, x: int, y: int) -> str:
    room = PANEL - NAMES - FIGURES

    def at(value: float) -> float:
        return x + NAMES + room * max(0.0, value) / most

    kind = "bar own" if peer.startswith("hestia") else "bar"
    middle, long, end = y + BAR / 2, at(spread.median) - x - NAMES, at(max(spread.high, spread.median)) + 6
    return (
        f'<text x="{x}" y="{y + 12}">{escape(peer)}</text>'
        f'<rect class="{kind}" x="{x + NAMES}" y="{y}" width="{long:.1f}" height="{BAR}" rx="2"/>'
        f'<line class="mark" x1="{at(spread.low):.1f}" x2="{at(spread.high):.1f}" y1="{middle}" y2="{middle}"/>'
        f'<text class="small" x="{end:.1f}" y="{y + 12}">{number(spread.median)}</text>'
    )
