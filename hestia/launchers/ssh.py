"""The `ssh` kind: command lines on another machine, through the user's own `ssh` with its config and agent.

A start command lives no longer than its connection: the other side ends it when its input ends, so one that is given up
or whose gateway is killed does not go on unseen. What it has put into the background by then is for the stop command.
Without a `status` command line the state is what this run did.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from hestia.launchers.environment import scrubbed
from hestia.launchers.last_words import harmless
from hestia.launchers.program import Said, call
from hestia.launchers.told import hear_all
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SshLaunch
from hestia.words.run import Run, Told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hestia.ports import Record, RunState

ASKED, DONE = "asked", "done"  # the handle: a start was begun; it ended as a success
SSH_FAILED = 255
COULD_NOT_RUN = frozenset({126, 127, SSH_FAILED})
BEGAN = "hestia-ssh-began"
DROPPED = re.compile(
    r"^(?:Connection to \S+ closed by remote host|Read from remote host |client_loop: |Timeout, server )", re.MULTILINE
)
LONGEST_FOLDER = 104 - 60  # of a unix socket's path: %C is 40 characters, and ssh appends some while it binds
REMEMBERED = 1000
OPTIONS = ("BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=5", "ServerAliveCountMax=3")

# `cat` ends with the connection; a session of sshd is a process group, and 0 means all of it.
TIED = (
    "exec 3<&0; "
    '{ cat <&3 >/dev/null; trap "" TERM; kill -s TERM 0; sleep 5; kill -s KILL 0; } >/dev/null 2>&1 & eye=$!; '
    'sh -c "$1" </dev/null 3<&-; code=$?; kill -s KILL $eye; exit $code'
)


class Pace(NamedTuple):
    """How long is waited, in seconds."""

    state: float = 15.0  # a first connection takes its time
    start: float = 3600.0  # the caller's own limit comes first
    stop: float = 120.0


PACE = Pace()


class Begun(NamedTuple):
    """A start under way: whoever stops it cancels the work and waits until it is over."""

    work: asyncio.Task[Said]
    over: asyncio.Event


class SshLauncher:
    """`ssh` is the program with what stands before its own words; connections are shared below `control_folder`."""

    def __init__(
        self,
        control_folder: Path | None = None,
        *,
        ssh: tuple[str, ...] = ("ssh",),
        environ: Mapping[str, str] = os.environ,
        pace: Pace = PACE,
    ) -> None:
        self._folder = control_folder
        self._ssh = ssh
        self._environ = environ
        self._pace = pace
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._begun: dict[str, Begun] = {}  # by the run's id
        self._did: dict[str, RunState] = {}  # what was done last with a run, for those without a status

    async def start(self, run: Run, record: Record) -> Told:
        """Runs the start command line to its end, unless the thing runs already."""
        launch = _launch(run)
        if not launch.start:
            raise LaunchFailed("launch.start is not set: Hestia cannot start it")
        async with self._turn(run):
            state = await self._state(run, launch)
            if isinstance(state, Said):
                raise LaunchFailed(f"nothing was started, for its status is unknown: {_words(launch, state)}")
            if state == "running":
                await record({"ssh": DONE})
                return run.told
            await record({"ssh": ASKED})
            said = await self._started(run, launch, launch.start)
            if said.code != 0:
                raise LaunchFailed(f"its start command {_words(launch, said)}")
            self._remember(run, "running")
            await record({"ssh": DONE})
            return hear_all(said.out.splitlines())

    async def stop(self, run: Run) -> None:
        """Ends a start that is under way, then runs the stop command line.

        A connection that drops after the command has begun is a success: so ends what puts a machine to sleep.
        """
        launch = _launch(run, stop=True)
        begun = self._begun.get(run.id)
        if begun is not None:
            begun.work.cancel()
            await begun.over.wait()
        async with self._turn(run):
            if await self._is_gone(run, launch):
                return
            if not launch.stop:
                raise LaunchFailed(
                    "launch.stop is not set: Hestia cannot stop it (stop_with can name another launcher)"
                )
            said = await self._run(launch, f"echo {BEGAN}; {launch.stop}", self._pace.stop, shared=False)
            if said.code != 0 and not _dropped(said) and await self._state(run, launch) != "stopped":
                raise LaunchFailed(f"its stop command {_words(launch, said)}")
            self._remember(run, "stopped")

    async def state(self, run: Run) -> RunState:
        try:
            state = await self._state(run, _launch(run))
        except LaunchFailed:
            return "unknown"
        return "unknown" if isinstance(state, Said) else state

    async def _is_gone(self, run: Run, launch: SshLaunch) -> bool:
        """A start that was begun and not seen to end is stopped whatever the status says."""
        if run.handle.get("ssh") == ASKED and self._did.get(run.id) != "stopped":
            return False
        if run.stop_with is not None and not launch.status:
            return False
        state = await self._state(run, launch)
        if isinstance(state, Said) and not run.handle and run.stop_with is None:
            raise LaunchFailed(f"Hestia did not start it, and its status is unknown: {_words(launch, state)}")
        return state == "stopped"

    async def _state(self, run: Run, launch: SshLaunch) -> RunState | Said:
        """What the status command said, where that tells nothing."""
        if not launch.status:
            return self._did.get(run.id) or ("running" if "ssh" in run.handle else "stopped")
        said = await self._run(launch, launch.status, self._pace.state)
        if said.code < 0 or said.code in COULD_NOT_RUN:
            return said
        return "running" if said.code == 0 else "stopped"

    async def _started(self, run: Run, launch: SshLaunch, command: str) -> Said:
        """As a task of its own, so that a stop can end it and know that it has ended."""
        over = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                work = group.create_task(self._tied(launch, command))
                self._begun[run.id] = Begun(work, over)
                await asyncio.wait({work})
        except BaseExceptionGroup as failed:  # what leaves an `except*` would be a group again
            refused = failed.subgroup(LaunchFailed)
            raise (refused or failed).exceptions[0] from None
        finally:
            del self._begun[run.id]
            over.set()
        if work.cancelled():
            raise LaunchFailed("it was stopped while it started")
        return work.result()

    async def _tied(self, launch: SshLaunch, command: str) -> Said:
        ours, theirs = os.pipe()
        try:
            words = f"sh -c {shlex.quote(TIED)} hestia {shlex.quote(command)}"
            return await self._run(launch, words, self._pace.start, stdin=ours)
        finally:
            os.close(theirs)
            os.close(ours)

    async def _run(
        self,
        launch: SshLaunch,
        words: str,
        limit: float,
        *,
        shared: bool = True,
        stdin: int = asyncio.subprocess.DEVNULL,
    ) -> Said:
        if not launch.host or launch.host.startswith("-"):
            raise LaunchFailed(f"{launch.host!r} is no host")
        options = [word for option in (*OPTIONS, *self._sharing(shared)) for word in ("-o", option)]
        argv = (*self._ssh, *options, "-T", "--", launch.host, words)
        return await call(argv, scrubbed(self._environ, (), {}), limit, stdin=stdin)

    def _sharing(self, shared: bool) -> tuple[str, ...]:
        """One connection for all that is asked within a minute; a stop has its own, which may drop."""
        folder = self._folder
        if not shared or folder is None or len(str(folder)) > LONGEST_FOLDER:
            return ("ControlMaster=no", "ControlPath=none")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return ("ControlMaster=auto", f"ControlPath={folder}/%C", "ControlPersist=60")

    def _turn(self, run: Run) -> asyncio.Lock:
        return self._turns.setdefault(f"{run.of}/{run.owner}/{run.number}", asyncio.Lock())

    def _remember(self, run: Run, state: RunState) -> None:
        self._did.pop(run.id, None)
        self._did[run.id] = state
        if len(self._did) > REMEMBERED:
            del self._did[next(iter(self._did))]


def _launch(run: Run, *, stop: bool = False) -> SshLaunch:
    for way in (run.stop_with, run.launch) if stop else (run.launch, run.stop_with):
        if isinstance(way, SshLaunch):
            return way
    raise LaunchFailed("no ssh command has a part in it")


def _dropped(said: Said) -> bool:
    """Whether the command had begun. Its own word may be lost with the connection; then ssh says of which it was."""
    return said.code == SSH_FAILED and (BEGAN in said.out or DROPPED.search(said.err) is not None)


def _words(launch: SshLaunch, said: Said) -> str:
    """ssh's own complaints come without a word of the command's."""
    last = harmless([line for line in (said.out + said.err).splitlines() if BEGAN not in line], {})
    how = f"could not be run on {launch.host}" if said.code == SSH_FAILED else f"exited with code {said.code}"
    return f"{how}: {last}" if last else how
