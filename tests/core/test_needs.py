import pytest

from hestia.words import states
from tests.core.test_service import hot, slow
from tests.core.test_starts import DEAD, notes
from tests.support.world import Script, stage

TWO = {"db": {"idle_timeout": "10s"}, "app": {"depends_on": ["db"], "idle_timeout": "20s"}}


def order(one, kind):
    return [note.service for note in one.notes if note.kind == kind]


def test_what_it_depends_on_starts_first():
    one = stage(TWO)
    one.scripts["db"] = slow(3)
    asker = one.ask("app")
    one.run(2)
    assert (one.fleet.services["app"].lives[0].phase, len(one.running)) == ("needs", 1)
    one.run(2)
    assert asker.life is not None
    assert order(one, "service.ready") == ["db", "app"]
    assert [note.cause for note in notes(one, "service.starting")] == ["request", "dependency"]


def test_it_is_leased_as_long_as_its_dependent_is_hot_and_its_idle_time_counts_from_there():
    one = stage(TWO)
    one.end(asked(one, "app"))
    one.run(19.9)
    assert one.fleet.services["db"].state == "hot"
    one.run(0.2)
    assert [one.fleet.services[id_].state for id_ in TWO] == ["hot", "cold"]
    ended = one.now
    one.run(9.8)
    assert one.fleet.services["db"].state == "hot"
    one.run(0.3)
    assert one.fleet.services["db"].state == "cold"
    assert one.now - ended < 10.2


def asked(one, service):
    asker = one.ask(service)
    one.run(1)
    assert asker.life is not None
    return asker


def test_stopping_it_by_command_stops_its_dependents_first():
    one = stage(TWO)
    one.end(asked(one, "app"))
    one.scripts["app"] = Script(stopping=lambda _life: [(2, states.Stopped())])
    one.fleet.services["db"].stop("command")
    one.fleet.settle()
    assert [one.fleet.services[id_].state for id_ in TWO] == ["stopping", "stopping"]
    assert one.fleet.services["db"].lease_nowait() is None
    one.run(1.9)
    assert one.fleet.services["db"].lives[0].hot
    one.run(1)
    assert order(one, "service.stopped") == ["app", "db"]
    assert one.running == {}


def test_its_own_leases_have_its_drain_timeout_from_the_command_on():
    one = stage({"db": {"drain_timeout": "5s"}, "app": {"depends_on": ["db"], "drain_timeout": "30s"}})
    asked(one, "app")
    asked(one, "db")
    one.fleet.services["db"].stop("command")
    one.fleet.settle()
    one.run(29)
    assert one.fleet.services["db"].lives[0].hot
    one.run(1.1)
    assert [one.fleet.services[id_].state for id_ in ("db", "app")] == ["cold", "cold"]


def test_a_request_that_comes_while_its_dependents_end_starts_it_again_afterwards():
    one = stage(TWO)
    one.end(asked(one, "app"))
    one.scripts["app"] = Script(stopping=lambda _life: [(2, states.Stopped())])
    first_run = set(one.running)
    one.fleet.services["db"].stop("command")
    one.fleet.settle()
    asker = one.ask("db")
    one.run(1)
    assert asker.life is None
    one.run(3)
    assert asker.life is not None
    assert not set(one.running) & first_run


def test_one_that_died_while_it_is_needed_starts_again():
    one = stage(TWO)
    asked(one, "app")
    db = one.fleet.services["db"]
    one.fleet.tell(db.lives[0], states.Exited("killed"))
    one.run(1)
    assert (db.state, one.fleet.services["app"].state) == ("hot", "hot")
    assert one.notes[-1].cause == "dependency"


def test_one_that_does_not_start_again_while_it_is_needed_is_tried_after_each_cool_down():
    one = stage({"db": {"start_attempts": 1, "failure_cooldown": "5s"}, "app": {"depends_on": ["db"]}})
    asked(one, "app")
    db = one.fleet.services["db"]
    one.scripts["db"] = DEAD
    one.fleet.tell(db.lives[0], states.Exited("killed"))
    one.run(1)
    assert db.state == "failed"
    one.scripts["db"] = Script()
    one.run(5)
    assert db.state == "hot"


