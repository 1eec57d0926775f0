import pytest

from hestia.words import states
from hestia.words.states import Phase
from tests.core.test_service import hot, launched, slow
from tests.support.world import Script, stage

DEAD = Script(launching=lambda _life: [(0.1, states.Exited("exited with code 3: no model"))])
NEVER = Script(probing=lambda _life: [(0.1, states.NotReady("connection refused"))])


def notes(one, kind):
    return [note for note in one.notes if note.kind == kind]


# --- attempts and places


def test_attempts_follow_each_other_with_a_growing_delay_and_then_every_waiter_is_told_why():
    one = stage({"a": {"start_attempts": 3, "retry_delay": "1s"}})
    one.scripts["a"] = DEAD
    askers = [one.ask("a"), one.ask("a")]
    one.run(20)
    delays = [note.more["delay_s"] for note in notes(one, "place.retry")]
    assert len(delays) == 2
    assert 1 <= delays[0] <= 1.25
    assert 2 <= delays[1] <= 2.5
    assert [asker.refusal.code for asker in askers] == ["start_failed"] * 2
    assert askers[0].refusal.detail == "a did not start: exited with code 3: no model"
    assert askers[0].refusal.retry_after == 10
    assert one.running == one.written == {}


def test_one_that_is_never_ready_fails_at_its_start_timeout_with_the_last_check():
    one = stage({"a": {"start_attempts": 1, "start_timeout": "4s"}})
    one.scripts["a"] = NEVER
    asker = one.ask("a")
    one.run(10)
    assert asker.refusal.detail == "a did not start: not ready within 4 s (`start_timeout`): connection refused"
    assert asker.done_at - asker.since == pytest.approx(4, abs=0.1)


def test_a_place_that_gives_up_is_followed_by_the_next():
    one = stage({"a": {"start_attempts": 1, "places": [{"launch": launched()}, {"launch": launched()}]}})
    one.scripts["a"] = Script(
        launching=lambda life: [(0.1, states.Failed("no") if life.number == 0 else states.Launched())]
    )
    asker = one.ask("a")
    one.run(5)
    assert asker.life.number == 1
    assert [note.more["reason"] for note in notes(one, "place.fallback")] == ["no"]
    assert len(notes(one, "service.starting")) == 1


def test_when_every_place_gave_up_the_reasons_of_all_are_told():
    one = stage({"a": {"start_attempts": 1, "places": [{"launch": launched()}, {"launch": launched()}]}})
    one.scripts["a"] = Script(launching=lambda life: [(0.1, states.Failed(f"no {life.number}"))])
    asker = one.ask("a")
    one.run(5)
    assert asker.refusal.detail == "a did not start: local: no 0; local: no 1"
    assert [(note.place, note.machine) for note in notes(one, "service.start_failed")] == [(1, "local")]


# --- the cool-down


def failed():
    one = stage({"a": {"start_attempts": 1, "failure_cooldown": "10s"}})
    one.scripts["a"] = DEAD
    one.ask("a")
    one.run(1)
    assert one.fleet.services["a"].state == "failed"
    return one


def test_during_the_cool_down_requests_are_refused_at_once_with_the_time_that_is_left():
    one = failed()
    one.run(4)
    refusal = one.ask("a").refusal
    assert (refusal.code, refusal.retry_after, "code 3" in refusal.detail) == ("start_failed", 6, True)


def test_after_the_cool_down_it_is_cold_and_a_request_tries_again():
    one = failed()
    one.run(10)
    assert one.fleet.services["a"].state == "cold"
    one.scripts["a"] = Script()
    asker = one.ask("a")
    one.run(1)
    assert asker.life is not None


@pytest.mark.parametrize("cause", ["command", "page"])
def test_a_command_or_a_retry_ends_the_cool_down(cause):
    one = failed()
    one.scripts["a"] = Script()
    one.fleet.services["a"].begin(cause)
    one.fleet.settle()
    assert one.fleet.services["a"].state == "starting"
    one.run(1)
    assert one.fleet.services["a"].state == "hot"
    one.run(60)
    assert one.fleet.services["a"].due is None


def test_readiness_that_the_watch_sees_ends_the_cool_down():
    one = stage({"a": {"base_url": "http://127.0.0.1:9"}})
    one.scripts["a"] = NEVER
    one.ask("a")
    one.run(6)
    service = one.fleet.services["a"]
    assert service.state == "failed"
    one.fleet.tell(service.lives[0], states.Found(None))
    assert (service.state, service.due, one.ask("a").life) == ("hot", None, service.lives[0])


