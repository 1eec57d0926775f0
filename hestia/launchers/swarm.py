"""The `swarm` kind: a service of Docker Swarm that exists already is scaled up and down to nothing.

Swarm takes a whole specification with the version that it was read at, and refuses it when another one came first: so
the last word counts, and nobody's change is overwritten unseen. It starts its tasks anew by itself when they end; hence
no watch: a service that is up is looked at by its readiness check.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from hestia.launchers.docker_logs import Source, following, last_lines
from hestia.launchers.engine_api import LIMIT_S, Engine, EngineRefused, carried_through, engine_at, host_of
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SwarmLaunch
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from hestia.ports import Record, RunState

WRITES = 10  # so often others may come first
NOT_FOUND = 404
FIRST_LOOK_S = 0.05
LONGEST_LOOK_S = 1.0
GRACE_S = 10.0  # Swarm's own
STOP_MARGIN_S = 15.0
ENDED = {"complete", "failed", "shutdown", "rejected", "orphaned", "remove"}
FAILED = {"failed", "rejected"}


class MissingService(LaunchFailed):
    """What the configuration names does not exist."""


class Version(Struct, frozen=True, rename="pascal"):
    index: int


class Service(Struct, frozen=True, rename="pascal"):
    """What is read of a service; its specification is sent back as it came, but for one number."""

    id: str = field(name="ID")
    version: Version
    spec: dict[str, Any]

    @property
    def replicas(self) -> int:
        replicated = self.spec.get("Mode", {}).get("Replicated")
        if not isinstance(replicated, dict):
            raise LaunchFailed(f"the Swarm service `{self.spec.get('Name')}` is not replicated: it cannot be scaled")
        return int(replicated.get("Replicas") or 0)

    @property
    def path(self) -> str:
        return f"/services/{self.id}"

    def scaled(self, replicas: int) -> dict[str, Any]:
        return {**self.spec, "Mode": {"Replicated": {"Replicas": replicas}}}

    @property
    def container(self) -> dict[str, Any]:
        said = self.spec.get("TaskTemplate", {}).get("ContainerSpec")
        return said if isinstance(said, dict) else {}


class TaskStatus(Struct, frozen=True, rename="pascal"):
    state: str = ""
    err: str = ""


class Task(Struct, frozen=True, rename="pascal"):
    id: str = field(name="ID")
    status: TaskStatus = TaskStatus()
    created_at: str = ""

    @property
    def lives(self) -> bool:
        return self.status.state not in ENDED


class Swarm:
    """Start, stop and state, why its tasks do not run, and their output. The engine is found as for `docker`."""

    named = True

    def __init__(self, docker_host: str | None = None, runtime_dir: str | None = None) -> None:
        self._docker_host = docker_host
        self._runtime_dir = runtime_dir

    async def start(self, run: Run, record: Record) -> Told:
        """Returns when a task runs, since only until then Swarm says why none does."""
        launch = _launch(run)
        async with engine_at(self._host(launch)) as engine:
            before = {task.id for task in await _tasks(engine, launch)}
            if await _scale(engine, launch, launch.replicas):
                await _wait_for_one(engine, launch, before)
        return Told()

    async def stop(self, run: Run) -> None:
        """Returns when the last task has ended."""
        launch = _launch(run)
        async with engine_at(self._host(launch)) as engine:
            try:
                await _scale(engine, launch, 0)
                await _wait_for_none(engine, launch)
            except MissingService:
                return

    async def state(self, run: Run) -> RunState:
        launch = _launch(run)
        try:
            async with asyncio.timeout(LIMIT_S), engine_at(self._host(launch)) as engine:
                return "running" if (await _look_up(engine, launch)).replicas else "stopped"
        except MissingService:
            return "stopped"
        except (LaunchFailed, TimeoutError):
            return "unknown"

    async def health(self, run: Run) -> str | None:
        """Swarm knows of no health beyond its tasks: while enough of them run, the place's own check decides."""
        launch = _launch(run)
        try:
            async with asyncio.timeout(LIMIT_S), engine_at(self._host(launch)) as engine:
                service, tasks = await _look_up(engine, launch), await _tasks(engine, launch)
                running = sum(task.status.state == "running" for task in tasks)
                if 0 < service.replicas <= running:
                    return ""
                return f"{running} of {service.replicas} tasks run{_reason(tasks)}"
        except LaunchFailed as failed:
            return str(failed)
        except TimeoutError:
            return "the engine gave no answer"

    async def lines(self, run: Run, last: int) -> list[str]:
        launch = _launch(run)
        try:
            async with asyncio.timeout(LIMIT_S), engine_at(self._host(launch)) as engine:
                return await last_lines(engine, _log_of(await _look_up(engine, launch)), last)
        except (LaunchFailed, TimeoutError):
            return []

    async def follow(self, run: Run) -> AsyncGenerator[str, None]:
        """Of all its tasks, those to come included. An engine that went away is asked again ever more seldom."""
        launch, delay = _launch(run), FIRST_LOOK_S
        while True:
            try:
                async with engine_at(self._host(launch)) as engine:
                    source = _log_of(await _look_up(engine, launch))
                    async with aclosing(following(engine, source, None)) as lines:
                        async for line in lines:
                            delay = FIRST_LOOK_S
                            yield line
            except LaunchFailed:
                pass
            await asyncio.sleep(delay)
            delay = min(delay * 2, LIMIT_S)

    def _host(self, launch: SwarmLaunch) -> str:
        return host_of(launch.host, self._docker_host, self._runtime_dir)


