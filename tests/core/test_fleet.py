import pytest

from hestia.core.table import tell
from hestia.words import states
from hestia.words.refusal import Refusal
from tests.core.test_service import hot
from tests.core.test_starts import DEAD, NEVER, notes
from tests.support.world import Script, stage

FOREVER = float("inf")


def hold(one, seconds, service="a"):
    held = one.fleet.services[service]
    held.held_until = FOREVER if seconds == FOREVER else one.world.wall() + seconds
    held.stop("hold")
    one.fleet.settle()


# --- the fleet itself


def test_every_configured_service_lives_under_its_id():
    assert [each.id for each in stage({"b": {}, "a": {}}).fleet] == ["b", "a"]


def test_the_fleets_leases_are_those_of_all_services_and_the_quiet_ones_too():
    one = hot({"a": {}, "b": {}})
    one.ask("a")
    one.ask("b")
    one.fleet.services["b"].lease_quietly()
    assert one.fleet.leases == 3


def test_what_is_told_in_the_middle_of_a_step_waits_until_it_is_over():
    one = stage({"a": {}})
    seen = []
    perform = one.perform

    def performing(effects):
        seen.append([type(effect).__name__ for effect in effects])
        perform(effects)

    one.perform = performing
    one.ask("a")
    assert seen == [["Enter", "Say", "Enter", "Enter", "Enter"]]


def test_when_nobody_is_due_there_is_nothing_to_look_at():
    one = stage({"a": {}})
    assert one.fleet.next_look() == FOREVER
    one.fleet.look()
    assert one.notes == []


@pytest.mark.parametrize("script", [Script(), DEAD, NEVER])
def test_a_look_leaves_nothing_that_is_due(script):
    one = stage({"a": {"idle_timeout": "5s", "failure_cooldown": 0, "retry_delay": 0}})
    one.scripts["a"] = script
    one.ask("a")
    for _ in range(200):
        one.run(1)
        assert one.fleet.next_look() > one.now


def test_when_it_closes_whoever_waits_is_told_and_nobody_waits_any_more():
    one = stage({"a": {}})
    asker = one.ask("a")
    one.fleet.close_lines(Refusal("stopped", "the gateway is shutting down"))
    assert (asker.refusal.code, one.ask("a").refusal.code) == ("stopped", "stopped")


def test_while_it_closes_nothing_that_dies_is_started_again():
    one = hot({"a": {"max_concurrency": 1}})
    one.ask("a")
    one.fleet.closing = True
    one.fleet.tell(one.fleet.services["a"].lives[0], states.Exited("killed"))
    one.fleet.tick({"a": True})
    one.run(20)
    assert one.running == {}


# --- holds


def test_a_held_service_stays_cold_and_says_how_long():
    one = hot({"a": {}})
    hold(one, 7200)
    one.run(2)
    refusal = one.ask("a").refusal
    assert (refusal.code, refusal.retry_after) == ("held", 7198)
    assert refusal.detail == "the operator holds a for another 7198 s"
    assert one.fleet.services["a"].state == "cold"


def test_a_hold_without_an_end_names_what_ends_it():
    one = stage({"a": {}})
    hold(one, FOREVER)
    refusal = one.ask("a").refusal
    assert (refusal.code, refusal.retry_after) == ("held", 60)
    assert refusal.detail == "the operator holds a until it is ended (`hestiactl start a`)"


def test_a_hold_of_its_machine_names_the_command_that_ends_that():
    one = stage({"a": {}})
    one.fleet.machines["local"].held_until = FOREVER
    assert one.ask("a").refusal.detail == (
        "the operator holds the machine local until it is ended (`hestiactl machines wake local`)"
    )


def test_when_the_time_of_a_hold_is_over_a_request_starts_it():
    one = stage({"a": {}})
    hold(one, 60)
    one.run(61)
    asker = one.ask("a")
    one.run(1)
    assert asker.life is not None


def test_a_hold_of_everything_holds_each():
    one = stage({"a": {}, "b": {}})
    one.fleet.held_all_until = one.world.wall() + 30
    assert [one.ask(id_).refusal.detail for id_ in "ab"] == ["the operator holds everything for another 30 s"] * 2


def test_of_several_holds_the_longest_counts():
    one = stage({"a": {}})
    one.fleet.held_all_until = one.world.wall() + 30
    one.fleet.services["a"].held_until = one.world.wall() + 90
    assert one.ask("a").refusal.retry_after == 90


