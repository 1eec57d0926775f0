import pytest

from hestia.words import states
from hestia.words.states import Phase
from tests.core.test_rows_start import kinds
from tests.core.test_table import RUN, happen, life_in


def test_idle_time_counts_from_the_end_of_the_last_lease():
    life = life_in(Phase.HOT, idle_timeout=10.0)
    life.idle_since = 95.0
    assert happen(life, states.Due(), 100.0) == []
    assert life.due == 105.0
    assert kinds(happen(life, states.Due(), 105.0)) == ["Idle"]


def test_under_a_lease_it_wants_to_know_of_its_end_and_counts_from_there():
    life = life_in(Phase.HOT, idle_timeout=10.0)
    life.leases = 1
    assert happen(life, states.Due(), 100.0) == []
    assert (life.due, life.hears) == (None, True)
    life.leases, life.idle_since = 0, 500.0
    happen(life, states.Emptied(), 500.0)
    assert (life.due, life.hears) == (510.0, False)


@pytest.mark.parametrize("settings", [{"idle_timeout": 0.0}, {"launches": False}])
def test_one_without_idle_time_is_never_idle(settings):
    life = life_in(Phase.PROBING, **settings)
    happen(life, states.Ready())
    assert life.due is None
    assert happen(life, states.Emptied()) == []


def test_two_failed_checks_in_a_row_are_a_death():
    life = life_in(Phase.HOT)
    assert happen(life, states.NotReady("500")) == []
    assert kinds(happen(life, states.NotReady("500"))) == ["Enter", "Hangup", "Died"]
    assert life.phase is Phase.CLEARING


def test_a_check_that_passes_between_them_forgives_the_first():
    life = life_in(Phase.HOT)
    for event in (states.NotReady("500"), states.Ready(), states.NotReady("500")):
        happen(life, event)
    assert life.phase is Phase.HOT


def test_a_check_that_is_refused_is_a_death_at_once():
    life = life_in(Phase.HOT)
    happen(life, states.NotReady("connection refused", refused=True))
    assert life.phase is Phase.CLEARING


def test_a_slow_check_under_a_lease_is_no_failure():
    life = life_in(Phase.HOT)
    life.leases = 1
    for _ in range(5):
        happen(life, states.NotReady("no answer within 5 s", at_once=False))
    assert (life.phase, life.failures) == (Phase.HOT, 0)


def test_one_that_its_launcher_watches_dies_by_its_exit_only():
    life = life_in(Phase.HOT, dies_by_exit=True)
    for _ in range(5):
        happen(life, states.NotReady("connection refused", refused=True))
    assert life.phase is Phase.HOT
    happen(life, states.Exited("killed by signal 9"))
    assert life.phase is Phase.CLEARING


def test_one_that_was_found_and_is_nobodys_dies_by_its_checks():
    life = life_in(Phase.HOT, dies_by_exit=True)
    life.run, life.found = None, True
    happen(life, states.NotReady("500"))
    effects = happen(life, states.NotReady("500"))
    assert (life.phase, kinds(effects)) == (Phase.COLD, ["Enter", "LetGo", "Hangup", "Died", "WentCold"])


@pytest.mark.parametrize("after, phase", [(0.99, Phase.PROBING), (1.0, Phase.CLEARING)])
def test_a_refused_connection_within_a_second_of_ready_means_not_ready_yet(after, phase):
    life = life_in(Phase.HOT)
    life.hot_at = 100.0
    happen(life, states.Refused("connection refused"), 100.0 + after)
    assert life.phase is phase


def test_one_that_is_only_watched_settles_too():
    life = life_in(Phase.HOT, own_launch=False, launches=False)
    life.hot_at, life.run = 100.0, None
    happen(life, states.Refused("connection refused"), 100.5)
    assert life.phase is Phase.PROBING


