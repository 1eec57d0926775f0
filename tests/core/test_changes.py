"""A new configuration over a fleet that lives."""

import pytest

from hestia.words import states
from tests.core.test_machine import WAKES
from tests.core.test_room import local, of
from tests.core.test_service import hot, launched, slow
from tests.support.world import Script, stage


def place(*command, **more):
    return {"launch": {"kind": "process", "command": ["serve", "{port}", *command]}, **more}


def test_an_unchanged_service_keeps_its_place_its_heat_and_its_lease():
    one = hot({"a": {}, "b": {}})
    asker = one.ask("a")
    before = one.fleet.services["a"]
    one.reload({"a": {}, "b": {"idle_timeout": "1s"}})
    assert one.fleet.services["a"] is before
    assert (before.state, asker.life.leases, before.lives[0].epoch) == ("hot", 1, asker.life.epoch)


def test_the_plan_says_what_came_went_and_changed():
    one = hot({"a": {}, "b": {}, "c": {}})
    from tests.support.world import configured

    said = one.fleet.adopt(configured({"a": {}, "b": {"idle_timeout": "1s"}, "d": {}}, machines={"desk": {}}))
    assert (said.added, said.removed, said.changed) == (("d", "machine desk"), ("c",), ("b",))


def test_changed_limits_hold_from_the_next_request_and_changed_idle_time_at_once():
    one = hot({"a": {"idle_timeout": "60s"}})
    one.run(20)
    one.reload({"a": {"idle_timeout": "30s", "max_concurrency": 1}})
    first, second = one.ask("a"), one.ask("a")
    assert (first.life is not None, second.life) == (True, None)
    one.end(first)
    one.end(second)
    one.run(29)
    assert one.fleet.services["a"].state == "hot"
    one.run(2)
    assert one.fleet.services["a"].state == "cold"


def test_an_idle_time_that_is_over_already_stops_it_now():
    one = hot({"a": {"idle_timeout": "60s"}})
    one.run(20)
    one.reload({"a": {"idle_timeout": "10s"}})
    one.run(0.1)
    assert one.fleet.services["a"].state == "cold"


def test_a_changed_place_lets_running_ones_finish_and_new_ones_wait_for_the_new_place():
    one = hot({"a": place("old", drain_timeout="30s")})
    old = one.ask("a")
    one.reload({"a": place("new", drain_timeout="30s")})
    new = one.ask("a")
    assert (new.life, new.refusal, len(one.running)) == (None, None, 1)
    one.run(10)
    one.end(old)
    one.run(1)
    assert new.life is not None
    assert new.life.spec.launch.command[-1] == "new"
    assert len(one.running) == 1


def test_what_has_not_finished_within_drain_timeout_is_broken_off():
    one = hot({"a": place("old", drain_timeout="5s")})
    old = one.ask("a")
    one.reload({"a": place("new", drain_timeout="5s")})
    one.run(4.9)
    assert one.broken_off == []
    one.run(0.2)
    assert one.broken_off == [old.life]


def test_who_waits_for_a_start_goes_on_waiting_when_the_place_changes():
    one = hot({"a": place("old")})
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    one.run(1)
    one.scripts["a"] = slow(5)
    asker = one.ask("a")
    one.run(2)
    one.reload({"a": place("new")})
    one.run(6)
    assert asker.life.spec.launch.command[-1] == "new"


def test_one_that_dies_while_it_waits_for_what_depends_on_it_takes_its_new_place_all_the_same():
    one = hot({"a": place(), "b": place(depends_on=["a"])})
    asker = one.ask("b")
    one.run(1)
    assert asker.life is not None
    one.reload({"a": place("-v"), "b": place(depends_on=["a"])})
    service = one.fleet.services["a"]
    assert service.ending
    one.fleet.tell(service.lives[0], states.Exited("died"))
    one.run(1)
    one.end(asker)
    one.run(1)
    late = one.ask("a")
    one.run(5)
    assert late.life is not None, service
    assert service.spec.places[0].launch.command == ("serve", "{port}", "-v")


def test_a_cold_one_takes_its_new_place_at_once():
    one = hot({"a": place("old", idle_timeout="1s")})
    one.run(5)
    one.reload({"a": place("new", machine="desk")}, machines={"desk": {}})
    assert one.fleet.services["a"].lives[0].machine == "desk"


def test_two_changes_before_the_end_make_the_last_one_hold():
    one = hot({"a": place("old")})
    old = one.ask("a")
    for word in ("new", "newer"):
        one.reload({"a": place(word)})
    one.end(old)
    one.run(1)
    asker = one.ask("a")
    one.run(1)
    assert asker.life.spec.launch.command[-1] == "newer"


def test_a_service_that_is_gone_tells_its_waiters_lets_running_ones_finish_and_ends():
    one = hot({"a": {"max_concurrency": 1, "drain_timeout": "30s"}, "b": {}})
    running, waiting = one.ask("a"), one.ask("a")
    one.reload({"b": {}})
    assert str(waiting.refusal) == "stopped: a: it is no longer in the configuration"
    assert "a" not in one.fleet.services
    assert one.fleet.leases == 1
    one.run(10)
    one.end(running)
    one.run(1)
    assert (len(one.running), one.fleet.leaving) == (1, {})


