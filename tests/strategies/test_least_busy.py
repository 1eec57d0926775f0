from hestia.strategies.least_busy import least_busy
from tests.strategies.places import P, R


def test_the_place_with_the_fewest_requests_gets_it():
    assert least_busy(R(), [P(0, leases=2), P(1, leases=1), P(2, leases=1)]).number == 1


def test_of_equals_the_first():
    assert least_busy(R(), [P(0), P(1)]).number == 0
