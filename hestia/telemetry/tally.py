"""What every exchange adds to: counts and histograms, kept as plain ints.

`ended` is called once per exchange on the hot path, so it does nothing but add, and hands the figures on to the access
log. Rows exist for configured services and for "" (requests that reached none), so no client can make labels.

What each place of a service did is only added where it is not the first one; the first one's share is the rest. The
minutes of the database are the growth of these sums (telemetry/usage), so they cost the hot path nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

REQUEST_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
OVERHEAD_BOUNDS = (25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)
PARTS = 8
ERROR = 500


def finer(bounds: Sequence[float]) -> tuple[float, ...]:
    """Each bucket in equal steps of itself, so that a percentile is right to a tenth. All `bounds` are among them."""
    found = [bounds[0] * part / PARTS for part in range(1, PARTS)]
    for low, high in pairwise(bounds):
        found += [low, *(low * (high / low) ** (part / PARTS) for part in range(1, PARTS))]
    return (*found, bounds[-1])


def coarser(counts: Sequence[int]) -> list[int]:
    """The counts by the bounds themselves. The last one lies beyond them."""
    return [*(sum(counts[at : at + PARTS]) for at in range(0, len(counts) - 1, PARTS)), counts[-1]]


REQUEST_MARKS = finer(REQUEST_BOUNDS)
OVERHEAD_MARKS = finer(OVERHEAD_BOUNDS)


class AccessLine(Protocol):
    """Writes the access line of one exchange. Never waits, never raises."""

    def __call__(
        self,
        service: str,
        status: int,
        method: bytes,
        path: bytes,
        client: str,
        request_id: bytes,
        total_s: float,
        overhead_s: float,
        bytes_in: int,
        bytes_out: int,
        outcome: str,
        trace: bytes,
        /,
    ) -> None: ...


class Sums(NamedTuple):
    """What went through one place, ever. An error is an answer of 500 and above, or one that broke off."""

    requests: int = 0
    errors: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0

    def plus(self, other: Sums) -> Sums:
        return Sums._make(mine + theirs for mine, theirs in zip(self, other, strict=True))

    def minus(self, other: Sums) -> Sums:
        return Sums._make(mine - theirs for mine, theirs in zip(self, other, strict=True))


NOTHING = Sums()


class Row:
    """The figures of one service."""

    __slots__ = (
        "broken",
        "bytes_in",
        "bytes_out",
        "codes",
        "elsewhere",
        "overhead",
        "overhead_sum",
        "seconds",
        "seconds_sum",
        "unfinished",
    )

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.unfinished: dict[str, int] = {}
        self.broken = 0  # of those that broke off: how many had begun as no error
        self.elsewhere: dict[int, Sums] = {}  # at all places but the first
        self.seconds = [0] * (len(REQUEST_MARKS) + 1)
        self.seconds_sum = 0.0
        self.overhead = [0] * (len(OVERHEAD_MARKS) + 1)
        self.overhead_sum = 0.0
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def requests(self) -> int:
        """How many exchanges ended."""
        return sum(self.codes.values())

    @property
    def errors(self) -> int:
        """How many of them were errors."""
        return self.broken + sum(count for code, count in self.codes.items() if code >= ERROR)

    def sums(self) -> dict[int, Sums]:
        """By place."""
        first = Sums(self.requests, self.errors, self.bytes_in, self.bytes_out, self.seconds_sum)
        for sums in self.elsewhere.values():
            first = first.minus(sums)
        return {0: first, **self.elsewhere}


class Tally:
    """Counts exchanges. `access` is None when no access line is wanted."""

    __slots__ = ("_access", "rows")

    def __init__(self, service_ids: Iterable[str], access: AccessLine | None = None) -> None:
        self.rows: dict[str, Row] = {id_: Row() for id_ in ("", *service_ids)}
        self._access = access

    def listen(self, access: AccessLine | None) -> None:
        """Who writes the access lines from now on: the log's level may change."""
        self._access = access

    def follow(self, service_ids: Iterable[str]) -> None:
        """The services are others now. Those that stay keep their figures."""
        self.rows = {id_: self.rows.get(id_) or Row() for id_ in ("", *service_ids)}

    def ended(
        self,
        service_id: str,
        status: int,
        method: bytes,
        path: bytes,
        client: str,
        request_id: bytes,
        total_s: float,
        overhead_s: float,
        bytes_in: int,
        bytes_out: int,
        outcome: str,
        place: int = 0,
        trace: bytes = b"",
    ) -> None:
        """Add one exchange that is over. `trace` is the trace id of its `traceparent`.

        status: what was sent, 0 if nothing was. outcome: "ok", "client_left", "broken" or the code of a refusal.
        """
        row = self.rows.get(service_id)
        if row is None:
            row = self.rows[""]
        codes = row.codes
        codes[status] = codes.get(status, 0) + 1
        row.seconds[bisect_left(REQUEST_MARKS, total_s)] += 1
        row.seconds_sum += total_s
        row.overhead[bisect_left(OVERHEAD_MARKS, overhead_s)] += 1
        row.overhead_sum += overhead_s
        row.bytes_in += bytes_in
        row.bytes_out += bytes_out
        if outcome != "ok":
            row.unfinished[outcome] = row.unfinished.get(outcome, 0) + 1
            if outcome == "broken" and status < ERROR:
                row.broken += 1
        if place:
            error = int(status >= ERROR or outcome == "broken")
            before = row.elsewhere.get(place, NOTHING)
            row.elsewhere[place] = before.plus(Sums(1, error, bytes_in, bytes_out, total_s))
        if self._access is not None:
            self._access(
                service_id,
                status,
                method,
                path,
                client,
                request_id,
                total_s,
                overhead_s,
                bytes_in,
                bytes_out,
                outcome,
                trace,
            )
