"""One loop, one gateway and one upstream for many examples of a property."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from tests.support.gateway import Running, running
from tests.support.wire import BrokenError, Upstream, Wire


class Stage:
    """A running gateway before an upstream whose next answer the example chooses."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.runner = runner
        self.answer: Callable[[Wire], Coroutine[Any, Any, None]] | None = None
        self.gateway: Running
        self.upstream: Upstream

    async def script(self, wire: Wire) -> None:
        """Every request of a connection is answered as the example at hand says."""
        while True:
            try:
                await wire.message(within=600)
            except BrokenError:
                wire.close()
                return
            assert self.answer is not None
            await self.answer(wire)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async with Upstream(self.script) as self.upstream, running({"a": {"base_url": self.upstream.base_url}}) as self.gateway:
            yield

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def forget(self) -> None:
        """What earlier examples left on the upstream's wires is of no interest."""
        for wire in self.upstream.wires:
            wire.received.clear()
            wire.at = 0
        self.upstream.wires[:] = [wire for wire in self.upstream.wires if not wire.lost]
        self.gateway.lines.clear()


@contextmanager
def stage() -> Iterator[Stage]:
    """The stage, open in a loop of its own that runs only while an example runs."""
    with asyncio.Runner() as runner:
        one, stack = Stage(runner), AsyncExitStack()
        runner.run(stack.enter_async_context(one.open()))
        try:
            yield one
        finally:
            runner.run(stack.aclose())
