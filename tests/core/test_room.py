"""Room: what a start takes, who gives way, who waits and who is never touched."""

import random

import pytest

from hestia.words import states
from hestia.words.states import Phase
from tests.core.test_machine import WAKES
from tests.core.test_service import launched, slow
from tests.core.test_starts import DEAD, notes
from tests.support.world import Script, stage


def of(amount, **more):
    return {"needs": {"v": amount}, "min_hot": 0, "idle_timeout": 0, **more}


def local(capacity, services, **top):
    return stage(services, machines={"local": {"capacity": {"v": capacity}}, **top.pop("machines", {})}, **top)


def used(one, *names, seconds=1):
    """Each is asked and answered, one after the other."""
    for name in names:
        asker = one.ask(name)
        one.run(seconds)
        assert asker.life is not None, f"{name}: {asker.refusal}"
        one.end(asker)
        one.run(0.1)


def short(one, seconds):
    """From now on each exchange ends by itself so long after it began."""

    def watching(effect):
        if isinstance(effect, states.Grant):
            one.at(seconds(), lambda: one.end(effect.waiter.asker))

    one.watching = watching


def asked(one, name, seconds):
    """A request that may be leased at once."""
    asker = one.ask(name)
    if asker.life is not None:
        one.at(seconds(), lambda: one.end(asker))
    return asker


def hot_ones(one):
    return [service.id for service in one.fleet if service.state == "hot"]


def test_what_fits_starts_side_by_side():
    one = local(24, {"a": of(12), "b": of(12)})
    used(one, "a", "b")
    assert hot_ones(one) == ["a", "b"]


def test_idle_ones_give_way_the_least_recently_used_first():
    one = local(3, {"a": of(1), "b": of(1), "c": of(1), "d": of(1)})
    used(one, "a", "b", "c", "a")
    used(one, "d")
    assert hot_ones(one) == ["a", "c", "d"]
    assert [(note.service, note.cause) for note in notes(one, "service.stopped")] == [("b", "room")]


def test_no_more_give_way_than_are_needed():
    one = local(4, {"a": of(1), "b": of(3), "c": of(3)})
    used(one, "a", "b")
    used(one, "c")
    assert hot_ones(one) == ["a", "c"]


def test_a_victims_room_is_free_when_its_launcher_says_that_it_is_gone():
    one = local(1, {"a": of(1), "b": of(1)})
    one.scripts["a"] = Script(stopping=lambda _life: [(5, states.Stopped())])
    used(one, "a")
    asker = one.ask("b")
    one.run(4.9)
    assert (asker.life, one.fleet.services["b"].lives[0].phase, len(one.running)) == (None, "room", 1)
    one.run(1)
    assert asker.life is not None


def test_a_resource_that_the_machine_does_not_name_is_unlimited():
    one = local(1, {"a": of(1, needs={"ram": 64}), "b": of(1, needs={"ram": 64})})
    used(one, "a", "b")
    assert hot_ones(one) == ["a", "b"]


def test_amounts_are_added_as_people_do():
    one = local(0.3, {"a": of(0.1), "b": of(0.2)})
    used(one, "a", "b")
    assert hot_ones(one) == ["a", "b"]


def test_several_resources_must_all_fit():
    machines = {"local": {"capacity": {"v": 2, "ram": 10}}}
    services = {"a": of(1, needs={"v": 1, "ram": 8}), "b": of(1, needs={"v": 1}), "c": of(1, needs={"ram": 4})}
    one = stage(services, machines=machines)
    used(one, "a", "b", "c")
    assert hot_ones(one) == ["b", "c"]


def test_an_idle_time_of_nothing_keeps_from_idle_stops_and_not_from_making_room():
    one = local(1, {"a": of(1), "b": of(1)})
    used(one, "a")
    one.run(10_000)
    used(one, "b")
    assert hot_ones(one) == ["b"]


# --- who is never pushed out


def waits_in_vain(one, name="b", code="no_room"):
    asker = one.ask(name)
    one.run(61)
    assert asker.refusal is not None
    assert asker.refusal.code == code, asker.refusal
    return asker.refusal


