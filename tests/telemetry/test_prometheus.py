from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

import hestia
from hestia.telemetry import prometheus
from hestia.telemetry.bulletin import START_BOUNDS, Counts
from hestia.telemetry.figures import Gauges, Seen
from hestia.telemetry.tally import REQUEST_BOUNDS, Tally
from hestia.words.notes import Note
from hestia.words.status import MachineStatus

CONTRACT = {
    "hestia_requests_total",
    "hestia_request_seconds",
    "hestia_overhead_seconds",
    "hestia_start_seconds",
    "hestia_starts_total",
    "hestia_waiters",
    "hestia_leases",
    "hestia_state",
    "hestia_hot_seconds_total",
    "hestia_bytes_total",
    "hestia_idle_stops_total",
    "hestia_activity_pending",
    "hestia_log_dropped_total",
}


def text():
    tally, counts = Tally(["a", "b"]), Counts()
    tally.ended("a", 200, b"GET", b"/", "c", b"i", 0.003, 40e-6, 10, 20, "ok")
    tally.ended("a", 503, b"GET", b"/", "c", b"i", 400.0, 40e-6, 0, 5, "start_failed")
    counts.add(Note(kind="service.ready", service="a", machine="desk", state="hot", took_s=3.0), 0.0)
    counts.add(Note(kind="service.start_failed", service="a", machine="desk", state="failed"), 2.0)
    services = [Seen("a", "hot", counts, 3, 4, 2.0), Seen("b", "cold", Counts())]
    gauges = Gauges(connections=7, activity_pending=2, activity_lost=1, store_failing=True, log_dropped=1)
    return prometheus.text(services, tally.rows, [MachineStatus(id="desk", state="hot")], gauges, version="0.1.0")


def families():
    """As Prometheus reads them."""
    return {family.name: family for family in text_string_to_metric_families(text())}


def samples():
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families().values() for each in family.samples
    }


def of(name, **labels):
    return samples()[name, tuple(sorted(labels.items()))]


def test_prometheus_reads_every_metric_with_its_kind_and_its_words():
    found = families()
    for name, metric in prometheus.METRICS.items():
        family = found[name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.says)
        for sample in family.samples:
            labels = set(sample.labels) - {"le"}
            assert labels == set(metric.labels.split(", ") if metric.labels else ())


def test_every_name_of_the_contract_is_there():
    assert set(prometheus.METRICS) >= CONTRACT


def test_counts_and_gauges_carry_the_service():
    assert of("hestia_requests_total", service="a", code="503") == 1
    assert of("hestia_unfinished_total", service="a", outcome="start_failed") == 1
    assert of("hestia_bytes_total", service="a", direction="out") == 25
    assert (of("hestia_leases", service="a"), of("hestia_waiters", service="a")) == (3, 4)
    assert (of("hestia_state", service="b", state="cold"), of("hestia_state", service="b", state="hot")) == (1, 0)
    assert of("hestia_starts_total", service="a", machine="desk", outcome="ready") == 1
    assert of("hestia_starts_total", service="a", machine="desk", outcome="failed") == 1
    assert of("hestia_hot_seconds_total", service="a") == 2.0
    assert of("hestia_idle_stops_total", service="a") == 0


def test_the_gateways_own_figures_carry_none():
    assert (of("hestia_connections"), of("hestia_log_dropped_total")) == (7, 1)
    assert (of("hestia_activity_pending"), of("hestia_activity_lost_total"), of("hestia_store_failing")) == (2, 1, 1)
    assert of("hestia_info", version="0.1.0") == 1
    assert of("hestia_machine_state", machine="desk", state="hot") == 1


def test_a_histogram_is_cumulative_and_ends_in_its_count():
    for name, bounds, total in (("request", REQUEST_BOUNDS, 400.003), ("start", START_BOUNDS, 3.0)):
        marks = [*(repr(bound) for bound in bounds), "+Inf"]
        counts = [of(f"hestia_{name}_seconds_bucket", service="a", le=mark) for mark in marks]
        assert counts == sorted(counts)
        assert counts[-1] == of(f"hestia_{name}_seconds_count", service="a")
        assert of(f"hestia_{name}_seconds_sum", service="a") == total


def test_requests_to_no_service_have_a_row_only_when_there_were_any():
    assert not [labels for _, labels in samples() if ("service", "") in labels]


def test_the_page_of_the_docs_is_made_from_the_declarations():
    page = Path(hestia.__file__).parent / "docs" / "metrics.md"
    assert page.read_text() == prometheus.as_markdown()
