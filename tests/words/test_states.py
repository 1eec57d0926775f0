import typing

import msgspec
import pytest

from hestia.words import states
from hestia.words.states import EVENTS, SHOWN, STARTING, Phase, state_of
from hestia.words.status import STATES, ServiceStatus


def test_every_event_stands_in_the_list_and_in_the_type():
    assert set(typing.get_args(states.Event)) == set(EVENTS)
    assert len(EVENTS) == len(set(EVENTS))


def test_each_phase_of_a_start_is_shown_by_a_word_of_the_status():
    words = typing.get_args(typing.get_type_hints(ServiceStatus)["phase"])
    assert set(SHOWN) == STARTING
    assert set(SHOWN.values()) == set(typing.get_args(words[0]))


@pytest.mark.parametrize(
    "phase, state",
    [
        (Phase.COLD, "cold"),
        (Phase.PAUSED, "starting"),
        (Phase.ROOM, "starting"),
        (Phase.HOT, "hot"),
        (Phase.DRAINING, "stopping"),
        (Phase.STOPPING, "stopping"),
        (Phase.CLEARING, "cold"),
    ],
)
def test_each_phase_is_a_state_and_a_dead_one_is_cold_at_once(phase, state):
    assert state_of(phase) == state
    assert state in STATES


def test_the_phases_are_words():
    assert msgspec.json.encode([Phase.COLD, Phase.HOT]) == b'["cold","hot"]'
