"""One launcher for each kind, made when the first place of that kind needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hestia.launchers.command import CommandLauncher
from hestia.launchers.docker import Docker
from hestia.launchers.process import ProcessLauncher
from hestia.launchers.swarm import Swarm
from hestia.ports import LaunchFailed, RunState
from hestia.words import launch_spec as kinds

if TYPE_CHECKING:
    from hestia.ports import Launcher, Record
    from hestia.words.launch_spec import Launch
    from hestia.words.run import Run, Told
    from hestia.words.spec import Config

SECRETS = ("SEMAPHORE_API_TOKEN",)


class Launchers:
    """By kind: what differs between two places of one kind stands in their runs."""

    def __init__(self, config: Config, folder: str, environ: Mapping[str, str] = os.environ) -> None:
        data_dir = Path(config.data_dir)
        self._known: dict[type, Launcher] = {}
        self._make: dict[type, Callable[[], Launcher]] = {
            kinds.ProcessLaunch: lambda: ProcessLauncher(data_dir, Path(folder), environ, SECRETS),
            kinds.DockerLaunch: lambda: Docker(environ.get("DOCKER_HOST"), environ.get("XDG_RUNTIME_DIR")),
            kinds.SwarmLaunch: lambda: Swarm(environ.get("DOCKER_HOST"), environ.get("XDG_RUNTIME_DIR")),
            kinds.CommandLaunch: lambda: CommandLauncher(data_dir, Path(folder), environ, SECRETS),
        }

    def __call__(self, launch: Launch) -> Launcher:
        kind = type(launch)
        launcher = self._known.get(kind)
        if launcher is None:
            launcher = self._known[kind] = self._make.get(kind, NotThere)()
        return launcher


class NotThere:
    """A kind that this version reads in a configuration and cannot launch."""

    async def start(self, run: Run, record: Record) -> Told:
        raise LaunchFailed("this version of Hestia cannot launch this kind of thing yet")

    async def stop(self, run: Run) -> None:
        """It never started anything."""

    async def state(self, run: Run) -> RunState:
        return "unknown"
