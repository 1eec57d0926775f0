import pytest

from hestia.words import states
from hestia.words.states import Phase
from tests.core.test_service import hot, launched
from tests.core.test_starts import notes
from tests.support.world import Script, stage

BUSY = {"busy": {"url": "http://127.0.0.1:9/queue", "match": "running"}}


# --- idle time


def test_it_stops_exactly_its_idle_time_after_the_end_of_the_last_lease():
    one = hot({"a": {"idle_timeout": "10s"}})
    first, second = one.ask("a"), one.ask("a")
    one.run(100)
    one.end(first)
    one.run(50)
    one.end(second)
    ended = one.now
    one.run(9.99)
    assert one.fleet.services["a"].state == "hot"
    one.run(0.02)
    assert one.fleet.services["a"].state == "cold"
    assert notes(one, "service.idle")[0].more == {"idle_s": 10.0}
    assert one.now - ended < 10.02


def test_a_request_before_that_moves_it():
    one = hot({"a": {"idle_timeout": "10s"}})
    for _ in range(20):
        one.end(one.ask("a"))
        one.run(9)
    assert one.fleet.services["a"].state == "hot"
    one.run(1.1)
    assert one.fleet.services["a"].state == "cold"


def test_a_long_exchange_keeps_it_awake():
    one = hot({"a": {"idle_timeout": "1s"}})
    one.ask("a")
    one.run(100_000)
    assert one.fleet.services["a"].state == "hot"


def test_an_idle_time_of_nothing_means_never():
    one = hot({"a": {"idle_timeout": 0}})
    one.run(1_000_000)
    assert one.fleet.services["a"].state == "hot"


def test_idle_time_of_one_that_was_started_and_never_used_counts_from_its_start():
    one = hot({"a": {"idle_timeout": "10s"}})
    one.run(8)
    assert one.fleet.services["a"].state == "cold"


def test_what_happens_to_the_calendar_stops_nothing_early():
    one = hot({"a": {"idle_timeout": "60s"}})
    one.wall += 86_400
    one.run(50)
    assert one.fleet.services["a"].state == "hot"
    one.wall -= 2 * 86_400
    one.run(15)
    assert one.fleet.services["a"].state == "cold"


# --- busy


def test_one_that_works_without_a_request_stays_hot_and_is_asked_again_each_minute():
    one = hot({"a": {"idle_timeout": "10s", **BUSY}})
    one.busy["a"] = True
    began = one.fleet.services["a"].lives[0].hot_at
    one.run_until(began + 200)
    assert [round(60 * index + 10, 2) for index in range(4)] == [10, 70, 130, 190]
    assert len(notes(one, "service.busy")) == 4
    one.busy["a"] = False
    one.run(60)
    assert one.fleet.services["a"].state == "cold"


def test_a_request_while_it_is_asked_keeps_it_and_its_idle_time_counts_anew():
    one = hot({"a": {"idle_timeout": "10s", **BUSY}})
    life = one.fleet.services["a"].lives[0]
    one.run_until(life.due)
    asker = one.ask("a")
    one.run(1)
    assert life.hot
    one.end(asker)
    one.run(9)
    assert life.hot
    one.run(6)
    assert one.fleet.services["a"].state == "cold"


def test_an_answer_that_never_comes_is_asked_for_again():
    one = hot({"a": {"idle_timeout": "10s", **BUSY}})
    life = one.fleet.services["a"].lives[0]
    one.answer = lambda *_args, **_more: None
    one.run(20)
    assert life.hot
    del one.answer
    one.run(60)
    assert not life.hot