def test_one_that_is_starting_is_not_pushed_out():
    one = local(1, {"a": of(1), "b": of(1)})
    one.scripts["a"] = slow(20)
    first, second = one.ask("a"), one.ask("b")
    one.run(19)
    assert one.fleet.services["a"].lives[0].phase is Phase.PROBING
    one.run(3)
    assert first.life is not None
    assert second.life is None
    one.end(first)
    one.run(1)
    assert second.life is not None


def test_one_that_was_just_granted_is_not_pushed_out_by_those_who_wait_longer():
    one = local(1, {"a": of(1), "b": of(1)})
    one.scripts["a"] = slow(5)
    first = one.ask("a")
    one.ask("b")
    one.run(10)
    assert (first.life.hot, first.life.leases) == (True, 1)


def test_one_inside_keep_warm_is_not_pushed_out():
    one = local(1, {"a": of(1, keep_warm=["always"]), "b": of(1, queue_timeout="60s")})
    one.fleet.tick({"a": True})
    one.run(1)
    refusal = waits_in_vain(one)
    assert (refusal.retry_after, hot_ones(one)) == (30, ["a"])
    assert "it needs 1 of 1 v on local; there are a (inside its `keep_warm`)" in refusal.detail


def needy(**app):
    """`db` fills the machine, `app` needs it, `b` wants its room."""
    return {"db": of(1), "app": {"depends_on": ["db"], "min_hot": 0, **app}, "b": of(1, queue_timeout="60s")}


def test_one_that_is_needed_by_a_hot_one_is_not_pushed_out():
    one = local(1, needy(idle_timeout="10m"))
    used(one, "app")
    waits_in_vain(one)
    assert hot_ones(one) == ["db", "app"]


def test_what_never_sleeps_by_itself_gives_way_first_and_then_what_it_depends_on():
    one = local(1, needy(idle_timeout=0))
    used(one, "app")
    used(one, "b")
    assert hot_ones(one) == ["b"]
    assert [note.service for note in notes(one, "service.stopped")] == ["app", "db"]
    used(one, "app")
    assert hot_ones(one) == ["db", "app"]


def test_what_never_sleeps_by_itself_finishes_first_and_takes_nothing_new():
    one = local(1, needy(idle_timeout=0))
    first = one.ask("app")
    one.run(1)
    other = one.ask("b")
    one.run(1)
    later = one.ask("app")
    one.run(1)
    assert (first.life.leases, other.life, later.life) == (1, None, None)
    one.end(first)
    one.run(1)
    assert other.life is not None
    one.end(other)
    one.run(1)
    assert later.life is not None


def test_the_least_recently_used_of_several_closures_goes_and_no_other():
    services = {
        "db": of(1),
        "app": {"depends_on": ["db"], "idle_timeout": 0, "min_hot": 0},
        "other": of(1),
        "b": of(1),
    }
    one = local(2, services)
    used(one, "app", "other", "b")
    assert hot_ones(one) == ["other", "b"]


def test_one_that_we_may_not_stop_takes_its_room_and_stays():
    one = local(1, {"a": of(1, base_url="http://127.0.0.1:9"), "b": of(1, queue_timeout="60s")})
    used(one, "a")
    waits_in_vain(one)
    assert hot_ones(one) == ["a"]


def test_one_that_was_found_takes_its_room_whatever_there_is():
    one = local(1, {"a": of(1), "b": of(1, base_url="http://127.0.0.1:9", launch=launched())})
    one.scripts["b"] = Script(checking=lambda _life: [(0.1, states.Found(None))])
    used(one, "a", "b")
    assert hot_ones(one) == ["a", "b"]


def test_one_that_works_without_a_request_is_not_pushed_out_and_another_one_gives_way():
    busy = {"busy": {"url": "http://127.0.0.1:9/", "match": "x"}}
    one = local(2, {"a": of(1, **busy), "b": of(1), "c": of(1)})
    used(one, "a", "b")
    one.busy["a"] = True
    used(one, "c")
    assert hot_ones(one) == ["a", "c"]


