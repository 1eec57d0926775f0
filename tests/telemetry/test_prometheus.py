import re
from pathlib import Path

import hestia
from hestia.telemetry import prometheus
from hestia.telemetry.tally import REQUEST_BOUNDS, Tally

SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"\\\n]*"(?:,|(?=\})))*)\})? (\S+)')


def text(**figures):
    tally = Tally(["a", "b"])
    tally.ended("a", 200, b"GET", b"/", "c", b"i", 0.003, 40e-6, 10, 20, "ok")
    tally.ended("a", 503, b"GET", b"/", "c", b"i", 400.0, 40e-6, 0, 5, "start_failed")
    services = [prometheus.Figures("a", "hot", 3), prometheus.Figures("b", "cold", 0)]
    return prometheus.text(tally, services, connections=7, log_dropped=1)


def samples():
    found = {}
    for line in text().splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            found[match[1], match[2] or ""] = float(match[3])
    return found


def test_every_sample_belongs_to_a_metric_that_is_declared_before_it():
    declared = None
    for line in text().splitlines():
        if line.startswith("# TYPE"):
            declared = line.split()[2]
        elif not line.startswith("#"):
            assert re.sub(r"_(bucket|sum|count)$", "", line.split("{")[0].split(" ")[0]) == declared


def test_counts_and_gauges_carry_the_service():
    found = samples()
    assert found["hestia_requests_total", 'service="a",code="503"'] == 1
    assert found["hestia_unfinished_total", 'service="a",outcome="start_failed"'] == 1
    assert found["hestia_bytes_total", 'service="a",direction="out"'] == 25
    assert found["hestia_leases", 'service="a"'] == 3
    assert found["hestia_state", 'service="b",state="cold"'] == 1
    assert found["hestia_state", 'service="b",state="hot"'] == 0
    assert found["hestia_connections", ""] == 7
    assert found["hestia_log_dropped_total", ""] == 1


def test_a_histogram_is_cumulative_and_ends_in_its_count():
    found = samples()
    marks = [*(repr(bound) for bound in REQUEST_BOUNDS), "+Inf"]
    counts = [found["hestia_request_seconds_bucket", f'service="a",le="{mark}"'] for mark in marks]
    assert counts == sorted(counts)
    assert counts[-1] == found["hestia_request_seconds_count", 'service="a"'] == 2
    assert found["hestia_request_seconds_sum", 'service="a"'] == 400.003


def test_requests_to_no_service_have_a_row_only_when_there_were_any():
    assert not [labels for _, labels in samples() if 'service=""' in labels]


def test_the_page_of_the_docs_is_made_from_the_declarations():
    page = Path(hestia.__file__).parent / "docs" / "metrics.md"
    assert page.read_text() == prometheus.as_markdown()
