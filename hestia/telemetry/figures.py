"""What was counted and measured, as JSON. Prometheus text of the same sums stands in telemetry/prometheus.

A percentile is read off a histogram of fine buckets: it is right to a tenth of itself, and straight lines are assumed
inside a bucket. Beyond the last bound it is that bound. All figures count from the gateway's start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from hestia.telemetry.bulletin import START_MARKS, Counts
from hestia.telemetry.tally import OVERHEAD_MARKS, REQUEST_MARKS, Row
from hestia.words.status import State


class Seen(NamedTuple):
    """What a service is doing now, and what was counted of its life."""

    id: str
    state: State
    counts: Counts
    leases: int = 0
    waiters: int = 0
    hot_seconds: float = 0.0


class Gauges(NamedTuple):
    """What the gateway itself is doing now."""

    connections: int = 0
    activity_pending: int = 0
    activity_lost: int = 0
    store_failing: bool = False
    log_dropped: int = 0


class Spread(Struct, frozen=True, kw_only=True):
    """How long something took, in seconds. Null while it never happened."""

    count: int
    sum: float
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class Starts(Struct, frozen=True, kw_only=True):
    """Starts on one machine that ended so."""

    machine: str
    outcome: str
    count: int


class ServiceMetrics(Struct, frozen=True, kw_only=True):
    """Counters and latencies of one service. `codes` are the statuses sent (0: none was)."""

    id: str
    state: State
    requests: int
    errors: int
    codes: dict[str, int]
    unfinished: dict[str, int]
    bytes_in: int
    bytes_out: int
    leases: int
    waiters: int
    hot_seconds: float
    idle_stops: int
    starts: tuple[Starts, ...]
    request_seconds: Spread
    overhead_seconds: Spread
    start_seconds: Spread


class OwnMetrics(Struct, frozen=True, kw_only=True):
    """Requests that reached no service: Hestia's own pages, and what it refused before it knew one."""

    requests: int
    errors: int
    codes: dict[str, int]
    unfinished: dict[str, int]
    bytes_in: int
    bytes_out: int


class Metrics(Struct, frozen=True, kw_only=True):
    """Everything that was counted since the gateway began."""

    connections: int
    activity_pending: int
    activity_lost: int
    store_failing: bool
    log_dropped: int
    own: OwnMetrics
    services: dict[str, ServiceMetrics]


def of_service(seen: Seen, row: Row) -> ServiceMetrics:
    counts = seen.counts
    return ServiceMetrics(
        id=seen.id,
        state=seen.state,
        requests=row.requests,
        errors=row.errors,
        codes=_codes(row),
        unfinished=dict(row.unfinished),
        bytes_in=row.bytes_in,
        bytes_out=row.bytes_out,
        leases=seen.leases,
        waiters=seen.waiters,
        hot_seconds=round(seen.hot_seconds, 3),
        idle_stops=counts.idle_stops,
        starts=tuple(
            Starts(machine=machine, outcome=outcome, count=count)
            for (machine, outcome), count in sorted(counts.starts.items())
        ),
        request_seconds=spread(REQUEST_MARKS, row.seconds, row.seconds_sum),
        overhead_seconds=spread(OVERHEAD_MARKS, row.overhead, row.overhead_sum),
        start_seconds=spread(START_MARKS, counts.start_seconds, counts.start_seconds_sum),
    )


def of_all(services: Sequence[Seen], rows: dict[str, Row], gauges: Gauges) -> Metrics:
    none = rows.get("") or Row()
    return Metrics(
        **gauges._asdict(),
        own=OwnMetrics(
            requests=none.requests,
            errors=none.errors,
            codes=_codes(none),
            unfinished=dict(none.unfinished),
            bytes_in=none.bytes_in,
            bytes_out=none.bytes_out,
        ),
        services={each.id: of_service(each, rows.get(each.id) or Row()) for each in services},
    )


def _codes(row: Row) -> dict[str, int]:
    return {str(code): count for code, count in sorted(row.codes.items())}


def spread(bounds: Sequence[float], counts: Sequence[int], total: float) -> Spread:
    """A histogram in a few words. `counts` has one bucket more than there are bounds."""
    count = sum(counts)
    if not count:
        return Spread(count=0, sum=0.0)
    p50, p95, p99 = (quantile(bounds, counts, part) for part in (0.5, 0.95, 0.99))
    return Spread(count=count, sum=round(total, 6), p50=p50, p95=p95, p99=p99)


def quantile(bounds: Sequence[float], counts: Sequence[int], part: float) -> float:
    """The value below which `part` of what was counted lies."""
    rank, below, lower = part * sum(counts), 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return float(f"{lower + (bound - lower) * (rank - below) / count:.6g}")
        below += count
        lower = bound
    return bounds[-1]
