"""The counts as Prometheus text.

Written by hand: the client library blocked the loop for 25 to 49 ms a scrape at 40 services; this takes 2 at 50.
METRICS declares every name once; docs/metrics.md is made from it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from hestia.telemetry.bulletin import START_BOUNDS
from hestia.telemetry.figures import Gauges, Seen
from hestia.telemetry.tally import OVERHEAD_BOUNDS, REQUEST_BOUNDS, Row, coarser
from hestia.words.status import STATES, MachineStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metric(NamedTuple):
    kind: str
    says: str
    labels: str = ""


METRICS: dict[str, Metric] = {
    "hestia_info": Metric("gauge", "1, with the version that runs.", "version"),
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
    "hestia_start_seconds": Metric("histogram", "How long starts took that made it ready.", "service"),
    "hestia_starts_total": Metric("counter", "Starts that are over: ready or failed.", "service, machine, outcome"),
    "hestia_idle_stops_total": Metric("counter", "Stops because nobody used it.", "service"),
    "hestia_hot_seconds_total": Metric("counter", "How long it was hot.", "service"),
    "hestia_state": Metric("gauge", "1 for the state that the service is in, 0 for the others.", "service, state"),
    "hestia_leases": Metric("gauge", "Exchanges in progress.", "service"),
    "hestia_waiters": Metric("gauge", "Requests and pages that wait for it.", "service"),
    "hestia_machine_state": Metric(
        "gauge", "1 for the state that the machine is in (hot: awake), 0 for the others.", "machine, state"
    ),
    "hestia_connections": Metric("gauge", "Clients that are connected."),
    "hestia_activity_pending": Metric("gauge", "Rows that wait for the database."),
    "hestia_activity_lost_total": Metric("counter", "Rows given up because the database failed for too long."),
    "hestia_store_failing": Metric("gauge", "1 while the database cannot be written."),
    "hestia_log_dropped_total": Metric("counter", "Log lines dropped because standard error took none."),
}


def text(
    services: Sequence[Seen], rows: dict[str, Row], machines: Sequence[MachineStatus], gauges: Gauges, *, version: str
) -> str:
    """All metrics. Rows are written for every service and, where something was counted, for requests to none ("")."""
    named = {id_: row for id_, row in sorted(rows.items()) if id_ or row.codes}
    samples: dict[str, Iterable[str]] = {
        "hestia_info": [f'hestia_info{{version="{version}"}} 1'],
        "hestia_requests_total": _requests(named),
        "hestia_unfinished_total": _unfinished(named),
        "hestia_request_seconds": _histograms(
            "hestia_request_seconds",
            REQUEST_BOUNDS,
            [(id_, coarser(row.seconds), row.seconds_sum) for id_, row in named.items()],
        ),
        "hestia_overhead_seconds": _histograms(
            "hestia_overhead_seconds",
            OVERHEAD_BOUNDS,
            [(id_, coarser(row.overhead), row.overhead_sum) for id_, row in named.items()],
        ),
        "hestia_bytes_total": _bytes(named),
        "hestia_start_seconds": _histograms(
            "hestia_start_seconds",
            START_BOUNDS,
            [(each.id, coarser(each.counts.start_seconds), each.counts.start_seconds_sum) for each in services],
        ),
        "hestia_starts_total": _starts(services),
        "hestia_idle_stops_total": [
            f"hestia_idle_stops_total{_service(each.id)} {each.counts.idle_stops}" for each in services
        ],
        "hestia_hot_seconds_total": [
            f"hestia_hot_seconds_total{_service(each.id)} {each.hot_seconds!r}" for each in services
        ],
        "hestia_state": _states(services),
        "hestia_leases": [f"hestia_leases{_service(each.id)} {each.leases}" for each in services],
        "hestia_waiters": [f"hestia_waiters{_service(each.id)} {each.waiters}" for each in services],
        "hestia_machine_state": _machine_states(machines),
        "hestia_connections": [f"hestia_connections {gauges.connections}"],
        "hestia_activity_pending": [f"hestia_activity_pending {gauges.activity_pending}"],
        "hestia_activity_lost_total": [f"hestia_activity_lost_total {gauges.activity_lost}"],
        "hestia_store_failing": [f"hestia_store_failing {int(gauges.store_failing)}"],
        "hestia_log_dropped_total": [f"hestia_log_dropped_total {gauges.log_dropped}"],
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


def _starts(services: Sequence[Seen]) -> Iterator[str]:
    for each in services:
        for (machine, outcome), count in sorted(each.counts.starts.items()):
            yield f'hestia_starts_total{{service="{each.id}",machine="{machine}",outcome="{outcome}"}} {count}'


def _states(services: Sequence[Seen]) -> Iterator[str]:
    for each in services:
        for state in STATES:
            yield f"hestia_state{_service(each.id, 'state', state)} {int(each.state == state)}"


def _machine_states(machines: Sequence[MachineStatus]) -> Iterator[str]:
    for each in machines:
        for state in STATES:
            yield f'hestia_machine_state{{machine="{each.id}",state="{state}"}} {int(each.state == state)}'


def _histograms(
    name: str, bounds: tuple[float, ...], series: Iterable[tuple[str, list[int], float]]
) -> Iterator[str]:
    marks = [*(repr(bound) for bound in bounds), "+Inf"]
    for id_, counts, total in series:
        below = 0
        for mark, count in zip(marks, counts, strict=True):
            below += count
            yield f'{name}_bucket{{service="{id_}",le="{mark}"}} {below}'
        yield f"{name}_sum{_service(id_)} {total!r}"
        yield f"{name}_count{_service(id_)} {below}"


def _service(id_: str, label: str = "", value: str = "") -> str:
    # Ids, states, codes and outcomes are our own words: none holds a quote, a backslash or a line end.
    return f'{{service="{id_}",{label}="{value}"}}' if label else f'{{service="{id_}"}}'


_HEAD = """# Metrics

Prometheus text at `GET /metrics`, the same figures as JSON at `GET /v1/metrics`. Every figure about a service is
labelled `service`; requests that reached no service have the empty one. `code` is the HTTP status sent. All of them
count from the gateway's start. A dashboard for Grafana is in `etc/grafana/`.

| metric | kind | labels | says |
| --- | --- | --- | --- |"""
