"""The table, the first line, the gates and the JSON."""

import json
import re

import pytest

from bench import report
from bench.figures import Measure
from bench.gates import GATES, Gate, judge
from bench.own import OWN
from bench.peers import BY_ID
from bench.scenarios import COMMON, others_of
from tests.bench.samples import ADDED, BULK, RPS, results

SCENARIOS = {row.id: row for scenario in (*COMMON, *OWN) for row in (scenario, *others_of(scenario))}
FAST = {"hestia_uvloop": [30_000, 31_000], "nginx": [40_000, 40_000], "caddy": [10_000, 10_000]}


def lines(of, id_="get-64"):
    return report.rows(SCENARIOS, {id_: of}, tuple(BY_ID))


def test_a_row_gives_the_figure_and_its_ratios_with_their_spread():
    row = lines(results(RPS, direct=[90_000, 90_000], **FAST))[2]
    assert row[1:5] == ["hestia-uvloop", "30,500 [30,250 - 30,750]", "0.76 [0.76 - 0.77]", "3.05 [3.02 - 3.08]"]


def test_where_the_load_was_the_limit_it_says_so_and_no_ratio():
    rows = lines(results(RPS, direct=[50_000, 50_000], **FAST))
    assert [row[3] for row in rows[1:]] == ["load-bound"] * 4


def test_a_bulk_transfer_that_is_load_bound_is_compared_by_its_cpu():
    of = results(BULK, direct=[100], nginx=[99], caddy=[98])
    for peer, cost in (("nginx", 0.3), ("caddy", 0.6)):
        of.samples[peer][0]["cpu_s_gib"] = cost
    assert [row[4] for row in lines(of, "down")[2:]] == ["2.00 by CPU", "1 by CPU"]


@pytest.mark.parametrize(("share", "words"), ((0.05, "21.0 us"), (0.4, "21.0 us, waited 40%")))
def test_a_core_that_others_had_stands_beside_the_cpu(share, words):
    of = results(RPS, nginx=[2])
    of.samples["nginx"][0] |= {"cpu_us": 21.0, "waited": share}
    assert lines(of)[1][5] == words


def test_peers_stand_in_their_fixed_order_and_the_scenario_is_named_once():
    rows = lines(results(RPS, caddy=[1], direct=[9], nginx=[2]))
    assert [row[1] for row in rows] == ["peer", "direct", "nginx", "caddy"]
    assert [bool(row[0]) for row in rows] == [True, True, False, False]


def test_columns_are_aligned_and_the_table_is_markdown():
    text = report.table([["a", "bb"], ["ccc", "d"]]).splitlines()
    assert text == ["| a   | bb |", "|-----|----|", "| ccc | d  |"]


def test_errors_of_all_rounds_are_added():
    of = results(RPS, "errors", nginx=[1, 2])
    assert report.errors(of, "nginx") == "3"


def test_the_first_figure_is_what_hestia_adds_in_milliseconds():
    of = results(ADDED, direct=[20, 20], hestia_uvloop=[84, 84], nginx=[74, 74])
    assert report.first_figure({"get-1": of}) == (
        "Hestia adds 0.064 ms to a request at the 95th percentile (nginx 0.054); quartiles 0.064 - 0.064, 2 rounds."
    )
    assert report.first_figure({}) == ""


@pytest.mark.parametrize(
    ("value", "least", "word"),
    ((4, True, "aim reached"), (2.5, True, "passed"), (1, True, "MISSED"), (1, False, "aim reached"), (9, False, "MISSED")),
)
def test_a_gate_is_judged_by_its_median(value, least, word):
    gate = Gate("get-64", "caddy", 2.2, 3.5, least=least, peer="nginx")
    assert judge(gate, {"get-64": results(RPS, nginx=[value], caddy=[1])}).word == word


def test_an_aim_without_a_gate_cannot_be_missed():
    gate = Gate("get-1", "nginx", None, 1.3, least=False, peer="caddy")
    assert judge(gate, {"get-1": results(RPS, nginx=[1], caddy=[2])}).word == "aim not reached"


def test_a_gate_of_a_load_bound_scenario_says_that():
    of = results(RPS, direct=[50_000, 50_000], **FAST)
    assert {row[5] for row in report.gate_rows({"get-64": of})[1:]} == {"load-bound"}


def test_gates_of_what_was_not_measured_are_silent():
    assert len(report.gate_rows({"get-64": results(RPS, direct=[9])})) == 1


def test_every_gate_is_of_a_scenario_and_of_peers_that_exist():
    assert {gate.scenario for gate in GATES} <= set(SCENARIOS)
    assert {gate.peer for gate in GATES} | {gate.to for gate in GATES if gate.to} <= set(BY_ID)


def test_the_json_holds_every_sample_and_can_be_read_again():
    of = results(RPS, direct=[90_000, 90_000], **FAST)
    read = json.loads(report.as_json({"seed": 1}, SCENARIOS, {"get-64": of}, ["one failed"]))
    assert read["scenarios"]["get-64"]["peers"]["nginx"]["samples"]["2"] == {"rps": 40_000}
    assert read["scenarios"]["get-64"]["peers"]["hestia-uvloop"]["ratios"]["caddy"]["median"] == 3.05
    assert read["failures"] == ["one failed"]
    assert read["gates"][0]["said"] == "passed"


def test_numbers_are_as_long_as_they_need_to_be():
    assert [report.number(value) for value in (31_234.5, 57.123, 0.4567, -3.2)] == ["31,234", "57.1", "0.46", "-3.20"]


def test_ids_are_words_with_hyphens():
    assert all(re.fullmatch(r"[a-z0-9-]+", id_) for id_ in (*SCENARIOS, *BY_ID))
    assert Measure("x", "ms").more is False