def test_what_is_left_of_a_dead_one_is_ended_before_it_starts_again():
    life = life_in(Phase.HOT)
    happen(life, states.Exited("killed"))
    assert happen(life, states.Start()) == []
    effects = happen(life, states.Stopped())
    assert life.phase is Phase.CHECKING
    assert kinds(effects) == ["Enter", "LetGo", "Hangup", "Forget", "WentCold", "Enter"]


def test_a_stop_with_time_lets_leases_finish():
    life = life_in(Phase.HOT)
    life.leases = 1
    assert kinds(happen(life, states.Stop("command", 30.0), 100.0)) == ["Enter"]
    assert (life.phase, life.due, life.hears) == (Phase.DRAINING, 130.0, True)
    life.leases = 0
    effects = happen(life, states.Emptied(), 110.0)
    assert (life.phase, effects[-1]) == (Phase.STOPPING, states.Hangup(life, break_off=True))


def test_a_second_stop_may_shorten_the_time_but_not_lengthen_it():
    life = life_in(Phase.HOT)
    life.leases = 1
    happen(life, states.Stop("command", 30.0), 100.0)
    happen(life, states.Stop("command", 60.0), 100.0)
    assert life.due == 130.0
    happen(life, states.Stop("shutdown", 5.0), 100.0)
    assert life.due == 105.0


def test_what_we_may_not_stop_is_only_forgotten():
    life = life_in(Phase.HOT, stops=False)
    effects = happen(life, states.Stop("idle"))
    assert (life.phase, kinds(effects)) == (Phase.COLD, ["Hangup", "Enter", "LetGo", "Hangup", "Forget", "WentCold"])


def test_an_exit_while_it_drains_is_no_failure():
    life = life_in(Phase.DRAINING)
    life.leases, life.stop_cause = 1, "command"
    happen(life, states.Exited("code 0"))
    assert life.phase is Phase.STOPPING
    assert happen(life, states.Stopped())[-1] == states.WentCold(life, "command")


def test_a_start_while_it_stops_follows_the_end():
    life = life_in(Phase.STOPPING)
    happen(life, states.Start())
    happen(life, states.Stopped())
    assert life.phase is Phase.CHECKING


def test_a_stop_after_that_start_calls_it_off():
    life = life_in(Phase.STOPPING)
    happen(life, states.Start())
    happen(life, states.Stop("command"))
    happen(life, states.Stopped())
    assert life.phase is Phase.COLD


def test_a_stop_while_a_failed_attempt_is_ended_ends_the_attempts():
    life = life_in(Phase.PROBING, attempts=3)
    happen(life, states.Failed("no"))
    happen(life, states.Stop("command"))
    assert happen(life, states.Stopped())[-1] == states.WentCold(life, "command")
    assert life.phase is Phase.COLD


def test_a_stop_that_fails_is_tried_again_later_and_later_and_nothing_is_forgotten():
    life = life_in(Phase.STOPPING)
    delays = []
    for _ in range(9):
        happen(life, states.StopFailed("engine away"), 0.0)
        delays.append(life.due)
        assert (life.phase, life.run) == (Phase.STOPPING, RUN)
        happen(life, states.Due(), 0.0)
    assert delays == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]


def test_a_failed_attempt_that_cannot_be_stopped_twice_gives_up_with_its_own_reason():
    life = life_in(Phase.PROBING, attempts=3)
    happen(life, states.Failed("never ready"))
    assert happen(life, states.StopFailed("engine away")) == []
    happen(life, states.Due())
    effects = happen(life, states.StopFailed("engine away"))
    assert effects == [states.GaveUp(life, "never ready; could not be stopped: engine away")]
    assert happen(life, states.Stopped())[-1] == states.WentCold(life, "died")


def test_a_stop_that_fails_for_the_reason_of_the_start_does_not_say_it_twice():
    life = life_in(Phase.PROBING)
    happen(life, states.Failed("no engine"))
    happen(life, states.StopFailed("no engine"))
    happen(life, states.Due())
    assert happen(life, states.StopFailed("no engine")) == [states.GaveUp(life, "no engine")]
