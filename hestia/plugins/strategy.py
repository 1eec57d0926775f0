"""One use of a strategy, guarded: it is somebody's code on our loop, and may be wrong, slow or silent.

Then the built-in choice is used, the failure is counted, and the log says so once a minute.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from hestia.plugins.blame import BROKEN, said, shown
from hestia.rules.strategy_calls import MAKES_SENSE, build
from hestia.words.notes import Note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Mapping

    from hestia.rules.strategy_calls import Offer

SLOW_S: Final = 0.005
SLOW_TIMES: Final = 3
LONGEST_S: Final = 5.0
"""An `async` strategy has so long."""
TOLD_EACH_S: Final = 60.0


class _BuiltIn:
    def __repr__(self) -> str:
        return "BUILT_IN"


BUILT_IN: Final = _BuiltIn()
"""The strategy gave nothing that can be used: the caller makes its own choice."""


class Strategy:
    """One use of a strategy, by one service or route, with its options. It stays the same over reloads."""

    __slots__ = ("__weakref__", "_call", "_sense", "_tell", "_told", "_untold", "_wanderers", "clock", "failures",
                 "last_error", "off", "offer", "options", "owner", "slow")  # fmt: skip

    def __init__(
        self,
        offer: Offer,
        options: Mapping[str, Any],
        owner: str,
        tell: Callable[[Note], None],
        clock: Callable[[], float],
    ) -> None:
        self.options = options
        self.owner = owner
        self.clock = clock
        self.failures = 0
        self.last_error: str | None = None
        self._tell = tell
        self._told = -TOLD_EACH_S
        self._untold = 0
        self._wanderers: set[asyncio.Task[Any]] = set()
        self.adopt(offer, build(offer, options))

    def adopt(self, offer: Offer, call: Callable[..., Any]) -> None:
        """A new version takes over, and may prove itself again."""
        self.offer = offer
        self._call = call
        self._sense = MAKES_SENSE[offer.kind]
        self.forgive()

    def forgive(self) -> None:
        """One that was switched off for being slow is tried again."""
        self.off = False
        self.slow = 0

    @property
    def waits(self) -> bool:
        """Whether it must be awaited with `ask`: it is `async`."""
        return self.offer.waits

    def call(self, *arguments: Any) -> Any:
        """What it says, or BUILT_IN. Only for one that does not wait."""
        if self.off:
            return BUILT_IN
        begun = self.clock()
        try:
            result = self._call(*arguments)
        except (*BROKEN, asyncio.CancelledError) as problem:  # nothing was awaited: a cancellation is its own
            self._failed(said(problem, self.offer.file))
            result = BUILT_IN
        self._took(self.clock() - begun)
        return self._checked(arguments, result)

    async def ask(self, *arguments: Any) -> Any:
        """What it says, or BUILT_IN, of one that waits too. Cancelled, it is cancelled with us."""
        if not self.offer.waits:
            return self.call(*arguments)
        if self.off:
            return BUILT_IN
        # A task of its own: one that ignores its cancellation must not hold the request that asked.
        task = asyncio.get_running_loop().create_task(self._steps(arguments))
        self._wanderers.add(task)
        task.add_done_callback(self._wanderers.discard)
        try:
            done, _ = await asyncio.wait({task}, timeout=LONGEST_S)
        finally:
            task.cancel()
        result: Any = BUILT_IN
        if not done:
            self._failed(f"gave no answer within {LONGEST_S:g} s")
        elif task.cancelled():
            self._failed("cancelled itself")
        else:
            result = task.result()
        return self._checked(arguments, result)

    async def _steps(self, arguments: tuple[Any, ...]) -> Any:
        stepped = None
        try:
            stepped = _Stepped(self._call(*arguments), self.clock)
            return await stepped
        except BROKEN as problem:
            self._failed(said(problem, self.offer.file))
            return BUILT_IN
        finally:
            if stepped is not None:
                self._took(stepped.longest)

    def _checked(self, arguments: tuple[Any, ...], result: Any) -> Any:
        if result is BUILT_IN:
            return BUILT_IN
        with suppress(Exception):  # a result may lie about itself
            if self._sense(arguments, result):
                return result
        if asyncio.iscoroutine(result):
            result.close()
        self._failed(f"returned nonsense: {shown(result)}")
        return BUILT_IN

    def _took(self, seconds: float) -> None:
        if seconds <= SLOW_S:
            self.slow = 0
            return
        self.slow += 1
        if self.slow >= SLOW_TIMES:
            self.off = True
            detail = f"blocked the gateway {SLOW_TIMES} times in a row, last for {seconds * 1000:.0f} ms"
            self.last_error = detail
            self._note("strategy.switched_off", detail=f"{detail}; off until the strategies are reloaded")

    def _failed(self, detail: str) -> None:
        """Counted each time, told once a minute."""
        self.failures += 1
        self.last_error = detail
        self._untold += 1
        now = self.clock()
        if now - self._told >= TOLD_EACH_S:
            self._note("strategy.failed", detail=detail, failures=self._untold)
            self._told = now
            self._untold = 0

    def _note(self, kind: str, **more: Any) -> None:
        known = {"strategy": self.offer.name, "strategy_kind": self.offer.kind, "used_by": self.owner}
        self._tell(Note(kind=kind, more=known | more))


class _Stepped:
    """Awaits a coroutine and times its steps: what it does between two awaits blocks everybody."""

    __slots__ = ("_clock", "_inner", "longest")

    def __init__(self, inner: Awaitable[Any], clock: Callable[[], float]) -> None:
        self._inner = inner
        self._clock = clock
        self.longest = 0.0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._inner.__await__()
        value: Any = None
        problem: BaseException | None = None
        while True:
            begun = self._clock()
            try:
                wanted = steps.send(value) if problem is None else steps.throw(problem)
            except StopIteration as end:
                return end.value
            finally:
                self.longest = max(self.longest, self._clock() - begun)
            value, problem = None, None
            try:
                value = yield wanted
            except BaseException as thrown:  # noqa: BLE001 - handed to the strategy, where it belongs
                problem = thrown
