from hestia.strategies.prefer_hot import prefer_hot
from tests.strategies.places import P, numbers


def test_what_is_ready_sooner_comes_first():
    places = [P(0, machine_awake=False), P(1, state="failed"), P(2, state="starting"), P(3, state="hot"), P(4)]
    assert numbers(prefer_hot(places)) == [3, 2, 1, 4, 0]


def test_a_machine_with_room_comes_before_a_full_one():
    assert numbers(prefer_hot([P(0, fits=False), P(1)])) == [1, 0]


def test_equals_keep_their_order():
    assert numbers(prefer_hot([P(2), P(0), P(1)])) == [0, 1, 2]
