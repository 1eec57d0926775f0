"""The counts of exchanges as rows of the database: what went through each place in each minute.

The tally only ever grows; what it grew by since the last look belongs to the minute that was then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from hestia.telemetry.tally import NOTHING, Row, Sums, Tally
from hestia.words.activity import Usage

WRITTEN_EVERY_S = 10.0
"""So much of the counts is lost when the gateway is killed. A minute's end is exact to a look, half a second."""


class Minutes:
    """`look` is a chore of the sweep. `write` at any time: a row of the database adds up."""

    def __init__(
        self, tally: Tally, keep: Callable[[Sequence[Usage]], None], *, wall: Callable[[], float] = time.time
    ) -> None:
        self._tally = tally
        self._keep = keep
        self._wall = wall
        self._minute = 0
        self._due = 0.0
        self._before: dict[str, tuple[Row, dict[int, Sums]]] = {}

    def look(self) -> None:
        """Write when the minute is over, or a while has passed. A clock that was set back ends the minute too."""
        now = self._wall()
        if not self._minute:
            self._minute, self._due = int(now // 60), now + WRITTEN_EVERY_S
        elif int(now // 60) != self._minute or now >= self._due:
            self.write()

    def write(self) -> None:
        """What was counted since the last time; from now on it is the minute of now."""
        now = self._wall()
        minute = self._minute or int(now // 60)
        self._minute, self._due = int(now // 60), now + WRITTEN_EVERY_S
        rows = list(self._growth(minute))
        if rows:
            self._keep(rows)

    def _growth(self, minute: int) -> Iterator[Usage]:
        before, self._before = self._before, {}
        for service, row in self._tally.rows.items():
            if not service:
                continue
            sums = row.sums()
            known, seen = before.get(service, (row, {}))
            self._before[service] = row, sums
            for place, total in sums.items():
                # A service that was removed and came back counts from nothing, with a new row.
                grown = total.minus(seen.get(place, NOTHING) if known is row else NOTHING)
                if grown.requests:
                    yield Usage(
                        service=service,
                        place=place,
                        minute=minute,
                        requests=grown.requests,
                        errors=grown.errors,
                        bytes_in=grown.bytes_in,
                        bytes_out=grown.bytes_out,
                        seconds=grown.seconds,
                    )
