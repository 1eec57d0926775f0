"""The dashboard for Grafana asks for metrics and labels that there are."""

import json
import re
from pathlib import Path

import pytest

from hestia.telemetry.prometheus import METRICS

BOARD = json.loads((Path(__file__).parents[2] / "etc" / "grafana" / "hestia.json").read_text())
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
QUERIES += [each["query"] for each in BOARD["templating"]["list"] if each["type"] == "query"]
NAME = re.compile(r"\bhestia_[a-z_]+")
SELECTED = re.compile(r"\b(hestia_[a-z_]+)\{([^}]*)\}")


def metric(name):
    """The metric that a series belongs to."""
    base = re.sub(r"_(bucket|sum|count)$", "", name)
    return METRICS[base] if METRICS.get(base) and METRICS[base].kind == "histogram" else METRICS[name]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_names_metrics_that_exist(query):
    assert [metric(name) for name in NAME.findall(query)]


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_selects_by_labels_that_the_metric_has(query):
    for name, labels in SELECTED.findall(query):
        assert set(re.findall(r"(\w+)=", labels)) <= set(metric(name).labels.split(", ")), name


def test_every_metric_is_shown_but_for_the_version():
    shown = {base for query in QUERIES for name in NAME.findall(query) for base in (name, name.removesuffix("_bucket"))}
    assert set(METRICS) - shown == {"hestia_info"}


def test_no_two_panels_are_one_or_lie_on_each_other():
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells
        assert at["x"] + at["w"] <= 24
        taken |= cells
