from hestia.strategies.cheapest import Options, cheapest
from tests.strategies.places import P, numbers

PLACES = [P(0, cost_per_hour=0.5), P(1), P(2, cost_per_hour=0.1), P(3, cost_per_hour=0.1)]


def test_the_cheapest_comes_first_and_equals_keep_their_order():
    assert numbers(cheapest(PLACES, Options())) == [1, 2, 3, 0]


def test_what_has_no_price_may_be_given_one():
    assert numbers(cheapest(PLACES, Options(unpriced=0.3))) == [2, 3, 1, 0]
