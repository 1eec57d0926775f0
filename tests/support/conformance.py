"""What every launcher keeps, whatever its kind: one suite, run on each kind with a rig of its own, and on the fake.

A test file of a launcher gives a fixture `rig` and inherits what its engine can do:

    class TestDocker(Lives, Cancelled, WithEngine, Watched, WithLogs, Failing, Crashing):
        @pytest.fixture
        async def rig(self): ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Generator
from typing import Any, Protocol

import msgspec
import pytest
from msgspec.structs import replace

from hestia.ports import HasLogs, Launcher, LaunchFailed, Telling, Watchable
from hestia.words.run import Run, Told

WITHIN_S = 20.0  # for an effect that must come; a busy machine is slow
MOST_WAITS = 200


class Rig(Protocol):
    """One kind of launcher before its engine (or a faithful double). Optional parts are named by the suites below."""

    launcher: Launcher

    def make_run(self) -> Run:
        """A new thing that starts well and stays, as yet not running; each call names another one."""

    def new_gateway(self) -> Launcher:
        """Another launcher object that knows nothing of the first, as after a restart of the gateway."""

    async def running_really(self, run: Run) -> int:
        """How many of it run, as seen past the launcher: 0, 1, or the mistake 2."""

    # WithEngine: async break_engine(), async heal_engine()
    # Slow:       make_slow() -> Run    starts only after about half a second, or hands out its handle long before
    # Crashing:   make_crashing() -> Run   ends by itself at once;  crash_says: str, words that `gone` or the failure has
    # Failing:    make_failing() -> Run    cannot be started;  failure_says: str, the engine's own reason
    # Watched:    async kill(run)       ends it past the launcher
    # WithLogs:   make_talking() -> Run    prints `first`, `second`, `third`, one a line, and then a `tick N` now and then
    # Tells:      make_telling() -> Run    tells http://127.0.0.1:4567 (and /healthz below it as its check)


class Shelf:
    """Keeps handles as the store does: encoded, and the last one counts."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.handles: list[dict[str, Any]] = []

    async def record(self, handle: dict[str, Any]) -> None:
        await asyncio.sleep(0)  # a disk takes its time: who is cancelled meanwhile has not recorded
        self.handles.append(msgspec.json.decode(msgspec.json.encode(handle)))

    def kept(self, told: Told | None = None) -> Run:
        """The run as a gateway reads it back."""
        run = replace(self.run, handle=self.handles[-1] if self.handles else {}, told=told or self.run.told)
        return msgspec.json.decode(msgspec.json.encode(run), type=Run)


async def started(launcher: Launcher, run: Run) -> Run:
    shelf = Shelf(run)
    told = await launcher.start(run, shelf.record)
    return shelf.kept(told)


async def until(check: Any, words: str = "the effect", within: float = WITHIN_S) -> Any:
    """Waits until `check()` (or what it awaits) is true."""
    end = time.monotonic() + within
    while True:
        found = check()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"{words} did not come within {within:g}s"
        await asyncio.sleep(0.02)


class CancelledAt:
    """Drives a coroutine and has its task cancelled when it waits for the n-th time."""

    def __init__(self, work: Coroutine[Any, Any, Any], n: int) -> None:
        self.work, self.n = work, n

    def __await__(self) -> Generator[Any, Any, Any]:
        inner, waits, value = self.work.__await__(), 0, None
        error: BaseException | None = None
        while True:
            try:
                future = inner.throw(error) if error is not None else inner.send(value)
            except StopIteration as end:
                return end.value
            waits += 1
            if waits == self.n:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()
            try:
                value, error = (yield future), None
            except BaseException as thrown:  # noqa: BLE001 -- handed on to the coroutine
                error = thrown


async def cancelled_at(work: Coroutine[Any, Any, Any], n: int) -> bool:
    """Whether the work came to its n-th wait and was cancelled there; False: it ended before."""

    async def drive() -> None:
        await CancelledAt(work, n)

    task = asyncio.ensure_future(drive())
    done, _ = await asyncio.wait({task}, timeout=WITHIN_S)
    assert done, f"cancelled at its wait number {n}, it did not end"
    if not task.cancelled():
        task.result()
    return task.cancelled()


