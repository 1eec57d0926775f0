import asyncio

import pytest

from hestia.plugins import strategy
from hestia.plugins.strategy import BUILT_IN, Strategy
from hestia.rules.strategy_calls import offer
from tests.strategies.places import P

PLACE = P()


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Guarded:
    """A use with a clock of the test's own; `slow` makes each call take so long."""

    def __init__(self, thing, kind="idle"):
        self.clock = Clock()
        self.notes = []
        made = offer("x", thing, kind, None, file=__file__, line=1, shipped=False)
        self.use = Strategy(made, {}, "services.a.idle_rule", self.notes.append, self.clock)

    def kinds(self):
        return [note.kind for note in self.notes]


def test_what_a_strategy_says_is_passed_on():
    guarded = Guarded(lambda place: place is PLACE)
    assert guarded.use.call(PLACE) is True
    assert guarded.notes == []


@pytest.mark.parametrize("problem", [KeyError("k"), SystemExit(1), RecursionError(), asyncio.CancelledError()])
def test_one_that_raises_is_told_and_the_built_in_choice_is_used(problem):
    def raises(place):
        raise problem

    guarded = Guarded(raises)
    assert guarded.use.call(PLACE) is BUILT_IN
    assert guarded.use.failures == 1
    (note,) = guarded.notes
    assert note.kind == "strategy.failed"
    assert note.more["strategy"] == "x"
    assert note.more["used_by"] == "services.a.idle_rule"
    assert type(problem).__name__ in note.more["detail"]
    assert "(line " in note.more["detail"]


class Liar:
    def __eq__(self, other):
        raise ValueError

    def __repr__(self):
        raise ValueError

    __hash__ = None


@pytest.mark.parametrize("result", [None, "yes", 1, Liar()])
def test_nonsense_is_told_and_the_built_in_choice_is_used(result):
    guarded = Guarded(lambda place: result)
    assert guarded.use.call(PLACE) is BUILT_IN
    assert guarded.notes[0].more["detail"].startswith("returned nonsense")


def test_failures_are_counted_and_told_once_a_minute():
    guarded = Guarded(lambda place: None)
    for _ in range(50):
        guarded.use.call(PLACE)
        guarded.clock.now += 1
    guarded.clock.now += 20
    guarded.use.call(PLACE)
    assert guarded.use.failures == 51
    assert [note.more["failures"] for note in guarded.notes] == [1, 50]


def slow(guarded, seconds):
    def call(place):
        guarded.clock.now += seconds
        return True

    return call


def test_one_that_blocks_three_times_in_a_row_is_switched_off_until_it_is_tried_again():
    guarded = Guarded(lambda place: True)
    guarded.use._call = slow(guarded, 0.006)
    assert [guarded.use.call(PLACE) for _ in range(4)] == [True, True, True, BUILT_IN]
    assert guarded.kinds() == ["strategy.switched_off"]
    guarded.use.forgive()
    assert guarded.use.call(PLACE) is True


def test_one_that_is_slow_now_and_then_stays():
    guarded = Guarded(lambda place: True)
    for seconds in (0.006, 0.006, 0.001, 0.006, 0.006, 0.001):
        guarded.use._call = slow(guarded, seconds)
        assert guarded.use.call(PLACE) is True
    assert guarded.notes == []


def test_a_coroutine_of_a_plain_function_is_nonsense_and_leaves_no_warning(recwarn):
    async def later():
        return True

    assert Guarded(lambda place: later()).use.call(PLACE) is BUILT_IN
    assert list(recwarn) == []


# --- one that waits


async def test_one_that_waits_is_awaited():
    async def waits(place):
        await asyncio.sleep(0)
        return place is PLACE

    guarded = Guarded(waits)
    assert guarded.use.waits
    assert await guarded.use.ask(PLACE) is True
    assert guarded.notes == []


async def test_a_plain_one_may_be_asked_too():
    assert await Guarded(lambda place: True).use.ask(PLACE) is True


async def test_one_that_waits_too_long_is_left_behind_even_if_it_ignores_that(monkeypatch):
    monkeypatch.setattr(strategy, "LONGEST_S", 0.01)
    ended = asyncio.Event()

    async def stubborn(place):
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass
            else:
                break
            if ended.is_set():
                return True
            ended.set()
            await asyncio.sleep(0.05)
        return True

    guarded = Guarded(stubborn)
    assert await asyncio.wait_for(guarded.use.ask(PLACE), 1) is BUILT_IN
    assert guarded.notes[0].more["detail"] == "gave no answer within 0.01 s"
    await asyncio.wait_for(ended.wait(), 1)
    for task in list(guarded.use._wanderers):
        task.cancel()


async def test_who_stops_asking_stops_it():
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def waits(place):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    asking = asyncio.ensure_future(Guarded(waits).use.ask(PLACE))
    await begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.wait_for(stopped.wait(), 1)


@pytest.mark.parametrize("problem", [ValueError("no"), asyncio.CancelledError(), TimeoutError(), SystemExit(2)])
async def test_one_that_waits_and_raises_harms_nobody(problem):
    async def raises(place):
        await asyncio.sleep(0)
        raise problem

    guarded = Guarded(raises)
    assert await guarded.use.ask(PLACE) is BUILT_IN
    assert guarded.kinds() == ["strategy.failed"]


async def test_one_that_waits_but_blocks_between_is_switched_off():
    async def blocks(place):
        await asyncio.sleep(0)
        guarded.clock.now += 0.02
        await asyncio.sleep(0)
        return True

    guarded = Guarded(blocks)
    assert [await guarded.use.ask(PLACE) for _ in range(4)] == [True, True, True, BUILT_IN]


async def test_what_is_thrown_into_it_arrives():
    async def tries(place):
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except TimeoutError:
            return True

    assert await Guarded(tries).use.ask(PLACE) is True
