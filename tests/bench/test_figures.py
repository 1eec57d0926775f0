"""Medians, quartiles, pairs, and when nothing may be said."""

import pytest

from bench.figures import Measure, Spread, paired, percentile, spread
from tests.bench.samples import ADDED, BULK, RPS, results


def test_a_spread_is_the_median_between_its_quartiles():
    assert spread([5, 1, 4, 2, 3]) == Spread(3, 2, 4, 5)


def test_one_round_has_no_spread_and_none_has_no_figure():
    assert spread([7]) == Spread(7, 7, 7, 1)
    assert spread([]) is None


def test_a_ratio_pairs_the_figures_of_one_round():
    of = results(RPS, direct=[99, 99, 99], caddy=[10, 20, 30], hestia=[20, 60, 60])
    assert of.ratio("hestia", "caddy") == Spread(2, 2, 2.5, 3)


def test_rounds_that_one_of_the_two_missed_are_left_out():
    assert paired({0: 4, 1: 6, 3: 9}, {0: 2, 2: 5, 3: 3}) == [2, 3]


def test_a_figure_that_noise_drove_below_nothing_has_no_ratio():
    assert paired({0: 4, 1: -1, 2: 4}, {0: 0, 1: 5, 2: -2}) == []


def test_an_added_figure_is_over_what_direct_took_in_the_same_round():
    of = results(ADDED, direct=[10, 30], hestia=[60, 90], nginx=[35, 60])
    assert of.values("hestia") == {0: 50, 1: 60}
    assert of.ratio("hestia", "nginx") == Spread(2, 2, 2, 2)


@pytest.mark.parametrize(("direct", "bound"), ((139, True), (140, False), (1000, False)))
def test_load_is_the_limit_when_direct_is_hardly_faster_than_the_best(direct, bound):
    of = results(RPS, direct=[direct], nginx=[100], caddy=[20])
    assert of.load_bound is bound
    assert (of.ratio("caddy", "nginx") is None) is bound


def test_without_direct_or_with_less_is_better_nothing_is_load_bound():
    assert not results(RPS, nginx=[1]).load_bound
    assert not results(ADDED, direct=[1], nginx=[1]).load_bound


def test_where_the_load_is_the_limit_the_cost_is_compared_and_more_is_better():
    of = results(BULK, direct=[100], nginx=[99], caddy=[98])
    of.samples["nginx"][0]["cpu_s_gib"] = 0.3
    of.samples["caddy"][0]["cpu_s_gib"] = 0.6
    assert of.ratio("nginx", "caddy").median == 2


def test_other_keys_than_the_added_one_stay_as_they_are():
    of = results(Measure("p95_us", "us", added=True), "cpu_us", direct=[5], nginx=[20])
    assert of.values("nginx", "cpu_us") == {0: 20}


@pytest.mark.parametrize(("share", "value"), ((0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)))
def test_a_percentile_is_the_nearest_rank(share, value):
    assert percentile(list(range(1, 101)), share) == value


def test_the_percentile_of_one_value_is_that():
    assert percentile([7], 0.95) == 7