def test_a_service_that_comes_back_before_it_is_gone_is_the_same_one():
    one = hot({"a": {}, "b": {}})
    before = one.fleet.services["a"]
    asker = one.ask("a")
    one.reload({"b": {}})
    one.reload({"a": {}, "b": {}})
    assert one.fleet.services["a"] is before
    again = one.ask("a")
    one.end(asker)
    one.run(1)
    assert again.life is not None
    assert len(one.running) == 2


def test_what_depends_on_a_changed_place_is_stopped_first():
    one = hot({"db": place("old"), "app": {"depends_on": ["db"]}})
    one.scripts["app"] = Script(stopping=lambda _life: [(2, states.Stopped())])
    one.reload({"db": place("new"), "app": {"depends_on": ["db"]}})
    one.run(1)
    assert one.fleet.services["db"].lives[0].hot
    one.run(2)
    assert one.running == {}
    asker = one.ask("app")
    one.run(1)
    assert asker.life is not None


@pytest.mark.parametrize("leave", ["service", "machine"])
def test_a_machine_that_is_gone_goes_when_its_last_place_has(leave):
    on_desk = {"launch": launched(), "machine": "desk"}
    one = hot({"a": on_desk, "b": {}}, machines={"desk": WAKES})
    asker = one.ask("a")
    one.reload({"b": {}} if leave == "service" else {"a": {"launch": launched()}, "b": {}})
    one.run(1)
    assert "desk" in one.fleet.machines
    one.end(asker)
    one.run(2)
    assert set(one.fleet.machines) == {"local"}
    assert {run.owner for run in one.running.values()} <= {"a", "b"}


def test_more_capacity_lets_those_in_who_wait_for_room():
    one = local(1, {"a": of(1), "b": of(1)})
    one.ask("a")
    one.run(1)
    asker = one.ask("b")
    one.reload({"a": of(1), "b": of(1)}, machines={"local": {"capacity": {"v": 2}}})
    one.run(1)
    assert asker.life is not None


def test_a_further_place_leaves_what_runs_alone_and_is_there_for_the_next_start():
    one = hot({"a": {"places": [place("one")]}})
    asker = one.ask("a")
    one.reload({"a": {"places": [place("one"), place("two")]}})
    service = one.fleet.services["a"]
    assert (service.state, asker.life.leases, [life.phase for life in service.lives]) == ("hot", 1, ["hot", "cold"])
    assert one.ask("a").life is asker.life
    one.reload({"a": {"places": [place("one")]}})
    assert (service.state, len(service.lives), len(one.running)) == ("hot", 1, 1)


def test_a_spare_place_that_changes_leaves_what_runs_alone():
    one = hot({"a": {"places": [place("one"), place("two")]}})
    one.reload({"a": {"places": [place("one"), place("three")]}})
    first, second = one.fleet.services["a"].lives
    assert (first.hot, second.phase, second.spec.launch.command[-1], second.number) == (True, "cold", "three", 1)


def test_fewer_replicas_end_the_last_ones_and_keep_the_others():
    one = hot({"a": {"places": [place("one"), place("two")], "replicas": 2}})
    one.run(1)
    asker = one.ask("a")
    one.reload({"a": {"places": [place("one"), place("two")], "replicas": 1}})
    one.end(asker)
    one.run(1)
    assert [life.phase for life in one.fleet.services["a"].lives] == ["hot", "cold"]


def test_more_replicas_are_started_by_themselves():
    one = hot({"a": {"places": [place("one"), place("two")]}})
    one.reload({"a": {"places": [place("one"), place("two")], "replicas": 2}})
    one.fleet.tick({})
    one.run(1)
    assert [life.phase for life in one.fleet.services["a"].lives] == ["hot", "hot"]


def test_a_machine_that_can_be_woken_now_is_woken_for_a_service_that_was_only_watched():
    watched = {"a": {"base_url": "http://127.0.0.1:9", "launch": None, "machine": "desk"}}
    one = stage(watched, machines={"desk": {}})
    assert not one.fleet.services["a"].lives[0].settings.launches
    one.reload(watched, machines={"desk": WAKES})
    assert one.fleet.services["a"].lives[0].settings.launches


def test_who_waits_for_what_depends_on_a_changed_place_goes_on_waiting():
    one = stage({"db": place("old"), "app": {"depends_on": ["db"]}})
    one.scripts["app"] = slow(5)
    asker = one.ask("app")
    one.run(1)
    assert one.fleet.services["db"].state == "hot"
    one.reload({"db": place("new"), "app": {"depends_on": ["db"]}})
    one.run(20)
    assert (asker.refusal, asker.life is not None) == (None, True)
    assert one.fleet.services["db"].lives[0].spec.launch.command[-1] == "new"