def test_where_something_else_than_leases_is_in_the_way_the_start_waits_and_blocks_nobody():
    one = local(3, {"warm": of(2, keep_warm=["always"]), "big": of(3, queue_timeout="60s"), "small": of(1)})
    one.fleet.tick({"warm": True})
    one.run(1)
    asker = one.ask("big")
    used(one, "small", "small")
    assert asker.life is None
    assert not any(life.yields for life in one.fleet.places())


# --- the machine's line


def test_if_only_leases_are_in_the_way_the_start_waits_and_what_it_needs_gone_takes_no_new_leases():
    one = local(1, {"a": of(1), "b": of(1)})
    first = one.ask("a")
    one.run(1)
    other = one.ask("b")
    behind = one.ask("a")
    assert (other.life, behind.life, one.fleet.services["a"].state) == (None, None, "hot")
    one.end(first)
    one.run(1)
    assert (other.life is not None, behind.life) == (True, None)
    one.end(other)
    one.run(1)
    assert behind.life is not None


def test_when_the_start_is_dropped_the_others_take_leases_again():
    one = local(1, {"a": of(1), "b": of(1)})
    one.ask("a")
    one.run(1)
    other, behind = one.ask("b"), one.ask("a")
    assert behind.life is None
    one.leave("b", other)
    assert behind.life is not None
    assert one.fleet.services["b"].state == "cold"
    assert notes(one, "service.dropped")[0].service == "b"


@pytest.mark.parametrize("who", ["command", "page"])
def test_a_start_that_waits_for_room_goes_on_for_a_command_or_a_page(who):
    one = local(1, {"a": of(1), "b": of(1)})
    first = one.ask("a")
    one.run(1)
    service = one.fleet.services["b"]
    if who == "page":
        service.page("tab")
    service.begin(who)
    one.fleet.settle()
    one.leave("b", one.ask("b"))
    one.run(5)
    assert service.state == "starting"
    if who == "page":
        one.run(6)
        assert service.state == "cold"
        return
    one.end(first)
    one.run(1)
    assert service.state == "hot"


def test_no_room_is_said_at_the_deadline_with_what_is_in_the_way():
    one = local(24, {"a": of(20), "b": of(12, queue_timeout="5s")})
    one.ask("a")
    one.run(1)
    asker = one.ask("b")
    one.run(6)
    assert asker.done_at - asker.since == 5
    assert str(asker.refusal) == (
        "no_room: b waited 5 s (`queue_timeout`): it needs 12 of 24 v on local; there are a (1 in use)"
    )


def test_who_asked_for_room_first_has_it_first():
    one = local(2, {"a": of(2), "big": of(2), "small": of(1)})
    first = one.ask("a")
    one.run(1)
    big = one.ask("big")
    one.run(1)
    small = one.ask("small")
    one.end(first)
    one.run(1)
    assert (big.life is not None, small.life) == (True, None)
    one.end(big)
    one.run(1)
    assert small.life is not None


def test_what_somebody_in_front_waits_for_is_not_given_away_behind_its_back():
    one = local(10, {"a": of(6), "x": of(4), "big": of(10), "small": of(4)})
    used(one, "x")
    one.fleet.services["x"].stop("command")
    one.fleet.settle()
    one.run(1)
    first = one.ask("a")
    one.run(1)
    big = one.ask("big")
    small = one.ask("small")  # it would fit now, and then `big` would never
    one.run(1)
    assert small.life is None
    one.end(first)
    one.run(1)
    assert (big.life is not None, small.life) == (True, None)


def test_room_that_is_on_its_way_is_not_given_twice():
    one = local(10, {"a": of(6), "x": of(4, idle_timeout=0), "b": of(4), "c": of(4)})
    one.scripts["a"] = Script(stopping=lambda _life: [(5, states.Stopped())])
    used(one, "a", "x")
    life = one.fleet.services["x"].lives[0]
    life.leases += 1  # it stays
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    first, second = one.ask("b"), one.ask("c")
    one.run(4)
    assert (first.life, second.life) == (None, None)
    one.run(2)
    assert (first.life is not None, second.life) == (True, None)
    life.release(one.now)


