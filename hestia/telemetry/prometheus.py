"""The counts as Prometheus text.

Written by hand: the client library blocked the loop for 25 to 49 ms a scrape at 40 services.
METRICS declares every name once; docs/metrics.md is made from it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hestia.telemetry.tally import OVERHEAD_BOUNDS, REQUEST_BOUNDS, Row, Tally
from hestia.words.status import STATES, State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    kind: str
    says: str
    labels: str = ""


METRICS: dict[str, Metric] = {
    "hestia_requests_total": Metric(
        "counter", "Exchanges that are over, by the status sent (0: none was).", "service, code"
    ),
    "hestia_unfinished_total": Metric(
        "counter",
        "Exchanges that were no whole answer of the service: client_left, broken, or the code of a refusal.",
        "service, outcome",
    ),
    "hestia_request_seconds": Metric("histogram", "From the request's first byte to the answer's last.", "service"),
    "hestia_overhead_seconds": Metric("histogram", "The gateway's own part of it.", "service"),
    "hestia_bytes_total": Metric(
        "counter", "Bytes from clients (in) and to clients (out), as relayed.", "service, direction"
    ),
    "hestia_leases": Metric("gauge", "Exchanges in progress.", "service"),
    "hestia_state": Metric("gauge", "1 for the state that the service is in, 0 for the others.", "service, state"),
    "hestia_connections": Metric("gauge", "Clients that are connected."),
    "hestia_log_dropped_total": Metric("counter", "Log lines dropped because standard error took none."),
}


class Figures(NamedTuple):
    """What a service is doing now."""

    id: str
    state: State
    leases: int


def text(tally: Tally, services: Sequence[Figures], *, connections: int, log_dropped: int) -> str:
    """All metrics. A row is written for every service and, where something was counted, for requests to none ("")."""
    rows = {id_: row for id_, row in sorted(tally.rows.items()) if id_ or row.codes}
    samples: dict[str, Iterable[str]] = {
        "hestia_requests_total": _requests(rows),
        "hestia_unfinished_total": _unfinished(rows),
        "hestia_request_seconds": _histograms("hestia_request_seconds", REQUEST_BOUNDS, _seconds(rows)),
        "hestia_overhead_seconds": _histograms("hestia_overhead_seconds", OVERHEAD_BOUNDS, _overheads(rows)),
        "hestia_bytes_total": _bytes(rows),
        "hestia_leases": [f"hestia_leases{_service(each.id)} {each.leases}" for each in services],
        "hestia_state": _states(services),
        "hestia_connections": [f"hestia_connections {connections}"],
        "hestia_log_dropped_total": [f"hestia_log_dropped_total {log_dropped}"],
    }
    lines: list[str] = []
    for name, metric in METRICS.items():
        lines += [f"# HELP {name} {metric.says}", f"# TYPE {name} {metric.kind}", *samples[name]]
    return "\n".join(lines) + "\n"


def as_markdown() -> str:
    """The metrics as a page of the docs."""
    rows = [f"| `{name}` | {metric.kind} | {metric.labels} | {metric.says} |" for name, metric in METRICS.items()]
    return "\n".join([_HEAD, *rows, ""])


def _requests(rows: dict[str, Row]) -> Iterator[str]:
    for id_, row in rows.items():
        for code, count in sorted(row.codes.items()):
            yield f"hestia_requests_total{_service(id_, 'code', str(code))} {count}"


def _unfinished(rows: dict[str, Row]) -> Iterator[str]:
    for id_, row in rows.items():
        for outcome, count in sorted(row.unfinished.items()):
            yield f"hestia_unfinished_total{_service(id_, 'outcome', outcome)} {count}"


def _bytes(rows: dict[str, Row]) -> Iterator[str]:
    for id_, row in rows.items():
        yield f"hestia_bytes_total{_service(id_, 'direction', 'in')} {row.bytes_in}"
        yield f"hestia_bytes_total{_service(id_, 'direction', 'out')} {row.bytes_out}"


def _states(services: Sequence[Figures]) -> Iterator[str]:
    for each in services:
        for state in STATES:
            yield f"hestia_state{_service(each.id, 'state', state)} {int(each.state == state)}"


def _seconds(rows: dict[str, Row]) -> Iterator[tuple[str, list[int], float]]:
    return ((id_, row.seconds, row.seconds_sum) for id_, row in rows.items())


def _overheads(rows: dict[str, Row]) -> Iterator[tuple[str, list[int], float]]:
    return ((id_, row.overhead, row.overhead_sum) for id_, row in rows.items())


def _histograms(name: str, bounds: tuple[float, ...], series: Iterable[tuple[str, list[int], float]]) -> Iterator[str]:
    marks = [*(repr(bound) for bound in bounds), "+Inf"]
    for id_, counts, total in series:
        below = 0
        for mark, count in zip(marks, counts, strict=True):
            below += count
            yield f"{name}_bucket{_service(id_, 'le', mark)} {below}"
        yield f"{name}_sum{_service(id_)} {total!r}"
        yield f"{name}_count{_service(id_)} {below}"


def _service(id_: str, label: str = "", value: str = "") -> str:
    # Ids, states, codes and outcomes are our own words: none holds a quote, a backslash or a line end.
    return f'{{service="{id_}",{label}="{value}"}}' if label else f'{{service="{id_}"}}'


_HEAD = """# Metrics

Prometheus text at `GET /metrics`. Every figure about a service is labelled `service`; requests that reached no service
have the empty one. `code` is the HTTP status sent.

| metric | kind | labels | says |
| --- | --- | --- | --- |"""
