"""The `docker` kind: containers of Docker or Podman that exist already are started, stopped or paused, and watched.

Nothing is created, changed or deleted, and nothing is remembered about a container: the engine knows it by its name or
its labels, so a gateway that begins anew finds it. Only which dependencies a start woke is written down.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from hestia.launchers import docker_compose as compose
from hestia.launchers.docker_container import Container, Missing, how_it_ended, look_up, unwell
from hestia.launchers.docker_logs import following, last_lines, log_of, this_life_since
from hestia.launchers.docker_verbs import Verbs, pause_it
from hestia.launchers.engine_api import LIMIT_S, Engine, engine_at, host_of
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import DockerLaunch
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from hestia.ports import Record, RunState

LINES_IN_A_REASON = 10
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 15.0
LASTING_S = 30.0  # a stream that lived for so long was no failure
# Podman shows `die` and `destroy`, but to be told of them one must ask for `died` and `remove`.
NEWS = ("start", "unpause", "die", "died", "pause", "destroy", "remove", "rename")
Wanted = Callable[[Engine, DockerLaunch], Awaitable[str | None]]
WOKE = "woke"  # the handle's only key: names of the dependencies that this run started


class Docker:
    """Start, stop and state, and what an engine can do beyond: watch, health check, output.

    `docker_host` is the value of DOCKER_HOST and `runtime_dir` that of XDG_RUNTIME_DIR; None where they are not set.
    """

    named = True

    def __init__(self, docker_host: str | None = None, runtime_dir: str | None = None) -> None:
        self._docker_host = docker_host
        self._runtime_dir = runtime_dir
        # A start that is sent during a stop is answered "runs already", and then the container ends: one at a time.
        self._turns: WeakValueDictionary[tuple[str | None, ...], asyncio.Lock] = WeakValueDictionary()
        self._verbs = Verbs()
        self._needed: Counter[str] = Counter()  # names that a start under way depends on

    async def start(self, run: Run, record: Record) -> Told:
        """Dependencies first, each as far as its dependent asks. Cancelled, it first has the engine's answer.

        How long a dependency may take is for the caller to say: by cancelling.
        """
        launch = _launch(run)
        async with self._turn(launch), engine_at(self._host(launch)) as engine:
            containers = await _find(engine, launch)
            if all(map(self._verbs.is_up, containers)):
                return Told()
            if launch.compose_project is not None:
                await self._start_dependencies(engine, launch.compose_project, containers, run, record)
            for container in containers:
                await self._verbs.start(engine, container)
        return Told()

    async def _start_dependencies(
        self, engine: Engine, project: str, of: list[Container], run: Run, record: Record
    ) -> None:
        needed = await compose.dependencies(engine, project, of)
        asleep = [one for one in needed if not (one.container.awake or _is_done(one))]
        with self._needing([one.container.called for one in needed]):
            if asleep:
                woke = dict.fromkeys([*run.handle.get(WOKE, ()), *(one.container.called for one in asleep)])
                await record({WOKE: list(woke)})
            for one in needed:
                if not _is_done(one):
                    await self._verbs.start(engine, one.container)
                    await compose.come_so_far(engine, project, one)

    async def stop(self, run: Run) -> None:
        """What its `on_idle` says: a paused container keeps its memory and goes on within milliseconds."""
        await self._end(run, pause=self.pauses(run))

    def pauses(self, run: Run) -> bool:
        return _launch(run).on_idle == "pause"

    async def paused(self, run: Run) -> bool:
        launch = _launch(run)
        try:
            async with engine_at(self._host(launch)) as engine:
                return any(container.state.paused for container in await _find(engine, launch))
        except LaunchFailed:
            return False

    async def end(self, run: Run) -> None:
        """Stop it, whatever `on_idle` says: for a command, a shutdown, or when its room is needed."""
        await self._end(run, pause=False)

    async def _end(self, run: Run, *, pause: bool) -> None:
        launch = _launch(run)
        async with self._turn(launch), engine_at(self._host(launch)) as engine:
            try:
                containers = await _find(engine, launch)
            except Missing:
                containers = []
            for container in reversed(containers):
                await (pause_it(engine, container) if pause else self._verbs.stop(engine, container))
            if launch.compose_project is not None and not pause:
                await self._stop_dependencies(engine, launch.compose_project, run.handle.get(WOKE, ()))

    async def _stop_dependencies(self, engine: Engine, project: str, woke: list[str]) -> None:
        """The last one first, and none that another running container of the project depends on."""
        for name in reversed(woke):
            try:
                container = await look_up(engine, name)
            except Missing:
                continue
            needed = await compose.still_needed(engine, project)
            if container.labels.get(compose.SERVICE) not in needed and not self._needed[name]:
                await self._verbs.stop(engine, container)

    async def state(self, run: Run) -> RunState:
        """A paused container counts as stopped: to start it is to let it go on."""
        launch = _launch(run)
        try:
            async with asyncio.timeout(LIMIT_S), engine_at(self._host(launch)) as engine:
                containers = await _find(engine, launch)
        except Missing:
            return "stopped"
        except (LaunchFailed, TimeoutError):
            return "unknown"
        return "running" if any(container.awake for container in containers) else "stopped"

    async def gone(self, run: Run) -> str:
        """Its end, not a restart by the engine's own policy; an engine that is away has ended nothing."""
        return await self._seen(run, _none_is_awake)

    async def came(self, run: Run) -> None:
        """Waits until it runs, whoever started it. Holds nothing when cancelled."""
        await self._seen(run, _one_is_awake)

    async def _seen(self, run: Run, wanted: Wanted) -> str:
        launch, delay = _launch(run), FIRST_DELAY_S
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                async with engine_at(self._host(launch)) as engine, aclosing(engine.wakes(_news(launch))) as wakes:
                    async for _ in wakes:
                        if (found := await wanted(engine, launch)) is not None:
                            return found
            except LaunchFailed:
                pass  # away, or cut off: look anew when it is there again
            delay = FIRST_DELAY_S if clock() - began > LASTING_S else delay
            await asyncio.sleep(delay * random.uniform(0.75, 1.25))
            delay = min(delay * 2, LONGEST_DELAY_S)

    async def health(self, run: Run) -> str | None:
        """Of several containers the first that is not healthy counts."""
        launch = _launch(run)
        try:
            async with asyncio.timeout(LIMIT_S), engine_at(self._host(launch)) as engine:
                said = [unwell(container) for container in await _find(engine, launch)]
        except LaunchFailed as failed:
            return str(failed)
        except TimeoutError:
            return "the engine gave no answer"
        return next((words for words in said if words), None if None in said else "")

    async def lines(self, run: Run, last: int) -> list[str]:
        launch = _launch(run)
        try:
            async with asyncio.timeout(LIMIT_S), engine_at(self._host(launch)) as engine:
                found = [await last_lines(engine, log_of(one), last) for one in await _find(engine, launch)]
        except (LaunchFailed, TimeoutError):
            return []
        return [line for lines in found for line in lines][-last:]

    async def follow(self, run: Run) -> AsyncGenerator[str, None]:
        """Over its restarts too: a life that begins from now on is followed from its first line. Of several containers
        the first one's lines.
        """
        launch, life, delay = _launch(run), "", FIRST_DELAY_S
        whole = await self.state(run) != "running"
        while True:
            await self.came(run)
            try:
                async with engine_at(self._host(launch)) as engine:
                    container = (await _find(engine, launch))[0]
                    begun = container.state.started_at
                    since, whole = this_life_since(container.state) if whole and begun != life else None, True
                    life = begun
                    async with aclosing(following(engine, log_of(container), since)) as lines:
                        async for line in lines:
                            delay = FIRST_DELAY_S
                            yield line
            except LaunchFailed:
                pass  # no output to be had now, or the engine went away
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY_S)

    def _host(self, launch: DockerLaunch) -> str:
        return host_of(launch.host, self._docker_host, self._runtime_dir)

    @asynccontextmanager
    async def _turn(self, launch: DockerLaunch) -> AsyncIterator[None]:
        key = (launch.host, launch.container, launch.compose_project, launch.compose_service)
        lock = self._turns.get(key)
        if lock is None:
            lock = self._turns[key] = asyncio.Lock()
        async with lock:
            yield

    @contextmanager
    def _needing(self, names: list[str]) -> Iterator[None]:
        self._needed.update(names)
        try:
            yield
        finally:
            self._needed.subtract(names)
            self._needed += Counter()  # forget those at zero


