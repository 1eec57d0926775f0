import pytest

from hestia.words import states
from hestia.words.run import Run
from hestia.words.states import Phase
from tests.core.test_table import RUN, happen, life_in


def kinds(effects):
    return [type(effect).__name__ for effect in effects]


def test_a_start_asks_for_what_is_missing_one_after_the_other():
    life = life_in(Phase.COLD)
    told = (states.Start(), states.NotFound(), states.Room(), states.Awake(), states.NeedsHot(), states.Launched(), states.Ready())
    seen = []
    for event in told:
        happen(life, event)
        seen.append(life.phase)
        if life.phase is Phase.LAUNCHING:
            life.run = RUN
    assert seen == ["checking", "room", "waking", "needs", "launching", "probing", "hot"]


def test_one_whose_address_is_chosen_at_its_start_is_not_checked_before():
    life = life_in(Phase.COLD, known=False)
    happen(life, states.Start())
    assert life.phase is Phase.ROOM


def test_one_on_a_machine_that_sleeps_is_checked_once_it_is_awake():
    life = life_in(Phase.COLD)
    life.owner.awake = False
    happen(life, states.Start())
    assert life.phase is Phase.ROOM
    happen(life, states.Room())
    assert life.phase is Phase.WAKING
    life.owner.awake = True
    happen(life, states.Awake())
    assert life.phase is Phase.CHECKING


def test_a_machine_needs_neither_room_nor_machine_nor_others():
    life = life_in(Phase.COLD, machine=True)
    happen(life, states.Start())
    assert life.phase is Phase.CHECKING
    happen(life, states.NotFound())
    assert life.phase is Phase.LAUNCHING


def test_one_that_answers_before_its_start_is_used_as_it_is():
    life = life_in(Phase.CHECKING)
    for event in (states.Found(None), states.Room(), states.Awake(), states.NeedsHot()):
        happen(life, event)
    assert (life.phase, life.managed, life.found) == (Phase.HOT, False, True)


def test_one_found_that_its_launcher_knows_may_be_stopped():
    life = life_in(Phase.CHECKING)
    for event in (states.Found(RUN), states.Room(), states.Awake(), states.NeedsHot()):
        happen(life, event)
    assert (life.phase, life.managed) == (Phase.HOT, True)


def test_the_time_for_one_attempt_is_from_its_launch_to_ready():
    life = life_in(Phase.NEEDS, start_timeout=7.0)
    happen(life, states.NeedsHot(), 10.0)
    assert life.due == 17.0
    happen(life, states.Launched(), 15.0)
    assert (life.phase, life.due) == (Phase.PROBING, 17.0)


def test_the_reason_of_the_last_check_stands_in_the_failure():
    life = life_in(Phase.PROBING, start_timeout=7.0, attempts=1)
    happen(life, states.NotReady("health answered 404: set health_status"))
    happen(life, states.Due())
    effects = happen(life, states.Stopped())
    assert effects[-1] == states.GaveUp(life, "not ready within 7 s (`start_timeout`): health answered 404: set health_status")


def test_the_reason_of_an_attempt_does_not_stand_in_the_failure_of_the_next():
    life = life_in(Phase.NEEDS, start_timeout=7.0, attempts=1)
    life.reason = "not ready within 7 s: connection refused"
    happen(life, states.NeedsHot())
    life.run = RUN
    happen(life, states.Due())
    assert happen(life, states.Stopped())[-1].reason == "not ready within 7 s (`start_timeout`)"


def test_what_a_check_said_is_no_news_when_its_start_was_called_off():
    life = life_in(Phase.PROBING)
    happen(life, states.NotReady("connection refused"))
    happen(life, states.Stop("command"))
    happen(life, states.Stopped())
    assert (life.phase, life.reason) == (Phase.COLD, None)


def test_an_exit_fails_the_attempt_at_once_with_its_words():
    life = life_in(Phase.PROBING, attempts=1)
    happen(life, states.Exited("exited with code 3: no such model"))
    assert life.phase is Phase.STOPPING
    assert happen(life, states.Stopped())[-1].reason == "exited with code 3: no such model"


def test_a_failed_attempt_is_stopped_before_the_next_begins():
    life = life_in(Phase.PROBING, attempts=2, retry_delay=1.0)
    happen(life, states.Failed("no"))
    assert (life.phase, life.run) == (Phase.STOPPING, RUN)
    effects = happen(life, states.Stopped(), 20.0)
    assert kinds(effects) == ["Forget", "Enter", "Retrying"]
    assert (life.phase, life.due, life.run, life.room) == (Phase.PAUSED, 21.0, None, True)


