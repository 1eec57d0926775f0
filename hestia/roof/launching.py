"""One launcher for each kind, made when the first place of that kind needs it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from hestia.launchers.command import CommandLauncher
from hestia.launchers.docker import Docker
from hestia.launchers.http import HttpLauncher
from hestia.launchers.kubernetes import KubernetesLauncher
from hestia.launchers.process import ProcessLauncher
from hestia.launchers.semaphore import SemaphoreLauncher
from hestia.launchers.ssh import SshLauncher
from hestia.launchers.swarm import Swarm
from hestia.launchers.systemd import SystemdLauncher
from hestia.launchers.wake_on_lan import WakeOnLan
from hestia.ports import Check
from hestia.probes import probe
from hestia.words import launch_spec as kinds

if TYPE_CHECKING:
    from hestia.ports import Launcher
    from hestia.words.launch_spec import Launch
    from hestia.words.run import Run
    from hestia.words.spec import Config

LONGEST_SSH_FOLDER = 44
SECRETS = ("SEMAPHORE_API_TOKEN",)
LEAST_SECRET = 8  # characters: a shorter one may be the value of many a harmless variable


class Launchers:
    """By kind: what differs between two places of one kind stands in their runs. `config` is the one in force."""

    def __init__(
        self, config: Callable[[], Config], data_dir: Path, folder: Path, environ: Mapping[str, str] = os.environ
    ) -> None:
        engine, runtime = environ.get("DOCKER_HOST"), environ.get("XDG_RUNTIME_DIR")
        environ = Shown(environ, config)  # asked at a launch only: there is no configuration yet
        ready = _Ready(config)
        self._known: dict[type, Launcher] = {}
        self._make: dict[type, Callable[[], Launcher]] = {
            kinds.ProcessLaunch: lambda: ProcessLauncher(data_dir, folder, environ, SECRETS),
            kinds.CommandLaunch: lambda: CommandLauncher(data_dir, folder, environ, SECRETS),
            kinds.DockerLaunch: lambda: Docker(engine, runtime),
            kinds.SwarmLaunch: lambda: Swarm(engine, runtime),
            kinds.SystemdLaunch: lambda: SystemdLauncher(environ=environ),
            kinds.SshLaunch: lambda: SshLauncher(_ssh_folder(data_dir, runtime), environ=environ),
            kinds.SemaphoreLaunch: lambda: SemaphoreLauncher(lambda: config().semaphore, ready=ready),
            kinds.HttpLaunch: HttpLauncher,
            kinds.WakeOnLanLaunch: lambda: WakeOnLan(ready=ready),
            kinds.KubernetesLaunch: lambda: KubernetesLauncher(environ=environ),
        }

    def __call__(self, launch: Launch) -> Launcher:
        kind = type(launch)
        launcher = self._known.get(kind)
        if launcher is None:
            launcher = self._known[kind] = self._make[kind]()
        return launcher


class Shown(Mapping[str, str]):
    """The environment as launchers see it, without the variables that hold a key, a password or a token of ours.

    The file takes those from variables of any name (`${NAME}`), and a reload may change which they are.
    """

    def __init__(self, environ: Mapping[str, str], config: Callable[[], Config]) -> None:
        self._environ = environ
        self._config = config

    def __getitem__(self, name: str) -> str:
        value = self._environ[name]
        if value in self._secrets():
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        secrets = self._secrets()
        return (name for name, value in self._environ.items() if value not in secrets)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _secrets(self) -> set[str]:
        config = self._config()
        auth, semaphore = config.auth, config.semaphore
        known = {key.key for key in auth.api_keys} | {semaphore.token if semaphore is not None else None}
        known |= {auth.dashboard.password, auth.dashboard.password_hash} if auth.dashboard is not None else set()
        return {each for each in known if each is not None and len(each) >= LEAST_SECRET}


class _Ready:
    """Whether what is being started answers already: then a long start need not be waited for."""

    def __init__(self, config: Callable[[], Config]) -> None:
        self._config = config

    async def __call__(self, run: Run) -> bool:
        health = run.told.health_url or run.health_url
        url = health or run.told.base_url or run.base_url
        if url is None:
            return False
        statuses: tuple[tuple[int, int], ...] | None = ((200, 399),) if health else None
        verify: bool | str = True
        service = self._config().services.get(run.owner) if run.of == "service" else None
        if service is not None and run.number < len(service.places):
            statuses = service.places[run.number].health_status if health else None
            verify = service.tls_verify
        return (await probe(Check(url, statuses, verify))).reason is None


def _ssh_folder(data_dir: Path, runtime: str | None) -> Path | None:
    """For shared connections. The kernel bounds a socket's path, and ssh adds to it: too long, nothing is shared."""
    folder = Path(runtime, "hestia", "ssh") if runtime else data_dir / "ssh"
    return folder if len(str(folder)) <= LONGEST_SSH_FOLDER else None
