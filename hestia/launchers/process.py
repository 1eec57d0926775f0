"""kind process: a program that Hestia starts, watches and ends itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from hestia.launchers.ending import end, until_ended
from hestia.launchers.environment import scrubbed
from hestia.launchers.gate import Gated
from hestia.launchers.hired import Hired
from hestia.launchers.last_words import LINES, ended
from hestia.launchers.listening import stranger_at
from hestia.launchers.output import Output, output_of
from hestia.launchers.owned import Owned, alive, members, owned_of
from hestia.launchers.told import Ear
from hestia.ports import LaunchFailed, RunState
from hestia.words.launch_spec import ProcessLaunch
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from hestia.ports import Record

TIDY_EVERY_S: Final = 1.0
STOP_COMMAND_S: Final = 1.0  # the least that a stop command is given, whatever the grace


class Life:
    """A child of this gateway, from its spawn until it is reaped."""

    def __init__(self, gated: Gated, place: tuple[str, str, int], at: int) -> None:
        self.gated = gated
        self.place = place
        self.at = at  # where in its output it begins
        self.begun = asyncio.Event()  # it was let through the gate, or never will be
        self.refused = False

    def open(self) -> None:
        if self.refused:
            raise LaunchFailed("it was stopped while it started")
        self.gated.open()

    def refuse(self) -> None:
        if self.gated.waiting:
            self.refused = True
            self.gated.shut()

    def code(self) -> int | None:
        """Its exit code, or minus the signal. Unreaped while others of its session live: it keeps their number."""
        child, owned = self.gated.child, self.gated.owned
        if child.returncode is None and not members(owned):
            child.poll()
        return _seen_code(owned.pid) if child.returncode is None else child.returncode


def _seen_code(pid: int) -> int | None:
    """Looked at, not taken."""
    if not hasattr(os, "waitid"):
        return None
    try:
        seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # somebody reaped it
        return None
    if seen is None:
        return None
    return seen.si_status if seen.si_code == os.CLD_EXITED else -seen.si_status


class ProcessLauncher:
    """One for all services. Its output files lie in `<data_dir>/logs`; without a `cwd` programs run in `folder`."""

    def __init__(
        self,
        data_dir: Path,
        folder: Path,
        environ: Mapping[str, str] = os.environ,
        secrets: Collection[str] = (),
    ) -> None:
        self._data_dir, self._folder = data_dir, folder
        self._environ, self._secrets = environ, frozenset(secrets)
        self._lives: dict[str, Life] = {}  # by the run's id
        self._outputs: dict[Path, Output] = {}
        self._ears: dict[str, Ear] = {}
        self._spread = asyncio.Lock()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, run: Run, record: Record) -> Told:
        """Spawned at the gate, written down, let go. A second start joins the first, one during a stop follows it."""
        await self._my_turn_to_start(run)
        if self._runs(run):  # from here to the spawn nothing is awaited: two starts cannot both come here
            return self.told(run)
        life, handle = self._spawn(run)
        try:
            await record(handle)
            life.open()
        finally:
            life.gated.shut()
            life.begun.set()
        return Told()

    async def _my_turn_to_start(self, run: Run) -> None:
        while True:
            async with self._turn(run):
                await self._one_by_one()
            life = self._lives.get(run.id)
            if life is None or not life.gated.waiting:
                return
            await life.begun.wait()

    def _runs(self, run: Run) -> bool:
        owned = self._owned(run)
        return owned is not None and alive(owned)

    def _turn(self, run: Run) -> asyncio.Lock:
        return self._turns.setdefault(run.id, asyncio.Lock())

    async def _one_by_one(self) -> None:
        """A spawn or a look at all processes takes milliseconds: of twenty at once each gets a turn of the loop."""
        async with self._spread:
            await asyncio.sleep(0)

    def _spawn(self, run: Run) -> tuple[Life, dict[str, Any]]:
        launch = _launch(run)
        output = self._output(run)
        at = output.end()
        descriptor = output.open()
        try:
            gated = Gated(launch.command, self._environment(launch), self._cwd(launch), descriptor)
        finally:
            os.close(descriptor)
        place = (run.of, run.owner, run.number)
        self._drop_earlier(place)
        life = self._lives[run.id] = Life(gated, place, at)
        self._ears[run.id] = Ear(output, at, Told())
        return life, {**gated.owned.handle(), "output_at": output.offset(at)}

    def _drop_earlier(self, place: tuple[str, str, int]) -> None:
        """Lives of the same place that are over and reaped: nobody asks for their end any more."""
        for id_ in [id_ for id_, life in self._lives.items() if life.place == place]:
            if self._lives[id_].gated.child.poll() is not None:
                self._forget(id_)

    def _environment(self, launch: ProcessLaunch) -> dict[str, str]:
        return scrubbed(self._environ, self._secrets, launch.env)

    def _cwd(self, launch: ProcessLaunch) -> str:
        return launch.cwd or str(self._folder)

    def _output(self, run: Run) -> Output:
        path = output_of(self._data_dir, run)
        return self._outputs.setdefault(path, Output(path))

    def _owned(self, run: Run) -> Owned | None:
        life = self._lives.get(run.id)
        return life.gated.owned if life is not None else owned_of(run.handle)

    async def stop(self, run: Run) -> None:
        async with self._turn(run):  # two stops would send two signals, and many programs take the second for "at once"
            life = self._lives.get(run.id)
            if life is not None:
                life.refuse()
            await self._one_by_one()
            owned = self._owned(run)
            if owned is not None:
                await self._end(run, owned)
            if life is not None:
                life.code()
            self._forget(run.id)

    async def _end(self, run: Run, owned: Owned) -> None:
        launch = _launch(run)
        if launch.stop_command and alive(owned):
            await self._ask_to_stop(run, launch)
        await end(owned, signal.Signals[launch.stop_signal], launch.stop_grace)

    async def _ask_to_stop(self, run: Run, launch: ProcessLaunch) -> None:
        """Whatever comes of it, the signal follows."""
        hired = Hired(launch.stop_command, self._environment(launch), self._cwd(launch), self._output(run))
        try:
            async with asyncio.timeout(max(launch.stop_grace, STOP_COMMAND_S)):
                await hired.run()
        except (LaunchFailed, TimeoutError):
            return

    def _forget(self, id_: str) -> None:
        life = self._lives.get(id_)
        if life is None or life.gated.child.returncode is not None:
            self._lives.pop(id_, None)
            self._ears.pop(id_, None)

    async def state(self, run: Run) -> RunState:
        return "running" if self._runs(run) else "stopped"

    async def gone(self, run: Run) -> str:
        """Also turns its output over, once it has grown too long: somebody must, as long as it runs."""
        owned, output = self._owned(run), self._output(run)
        life = self._lives.get(run.id)
        if owned is not None:
            await until_ended(owned, TIDY_EVERY_S, output.tidy)
        lines = output.tail(LINES * 4, since=self._begin(run))
        return ended(life.code() if life is not None else None, lines, _launch(run).env)

    def _begin(self, run: Run) -> int:
        """Where in the output this life begins."""
        life = self._lives.get(run.id)
        if life is not None:
            return life.at
        at = run.handle.get("output_at")
        return self._output(run).kept_from(at if isinstance(at, int) else 0)

    def told(self, run: Run) -> Told:
        ear = self._ears.get(run.id)
        if ear is None:
            ear = self._ears[run.id] = Ear(self._output(run), self._begin(run), run.told)
        return ear.listen()

    def stranger(self, run: Run, url: str) -> str | None:
        owned = self._owned(run)
        return stranger_at(url, owned) if owned is not None else None

    def children(self) -> frozenset[int]:
        """Whom nobody else may reap."""
        return frozenset(life.gated.owned.pid for life in self._lives.values())

    async def lines(self, run: Run, last: int) -> list[str]:
        return await asyncio.to_thread(self._output(run).tail, last)

    def follow(self, run: Run) -> AsyncIterator[str]:
        return self._output(run).follow()


def _launch(run: Run) -> ProcessLaunch:
    if not isinstance(run.launch, ProcessLaunch):
        raise LaunchFailed("its launch is of another kind than process")
    return run.launch