# --- min_hot


def test_two_that_alternate_are_each_served_with_one_swap_a_min_hot_at_most():
    one = local(1, {"a": of(1, min_hot="10s"), "b": of(1, min_hot="10s")})
    began = one.now
    for turn in range(40):
        asker = one.ask("ab"[turn % 2])
        one.run(12)
        assert asker.life is not None
        one.end(asker)
    swaps = len(notes(one, "service.stopped"))
    assert swaps <= (one.now - began) / 10


def test_requests_for_both_at_once_are_all_served_with_one_swap_a_min_hot_at_most():
    one = local(1, {"a": of(1, min_hot="10s"), "b": of(1, min_hot="10s")})
    short(one, lambda: 0.5)
    began, askers = one.now, []
    for turn in range(300):
        askers.append(asked(one, "ab"[turn % 2], lambda: 0.5))
        one.run(0.5)
    one.run(60)
    assert all(asker.life is not None for asker in askers)
    assert len(notes(one, "service.stopped")) <= (one.now - began) / 10


# --- several places


def test_it_takes_the_first_place_where_it_fits_after_stopping_idle_ones():
    places = [{"launch": launched()}, {"launch": launched(), "machine": "desk"}]
    one = local(1, {"a": of(1), "b": of(1, places=places)}, machines={"desk": {"capacity": {"v": 1}}})
    used(one, "a")
    asker = one.ask("b")
    one.run(1)
    assert (asker.life.machine, hot_ones(one)) == ("local", ["b"])


def test_where_the_first_place_is_in_use_it_takes_the_next():
    places = [{"launch": launched()}, {"launch": launched(), "machine": "desk"}]
    one = local(1, {"a": of(1), "b": of(1, places=places)}, machines={"desk": {"capacity": {"v": 1}}})
    one.ask("a")
    one.run(1)
    asker = one.ask("b")
    one.run(1)
    assert (asker.life.machine, hot_ones(one)) == ("desk", ["a", "b"])


def test_where_every_place_is_in_use_it_waits_at_the_first():
    places = [{"launch": launched()}, {"launch": launched(), "machine": "desk"}]
    services = {"a": of(1), "c": of(1, launch=launched(), machine="desk"), "b": of(1, places=places)}
    one = local(1, services, machines={"desk": {"capacity": {"v": 1}}})
    one.ask("a")
    on_desk = one.ask("c")
    one.run(1)
    asker = one.ask("b")
    assert [life.machine for life in one.fleet.places() if life.yields] == ["local"]
    one.end(on_desk)
    one.run(1)
    assert asker.life.machine == "desk"
    assert not any(life.yields for life in one.fleet.places())


# --- with what it depends on


def test_a_start_takes_the_room_of_what_it_depends_on_together_with_its_own():
    one = local(3, {"db": of(1), "app": of(2, depends_on=["db"]), "x": of(2), "y": of(1)})
    used(one, "x", "y")
    used(one, "app")
    assert hot_ones(one) == ["db", "app"]


def test_two_with_dependencies_never_hold_half_of_what_they_need():
    one = local(4, {"d1": of(2), "a1": of(2, depends_on=["d1"]), "d2": of(2), "a2": of(2, depends_on=["d2"])})
    first, second = one.ask("a1"), one.ask("a2")
    one.run(2)
    assert (first.life is not None, second.life) == (True, None)
    one.end(first)
    one.run(10)
    one.fleet.services["a1"].stop("command")
    one.fleet.settle()
    one.run(3)
    assert second.life is not None


def test_a_dependency_that_waits_for_room_itself_gets_it_with_its_dependent():
    one = local(3, {"x": of(3), "db": of(1), "app": of(2, depends_on=["db"])})
    first = one.ask("x")
    one.run(1)
    app = one.ask("app")
    db = one.ask("db")
    one.end(first)
    one.run(3)
    assert app.life is not None
    assert db.life is not None