def test_when_it_fails_its_dependent_fails_with_its_reason_and_is_not_tried_again():
    one = stage({"db": {"start_attempts": 1}, "app": {"depends_on": ["db"], "start_attempts": 5}})
    one.scripts["db"] = DEAD
    asker = one.ask("app")
    one.run(2)
    assert asker.refusal.code == "start_failed"
    assert "db, which it depends on, did not start: exited with code 3: no model" in asker.refusal.detail
    assert order(one, "place.retry") == []


def test_during_its_cool_down_its_dependent_fails_at_once():
    one = stage({"db": {"start_attempts": 1}, "app": {"depends_on": ["db"]}})
    one.scripts["db"] = DEAD
    one.ask("db")
    one.run(1)
    asker = one.ask("app")
    one.run(0.1)
    assert asker.refusal.code == "start_failed"


def test_the_hold_of_one_holds_what_depends_on_it():
    one = stage(TWO)
    one.fleet.services["db"].held_until = float("inf")
    asker = one.ask("app")
    assert (asker.refusal.code, "the operator holds db" in asker.refusal.detail) == ("held", True)
    assert one.fleet.services["app"].state == "cold"
    one.fleet.services["db"].held_until = None
    asked(one, "app")


def test_one_that_says_refuse_is_started_for_its_dependents():
    one = stage({"db": {"waiting": "refuse"}, "app": {"depends_on": ["db"]}})
    asked(one, "app")


def test_a_dependency_of_a_dependency_starts_first_and_ends_last():
    one = stage({"a": {"idle_timeout": "5s"}, "b": {"depends_on": ["a"], "idle_timeout": "5s"}, "c": {"depends_on": ["b"], "idle_timeout": "5s"}})
    one.end(asked(one, "c"))
    one.run(30)
    assert order(one, "service.ready") == ["a", "b", "c"]
    assert order(one, "service.stopped") == ["c", "b", "a"]


def test_two_dependents_share_it_and_the_last_one_lets_go():
    one = stage({"db": {"idle_timeout": "5s"}, "x": {"depends_on": ["db"], "idle_timeout": "5s"}, "y": {"depends_on": ["db"], "idle_timeout": "30s"}})
    one.end(asked(one, "x"))
    one.end(asked(one, "y"))
    one.run(25)
    assert [one.fleet.services[id_].state for id_ in ("db", "x", "y")] == ["hot", "cold", "hot"]
    one.run(12)
    assert one.running == {}


def test_a_dependent_that_stops_while_it_waits_leaves_the_start_below_alone():
    one = stage(TWO)
    one.scripts["db"] = slow(3)
    one.ask("app")
    one.run(1)
    one.fleet.services["app"].stop("command")
    one.fleet.settle()
    one.run(3)
    assert [one.fleet.services[id_].state for id_ in TWO] == ["hot", "cold"]


@pytest.mark.parametrize("alive", [True, False])
def test_an_adopted_dependent_leases_what_it_depends_on_and_wakes_it_if_it_died_meanwhile(alive):
    one = hot(TWO)
    if not alive:
        gone = next(run for run in one.running.values() if run.owner == "db")
        del one.running[gone.id], one.written[gone.id]
    one.again()
    one.run(1)
    one.fleet.tick({})
    one.run(1)
    db, app = (one.fleet.services[id_] for id_ in TWO)
    assert (db.state, db.dependents) == ("hot", {app.lives[0]})


# --- who kept it awake


def test_the_end_of_a_service_names_who_kept_it_awake_and_for_how_long():
    one = stage(TWO)
    one.end(asked(one, "app"))
    one.run(40)
    kept = {note.service: note.more["kept_by"] for note in notes(one, "service.stopped")}
    assert kept["app"] == {}
    assert list(kept["db"]) == ["app"]
    assert kept["db"]["app"] == pytest.approx(21, abs=0.1)
    starting = {note.service: note.more for note in notes(one, "service.starting")}
    assert starting == {"app": {}, "db": {"who": "app"}}


def test_the_time_inside_a_window_is_that_of_keep_warm():
    one = stage({"a": {"keep_warm": ["always"], "idle_timeout": "1s"}})
    for second in range(60):
        one.fleet.tick({"a": second < 50})
        one.run(1)
    assert notes(one, "service.stopped")[0].more["kept_by"] == {"keep_warm": pytest.approx(49, abs=1)}