def test_readiness_that_the_watch_sees_releases_the_line():
    one = stage({"a": {"max_concurrency": 1, "places": [{"base_url": "http://127.0.0.1:9"}, {"base_url": "http://127.0.0.1:8"}]}})
    one.scripts["a"] = NEVER
    asker = one.ask("a")
    one.run(1)
    one.fleet.tell(one.fleet.services["a"].lives[1], states.Found(None))
    assert asker.life is one.fleet.services["a"].lives[1]


def test_a_cool_down_of_nothing_is_over_at_once():
    one = stage({"a": {"start_attempts": 1, "failure_cooldown": 0}})
    one.scripts["a"] = DEAD
    assert one.ask("a").refusal is None
    one.run(1)
    assert one.fleet.services["a"].state == "cold"


# --- stop during start, start during stop


def test_a_stop_during_a_start_tells_the_waiters_and_leaves_nothing():
    one = stage({"a": {}})
    one.scripts["a"] = slow(5)
    asker = one.ask("a")
    one.run(1)
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    assert asker.refusal.code == "stopped"
    one.run(1)
    assert (one.fleet.services["a"].state, one.running, one.written) == ("cold", {}, {})


def test_a_request_during_a_stop_waits_for_it_and_makes_one_new_start():
    one = hot({"a": {}})
    one.scripts["a"] = Script(stopping=lambda _life: [(3, states.Stopped())])
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    asker = one.ask("a")
    assert one.fleet.services["a"].state == "starting"
    one.run(2.9)
    assert (len(one.running), asker.life) == (1, None)
    one.run(1)
    assert (len(one.running), asker.life is not None) == (1, True)


def test_a_request_in_the_instant_of_an_idle_stop_is_served_by_a_new_start():
    one = hot({"a": {"idle_timeout": "10s"}})
    one.run_until(one.fleet.services["a"].lives[0].due)
    asker = one.ask("a")
    one.run(1)
    assert asker.life is not None
    assert len(one.running) == 1


# --- death


def test_whoever_waits_for_a_turn_starts_a_dead_one_again_once_it_is_cleared():
    one = hot({"a": {"max_concurrency": 1}})
    one.scripts["a"] = Script(stopping=lambda _life: [(2, states.Stopped())])
    one.ask("a")
    second = one.ask("a")
    life = one.fleet.services["a"].lives[0]
    one.fleet.tell(life, states.Exited("killed by signal 9"))
    one.run(1.9)
    assert (life.phase, second.life) == (Phase.CLEARING, None)
    life.release(one.now)
    one.run(1)
    assert second.life is life
    assert one.kinds("a")[-3:] == ["service.died", "service.starting", "service.ready"]


def test_a_dead_one_that_nobody_wants_stays_cold():
    one = hot({"a": {}})
    one.fleet.tell(one.fleet.services["a"].lives[0], states.Exited("killed by signal 9"))
    one.run(100)
    assert one.fleet.services["a"].state == "cold"
    assert one.fleet.services["a"].last_error == "killed by signal 9"


def test_a_refused_connection_within_a_second_of_ready_is_probed_again():
    one = stage({"a": {}})
    first = one.ask("a")
    one.run(0.1)
    service = one.fleet.services["a"]
    one.fleet.tell(service.lives[0], states.Refused("connection refused"))
    assert (service.state, service.lives[0].phase) == ("starting", Phase.PROBING)
    assert notes(one, "place.not_ready")[0].more == {"reason": "connection refused"}
    again = one.ask("a")
    one.run(0.1)
    assert again.life is first.life
    assert len(one.running) == 1


# --- replicas


TWO = {"replicas": 2, "places": [{"launch": launched()}, {"launch": launched()}, {"launch": launched()}]}


def test_all_replicas_start_at_the_first_request_and_the_first_ready_one_releases_the_line():
    one = stage({"a": TWO})
    one.scripts["a"] = Script(probing=lambda life: [(5 if life.number == 0 else 1, states.Ready())])
    asker = one.ask("a")
    one.run(2)
    service = one.fleet.services["a"]
    assert (asker.life.number, [life.phase for life in service.lives]) == (1, ["probing", "hot", "cold"])
    one.run(4)
    assert [life.phase for life in service.lives] == ["hot", "hot", "cold"]
    assert one.kinds("a") == ["service.starting", "service.ready"]


def test_a_further_place_stands_in_for_a_replica_that_gives_up():
    one = stage({"a": {**TWO, "start_attempts": 1}})
    one.scripts["a"] = Script(launching=lambda life: [(0.1, states.Failed("no") if life.number == 0 else states.Launched())])
    one.ask("a")
    one.run(2)
    assert [life.phase for life in one.fleet.services["a"].lives] == ["cold", "hot", "hot"]