def test_a_launch_that_failed_before_anything_was_written_down_is_not_stopped():
    life = life_in(Phase.LAUNCHING, attempts=2)
    life.run = None
    happen(life, states.Failed("the disk is full"))
    assert life.phase is Phase.PAUSED


@pytest.mark.parametrize("jitter, longest", [(0.0, 1.0), (1.0, 1.25)])
def test_the_delay_doubles_and_jitter_adds_a_quarter_at_most(jitter, longest):
    life = life_in(Phase.LAUNCHING, attempts=4, retry_delay=1.0)
    life.more_delay = lambda: jitter
    delays = []
    for _ in range(3):
        life.phase, life.run = Phase.LAUNCHING, None
        delays.append(happen(life, states.Failed("no"))[-1].delay)
    assert delays == [longest, 2 * longest, 4 * longest]


def test_after_the_pause_what_it_depends_on_is_asked_for_anew():
    life = life_in(Phase.PAUSED)
    happen(life, states.Due())
    assert life.phase is Phase.NEEDS


def test_after_the_pause_a_machine_that_was_lost_is_woken_again():
    life = life_in(Phase.PAUSED)
    life.owner.awake = False
    happen(life, states.Due())
    assert life.phase is Phase.WAKING


def test_a_machine_or_dependency_that_failed_leaves_no_further_attempt():
    life = life_in(Phase.NEEDS, attempts=5)
    effects = happen(life, states.Failed("b, which it depends on, did not start: no"))
    assert kinds(effects) == ["Enter", "LetGo", "Hangup", "GaveUp"]


def test_what_was_found_to_be_ours_is_stopped_and_not_forgotten_when_a_dependency_fails():
    life = life_in(Phase.NEEDS, attempts=5)
    life.run = RUN
    effects = happen(life, states.Failed("no"))
    assert (life.phase, kinds(effects)) == (Phase.STOPPING, ["Enter"])
    assert kinds(happen(life, states.Stopped()))[-2:] == ["Hangup", "GaveUp"]


def test_warmup_follows_the_check():
    life = life_in(Phase.PROBING, warmup=3.0)
    happen(life, states.Ready(), 50.0)
    assert (life.phase, life.due) == (Phase.WARMING, 53.0)


def test_a_warmup_alone_is_the_whole_check():
    life = life_in(Phase.LAUNCHING, checked=False, warmup=3.0)
    happen(life, states.Launched(), 50.0)
    assert (life.phase, life.due) == (Phase.WARMING, 53.0)


def test_a_stop_in_a_launch_ends_what_may_have_been_launched():
    life = life_in(Phase.LAUNCHING)
    life.run = None  # it is being written down at this moment
    happen(life, states.Stop("command"))
    assert life.phase is Phase.STOPPING


def test_an_adopted_one_is_probed_and_not_started_anew():
    life = life_in(Phase.COLD, attempts=3)
    effects = happen(life, states.Adopt(RUN))
    assert (life.phase, life.run, kinds(effects)) == (Phase.PROBING, RUN, ["TookUp", "Enter"])
    happen(life, states.Due())
    assert kinds(happen(life, states.Stopped()))[-1] == "GaveUp"


def test_what_could_not_be_stopped_is_never_run_twice():
    life = life_in(Phase.STOPPING)
    life.looked = False
    happen(life, states.Start())
    happen(life, states.StopFailed("engine away"))
    assert life.phase is Phase.CHECKING  # perhaps it is fine
    happen(life, states.NotFound())
    assert (life.phase, life.run) == (Phase.CLEARING, RUN)
    effects = happen(life, states.StopFailed("engine away"))
    assert effects == [states.GaveUp(life, "could not be stopped: engine away")]
    assert (life.phase, life.run, life.due is not None) == (Phase.CLEARING, RUN, True)


def test_what_could_not_be_stopped_and_answers_is_used():
    life = life_in(Phase.STOPPING)
    life.looked = False
    happen(life, states.Start())
    happen(life, states.StopFailed("engine away"))
    happen(life, states.Found(None))
    assert life.phase in {Phase.HOT, Phase.NEEDS}
    assert isinstance(life.run, Run)
