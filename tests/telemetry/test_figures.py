import msgspec
import pytest

from hestia.telemetry.bulletin import Counts
from hestia.telemetry.figures import Gauges, Seen, of_all, of_service, quantile, spread
from hestia.telemetry.tally import Tally
from hestia.words.notes import Note


@pytest.mark.parametrize(
    ("counts", "part", "value"),
    [
        ([10, 0, 0, 0], 0.5, 0.5),  # half of the first bucket, 0 to 1
        ([0, 10, 0, 0], 0.5, 1.5),
        ([0, 0, 10, 0], 1.0, 4.0),
        ([5, 5, 0, 0], 0.5, 1.0),
        ([98, 0, 2, 0], 0.99, 3.0),
        ([0, 0, 0, 10], 0.5, 4.0),  # beyond the last bound
        ([1, 0, 0, 0], 0.99, 0.99),
    ],
)
def test_a_percentile_is_read_off_the_histogram(counts, part, value):
    assert quantile((1.0, 2.0, 4.0), counts, part) == pytest.approx(value)


def test_what_never_happened_has_no_percentile():
    assert msgspec.to_builtins(spread((1.0,), [0, 0], 0.0)) == {"count": 0, "sum": 0.0, "p50": None, "p95": None, "p99": None}


def test_a_service_has_its_counts_its_latencies_and_its_starts():
    tally, counts = Tally(["a"]), Counts()
    tally.ended("a", 200, b"GET", b"/", "c", b"i", 0.003, 40e-6, 10, 20, "ok")
    tally.ended("a", 503, b"GET", b"/", "c", b"i", 0.003, 40e-6, 0, 5, "start_failed")
    counts.add(Note(kind="service.ready", service="a", machine="desk", state="hot", took_s=3.0), 0.0)
    counts.add(Note(kind="service.stopped", service="a", cause="idle", state="cold"), 10.0)
    found = of_service(Seen("a", "cold", counts, 1, 2, 10.0), tally.rows["a"])
    assert (found.requests, found.errors, found.codes) == (2, 1, {"200": 1, "503": 1})
    assert (found.leases, found.waiters, found.hot_seconds, found.idle_stops) == (1, 2, 10.0, 1)
    assert [(each.machine, each.outcome, each.count) for each in found.starts] == [("desk", "ready", 1)]
    assert found.start_seconds.count == 1
    assert found.start_seconds.p50 == pytest.approx(3.0, rel=0.1)
    assert found.request_seconds.p99 == pytest.approx(0.003, rel=0.1)
    assert found.overhead_seconds.p50 == pytest.approx(40e-6, rel=0.1)


def test_all_of_them_have_the_gateways_own_figures_beside_them():
    tally = Tally(["a"])
    tally.ended("", 404, b"GET", b"/", "c", b"i", 0.003, 40e-6, 10, 20, "not_found")
    found = of_all([Seen("a", "cold", Counts())], tally.rows, Gauges(connections=3, log_dropped=1))
    assert (found.connections, found.log_dropped, found.own.codes) == (3, 1, {"404": 1})
    assert set(found.services) == {"a"}
