"""Every event in every phase: where it leads, or that it is ignored, or that it cannot happen."""

import pytest

from hestia.core.life import Life, Settings
from hestia.core.table import IGNORED, TABLE, tell
from hestia.words import states
from hestia.words.run import Run
from hestia.words.states import EVENTS, STARTING, Enter, Phase

# What each event (rows) leads to in each phase (columns): the phase afterwards, `.` ignored, `-` impossible.
# `=` is handled and the phase stays. The life: launched, checked, with one attempt left, without a lease.
MATRIX = """
            cold      checking  room      waking    needs     launching probing   warming   paused    hot       draining  stopping  clearing
Start       checking  .         .         .         .         .         .         .         .         .         =         =         =
Found       hot       room      -         -         -         -         -         -         -         -         -         -         -
NotFound    -         room      -         -         -         -         -         -         -         -         -         -         -
Room        -         -         waking    -         -         -         -         -         -         -         -         -         -
Elsewhere   -         -         cold      -         -         -         -         -         -         -         -         -         -
Awake       -         -         -         needs     -         -         -         -         -         -         -         -         -
NeedsHot    -         -         -         -         launching -         -         -         -         -         -         -         -
Launched    -         -         -         -         -         probing   -         -         -         -         -         -         -
Failed      -         -         cold      cold      cold      stopping  stopping  -         -         -         -         -         -
Ready       -         -         -         -         -         -         hot       -         -         =         .         .         .
NotReady    =         .         .         .         .         .         =         .         .         =         .         .         .
Exited      .         .         .         .         .         stopping  stopping  stopping  .         clearing  stopping  .         .
Refused     .         .         .         .         .         .         .         .         .         clearing  .         .         .
Due         -         -         -         -         -         stopping  stopping  hot       needs     =         stopping  =         =
Emptied     .         .         .         .         .         .         .         .         .         =         stopping  .         .
Stop        =         cold      cold      cold      cold      stopping  stopping  stopping  cold      stopping  =         =         =
Stopped     -         -         -         -         -         -         -         -         -         -         -         cold      cold
StopFailed  -         -         -         -         -         -         -         -         -         -         -         =         =
Adopt       probing   -         -         -         -         -         -         -         -         -         -         -         -
"""
ROWS = [line.split() for line in MATRIX.strip().splitlines()]
CELLS = [(name, phase, cell) for name, *cells in ROWS[1:] for phase, cell in zip(ROWS[0], cells, strict=True)]
RUN = Run(id="r", owner="a", machine="local", launch=None)
EXAMPLES = {
    states.Found: states.Found(None),
    states.Failed: states.Failed("no"),
    states.Exited: states.Exited("code 1"),
    states.Refused: states.Refused("refused"),
    states.Stop: states.Stop("command"),
    states.StopFailed: states.StopFailed("no"),
    states.NotReady: states.NotReady("500"),
    states.Adopt: states.Adopt(RUN),
}
WITH_A_RUN = {Phase.LAUNCHING, Phase.PROBING, Phase.WARMING, Phase.HOT, Phase.DRAINING, Phase.STOPPING, Phase.CLEARING}


class Owner:
    """A service without a fleet."""

    crowded = False
    awake = True

    def is_awake(self, _life):
        return self.awake


def life_in(phase, **settings):
    life = Life("a/0", Owner(), None, Settings(**settings))
    life.phase = phase
    life.hot_at = 0.0
    if phase in WITH_A_RUN:
        life.run = RUN
    if phase not in {Phase.COLD, Phase.CHECKING, Phase.ROOM}:
        life.room = True
    if phase in {Phase.PAUSED, Phase.NEEDS, *WITH_A_RUN}:
        life.awake = True
    if phase in {Phase.PAUSED, *WITH_A_RUN}:
        life.needs = True
    life.looked = phase is not Phase.COLD
    life.attempt = 1
    return life


def happen(life, event, now=100.0):
    """Its effects, told what the keeper would see."""
    return tell(life, event, now)


@pytest.mark.parametrize("name, phase, cell", CELLS, ids=str)
def test_each_event_in_each_phase_leads_where_the_matrix_says(name, phase, cell):
    kind = getattr(states, name)
    event = EXAMPLES.get(kind) or kind()
    life = life_in(Phase(phase))
    if cell == "-":
        with pytest.raises(AssertionError, match="cannot happen"):
            happen(life, event)
        assert life.phase == phase
    elif cell == ".":
        assert kind in IGNORED[Phase(phase)]
        assert happen(life, event) == []
        assert life.phase == phase
    else:
        assert kind in TABLE[Phase(phase)]
        happen(life, event)
        assert life.phase == (phase if cell == "=" else cell)


def test_the_matrix_names_every_event_and_every_phase():
    assert [row[0] for row in ROWS[1:]] == [kind.__name__ for kind in EVENTS]
    assert ROWS[0] == list(Phase)


def test_the_cells_are_counted():
    handled = sum(len(row) for row in TABLE.values())
    ignored = sum(len(row) for row in IGNORED.values())
    impossible = len(Phase) * len(EVENTS) - handled - ignored
    print(f"{len(Phase)} phases, {len(EVENTS)} events: {handled} handled, {ignored} ignored, {impossible} impossible")
    assert (handled, ignored) == (56, 53)


def test_no_event_is_both_handled_and_ignored():
    assert {phase: set(TABLE[phase]) & set(IGNORED[phase]) for phase in Phase} == {phase: set() for phase in Phase}


@pytest.mark.parametrize("phase", sorted(STARTING | {Phase.HOT, Phase.DRAINING}))
def test_a_stop_is_taken_in_every_phase_of_a_start(phase):
    assert states.Stop in TABLE[phase]


@pytest.mark.parametrize("phase", list(Phase))
def test_each_new_phase_is_said_with_a_new_number(phase):
    for kind in TABLE[phase]:
        life = life_in(phase)
        before = life.epoch
        effects = happen(life, EXAMPLES.get(kind) or kind())
        entered = [effect for effect in effects if isinstance(effect, Enter)]
        assert bool(entered) == (life.epoch > before)
        assert not entered or entered[-1].epoch == life.epoch
