"""Tasks at a door: one that fails is logged and hurts nobody else, and none outlives the door."""

import asyncio
from collections.abc import Callable, Coroutine


class Fence:
    """The owner of the relay's Tasks. A TaskGroup would end all of them with the first that fails."""

    __slots__ = ("failed", "tasks")

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self.failed = failed
        self.tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self.failed(problem)

    async def close(self) -> None:
        """Cancels what still runs and waits for its end."""
        while self.tasks:
            waiting = list(self.tasks)
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)
