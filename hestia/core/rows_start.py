"""Rows of the table (core/table.py): a start, step by step, and a start that comes to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hestia.words.states import (
    Adopt,
    BecameHot,
    Exited,
    Failed,
    Forget,
    Found,
    GaveUp,
    Hangup,
    LetGo,
    NotReady,
    Phase,
    Retrying,
    Stop,
    TookUp,
    WantsAwake,
    WantsNeeds,
    WantsRoom,
    WentCold,
)

if TYPE_CHECKING:
    from hestia.core.life import Effects, Life

JITTER = 0.25


def start(life: Life, _event: Any, now: float) -> Effects:
    life.began = now
    life.attempt = 1
    life.reason = None
    life.looked = life.found = life.start_again = False
    return onward(life, now)


def onward(life: Life, now: float) -> Effects:
    """The next thing that is missing. A machine has neither room nor machine nor dependencies."""
    s = life.settings
    worth_a_look = s.own_launch and s.known and not life.looked
    if worth_a_look and life.owner.is_awake(life):
        return life.enter(Phase.CHECKING)
    if not s.machine:
        if not life.room:
            return [*life.enter(Phase.ROOM), WantsRoom(life)]
        life.awake = life.awake and (life.found or life.owner.is_awake(life))  # it may be lost meanwhile
        if not life.awake:
            return [*life.enter(Phase.WAKING), WantsAwake(life)]
        if worth_a_look:
            return life.enter(Phase.CHECKING)
        if not life.needs:
            return [*life.enter(Phase.NEEDS), WantsNeeds(life)]
    if life.found:
        return hot(life, None, now)
    if life.run is not None:
        return _clear(life)
    life.reason = None  # that of the attempt before is told already
    if s.own_launch:
        life.dozes = False
        return life.enter(Phase.LAUNCHING, now + s.start_timeout)
    return launched(life, None, now)


def _clear(life: Life) -> Effects:
    """What could not be stopped before is still there, and does not answer: one more try, for never run it twice."""
    life.stop_cause = "died"
    life.start_again = life.looked = True
    return life.enter(Phase.CLEARING)


def found(life: Life, event: Found, now: float) -> Effects:
    life.looked = life.found = True
    life.run = event.run or life.run
    return onward(life, now)


def seen_hot(life: Life, event: Found, now: float) -> Effects:
    """Somebody else started it: it is as it is, whatever room it takes and whatever it depends on."""
    life.began = now
    life.cause = "watch"
    life.run = event.run
    life.looked = life.found = life.room = life.awake = life.needs = True
    return [TookUp(life), *hot(life, None, now)]


def adopt(life: Life, event: Adopt, now: float) -> Effects:
    life.began = now
    life.attempt = life.settings.attempts  # it is not started anew if it turns out not to answer
    life.cause = "adoption"
    life.run = event.run
    life.found = False
    life.looked = life.room = life.awake = life.needs = True
    return [TookUp(life), *launched(life, None, now)]


def not_found(life: Life, _event: Any, now: float) -> Effects:
    life.looked = True
    return onward(life, now)


def room(life: Life, _event: Any, now: float) -> Effects:
    life.room = True
    return onward(life, now)


def awake(life: Life, _event: Any, now: float) -> Effects:
    life.awake = True
    return onward(life, now)


def needs(life: Life, _event: Any, now: float) -> Effects:
    life.needs = True
    return onward(life, now)


def launched(life: Life, _event: Any, now: float) -> Effects:
    s = life.settings
    if s.checked:
        return life.enter(Phase.PROBING, life.due if life.due is not None else now + s.start_timeout)
    return ready(life, None, now)


def ready(life: Life, _event: Any, now: float) -> Effects:
    warmup = life.settings.warmup
    return life.enter(Phase.WARMING, now + warmup) if warmup else hot(life, None, now)


def note(life: Life, event: NotReady, _now: float) -> Effects:
    life.reason = event.reason
    return []


def hot(life: Life, _event: Any, now: float) -> Effects:
    life.hot_at = now
    life.count_idle(now)
    life.reason = None
    life.failures = life.tries_to_stop = 0
    life.dozes = False
    life.busy_until = 0.0
    life.listen(to_its_end=False)
    s = life.settings
    idles = s.idle_timeout > 0 and s.launches
    return [*life.enter(Phase.HOT, now + s.idle_timeout if idles else None), BecameHot(life)]


# --- a start that comes to nothing


def attempt_failed(life: Life, event: Failed | Exited, now: float) -> Effects:
    """It is stopped, grace included, before the next attempt begins."""
    life.reason = event.reason
    life.stop_cause = "failed"
    if life.run is None:
        return after_attempt(life, now)
    return life.enter(Phase.STOPPING)


def too_late(life: Life, _event: Any, now: float) -> Effects:
    only_watched = not life.settings.launches and not life.settings.machine
    words = f"not ready within {life.settings.start_timeout:g} s"
    if not only_watched:
        words = f"{words} (`start_timeout`)"
    if life.reason:
        words = f"{words}: {life.reason}"
    if only_watched:
        where = life.spec.health_url or life.spec.base_url
        words = f"{where} is {words}; it has no `launch`, so Hestia only watches it"
    return attempt_failed(life, Failed(words), now)


def after_attempt(life: Life, now: float) -> Effects:
    s = life.settings
    reason = life.reason or "it failed"
    if life.attempt >= s.attempts:
        return [*cold(life), GaveUp(life, reason)]
    delay = s.retry_delay * 2 ** (life.attempt - 1) * (1 + JITTER * life.more_delay())
    life.attempt += 1
    return [*life.enter(Phase.PAUSED, now + delay), Retrying(life, reason, delay)]


def again(life: Life, _event: Any, now: float) -> Effects:
    """Much may have happened in the pause: what it depends on is asked for anew."""
    life.needs = life.found = False
    return onward(life, now)


def give_up(life: Life, event: Failed, _now: float) -> Effects:
    """Its machine or what it depends on failed: no further attempt here. What was found to be ours is stopped."""
    life.reason = event.reason
    life.attempt = life.settings.attempts
    life.stop_cause = "failed"
    if life.run is not None:
        return life.enter(Phase.STOPPING)
    return [*cold(life), GaveUp(life, event.reason)]


def elsewhere(life: Life, _event: Any, _now: float) -> Effects:
    return cold(life)


def stop_start(life: Life, event: Stop, _now: float) -> Effects:
    """A start is called off. What was launched is ended, and what its check said last is no news."""
    life.reason = None
    life.stop_cause = event.cause
    life.start_again = False
    if life.run is None and life.phase is not Phase.LAUNCHING and not life.dozes:
        return [*cold(life), WentCold(life, event.cause)]
    return life.enter(Phase.STOPPING)


def stop_cold(life: Life, event: Stop, _now: float) -> Effects:
    """What dozes is ended for good: for a command, or because its room is needed."""
    if not life.dozes:
        return []
    life.stop_cause = event.cause
    life.start_again = life.looked = False
    return [TookUp(life), *life.enter(Phase.CLEARING)]


def cold(life: Life) -> Effects:
    """Nothing of it is left, but for one that dozes."""
    run, life.run = life.run, None
    life.room = life.dozes
    life.awake = life.needs = life.found = False
    life.listen(to_its_end=False)
    life.tries_to_stop = 0
    effects: Effects = [*life.enter(Phase.COLD), LetGo(life), Hangup(life)]
    if run is not None:
        effects.append(Forget(run))
    return effects