def test_whoever_waits_when_it_dies_under_a_hold_is_told():
    one = hot({"a": {"max_concurrency": 1}})
    one.ask("a")
    waiting = one.ask("a")
    one.fleet.services["a"].held_until = FOREVER
    one.fleet.tell(one.fleet.services["a"].lives[0], states.Exited("killed"))
    one.run(1)
    assert waiting.refusal.code == "held"


def test_what_the_watch_sees_of_a_held_one_changes_nothing():
    one = stage({"a": {"base_url": "http://127.0.0.1:9"}})
    hold(one, FOREVER)
    one.fleet.tell(one.fleet.services["a"].lives[0], states.Found(None))
    assert one.fleet.services["a"].state == "cold"


# --- keep_warm


def warm(**more):
    one = stage({"a": {"keep_warm": ["always"], "idle_timeout": "10s", **more}})
    one.fleet.tick({"a": True})
    return one


def minutes(one, count, *, inside=True):
    for _ in range(count * 6):
        one.run(10)
        one.fleet.tick({"a": inside})


def test_inside_a_window_it_is_started_without_a_request_and_not_stopped_by_idle_time():
    one = warm()
    minutes(one, 10)
    assert one.fleet.services["a"].state == "hot"
    assert [note.cause for note in notes(one, "service.starting")] == ["keep_warm"]


def test_when_the_window_ends_its_idle_time_applies():
    one = warm()
    minutes(one, 10)
    one.fleet.tick({})
    one.run(6)
    assert one.fleet.services["a"].state == "cold"


def test_after_a_death_it_comes_back_within_one_tick():
    one = warm()
    one.run(1)
    one.fleet.tell(one.fleet.services["a"].lives[0], states.Exited("killed"))
    one.run(1)
    assert one.fleet.services["a"].state == "cold"
    one.fleet.tick({"a": True})
    one.run(1)
    assert one.fleet.services["a"].state == "hot"


def test_a_stop_by_command_holds_for_the_rest_of_the_window():
    one = warm()
    one.run(1)
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    minutes(one, 10)
    assert one.fleet.services["a"].state == "cold"
    one.fleet.tick({})
    one.fleet.tick({"a": True})
    one.run(1)
    assert one.fleet.services["a"].state == "hot"


def test_the_next_request_ends_that_too():
    one = warm()
    one.run(1)
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    one.run(60)
    asker = one.ask("a")
    one.run(1)
    one.end(asker)
    minutes(one, 1)
    assert one.fleet.services["a"].state == "hot"


def test_it_waits_for_the_end_of_a_hold():
    one = warm()
    hold(one, 60)
    minutes(one, 1)
    one.fleet.tick({"a": True})
    one.run(1)
    assert one.fleet.services["a"].state == "hot"
    assert one.notes[-1].cause == "keep_warm"


def test_it_waits_for_the_end_of_a_cool_down():
    one = stage({"a": {"keep_warm": ["always"], "start_attempts": 1, "failure_cooldown": "25s"}})
    one.scripts["a"] = DEAD
    one.fleet.tick({"a": True})
    minutes(one, 1)
    assert len(notes(one, "service.starting")) == 3


def test_one_that_says_refuse_is_kept_warm_all_the_same():
    one = warm(waiting="refuse")
    one.run(1)
    assert one.fleet.services["a"].state == "hot"


def test_a_start_that_waits_for_room_is_dropped_when_its_window_ends():
    one = stage(
        {"b": {"needs": {"v": 1}}, "a": {"keep_warm": ["always"], "needs": {"v": 1}}}, machines={"local": {"capacity": {"v": 1}}}
    )
    one.ask("b")
    one.run(1)
    one.fleet.tick({"a": True})
    assert one.fleet.services["a"].state == "starting"
    one.fleet.tick({})
    assert one.fleet.services["a"].state == "cold"


# --- the price of the hot path


def test_a_hot_lease_and_its_release_touch_neither_the_table_nor_the_fleet(monkeypatch):
    one = hot({"a": {}})
    monkeypatch.setattr("hestia.core.fleet.tell", lambda *_: pytest.fail("the table was asked"))
    monkeypatch.setattr(one.fleet, "settle", lambda: pytest.fail("the fleet was asked"))
    life = one.fleet.services["a"].lease_nowait()
    life.release(one.now)
    assert tell is not None
