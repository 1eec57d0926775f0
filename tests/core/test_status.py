import pytest

from hestia.core.status import machine_status, rfc3339, service_status
from hestia.words import states
from tests.core.test_machine import ON_DESK, desk, served
from tests.core.test_service import hot, launched, slow
from tests.core.test_starts import DEAD, NEVER
from tests.support.world import Script, stage


def status(one, service="a"):
    return service_status(one.fleet.services[service], one.now, one.world.wall())


def test_a_cold_one_that_was_never_used():
    said = status(stage({"a": {"idle_timeout": "10s"}}))
    assert (said.state, said.readiness, said.phase, said.reason) == ("cold", "not_ready", None, None)
    assert (said.starts, said.leases, said.waiters, said.idle_for_s, said.last_used) == (0, 0, 0, None, None)
    assert (said.idle_timeout_s, said.machine, said.managed) == (10.0, "local", False)


def test_a_starting_one_says_its_phase_its_reason_and_its_waiters():
    one = stage({"a": {"base_url": "http://127.0.0.1:9", "launch": launched()}})
    one.scripts["a"] = NEVER
    one.ask("a")
    one.fleet.services["a"].page("tab")
    one.run(1)
    said = status(one)
    assert (said.state, said.readiness, said.phase) == ("starting", "not_ready", "probing")
    assert (said.reason, said.waiters, said.starts) == ("connection refused", 2, 1)


@pytest.mark.parametrize(
    "script, phase",
    [
        (Script(checking=lambda _life: []), "probing"),
        (Script(launching=lambda _life: []), "launching"),
        (Script(probing=lambda _life: []), "probing"),
        (Script(launching=lambda _life: [(0.1, states.Failed("no"))]), "launching"),
        (Script(launching=lambda _life: [(0.1, states.Failed("no"))], stopping=lambda _life: []), "launching"),
    ],
)
def test_every_moment_of_a_start_has_a_phase(script, phase):
    one = stage({"a": {"base_url": "http://127.0.0.1:9", "launch": launched()}})
    one.scripts["a"] = script
    one.ask("a")
    one.run(0.5)
    assert (status(one).state, status(one).phase) == ("starting", phase)


def test_the_phases_of_what_a_start_waits_for():
    one = desk({"a": {**ON_DESK, "depends_on": ["db"]}, "db": {}}, capacity={"v": 1})
    one.scripts["desk"] = slow(1)
    one.scripts["db"] = slow(1)
    one.ask("a")
    assert status(one).phase == "waking_machine"
    one.run(1.5)
    assert status(one).phase == "dependencies"


def test_a_hot_one_says_since_when_how_it_started_and_who_uses_it():
    one = stage({"a": {"base_url": "http://127.0.0.1:9", "launch": launched()}})
    one.scripts["a"] = slow(2)
    asker = one.ask("a")
    one.run(10)
    said = status(one)
    assert (said.state, said.readiness, said.managed, said.leases) == ("hot", "ready", True, 1)
    assert (said.hot_since, said.last_start_s) == ("2023-11-14T22:13:22.011Z", 2.011)
    assert (said.idle_for_s, said.last_used) == (None, "2023-11-14T22:13:30.000Z")
    one.end(asker)
    one.run(3.5)
    assert (status(one).idle_for_s, status(one).last_used) == (3.5, "2023-11-14T22:13:30.000Z")


def test_a_hot_one_says_what_else_than_requests_keeps_it_awake():
    one = hot({"a": {"depends_on": ["db"], "idle_timeout": "10s"}, "db": {"idle_timeout": "10s"}})
    one.end(one.ask("a"))
    assert (status(one).kept_by, status(one, "db").kept_by) == ((), ("a",))
    one.fleet.services["db"].set_warm(inside=True)
    assert status(one, "db").kept_by == ("a", "keep_warm")
    next(life for life in one.fleet.services["a"].lives if life.hot).busy_until = one.now + 5
    assert status(one).kept_by == ("busy",)
    one.run(6)
    assert status(one).kept_by == ()
    one.fleet.services["db"].stop("command")
    one.run(20)
    assert (status(one, "db").state, status(one, "db").kept_by) == ("cold", ())