class Lives:
    """Start, stop, state: alone, twice, at once, and by another gateway."""

    async def test_what_was_never_started_is_stopped_and_its_stop_is_no_failure(self, rig):
        run = rig.make_run()
        assert await rig.launcher.state(run) in {"stopped", "unknown"}
        await rig.launcher.stop(run)
        assert await rig.running_really(run) == 0

    async def test_it_starts_and_stops(self, rig):
        run = await started(rig.launcher, rig.make_run())
        assert await until(lambda: rig.running_really(run)) == 1
        assert await rig.launcher.state(run) == "running"
        await rig.launcher.stop(run)
        assert await rig.running_really(run) == 0
        assert await rig.launcher.state(run) in {"stopped", "unknown"}

    async def test_a_second_start_finds_the_first(self, rig):
        run = await started(rig.launcher, rig.make_run())
        again = await started(rig.launcher, run)
        assert await until(lambda: rig.running_really(run)) == 1
        await rig.launcher.stop(replace(again, handle=again.handle or run.handle))
        assert await rig.running_really(run) == 0

    async def test_two_starts_at_once_start_one(self, rig):
        shelf = Shelf(rig.make_run())
        await asyncio.gather(*(rig.launcher.start(shelf.run, shelf.record) for _ in range(2)), return_exceptions=True)
        assert await until(lambda: rig.running_really(shelf.run)) == 1
        await rig.launcher.stop(shelf.kept())
        assert await rig.running_really(shelf.run) == 0

    async def test_it_can_be_stopped_twice_and_by_two_at_once(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await asyncio.gather(rig.launcher.stop(run), rig.launcher.stop(run))
        await rig.launcher.stop(run)
        assert await rig.running_really(run) == 0

    async def test_a_stop_during_its_start_wins(self, rig):
        shelf = Shelf(rig.make_run())
        start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
        await until(lambda: shelf.handles or start.done())
        await rig.launcher.stop(shelf.kept())
        await asyncio.gather(start, return_exceptions=True)
        await rig.launcher.stop(shelf.kept())  # as the keeper does when a start returns late
        assert await rig.running_really(shelf.run) == 0

    async def test_a_start_during_its_stop_leaves_one_or_none_and_knows_which(self, rig):
        run = await started(rig.launcher, rig.make_run())
        shelf = Shelf(replace(run, id=run.id + "-next", handle={}))
        await asyncio.gather(
            rig.launcher.stop(run), rig.launcher.start(shelf.run, shelf.record), return_exceptions=True
        )
        state = await rig.launcher.state(shelf.kept())
        assert await rig.running_really(shelf.run) == (1 if state == "running" else 0)
        await rig.launcher.stop(shelf.kept())
        assert await rig.running_really(shelf.run) == 0

    async def test_another_gateway_adopts_it(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await until(lambda: rig.running_really(run))
        other = rig.new_gateway()
        assert await other.state(run) == "running"
        await started(other, run)
        assert await rig.running_really(run) == 1
        await other.stop(run)
        assert await rig.running_really(run) == 0
        assert await other.state(run) in {"stopped", "unknown"}

    async def test_another_gateway_sees_what_ended(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await rig.launcher.stop(run)
        assert await rig.new_gateway().state(run) in {"stopped", "unknown"}
        await rig.new_gateway().stop(run)


class Cancelled:
    """Cancelled at any wait, a start leaves nothing that a stop with the last recorded handle does not end."""

    async def test_a_start_may_be_cancelled_at_any_wait(self, rig):
        await self._cancel_everywhere(rig, lambda: rig.launcher)

    async def test_what_a_cancelled_start_left_is_ended_by_another_gateway(self, rig):
        await self._cancel_everywhere(rig, rig.new_gateway)

    async def test_a_stop_may_be_cancelled_at_any_wait_and_called_again(self, rig):
        for n in range(1, MOST_WAITS):
            run = await started(rig.launcher, rig.make_run())
            was_cancelled = await cancelled_at(rig.launcher.stop(run), n)
            await rig.launcher.stop(run)
            assert await rig.running_really(run) == 0, f"stop cancelled at wait {n}"
            if not was_cancelled:
                return
        pytest.fail(f"a stop waits more than {MOST_WAITS} times")

    async def _cancel_everywhere(self, rig, stopper):
        for n in range(1, MOST_WAITS):
            shelf = Shelf(rig.make_run())
            was_cancelled = await cancelled_at(rig.launcher.start(shelf.run, shelf.record), n)
            await stopper().stop(shelf.kept())
            if not shelf.handles:  # what was never written down ends by itself
                await until(lambda run=shelf.run: _none_runs(rig, run), f"the end after a cancel at wait {n}")
            assert await rig.running_really(shelf.run) == 0, f"start cancelled at wait {n}"
            if not was_cancelled:
                return
        pytest.fail(f"a start waits more than {MOST_WAITS} times")


async def _none_runs(rig: Rig, run: Run) -> bool:
    return await rig.running_really(run) == 0


class WithEngine:
    """An engine that is out of reach: nothing is known, nothing is started and nothing is stopped."""

    async def test_the_state_is_unknown_while_the_engine_is_down(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await rig.break_engine()
        assert await rig.launcher.state(run) == "unknown"
        await rig.heal_engine()
        assert await rig.launcher.state(run) == "running"
        await rig.launcher.stop(run)

    async def test_a_start_fails_while_the_engine_is_down_and_works_again_after(self, rig):
        run = rig.make_run()
        await rig.break_engine()
        with pytest.raises(LaunchFailed):
            await started(rig.launcher, run)
        await rig.heal_engine()
        assert await rig.running_really(run) == 0
        run = await started(rig.launcher, run)
        assert await until(lambda: rig.running_really(run)) == 1
        await rig.launcher.stop(run)

    async def test_a_stop_fails_while_the_engine_is_down_and_works_again_after(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await until(lambda: rig.running_really(run))
        await rig.break_engine()
        with pytest.raises(LaunchFailed):
            await rig.launcher.stop(run)
        await rig.heal_engine()
        assert await rig.running_really(run) == 1
        await rig.launcher.stop(run)
        assert await rig.running_really(run) == 0


class Slow:
    """A start that takes its time can be stopped and cancelled in the middle."""

    async def test_a_slow_start_comes_to_run(self, rig):
        run = await started(rig.launcher, rig.make_slow())
        assert await until(lambda: rig.running_really(run)) == 1
        await rig.launcher.stop(run)

    async def test_a_slow_start_that_is_cancelled_is_ended_by_stop(self, rig):
        shelf = Shelf(rig.make_slow())
        start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
        await until(lambda: shelf.handles or start.done())
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await rig.launcher.stop(shelf.kept())
        assert await rig.running_really(shelf.run) == 0
        assert await rig.launcher.state(shelf.kept()) in {"stopped", "unknown"}


class Crashing:
    """What ends by itself at once is either a failed start or seen to be gone, and its words are told."""

    async def test_a_crash_at_start_is_told_with_its_reason(self, rig):
        shelf = Shelf(rig.make_crashing())
        said = await self._words(rig.launcher, shelf)
        assert said is None or rig.crash_says in said
        await rig.launcher.stop(shelf.kept())
        assert await rig.running_really(shelf.run) == 0

    async def _words(self, launcher: Launcher, shelf: Shelf) -> str | None:
        """What the launcher says of the crash; None: it has no way to."""
        try:
            await launcher.start(shelf.run, shelf.record)
        except LaunchFailed as failed:
            return str(failed)
        await until(lambda: _is_stopped(launcher, shelf.kept()), "its end")
        return (
            await asyncio.wait_for(launcher.gone(shelf.kept()), WITHIN_S) if isinstance(launcher, Watchable) else None
        )


async def _is_stopped(launcher: Launcher, run: Run) -> bool:
    return await launcher.state(run) == "stopped"


class Failing:
    """A start that cannot be done raises LaunchFailed with the engine's reason, and leaves nothing."""

    async def test_a_failed_start_names_the_engines_reason(self, rig):
        shelf = Shelf(rig.make_failing())
        with pytest.raises(LaunchFailed, match=rig.failure_says) as failed:
            await rig.launcher.start(shelf.run, shelf.record)
        assert "\n\n" not in str(failed.value)
        assert await rig.running_really(shelf.run) == 0
        await rig.launcher.stop(shelf.kept())


class Watched:
    """The launcher notices by itself when what it started ends."""

    async def test_its_end_is_noticed(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await until(lambda: rig.running_really(run))
        gone = asyncio.ensure_future(rig.launcher.gone(run))
        done, _ = await asyncio.wait({gone}, timeout=0.1)
        assert not done, gone
        await rig.kill(run)
        assert await asyncio.wait_for(gone, WITHIN_S)
        assert await rig.launcher.state(run) == "stopped"
        await rig.launcher.stop(run)

    async def test_its_end_is_noticed_by_a_gateway_that_adopted_it(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await until(lambda: rig.running_really(run))
        other = rig.new_gateway()
        gone = asyncio.ensure_future(other.gone(run))
        done, _ = await asyncio.wait({gone}, timeout=0.1)
        assert not done, gone
        await rig.kill(run)
        assert await asyncio.wait_for(gone, WITHIN_S)
        assert await other.state(run) == "stopped"

    async def test_what_is_gone_already_is_told_at_once(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await rig.launcher.stop(run)
        assert isinstance(await asyncio.wait_for(rig.launcher.gone(run), WITHIN_S), str)

    async def test_a_watch_that_is_cancelled_holds_nothing_and_can_begin_again(self, rig):
        run = await started(rig.launcher, rig.make_run())
        await until(lambda: rig.running_really(run))
        for _ in range(3):
            gone = asyncio.ensure_future(rig.launcher.gone(run))
            await asyncio.wait({gone}, timeout=0.05)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            assert gone.cancelled()
        assert await rig.running_really(run) == 1
        await rig.launcher.stop(run)


class WithLogs:
    """The output is there while it runs and after its end, and can be followed."""

    async def test_its_output_can_be_read_while_it_runs_and_after(self, rig):
        assert isinstance(rig.launcher, HasLogs)
        run = await started(rig.launcher, rig.make_talking())
        await until(lambda: _has_line(rig.launcher, run, "third"))
        assert (await rig.launcher.lines(run, 1000))[:3] == ["first", "second", "third"]
        assert len(await rig.launcher.lines(run, 2)) == 2
        await rig.launcher.stop(run)
        assert "second" in await rig.launcher.lines(run, 1000)

    async def test_its_output_can_be_followed(self, rig):
        run = await started(rig.launcher, rig.make_talking())
        async with asyncio.timeout(WITHIN_S):
            async for line in rig.launcher.follow(run):
                if line.startswith("tick "):
                    break
        await rig.launcher.stop(run)

    async def test_what_never_ran_has_no_line(self, rig):
        assert await rig.launcher.lines(rig.make_run(), 10) == []


async def _has_line(launcher: HasLogs, run: Run, line: str) -> bool:
    return line in await launcher.lines(run, 1000)


class Tells:
    """An address that a start tells arrives with the start or after it, and is told again after adoption."""

    async def test_an_address_that_it_tells_is_heard(self, rig):
        wanted = Told(base_url="http://127.0.0.1:4567", health_url="http://127.0.0.1:4567/healthz")
        shelf = Shelf(rig.make_telling())
        told = await rig.launcher.start(shelf.run, shelf.record)
        if isinstance(rig.launcher, Telling):
            await until(lambda: rig.launcher.told(shelf.kept()) == wanted)
            other = rig.new_gateway()
            await until(lambda: other.told(shelf.kept()) == wanted)
        else:
            assert told == wanted
        await rig.launcher.stop(shelf.kept(told))
