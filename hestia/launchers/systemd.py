"""The `systemd` kind: units that exist already are started, stopped and looked at through `systemctl`.

systemd knows a unit by its name and does one thing at a time with it, so nothing is written down and nothing is locked.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from hestia.launchers.environment import scrubbed
from hestia.launchers.json_api import settled
from hestia.launchers.last_words import harmless
from hestia.launchers.program import Said, call, following
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SystemdLaunch
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from hestia.ports import Record, RunState

UNIT = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\.(?:service|socket|target|scope|slice|mount|path|timer)")
PROPERTIES = ("LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus")
NO_SUCH_UNIT = 5
LAST_LINES = 5
GONE = frozenset({"inactive", "failed"})


class Pace(NamedTuple):
    """How long is waited, and how often is looked, in seconds."""

    state: float = 5.0
    start: float = 3600.0  # the caller's own limit comes first
    stop: float = 300.0  # a unit's TimeoutStopSec is 90 s unless it says otherwise
    look: float = 0.25
    later: float = 2.0
    later_after: float = 10.0


PACE = Pace()


class Unit(NamedTuple):
    """A unit as systemd shows it."""

    name: str
    load: str
    active: str
    sub: str
    result: str
    code: str

    @property
    def state(self) -> RunState:
        """One that starts or stops is there; so is one that crashed and is started again by systemd."""
        return "stopped" if self.active in GONE else "running"

    def how(self) -> str:
        if self.active != "failed":
            return f"{self.name} ended" if self.result in {"", "success"} else f"{self.name} ended ({self.result})"
        code = f" {self.code}" if self.result == "exit-code" and self.code not in {"", "0"} else ""
        return f"{self.name} failed ({self.result}{code})"


class SystemdLauncher:
    """`systemctl` and `journalctl` are the programs with what stands before their own words."""

    def __init__(
        self,
        *,
        systemctl: tuple[str, ...] = ("systemctl",),
        journalctl: tuple[str, ...] = ("journalctl",),
        environ: Mapping[str, str] = os.environ,
        pace: Pace = PACE,
    ) -> None:
        self._systemctl, self._journalctl = systemctl, journalctl
        self._environ = environ
        self._pace = pace

    async def start(self, run: Run, record: Record) -> Told:
        """Returns when systemd says that it is up, which for Type=simple is at once. Cancelled, the job is queued."""
        launch = _launch(run)
        unit = await self._look(launch)
        if unit.load not in {"loaded", ""}:
            raise LaunchFailed(f"systemd has no unit {unit.name} that can be started: it is {unit.load}")
        if unit.active == "failed":  # else one that crashed too often is not started again
            await self._do(launch, "reset-failed", limit=self._pace.state)
        if unit.active != "active":
            queued = self._do(launch, "start", "--no-block", limit=self._pace.state)
            await settled(queued, problem=LaunchFailed)
        said = await self._do(launch, "start", limit=self._pace.start)
        if said.code != 0:
            raise LaunchFailed(await self._failure(launch, said))
        return Told()

    async def stop(self, run: Run) -> None:
        """Returns when all of its processes are gone. A unit that is not there has none."""
        launch = _launch(run, stop=True)
        said = await self._do(launch, "stop", limit=self._pace.stop)
        if said.code not in {0, NO_SUCH_UNIT}:
            raise LaunchFailed(_words(launch, said))
        unit = await self._look(launch)
        if unit.active == "failed":  # our own stop had to kill it
            await self._do(launch, "reset-failed", limit=self._pace.state)
        elif unit.state == "running":
            raise LaunchFailed(f"{launch.unit} is {unit.active} ({unit.sub}) after its stop")

    async def state(self, run: Run) -> RunState:
        try:
            return (await self._look(_launch(run))).state
        except LaunchFailed:
            return "unknown"

    async def gone(self, run: Run) -> str:
        """Asks again and again. While systemd cannot be asked, nothing is known to have ended."""
        launch = _launch(run)
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            try:
                unit = await self._look(launch)
            except LaunchFailed:
                unit = None
            if unit is not None and unit.state == "stopped":
                return await self._with_last_lines(launch, unit.how())
            await asyncio.sleep(self._pace.look if clock() - began < self._pace.later_after else self._pace.later)

    async def lines(self, run: Run, last: int) -> list[str]:
        """From the journal. Where there is none, or it may not be read, there is no line."""
        if last <= 0:
            return []
        said = await self._journal(_launch(run), "-n", str(last))
        return said.out.splitlines()[-last:] if said.code == 0 else []

    def follow(self, run: Run) -> AsyncIterator[str]:
        launch = _launch(run)
        return following((*self._journalctl, *_scope(launch), *_of(launch), "-n", "0", "-f"), self._environment())

    async def _look(self, launch: SystemdLaunch) -> Unit:
        said = await self._do(launch, "show", "-p", ",".join(PROPERTIES), limit=self._pace.state)
        found = dict(line.split("=", 1) for line in said.out.splitlines() if "=" in line)
        if said.code != 0 or "ActiveState" not in found:
            raise LaunchFailed(_words(launch, said))
        return Unit(launch.unit, *(found.get(name, "") for name in PROPERTIES))

    async def _do(self, launch: SystemdLaunch, verb: str, *words: str, limit: float) -> Said:
        if not UNIT.fullmatch(launch.unit):
            raise LaunchFailed(f"{launch.unit!r} is no unit's name, such as jellyfin.service")
        argv = (*self._systemctl, *_scope(launch), "--no-ask-password", "--no-pager", verb, *words, "--", launch.unit)
        return await call(argv, self._environment(), limit)

    async def _journal(self, launch: SystemdLaunch, *words: str) -> Said:
        argv = (*self._journalctl, *_scope(launch), *_of(launch), *words)
        return await call(argv, self._environment(), self._pace.state)

    def _environment(self) -> dict[str, str]:
        return scrubbed(self._environ, (), {"LC_ALL": "C"})

    async def _failure(self, launch: SystemdLaunch, said: Said) -> str:
        try:
            unit = await self._look(launch)
        except LaunchFailed:
            return _words(launch, said)
        return await self._with_last_lines(launch, unit.how() if unit.active == "failed" else _words(launch, said))

    async def _with_last_lines(self, launch: SystemdLaunch, words: str) -> str:
        said = await self._journal(launch, "-n", str(LAST_LINES))
        last = harmless(said.out.splitlines(), {}) if said.code == 0 else ""
        return f"{words}: {last}" if last else words


def _launch(run: Run, *, stop: bool = False) -> SystemdLaunch:
    for way in (run.stop_with, run.launch) if stop else (run.launch, run.stop_with):
        if isinstance(way, SystemdLaunch):
            return way
    raise LaunchFailed("no systemd unit has a part in it")


def _scope(launch: SystemdLaunch) -> tuple[str, ...]:
    return ("--user",) if launch.user else ()


def _of(launch: SystemdLaunch) -> tuple[str, ...]:
    return ("-u", launch.unit, "-o", "cat", "--no-pager", "-q")


def _words(launch: SystemdLaunch, said: Said) -> str:
    reason = harmless(said.err.splitlines() or said.out.splitlines(), {})
    return f"systemctl said of {launch.unit}: {reason or f'nothing, with exit code {said.code}'}"