def test_its_own_idle_dependency_is_no_victim():
    one = local(3, {"db": of(1), "x": of(2), "app": of(2, depends_on=["db"])})
    used(one, "db", "x")
    used(one, "app")
    assert hot_ones(one) == ["db", "app"]
    assert [note.service for note in notes(one, "service.stopped")] == ["x"]


def test_whoever_is_behind_leaves_alone_what_one_in_front_counts_on():
    services = {"db": of(2), "x": of(2), "app": of(2, depends_on=["db"]), "z": of(2)}
    one = local(4, services)
    used(one, "db")
    first = one.ask("x")
    one.run(1)
    app, behind = one.ask("app"), one.ask("z")
    one.end(first)
    one.run(1)
    assert (app.life is not None, behind.life) == (True, None)
    assert hot_ones(one) == ["db", "app"]


def test_what_is_needed_by_one_who_has_his_room_already_goes_before_all():
    one = local(4, {"db": of(2), "app": of(2, depends_on=["db"]), "x": of(3)})
    one.scripts["db"] = slow(3)
    app = one.ask("app")
    one.run(1)
    one.fleet.tell(one.fleet.services["db"].lives[0], states.Exited("killed"))
    one.fleet.services["db"].stop("command")
    one.fleet.settle()
    one.run(1)
    assert app.refusal is not None  # stopping what is below stops what waits for it
    again, other = one.ask("app"), one.ask("x")
    one.run(5)
    assert (again.life is not None, other.life) == (True, None)


def test_one_who_has_his_room_gives_up_when_what_he_needs_gets_none():
    places = [{"launch": launched(), "machine": "desk"}]
    services = {"warm": of(1, keep_warm=["always"], places=places), "db": of(1, places=places, queue_timeout="20s"), "app": of(1, depends_on=["db"], queue_timeout="600s")}
    one = local(1, services, machines={"desk": {"capacity": {"v": 1}}})
    one.fleet.tick({"warm": True})
    one.run(1)
    asker = one.ask("app")
    one.run(21)
    assert asker.refusal.code == "start_failed"
    assert "db, which it depends on, has no room: db waited 20 s" in asker.refusal.detail
    assert not any(life.room for life in one.fleet.services["app"].lives)
    assert one.fleet.services["db"].state == "cold"


# --- keep_warm and failures


def test_a_start_that_only_keep_warm_wants_makes_nobody_wait():
    one = local(1, {"a": of(1), "warm": of(1, keep_warm=["always"])})
    asker = one.ask("a")
    one.run(1)
    one.fleet.tick({"warm": True})
    assert one.fleet.services["warm"].state == "starting"
    assert one.ask("a").life is asker.life


def test_one_inside_keep_warm_that_was_evicted_before_comes_back_when_there_is_room():
    one = local(1, {"a": of(1), "warm": of(1, keep_warm=["always"])})
    used(one, "warm")
    first = one.ask("a")
    one.run(1)
    one.fleet.tick({"warm": True})
    one.run(20)
    assert hot_ones(one) == ["a"]
    one.end(first)
    one.run(1)
    assert hot_ones(one) == ["warm"]


def test_if_the_start_then_fails_a_victim_whose_window_has_begun_comes_back():
    one = local(1, {"a": of(1, start_attempts=1), "warm": of(1, keep_warm=["always"])})
    used(one, "warm")
    one.scripts["a"] = DEAD
    asker = one.ask("a")
    one.fleet.tick({"warm": True})
    one.run(3)
    assert asker.refusal.code == "start_failed"
    one.fleet.tick({"warm": True})
    one.run(3)
    assert hot_ones(one) == ["warm"]


def test_a_replica_without_room_does_not_push_its_twin_out():
    one = local(1, {"a": of(1, replicas=2, places=[{"launch": launched()}, {"launch": launched()}])})
    used(one, "a")
    one.run(30)
    assert [life.phase for life in one.fleet.services["a"].lives] == ["hot", "cold"]


