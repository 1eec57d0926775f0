"""One errand at one project of Semaphore: its tasks are found, begun, followed and ended here."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

from hestia.launchers.json_api import NoAnswer
from hestia.launchers.semaphore_api import SemaphoreApi, refused
from hestia.launchers.semaphore_task import Errand, Task, last_words
from hestia.ports import LaunchFailed
from hestia.words.run import Run

LOOKS = 3  # for a task whose answer was lost: it may be written down a moment later


class Pace(NamedTuple):
    """How often is looked, and for how long, in seconds."""

    poll: float = 1.0
    later: float = 2.0
    later_after: float = 30.0
    start: float = 3600.0  # the caller's own limit comes first; a killed server's task runs for ever
    stop: float = 600.0
    ending: float = 15.0  # a waiting task ends when the queue comes to it, up to 5 s later
    lost: float = 30.0  # out of reach for so long while a task is followed
    state: float = 5.0
    answer: float = 30.0  # of one request: a new task is written down and queued before it is answered


class Site:
    """`number` is the id of the task that started the run, once it is known."""

    def __init__(self, api: SemaphoreApi, project: int, errand: Errand, pace: Pace) -> None:
        self.api, self.project, self.errand, self._pace = api, project, errand, pace
        self.number = number_in(errand.run)

    def started(self, task: Task) -> bool:
        return task.id == self.number or self.errand.mine(task, "start")

    async def tasks(self, looks: int = 1) -> list[Task]:
        """What tells of this run, newest first: its start, its stops, and after it any stop of its place."""
        found: list[Task] = []
        for look in range(looks):
            if look:
                await asyncio.sleep(self._pace.poll)
            listed = await self.api.tasks(self.project)
            found = [task for task in listed if self._tells(task)]
            if self.number is not None and all(task.id != self.number for task in listed):
                old = await self.api.task(self.project, self.number)  # pushed off the list by newer ones
                return [*found, old] if old is not None else found
            if any(self.started(task) for task in found):
                return found
        return [task for task in found if self.errand.mine(task, "stop")]

    def _tells(self, task: Task) -> bool:
        errand = self.errand
        return self.started(task) or errand.mine(task, "stop") or errand.of_this_place(task, "stop")

    async def begun(self, template: int) -> Task:
        """A new task. A lost answer may have begun one: then it is looked for, and never asked for twice."""
        try:
            return await self.api.run(self.project, template, self.errand)
        except NoAnswer as problem:
            task = None if refused(problem) else await self._begun_unseen()
            if task is None or (task.finished and task.status != "success"):  # a 500 leaves one in `error` behind
                raise
            return task

    async def _begun_unseen(self) -> Task | None:
        for _look in range(LOOKS):
            await asyncio.sleep(self._pace.poll)
            try:
                listed = await self.api.tasks(self.project)
            except NoAnswer:
                continue
            mine = [task for task in listed if self.errand.mine(task, self.errand.action)]
            if mine:
                return mine[0]
        return None

    async def polls(self, task: Task, limit: float) -> AsyncIterator[Task]:
        """The task as it is, again and again for `limit` seconds. A server that restarts meanwhile is waited for."""
        clock = asyncio.get_running_loop().time
        began = reached = clock()
        while clock() - began < limit:
            try:
                now = task if task.finished else await self.api.task(self.project, task.id)
            except NoAnswer as problem:
                if refused(problem) or clock() - reached >= self._pace.lost:
                    raise
            else:
                reached = clock()
                if now is None:
                    raise LaunchFailed(f"{task} is not there any more")
                yield now
            await asyncio.sleep(self._pace.poll if clock() - began < self._pace.later_after else self._pace.later)

    async def end_of(self, task: Task, limit: float) -> Task:
        async for now in self.polls(task, limit):
            if now.finished:
                return now
        raise LaunchFailed(f"{task} still runs after {limit:g}s")

    async def make_end(self, task: Task) -> None:
        """Stops a task that goes on. Its last word (`error`, `stopped`) depends on the version and says nothing."""
        for force in (False, True):
            now = await self.api.task(self.project, task.id)
            if now is None or now.finished:
                return
            await self.api.end(self.project, task.id, force=force)
            async for now in self.polls(task, self._pace.ending):
                if now.finished:
                    return
        raise LaunchFailed(f"{task} does not end, though Semaphore was asked to stop it")

    async def failure(self, task: Task) -> LaunchFailed:
        try:
            words = last_words(await self.api.output(self.project, task.id)) or "it has no output"
        except NoAnswer as problem:
            words = f"its output cannot be read: {problem}"
        return LaunchFailed(f"{task} ended with the status {task.status}: {words}")


def is_ours(run: Run) -> bool:
    """Whether the handle was written here: that of a run which another launcher started says nothing to this one."""
    return "semaphore" in run.handle


def number_in(run: Run) -> int | None:
    number = run.handle.get("task") if is_ours(run) else None
    return number if isinstance(number, int) else None
