"""The `semaphore` kind: services and machines that tasks of Ansible Semaphore start and stop.

A task's message names the run, so a task that is under way is found again by whoever looks: after a lost answer, by a
second start, by the gateway that comes after one that was killed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from msgspec.structs import replace

from hestia.launchers.json_api import NoAnswer
from hestia.launchers.semaphore_api import SemaphoreApi, refused
from hestia.launchers.semaphore_site import LOOKS, Pace, Site, is_ours
from hestia.launchers.semaphore_task import Action, Errand, Task, heard
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SemaphoreLaunch
from hestia.words.run import Run, Told
from hestia.words.spec import Semaphore

if TYPE_CHECKING:
    from hestia.ports import Record, RunState

PACE = Pace()


class SemaphoreLauncher:
    """`settings` gives the configuration as it is now.

    `ready`, when given, is asked while a start's task goes on: many playbooks go on after the service is up.
    """

    def __init__(
        self,
        settings: Callable[[], Semaphore | None],
        *,
        ready: Callable[[Run], Awaitable[bool]] | None = None,
        pace: Pace = PACE,
        calendar: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._ready = ready
        self._pace = pace
        self._calendar = calendar
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, run: Run, record: Record) -> Told:
        """Returns at the task's end, or when the readiness check passes before it."""
        with _translated():
            async with self._turn(run):
                site = await self._site(run, "start")
                task = await self._begun(site, record)
            return await self._until_up(site, task, record)

    async def stop(self, run: Run) -> None:
        """Ends the start's task if it still goes on, then runs the stop template to its end."""
        if not run.handle and run.stop_with is None:
            return  # a start writes its handle down before it asks for anything
        with _translated():
            async with self._turn(run):
                site = await self._site(run, "stop")
                unseen = is_ours(run) and site.number is None
                tasks = await site.tasks(LOOKS if unseen else 1)
                if tasks or not unseen:  # else its start never came to be a task
                    await self._stopped(site, tasks)

    async def state(self, run: Run) -> RunState:
        """What the last task of this run says. Semaphore knows its tasks, not what runs: a readiness check knows more.

        A start under way and one that is done are both `running`, for there is something to stop.
        """
        try:
            async with asyncio.timeout(self._pace.state):
                site = await self._site(run, "start")
                tasks = await site.tasks()
        except (TimeoutError, LaunchFailed):
            return "unknown"
        except NoAnswer as problem:
            # Of what never began a refusal (401, no project) hides nothing, and its start will say the reason.
            return "stopped" if refused(problem) and not run.handle else "unknown"
        return _state(site, tasks)

    async def lines(self, run: Run, last: int) -> list[str]:
        """The output of the start's task, else of the last one for this place; when it cannot be had, the reason."""
        if last <= 0:
            return []
        try:
            return (await self._output(run))[-last:]
        except (NoAnswer, LaunchFailed) as problem:
            return [str(problem)]

    async def follow(self, run: Run) -> AsyncIterator[str]:
        """New lines of the start's task. While Semaphore is out of reach there are none."""
        seen: int | None = None
        while True:
            try:
                lines = await self._output(run)
            except (NoAnswer, LaunchFailed):
                lines = []
            for line in lines[seen:] if seen is not None else ():
                yield line
            seen = max(len(lines), seen or 0)
            await asyncio.sleep(self._pace.later)

    async def _output(self, run: Run) -> list[str]:
        site = await self._site(run, "start")
        if site.number is not None:
            return await site.api.output(site.project, site.number)
        listed = await site.api.tasks(site.project)
        found = [task for task in listed if site.started(task)] or [
            task for task in listed if site.errand.of_this_place(task, "start")
        ]
        return await site.api.output(site.project, found[0].id) if found else []

    def _turn(self, run: Run) -> asyncio.Lock:
        """One at a time for a place looks for its task and begins one: two who look side by side would begin two."""
        key = f"{run.of}/{run.owner}/{run.number}"
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = asyncio.Lock()
        return turn

    async def _site(self, run: Run, action: Action) -> Site:
        ways = (run.stop_with, run.launch) if action == "stop" else (run.launch, run.stop_with)
        launch = next((way for way in ways if isinstance(way, SemaphoreLaunch)), None)
        if launch is None:
            raise LaunchFailed("Semaphore has no part in it")
        api = SemaphoreApi(self._configured(), self._pace.answer)
        kept = run.handle.get("project") if is_ours(run) else None
        project = kept if isinstance(kept, int) else await api.project()
        return Site(api, project, Errand(run, launch, action), self._pace)

    def _configured(self) -> Semaphore:
        settings = self._settings()
        if settings is None or not settings.base_url:
            raise LaunchFailed("semaphore.base_url is not set (or SEMAPHORE_BASE_URL)")
        if not settings.token:
            raise LaunchFailed("semaphore.token is not set (or SEMAPHORE_API_TOKEN)")
        return settings

    async def _begun(self, site: Site, record: Record) -> Task:
        """The task that is under way or has done it already, else a new one."""
        listed = await site.api.tasks(site.project)
        for task in listed:
            if site.errand.of_this_place(task, "stop") and not task.finished and self._young(task):
                await site.end_of(task, self._pace.stop)
        handle = {"semaphore": site.errand.nonce, "project": site.project}
        task = self._under_way(site.errand, listed) or await self._new(site, handle, record)
        await record(handle | {"task": task.id})
        return task

    async def _new(self, site: Site, handle: dict[str, Any], record: Record) -> Task:
        template = await site.api.template(site.project, site.errand)
        await record(handle)
        try:
            return await site.begun(template)
        except NoAnswer as problem:
            if refused(problem):
                await record({})  # there is nothing to stop
            raise

    def _under_way(self, errand: Errand, listed: list[Task]) -> Task | None:
        own = [task for task in listed if errand.mine(task, "start") or errand.mine(task, "stop")]
        if own and errand.mine(own[0], "start") and (not own[0].finished or own[0].status == "success"):
            return own[0]
        others = (task for task in listed if errand.of_this_place(task, "start") and not task.finished)
        return next((task for task in others if self._young(task)), None)

    def _young(self, task: Task) -> bool:
        """A task of a server that was killed stays unfinished for ever: nobody waits for an old one."""
        return self._calendar() - task.created < self._pace.stop

    async def _until_up(self, site: Site, task: Task, record: Record) -> Told:
        told = Told()
        async for now in site.polls(task, self._pace.start):
            if now.finished:
                return await self._result(site, now, record)
            if self._ready is not None:
                told = await self._told(site, task, told)
                if await self._ready(replace(site.errand.run, told=told)):
                    return told
        raise LaunchFailed(f"{task} still runs after {self._pace.start:g}s")

    async def _result(self, site: Site, task: Task, record: Record) -> Told:
        if task.status != "success":
            raise await site.failure(task)
        await record({"semaphore": site.errand.nonce, "project": site.project, "task": task.id, "done": True})
        told = heard(await site.api.output(site.project, task.id))
        run = site.errand.run
        if run.of == "service" and run.base_url is None and told.base_url is None:
            raise LaunchFailed(f"{task} ended without a line HESTIA_BASE_URL=..., and base_url is not set")
        return told

    async def _told(self, site: Site, task: Task, told: Told) -> Told:
        """Read on the way only where nothing can be checked without it, for an output may be long."""
        if told.base_url or site.errand.run.base_url or site.errand.run.health_url:
            return told
        try:
            return heard(await site.api.output(site.project, task.id))
        except NoAnswer:
            return told

    async def _stopped(self, site: Site, tasks: list[Task]) -> None:
        for task in tasks:
            if site.started(task) and not task.finished:
                await site.make_end(task)
        last = tasks[0] if tasks and site.errand.mine(tasks[0], "stop") else None
        # Of a run that another launcher starts, the order of start and stop is not to be seen here.
        done = last is not None and last.status == "success" and is_ours(site.errand.run)
        if last is None or (last.finished and not done):
            last = await site.begun(await site.api.template(site.project, site.errand))
        end = await site.end_of(last, self._pace.stop)
        if end.status != "success":
            raise await site.failure(end)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except NoAnswer as problem:
        raise LaunchFailed(str(problem)) from problem


def _state(site: Site, tasks: list[Task]) -> RunState:
    if not tasks:  # Semaphore forgets old tasks
        return "running" if site.errand.run.handle.get("done") and site.number is not None else "stopped"
    last = tasks[0]
    if site.started(last):
        return "stopped" if last.finished and last.status != "success" else "running"
    return "stopped" if last.status == "success" else "running"  # a stop that failed or goes on has not ended it yet