def test_a_replica_that_waits_for_room_keeps_nobody_awake():
    two = {"replicas": 2, "idle_timeout": "10s", "places": [{"launch": launched()}, {"launch": launched()}]}
    one = local(1, {"a": of(1, **two, keep_warm=["always"])})
    one.fleet.tick({"a": True})
    one.run(1)
    one.fleet.services["a"].begin("command")  # it is hot: this asks for nothing
    one.fleet.tick({"a": True})
    assert [life.phase for life in one.fleet.services["a"].lives] == ["hot", "room"]
    one.fleet.tick({})
    one.run(20)
    assert [life.phase for life in one.fleet.services["a"].lives] == ["cold", "cold"]


# --- nobody starves


@pytest.mark.parametrize("seed", range(12))
def test_everybody_is_served_while_room_can_be_made(seed):
    rnd = random.Random(seed)
    capacity = rnd.choice([3, 5, 8])
    names = [f"s{number}" for number in range(rnd.randint(2, 6))]
    services = {
        name: of(rnd.randint(1, capacity), min_hot=rnd.choice([0, 1, 5]), queue_timeout="300s", queue_size=1000, max_concurrency=rnd.choice([0, 1, 2]))
        for name in names
    }
    one = local(capacity, services)
    takes = lambda: rnd.choice([0.1, 1.0])
    short(one, takes)
    askers = []
    for _ in range(300):
        askers.append(asked(one, rnd.choice(names), takes))
        one.run(rnd.choice([0, 0.1, 0.5, 2]))
        assert sum(service.spec.needs["v"] for service in one.fleet if service.lives[0].room) <= capacity
    one.run(300)
    assert [asker for asker in askers if asker.life is None] == []


@pytest.mark.parametrize("seed", range(25))
def test_everybody_is_served_with_dependencies_replicas_and_two_machines_too(seed):
    rnd = random.Random(seed)
    names = [f"s{number}" for number in range(rnd.randint(2, 6))]
    services = {}
    for number, name in enumerate(names):
        said = of(rnd.randint(1, 2), min_hot=rnd.choice([0, 1, 5]), idle_timeout=rnd.choice([5, 20]), queue_timeout="600s", queue_size=1000)
        said["max_concurrency"] = rnd.choice([0, 1, 2])
        kind = rnd.choice(["plain", "needy", "places", "desk"])
        if kind == "needy" and number:
            said["depends_on"] = rnd.sample(names[:number], 1)
        elif kind == "places":
            said.update(places=[{"launch": launched()}, {"launch": launched(), "machine": "desk"}], replicas=rnd.choice([1, 2]))
        elif kind == "desk":
            said.update(launch=launched(), machine="desk")
        services[name] = said
    capacity = sum(service["needs"]["v"] for service in services.values() if "depends_on" in service) + 2
    one = stage(services, machines={"local": {"capacity": {"v": capacity}}, "desk": {**WAKES, "capacity": {"v": 4}}})
    takes = lambda: rnd.choice([0.1, 1.0])
    short(one, takes)
    askers = []
    for _ in range(300):
        askers.append(asked(one, rnd.choice(names), takes))
        one.run(rnd.choice([0, 0.1, 0.5, 2]))
    one.run(600)
    assert [asker for asker in askers if asker.life is None] == []


# --- one that is paused when it is idle


def pausing(one, *names):
    """An idle stop of these only pauses."""
    for name in names:
        one.scripts[name] = Script(stopping=lambda life: [(0.1, states.Stopped(dozes=life.stop_cause == "idle"))])


def dozing(capacity=1, *names, **more):
    one = local(capacity, {name: of(1, idle_timeout="5s", **more) for name in names})
    pausing(one, *names)
    used(one, names[0])
    one.run(10)
    assert one.fleet.services[names[0]].state == "cold"
    return one, one.fleet.services[names[0]].lives[0]


def test_what_is_paused_keeps_its_room_and_goes_on_in_it():
    one, life = dozing(1, "a", "b")
    assert (life.room, life.dozes) == (True, True)
    used(one, "a")
    assert (life.hot, life.dozes) == (True, False)


