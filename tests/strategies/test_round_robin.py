from hestia.strategies.round_robin import RoundRobin
from tests.strategies.places import P, R


def turns(choose, places, count):
    return [choose(R(), places).number for _ in range(count)]


def test_each_place_has_its_turn():
    assert turns(RoundRobin(), [P(0), P(1), P(2)], 5) == [0, 1, 2, 0, 1]


def test_a_place_that_leaves_or_joins_does_not_disturb_the_others():
    choose, places = RoundRobin(), [P(0), P(1), P(2)]
    assert turns(choose, places, 1) == [0]
    assert turns(choose, [P(0), P(2)], 2) == [2, 0]
    assert turns(choose, places, 2) == [1, 2]


def test_two_services_do_not_share_their_turns():
    one, other = RoundRobin(), RoundRobin()
    assert turns(one, [P(0), P(1)], 1) + turns(other, [P(0), P(1)], 1) == [0, 0]
