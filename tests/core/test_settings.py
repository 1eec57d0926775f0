import pytest

from hestia.core.settings import always_awake, settings_of_machine
from tests.core.test_service import launched
from tests.support.world import stage

WAKE = {"kind": "wake_on_lan", "mac": "aa:bb:cc:dd:ee:ff"}


def settings(said, **machine):
    machines = {"machines": {"desk": machine}} if machine else {}
    return stage({"a": {**said, **({"machine": "desk"} if machine else {})}}, **machines).fleet.services["a"].lives[0].settings


def test_one_with_neither_launcher_is_only_watched_and_tried_once():
    said = settings({"base_url": "http://127.0.0.1:9", "start_attempts": 5})
    assert (said.launches, said.own_launch, said.stops, said.attempts, said.start_timeout) == (False, False, False, 1, 5.0)


def test_one_with_a_warmup_alone_is_not_checked_and_lives_the_whole_life():
    said = settings({"base_url": "http://127.0.0.1:9", "warmup": "3s"})
    assert (said.launches, said.checked, said.attempts) == (True, False, 1)


def test_one_whose_machine_is_woken_is_tried_as_often_as_it_says():
    said = settings({"base_url": "http://desk:9"}, launch=WAKE)
    assert (said.launches, said.own_launch, said.stops, said.attempts) == (True, False, False, 2)


@pytest.mark.parametrize(
    "urls, known",
    [
        ({}, False),
        ({"base_url": "http://127.0.0.1:{port}"}, False),
        ({"base_url": "http://127.0.0.1:9"}, True),
        ({"base_url": "http://127.0.0.1:{port}", "health_url": "http://127.0.0.1:{port}/up"}, False),
        ({"base_url": "http+unix://{socket}"}, False),
    ],
)
def test_an_address_that_is_chosen_at_the_start_is_not_known_before(urls, known):
    assert settings({"launch": launched(), **urls}).known is known


def test_a_launched_one_is_stopped_by_its_launcher_or_by_another():
    assert settings({"launch": launched()}).stops
    command = {"kind": "command", "start": ["x"]}
    assert not settings({"base_url": "http://127.0.0.1:9", "launch": command}).stops
    assert settings({"base_url": "http://127.0.0.1:9", "launch": command, "stop_with": {"kind": "command", "start": ["x"], "stop": ["y"]}}).stops


def test_a_machine_that_nothing_wakes_and_nothing_checks_is_always_awake():
    fleet = stage({"a": {}}, machines={"desk": {"launch": WAKE}, "barn": {"health": "tcp://barn:22"}}).fleet
    assert {id_: always_awake(machine.spec) for id_, machine in fleet.machines.items()} == {"local": True, "desk": False, "barn": False}


def test_a_machine_has_its_own_attempts_and_its_own_time():
    desk = stage({"a": {}}, machines={"desk": {"launch": WAKE, "start_attempts": 4}}).fleet.machines["desk"].spec
    said = settings_of_machine(desk)
    assert (said.machine, said.attempts, said.start_timeout, said.stops, said.idle_timeout) == (True, 4, 180.0, False, 0.0)


def test_a_watched_machine_is_tried_once():
    barn = stage({"a": {}}, machines={"barn": {"health": "tcp://barn:22", "start_attempts": 4}}).fleet.machines["barn"].spec
    assert (settings_of_machine(barn).attempts, settings_of_machine(barn).launches) == (1, False)