def test_what_is_paused_is_ended_for_good_when_its_room_is_needed():
    one, life = dozing(1, "a", "b")
    used(one, "b")
    assert (life.room, life.dozes, hot_ones(one)) == (False, False, ["b"])
    assert [note.cause for note in notes(one, "service.stopped")] == ["idle", "room"]


def test_what_is_paused_goes_before_what_is_idle():
    one, life = dozing(2, "a", "b", "c")
    used(one, "b", "c")
    assert (life.dozes, hot_ones(one)) == (False, ["b", "c"])


@pytest.mark.parametrize("gone", (False, True))
def test_a_command_or_a_configuration_without_it_ends_what_is_paused(gone):
    one, life = dozing(1, "a")
    if gone:
        one.reload({"x": of(1)}, machines={"local": {"capacity": {"v": 1}}})
    else:
        one.fleet.services["a"].stop("command")
        one.fleet.settle()
    one.run(1)
    assert (life.phase, life.room, life.dozes) == (Phase.COLD, False, False)


def test_a_start_of_what_is_paused_that_is_called_off_ends_it():
    one, life = dozing(1, "a")
    one.scripts["a"] = Script(checking=lambda _life: [], stopping=lambda _life: [(0.1, states.Stopped())])
    life.settings = life.settings._replace(known=True)
    one.ask("a")
    one.run(0.1)
    assert life.phase is Phase.CHECKING
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    one.run(1)
    assert (life.phase, life.room) == (Phase.COLD, False)


def dozing_on_desk(**more):
    """`a` was paused on a machine that can sleep; nothing else was used there."""
    services = {name: of(1, idle_timeout="5s", machine="desk", launch=launched(), queue_timeout="60s") for name in "ab"}
    one = stage(services, machines={"desk": {**WAKES, "capacity": {"v": 1}, **more}})
    pausing(one, "a")
    used(one, "a", seconds=5)
    one.run(10)
    life = one.fleet.services["a"].lives[0]
    return one, life


def test_what_is_paused_on_a_machine_that_went_to_sleep_is_in_nobodys_way():
    one, life = dozing_on_desk(idle_timeout="20s")
    assert life.dozes
    one.run(60)
    assert (one.fleet.machines["desk"].state, life.dozes, life.room) == ("cold", False, False)
    one.scripts["a"] = Script(stopping=lambda _life: [(0.1, states.StopFailed("its machine sleeps"))])
    used(one, "b", seconds=5)
    assert hot_ones(one) == ["b"]


def test_what_is_paused_on_a_machine_that_is_held_is_ended_for_good():
    one, life = dozing_on_desk(idle_timeout=0)
    assert life.dozes
    one.fleet.machines["desk"].hold(one.fleet.wall() + 100)
    one.fleet.settle()
    one.run(5)
    assert (life.phase, life.dozes, life.room) == (Phase.COLD, False, False)
    assert [note.kind for note in one.notes if note.kind in ("service.stopped", "machine.asleep")][-2:] == ["service.stopped", "machine.asleep"]


def test_what_is_paused_and_ended_does_not_wake_what_it_depends_on():
    one = local(2, {"a": of(1, idle_timeout="1s"), "b": of(1, idle_timeout="5s", depends_on=["a"]), "c": of(2)})
    pausing(one, "b")
    used(one, "b")
    one.run(20)
    life = one.fleet.services["b"].lives[0]
    assert (life.dozes, hot_ones(one)) == (True, [])
    one.scripts["b"] = Script(stopping=lambda _life: [(3, states.Stopped())])
    asker = one.ask("c")
    one.run(1)
    assert life.phase is Phase.CLEARING
    one.fleet.services["a"].set_warm(inside=False)  # as the calendar's tick does
    one.fleet.settle()
    one.run(60)
    assert (asker.life is not None, life.dozes, hot_ones(one)) == (True, False, ["c"])
    assert [note.service for note in notes(one, "service.starting")] == ["b", "a", "c"]