def _launch(run: Run) -> SwarmLaunch:
    assert isinstance(run.launch, SwarmLaunch)  # noqa: S101 -- the roof gives each kind its own
    return run.launch


async def _look_up(engine: Engine, launch: SwarmLaunch) -> Service:
    try:
        return await engine.get(f"/services/{quote(launch.service, safe='')}", Service)
    except EngineRefused as refused:
        if refused.status != NOT_FOUND:
            raise
        raise MissingService(
            f"there is no Swarm service `{launch.service}`. Create it once (`docker service create`,"
            " `docker stack deploy`); Hestia only scales it"
        ) from refused


async def _tasks(engine: Engine, launch: SwarmLaunch) -> list[Task]:
    service = await _look_up(engine, launch)
    filters = msgspec.json.encode({"service": [service.id]}).decode()
    return await engine.get("/tasks", list[Task], {"filters": filters})


async def _scale(engine: Engine, launch: SwarmLaunch, replicas: int) -> bool:
    """Whether it was written: a larger figure of others is left alone. Who comes second reads again.

    Nothing is written without need, nor from nothing before the tasks of the life before have ended: at each update
    Swarm forgets those that are still ending. Whoever writes meanwhile makes this write fail.
    """
    for _ in range(WRITES):
        service = await _look_up(engine, launch)
        if service.replicas == replicas or 0 < replicas < service.replicas:
            return False
        if not service.replicas:
            await _wait_for_none(engine, launch)
        version = {"version": str(service.version.index)}
        try:
            await carried_through(engine.ask("POST", f"{service.path}/update", version, json=service.scaled(replicas)))
        except EngineRefused as refused:
            if "out of sequence" not in str(refused):
                raise LaunchFailed(f"Swarm did not scale `{launch.service}` to {replicas}: {refused}") from refused
        else:
            return True
    raise LaunchFailed(f"the Swarm service `{launch.service}` is changed by others all the time")


async def _wait_for_one(engine: Engine, launch: SwarmLaunch, before: set[str]) -> None:
    delay = FIRST_LOOK_S
    while True:
        tasks = [task for task in await _tasks(engine, launch) if task.id not in before]
        if any(task.status.state == "running" for task in tasks):
            return
        if any(task.status.state in FAILED for task in tasks):
            raise LaunchFailed(f"the Swarm service `{launch.service}` does not run{_reason(tasks)}")
        if not (await _look_up(engine, launch)).replicas:
            raise LaunchFailed(f"the Swarm service `{launch.service}` was scaled to nothing while it started")
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_LOOK_S)


async def _wait_for_none(engine: Engine, launch: SwarmLaunch) -> None:
    """Or until somebody scales it up again."""
    clock, delay = asyncio.get_running_loop().time, FIRST_LOOK_S
    service = await _look_up(engine, launch)
    deadline = clock() + (service.container.get("StopGracePeriod") or GRACE_S * 1e9) / 1e9 + STOP_MARGIN_S
    while not service.replicas and (left := sum(task.lives for task in await _tasks(engine, launch))):
        if clock() > deadline:
            raise LaunchFailed(f"{left} tasks of the Swarm service `{launch.service}` do not end")
        await asyncio.sleep(delay)
        delay = min(delay * 2, LONGEST_LOOK_S)
        service = await _look_up(engine, launch)


def _reason(tasks: Iterable[Task]) -> str:
    """The newest words about why a task does not run."""
    said = [task for task in tasks if task.status.err]
    last = max(said, key=lambda task: task.created_at, default=None)
    return f": {last.status.state}: {last.status.err}" if last is not None else ""


def _log_of(service: Service) -> Source:
    return Source(f"{service.path}/logs", tty=bool(service.container.get("TTY")))