def test_a_replica_that_pauses_between_attempts_is_no_reason_to_fail():
    one = stage({"a": {**TWO, "places": TWO["places"][:2], "start_attempts": 2}})
    tries = []

    def launching(life):
        tries.append(life.number)
        if life.number == 0:
            return [(0.1, states.Failed("no"))]
        return [(0.1, states.Failed("no") if tries.count(1) == 1 else states.Launched())]

    one.scripts["a"] = Script(launching=launching, stopping=lambda life: [(4.0 if life.number else 0.1, states.Stopped())])
    asker = one.ask("a")
    one.run(20)
    assert asker.life.number == 1


def test_all_replicas_stop_together_when_all_are_idle():
    one = hot({"a": {**TWO, "idle_timeout": "10s"}})
    asker = one.ask("a")
    one.run(30)
    assert [life.phase for life in one.fleet.services["a"].lives] == ["hot", "hot", "cold"]
    one.end(asker)
    one.run(9.9)
    assert one.fleet.services["a"].state == "hot"
    one.run(0.2)
    assert {life.phase for life in one.fleet.services["a"].lives} == {Phase.COLD}


def test_a_dead_replica_comes_back_while_the_other_is_hot():
    one = hot({"a": TWO})
    service = one.fleet.services["a"]
    one.fleet.tell(service.lives[0], states.Exited("killed"))
    assert service.state == "hot"
    one.run(1)
    one.fleet.tick({})
    one.run(1)
    assert sum(life.hot for life in service.lives) == 2


# --- one that is only watched


def test_one_without_a_launcher_waits_once_and_says_where_why_and_what_is_missing():
    one = stage({"a": {"base_url": "http://127.0.0.1:9"}})
    one.scripts["a"] = NEVER
    asker = one.ask("a")
    one.run(6)
    assert asker.done_at - asker.since == pytest.approx(5)
    assert asker.refusal.detail == (
        "a did not start: http://127.0.0.1:9 is not ready within 5 s: connection refused; "
        "it has no `launch`, so Hestia only watches it"
    )
    assert notes(one, "place.retry") == []


def test_one_without_a_launcher_is_never_idle():
    one = stage({"a": {"base_url": "http://127.0.0.1:9", "idle_timeout": "10s"}})
    one.end(served(one, "a"))
    one.run(100)
    assert one.fleet.services["a"].state == "hot"


def test_one_without_a_launcher_and_with_a_warmup_alone_lives_the_whole_life():
    one = stage({"a": {"base_url": "http://127.0.0.1:9", "warmup": "3s", "idle_timeout": "10s"}})
    asker = one.ask("a")
    one.run(2.9)
    assert asker.life is None
    one.run(0.2)
    one.end(asker)
    one.run(10)
    assert one.fleet.services["a"].state == "cold"


def served(one, service):
    asker = one.ask(service)
    one.run(3)
    assert asker.life is not None
    return asker


# --- one that runs already


def test_a_place_that_answers_already_is_used_and_at_idle_time_only_forgotten():
    one = stage({"a": {"base_url": "http://127.0.0.1:9", "launch": launched(), "idle_timeout": "10s"}})
    one.scripts["a"] = Script(checking=lambda _life: [(0.1, states.Found(None))])
    asker = one.ask("a")
    one.run(1)
    assert (asker.life.managed, one.running) == (False, {})
    assert notes(one, "service.ready")[0].more == {"managed": False}
    one.end(asker)
    one.run(10)
    assert one.fleet.services["a"].state == "cold"
    assert one.fleet.services["a"].last_start_s is None


def test_an_adopted_place_is_hot_again_without_a_start():
    one = hot({"a": {"idle_timeout": "10s"}})
    one.again()
    service = one.fleet.services["a"]
    asker = one.ask("a")
    one.run(1)
    assert (asker.life, service.starts, len(one.running)) == (service.lives[0], 0, 1)
    one.end(asker)
    one.run(11)
    assert (one.running, one.written) == ({}, {})


def test_an_adopted_place_that_does_not_answer_is_stopped_and_started_for_those_who_wait():
    one = hot({"a": {"start_timeout": "5s"}})
    one.scripts["a"] = NEVER
    one.again()
    asker = one.ask("a")
    one.run(4)
    one.scripts["a"] = Script()
    one.run(3)
    assert asker.life is not None
    assert len(one.running) == len(one.written) == 1


def test_the_cause_and_the_request_of_a_start_are_told():
    one = stage({"a": {}})
    one.ask("a", "01ABC")
    one.run(1)
    assert [(note.cause, note.request_id) for note in one.notes] == [("request", "01ABC")] * 2
    assert one.notes[1].took_s == pytest.approx(0.021, abs=0.01)