def test_the_last_use_is_remembered_when_it_is_cold_and_when_it_is_hot_again_without_a_request():
    one = hot({"a": {"idle_timeout": "10s"}})
    one.end(one.ask("a"))
    used = status(one).last_used
    one.run(20)
    assert (status(one).state, status(one).last_used) == ("cold", used)
    one.fleet.services["a"].begin("command")
    one.fleet.settle()
    one.run(1)
    assert (status(one).state, status(one).last_used) == ("hot", used)


def test_idle_time_does_not_apply_to_what_is_only_watched():
    one = stage({"a": {"base_url": "http://127.0.0.1:9"}})
    one.fleet.tell(one.fleet.services["a"].lives[0], states.Found(None))
    one.run(5)
    said = status(one)
    assert (said.state, said.managed, said.idle_for_s, said.idle_timeout_s) == ("hot", False, None, None)


def test_a_cold_one_that_is_only_watched_says_why():
    one = stage({"a": {"base_url": "http://127.0.0.1:9"}})
    one.fleet.tell(one.fleet.services["a"].lives[0], states.NotReady("connection refused"))
    assert (status(one).state, status(one).reason) == ("cold", "connection refused")


def test_a_failed_one_says_why_and_how_long_its_cool_down_lasts():
    one = stage({"a": {"start_attempts": 1, "failure_cooldown": "10s"}})
    one.scripts["a"] = DEAD
    one.ask("a")
    one.run(4)
    said = status(one)
    assert (said.state, said.reason) == ("failed", "exited with code 3: no model")
    assert said.last_error == said.reason
    assert said.cooldown_s == pytest.approx(6.1, abs=0.02)
    one.run(10)
    assert (status(one).state, status(one).cooldown_s) == ("cold", None)


@pytest.mark.parametrize("what", ["service", "all", "machine"])
def test_a_hold_is_shown_until_when(what):
    one = stage({"a": {}})
    owner = {"service": one.fleet.services["a"], "machine": one.fleet.machines["local"]}.get(what)
    for until, shown in ((one.wall + 60, "2023-11-14T22:14:20.000Z"), (float("inf"), "forever"), (one.wall - 1, None)):
        if owner is None:
            one.fleet.held_all_until = until
        else:
            owner.held_until = until
        assert status(one).held_until == shown


def test_the_status_speaks_of_the_place_that_is_hot_and_lists_all():
    one = hot({"a": {"start_attempts": 1, "places": [{"launch": launched(), "machine": "desk"}, {"launch": launched()}]}}, machines={"desk": {}})
    life = one.fleet.services["a"].lives[0]
    one.fleet.tell(life, states.Exited("killed"))
    one.fleet.machines["desk"].held_until = float("inf")
    one.run(1)
    one.ask("a")
    one.run(1)
    said = status(one)
    assert (said.machine, said.state) == ("local", "hot")
    assert [(each.machine, each.state, each.managed, each.leases, each.reason) for each in said.places] == [
        ("desk", "cold", False, 0, "killed"),
        ("local", "hot", True, 1, None),
    ]


def test_a_machine_says_what_it_has_what_is_used_and_who_keeps_it_awake():
    one = desk({"a": {**ON_DESK, "needs": {"v": 12}}, "b": {**ON_DESK, "keep_warm": ["always"]}}, capacity={"v": 24, "ram": 64})
    assert machine_status(one.fleet.machines["desk"]).holds == ()
    served(one)
    one.fleet.services["b"].warm = True
    said = machine_status(one.fleet.machines["desk"])
    assert (said.id, said.state, said.capacity) == ("desk", "hot", {"v": 24.0, "ram": 64.0})
    assert (said.used, said.holds, said.leases) == ({"v": 12.0, "ram": 0.0}, ("a", "b"), 1)


def test_a_machine_says_its_hold_and_its_last_error():
    one = desk(start_attempts=1)
    one.scripts["desk"] = DEAD
    one.ask("a")
    one.run(5)
    one.fleet.machines["desk"].held_until = float("inf")
    said = machine_status(one.fleet.machines["desk"])
    assert (said.state, said.held_until, said.last_error) == ("cold", "forever", "exited with code 3: no model")
    one.fleet.machines["desk"].held_until = one.world.wall() - 1
    assert machine_status(one.fleet.machines["desk"]).held_until is None


def test_moments_are_in_utc_with_milliseconds():
    assert rfc3339(1_700_000_000.5) == "2023-11-14T22:13:20.500Z"
    assert rfc3339(None) is None