def test_it_is_asked_before_it_gives_way_too():
    one = hot({"a": {"needs": {"v": 2}, "min_hot": 0, **BUSY}, "b": {"needs": {"v": 2}}}, machines=ROOM)
    one.fleet.services["b"].stop("command")
    one.fleet.settle()
    one.ask("a")
    one.run(1)
    one.end(one.granted[-1])
    one.busy["a"] = True
    asker = one.ask("b")
    one.run(30)
    assert asker.life is None
    assert one.fleet.services["a"].state == "hot"
    assert [note.cause for note in notes(one, "service.busy")] == ["room"]
    one.busy["a"] = False
    one.run(40)
    assert asker.life is not None


ROOM = {"local": {"capacity": {"v": 2}}}


# --- a stop by command


def test_a_stop_by_command_gives_no_new_leases_and_lets_running_ones_finish():
    one = hot({"a": {"drain_timeout": "30s"}})
    asker = one.ask("a")
    service = one.fleet.services["a"]
    service.stop("command")
    one.fleet.settle()
    assert (service.state, service.lease_nowait()) == ("stopping", None)
    one.run(20)
    assert service.lives[0].phase is Phase.DRAINING
    one.end(asker)
    one.run(1)
    assert (service.state, one.broken_off, one.running) == ("cold", [service.lives[0]], {})


def test_what_has_not_finished_within_drain_timeout_is_broken_off():
    one = hot({"a": {"drain_timeout": "30s"}})
    asker = one.ask("a")
    life = asker.life
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    one.run(29.9)
    assert one.broken_off == []
    one.run(0.2)
    assert one.broken_off == [life]
    one.end(asker)
    assert (life.leases, one.fleet.services["a"].state) == (0, "cold")


def test_the_cause_of_a_stop_is_told():
    one = hot({"a": {}})
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    one.run(1)
    assert [note.cause for note in notes(one, "service.stopped")] == ["command"]


@pytest.mark.parametrize(
    "cause, words",
    [
        ("command", "it was stopped by a command"),
        ("shutdown", "the gateway is shutting down"),
        ("reload", "its configuration changed"),
        ("hold", "the operator holds it"),
    ],
)
def test_whoever_waits_is_told_why_it_was_stopped(cause, words):
    one = stage({"a": {}})
    asker = one.ask("a")
    one.fleet.services["a"].stop(cause)
    one.fleet.settle()
    assert str(asker.refusal) == f"stopped: a: {words}"


def test_a_stop_that_fails_is_tried_again_until_it_is_gone():
    one = hot({"a": {}})
    tries = []

    def stopping(_life):
        tries.append(one.now)
        return [(0.1, states.Stopped() if len(tries) > 3 else states.StopFailed("engine away"))]

    one.scripts["a"] = Script(stopping=stopping)
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    one.run(20)
    assert (len(tries), one.fleet.services["a"].state, len(one.written)) == (3, "stopping", 1)
    one.run(20)
    assert (len(tries), one.fleet.services["a"].state, one.written) == (4, "cold", {})


def test_a_request_for_one_that_cannot_be_stopped_and_does_not_answer_is_told_so_soon():
    one = hot({"a": {}})
    one.scripts["a"] = Script(stopping=lambda _life: [(0.1, states.StopFailed("engine away"))])
    one.fleet.services["a"].stop("command")
    one.fleet.settle()
    one.run(1)
    asker = one.ask("a")
    one.run(20)
    assert asker.refusal.code == "start_failed"
    assert "could not be stopped: engine away" in asker.refusal.detail
    assert len(one.running) == 1


def test_a_failed_attempt_that_cannot_be_stopped_is_followed_by_the_next_place():
    one = stage({"a": {"start_attempts": 3, "places": [{"launch": launched()}, {"launch": launched()}]}})
    one.scripts["a"] = Script(
        launching=lambda life: [(0.1, states.Exited("code 1") if life.number == 0 else states.Launched())],
        stopping=lambda life: [(0.1, states.StopFailed("engine away") if life.number == 0 else states.Stopped())],
    )
    asker = one.ask("a")
    one.run(10)
    assert asker.life.number == 1
    assert len(one.running) == len(one.written) == 2
