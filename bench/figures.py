"""What was measured, and what may be said of it: medians, quartiles, paired ratios. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median, quantiles
from typing import Final, NamedTuple

Sample = dict[str, float]
"""The figures of one scenario with one peer in one round."""

DIRECT: Final = "direct"
ROOM: Final = 1.4
"""Load and upstream by themselves must do so many times what the best proxy does, else they are what was measured."""


class Spread(NamedTuple):
    """A figure over rounds."""

    median: float
    low: float
    high: float
    rounds: int


class Measure(NamedTuple):
    """Which figure of a sample is compared, and how."""

    key: str
    unit: str
    more: bool = False
    """More is better."""
    added: bool = False
    """What direct took is subtracted, round by round."""
    instead: str = ""
    """The cost that is compared when the load was the limit: its ratio is turned over, so that more is better."""
    instead_unit: str = ""


class Results:
    """The samples of one scenario, by peer and round."""

    def __init__(self, measure: Measure) -> None:
        self.measure = measure
        self.samples: dict[str, dict[int, Sample]] = {}

    def add(self, peer: str, round_: int, sample: Sample) -> None:
        self.samples.setdefault(peer, {})[round_] = sample

    def values(self, peer: str, key: str = "") -> dict[int, float]:
        """By round. Of an added figure, what is over direct's of the same round."""
        key = key or self.measure.key
        own = {round_: sample[key] for round_, sample in self.samples.get(peer, {}).items() if key in sample}
        if not self.measure.added or key != self.measure.key or peer == DIRECT:
            return own
        direct = self.values(DIRECT)
        return {round_: value - direct[round_] for round_, value in own.items() if round_ in direct}

    def spread(self, peer: str, key: str = "") -> Spread | None:
        return spread(list(self.values(peer, key).values()))

    @property
    def load_bound(self) -> bool:
        """Whether load and upstream left too little room for a difference between the proxies to show."""
        direct = self.spread(DIRECT)
        if not self.measure.more or direct is None:
            return False
        others = [found.median for peer in self.samples if peer != DIRECT and (found := self.spread(peer))]
        return bool(others) and direct.median < ROOM * max(others)

    def ratio(self, peer: str, to: str) -> Spread | None:
        """How many times the figure of `to`, paired by round. None: nothing to say."""
        if self.load_bound:
            return self._cost_ratio(peer, to) if self.measure.instead else None
        return spread(paired(self.values(peer), self.values(to)))

    def _cost_ratio(self, peer: str, to: str) -> Spread | None:
        key = self.measure.instead
        return spread(paired(self.values(to, key), self.values(peer, key)))


def paired(mine: dict[int, float], theirs: dict[int, float]) -> list[float]:
    """The ratios of the rounds that both have. A figure that noise drove to nothing or below has no ratio."""
    return [mine[round_] / theirs[round_] for round_ in sorted(mine) if theirs.get(round_, 0) > 0 and mine[round_] > 0]


def spread(values: Sequence[float]) -> Spread | None:
    """Median and quartiles."""
    if not values:
        return None
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Spread(median(values), low, high, len(values))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -int(-len(ranked) * share // 1) - 1))]
