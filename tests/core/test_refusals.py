from hestia.core.refusals import did_not_start, held, in_the_way, too_long
from hestia.words import states
from hestia.words.states import Phase
from tests.core.test_room import local, of
from tests.core.test_service import hot
from tests.support.world import Script, stage


def test_a_hold_names_what_is_held_and_its_end():
    assert str(held("a", 0.2, "hestiactl start a")) == "held: the operator holds a for another 1 s"
    assert held("a", 0.2, "hestiactl start a").retry_after == 1
    words = "held: the operator holds a until it is ended (`hestiactl start a`)"
    assert str(held("a", float("inf"), "hestiactl start a")) == words


def test_a_cool_down_names_the_failure_and_is_never_less_than_a_second():
    service = stage({"a": {}}).fleet.services["a"]
    service.last_error = "exited with code 3"
    assert str(did_not_start(service, 0.0)) == "start_failed: a did not start: exited with code 3"
    assert [did_not_start(service, left).retry_after for left in (0.0, 6.2)] == [1, 7]


def test_a_wait_for_a_start_names_its_state_and_the_last_check():
    one = stage({"a": {"queue_timeout": "5s"}})
    service = one.fleet.services["a"]
    one.scripts["a"] = Script(probing=lambda _life: [(0.1, states.NotReady("health answered 503"))])
    one.ask("a")
    assert str(too_long(service)) == "wait_timeout: waited 5 s (`queue_timeout`) for a, which is starting"
    one.run(1)
    assert str(too_long(service)).endswith("which is starting: health answered 503")


def test_a_wait_for_a_turn_names_max_concurrency():
    one = hot({"a": {"max_concurrency": 1, "queue_timeout": "5s"}})
    assert str(too_long(one.fleet.services["a"])) == (
        "wait_timeout: waited 5 s (`queue_timeout`) for one of `max_concurrency` turns of a"
    )


def test_a_wait_for_room_names_who_has_it_and_how():
    one = local(4, {"a": of(1), "b": of(1), "c": of(1, needs={}), "d": of(4, depends_on=["c"])})
    one.ask("a")
    one.run(1)
    one.scripts["b"] = Script(probing=lambda _life: [])
    one.ask("b")
    one.ask("d")
    life = one.fleet.services["d"].lives[0]
    assert life.phase is Phase.ROOM
    assert in_the_way(one.fleet, life) == "it needs 4 of 4 v on local; there are a (1 in use), b (starting)"
    assert too_long(one.fleet.services["d"]).code == "no_room"
