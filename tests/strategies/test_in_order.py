from hestia.strategies.in_order import in_order
from tests.strategies.places import P, numbers


def test_places_come_as_they_are_configured():
    assert numbers(in_order([P(2), P(0, state="failed"), P(1)])) == [0, 1, 2]