def _launch(run: Run) -> DockerLaunch:
    assert isinstance(run.launch, DockerLaunch)  # noqa: S101 -- the roof gives each kind its own
    return run.launch


async def _find(engine: Engine, launch: DockerLaunch) -> list[Container]:
    """What the configuration names, never empty. Raises Missing."""
    if launch.container is not None:
        return [await look_up(engine, launch.container)]
    return await compose.containers_of(engine, launch.compose_project or "", launch.compose_service or "")


def _news(launch: DockerLaunch) -> dict[str, list[str]]:
    """The events after which a container may be up or down; those of its health checks come every few seconds."""
    which = (
        {"container": [launch.container]}
        if launch.container is not None
        else {"label": [f"{compose.PROJECT}={launch.compose_project}", f"{compose.SERVICE}={launch.compose_service}"]}
    )
    return {"type": ["container"], "event": list(NEWS), **which}


async def _none_is_awake(engine: Engine, launch: DockerLaunch) -> str | None:
    try:
        containers = await _find(engine, launch)
    except Missing as error:
        return str(error)
    if any(container.awake for container in containers):
        return None
    words = how_it_ended(containers[0])
    with contextlib.suppress(LaunchFailed):  # some log drivers cannot be read
        lines = await last_lines(engine, log_of(containers[0]), LINES_IN_A_REASON, this_life_since(containers[0].state))
        words = "\n".join([f"{words}:", *lines]) if lines else words
    return words


async def _one_is_awake(engine: Engine, launch: DockerLaunch) -> str | None:
    try:
        return "it runs" if any(container.awake for container in await _find(engine, launch)) else None
    except Missing:
        return None


def _is_done(needed: compose.Needed) -> bool:
    return needed.condition == compose.COMPLETED and needed.container.done
