"""How far the fuzzing goes: a little with every run of the tests, HESTIA_FUZZ times as far in the gauntlet."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("HESTIA_FUZZ", "1"))


def tries(count: int) -> settings:
    """So many examples. Their time is bounded by the tests themselves: the machine may be busy."""
    return settings(max_examples=count * FACTOR, deadline=None, suppress_health_check=list(HealthCheck))


def played(scene: Callable[[asyncio.Runner], Any]) -> Iterator[Any]:
    """A scene with a loop of its own, opened once for all examples of a file."""
    with asyncio.Runner() as runner:
        one, stack = scene(runner), contextlib.AsyncExitStack()
        runner.run(stack.enter_async_context(one.open()))
        try:
            yield one
        finally:
            runner.run(stack.aclose())
