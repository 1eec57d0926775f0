"""kind command: commands that start, stop and ask about something, and return while it lives on.

Without a status command Hestia knows what it did itself: what a start command has started with exit code 0 runs, until
its stop command has ended, or the machine has booted anew.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from hestia.launchers.ending import end
from hestia.launchers.environment import scrubbed
from hestia.launchers.hired import Hired
from hestia.launchers.last_words import LINES, ended
from hestia.launchers.output import Output, output_of
from hestia.launchers.owned import Owned, alive, boot_id, owned_of
from hestia.launchers.told import Ear
from hestia.ports import LaunchFailed, RunState
from hestia.words.launch_spec import CommandLaunch
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from hestia.ports import Record

STATUS_S: Final = 5.0
STOP_S: Final = 120.0
TOLD_BYTES: Final = 16 * 1024 * 1024  # of a start command's output, searched for addresses
REMEMBERED: Final = 1000


class Begun:
    """A start that is under way."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.owned: Owned | None = None
        self.refused = False


class CommandLauncher:
    """One for all services. Output goes to `<data_dir>/logs`; without a `cwd` commands run in `folder`."""

    def __init__(
        self,
        data_dir: Path,
        folder: Path,
        environ: Mapping[str, str] = os.environ,
        secrets: Collection[str] = (),
    ) -> None:
        self._data_dir, self._folder = data_dir, folder
        self._environ, self._secrets = environ, frozenset(secrets)
        self._outputs: dict[Path, Output] = {}
        self._begun: dict[str, Begun] = {}  # by the run's id
        self._did: dict[str, RunState] = {}  # what was done last with a run: for those without a status command
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, run: Run, record: Record) -> Told:
        """Runs the start command to its end, unless it runs already. Cancelled, the command is ended with its group."""
        turn = self._turns.setdefault(run.id, asyncio.Lock())
        async with turn:
            begun = self._begun[run.id] = Begun()
            try:
                return await self._start_unless_running(run, begun, record)
            finally:
                del self._begun[run.id]
                begun.over.set()

    async def _start_unless_running(self, run: Run, begun: Begun, record: Record) -> Told:
        launch = _launch(run)
        state = await self.state(run)
        if state == "running":
            return run.told
        if state == "unknown":
            raise LaunchFailed(f"{launch.status[0]}: the status command cannot be run, so nothing was started")
        return await self._start(run, launch, begun, record)

    async def _start(self, run: Run, launch: CommandLaunch, begun: Begun, record: Record) -> Told:
        output = self._output(run)
        at = output.end()

        async def written_down(owned: Owned) -> None:
            begun.owned = owned
            await record({**owned.handle(), "started": False})
            if begun.refused:
                raise LaunchFailed("it was stopped while it started")

        code = await self._hire(run, launch.start).run(written_down)
        if begun.refused:
            raise LaunchFailed("it was stopped while it started")
        if code != 0:
            raise LaunchFailed(f"its start command {self._words(run, code, at)}")
        self._remember(run.id, "running")
        await record({"started": True, "boot": boot_id()})
        return await asyncio.to_thread(Ear(output, at, Told()).listen_to_the_end, TOLD_BYTES)

    def _hire(self, run: Run, command: tuple[str, ...], *, keep: bool = True) -> Hired:
        launch = _launch(run)
        env = scrubbed(self._environ, self._secrets, launch.env)
        return Hired(command, env, launch.cwd or str(self._folder), self._output(run), keep=keep)

    def _words(self, run: Run, code: int, at: int) -> str:
        return ended(code, self._output(run).tail(LINES * 4, since=at), _launch(run).env)

    def _output(self, run: Run) -> Output:
        path = output_of(self._data_dir, run)
        return self._outputs.setdefault(path, Output(path))

    def _remember(self, id_: str, state: RunState) -> None:
        self._did.pop(id_, None)
        self._did[id_] = state
        if len(self._did) > REMEMBERED:
            del self._did[next(iter(self._did))]

    async def stop(self, run: Run) -> None:
        """Ends a start that is under way, then runs the stop command, unless the thing is known to be stopped."""
        launch = _launch(run)
        await self._end_start(run)
        turn = self._turns.setdefault(run.id, asyncio.Lock())
        async with turn:
            if self._did.get(run.id) == "stopped" and not launch.status:
                return
            state = await self.state(run) if launch.status else None
            if state == "stopped":
                return
            if state == "unknown" and not run.handle and run.stop_with is None:
                raise LaunchFailed(f"{launch.status[0]}: the status command cannot be run, and Hestia did not start it")
            if not launch.stop:
                raise LaunchFailed("it has no `stop` command, so Hestia cannot stop it")
            await self._stop(run, launch)
            self._remember(run.id, "stopped")

    async def _end_start(self, run: Run) -> None:
        begun = self._begun.get(run.id)
        if begun is not None:
            begun.refused = True
        owned = begun.owned if begun is not None else _starting(run.handle)
        if owned is not None and alive(owned):
            await end(owned, signal.SIGTERM, 1.0)
        if begun is not None:
            await begun.over.wait()

    async def _stop(self, run: Run, launch: CommandLaunch) -> None:
        at = self._output(run).end()
        try:
            async with asyncio.timeout(STOP_S):
                code = await self._hire(run, launch.stop).run()
        except TimeoutError:
            raise LaunchFailed(f"its stop command did not end within {STOP_S:g}s, and was killed") from None
        if code != 0 and not (launch.status and await self.state(run) == "stopped"):
            raise LaunchFailed(f"its stop command {self._words(run, code, at)}")

    async def state(self, run: Run) -> RunState:
        launch = run.launch
        await self._output(run).tidy()
        if isinstance(launch, CommandLaunch) and launch.status:
            return await self._asked(run, launch)
        if run.id in self._did:
            return self._did[run.id]
        return "running" if run.handle.get("started") and run.handle.get("boot") == boot_id() else "stopped"

    async def _asked(self, run: Run, launch: CommandLaunch) -> RunState:
        """Exit code 0: it runs. 126 and 127 are a shell's words for a program that it could not run."""
        try:
            async with asyncio.timeout(STATUS_S):
                code = await self._hire(run, launch.status, keep=False).run()
        except (LaunchFailed, TimeoutError):
            return "unknown"
        if code in {126, 127}:
            return "unknown"
        return "running" if code == 0 else "stopped"

    async def lines(self, run: Run, last: int) -> list[str]:
        await self._output(run).tidy()
        return await asyncio.to_thread(self._output(run).tail, last)

    def follow(self, run: Run) -> AsyncIterator[str]:
        return self._output(run).follow()


def _starting(handle: Mapping[str, Any]) -> Owned | None:
    """The start command of a gateway that was killed meanwhile; it may run still."""
    return None if handle.get("started") else owned_of(handle)


def _launch(run: Run) -> CommandLaunch:
    if not isinstance(run.launch, CommandLaunch):
        raise LaunchFailed("its launch is of another kind than command")
    return run.launch
