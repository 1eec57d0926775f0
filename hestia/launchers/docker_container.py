"""A container as the engine shows it, and what its state means to us."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct, field

from hestia.launchers.engine_api import Engine, EngineRefused
from hestia.ports import LaunchFailed

LONGEST_OUTPUT = 300
NOT_FOUND = 404
DEFAULT_GRACE_S = 10  # what the engine gives a container that says nothing about it


class Check(Struct, frozen=True, rename="pascal"):
    """One run of a container's health check."""

    exit_code: int = 0
    output: str = ""


class Health(Struct, frozen=True, rename="pascal"):
    status: str = ""  # Podman: "" stands for no check at all
    log: list[Check] | None = None


class State(Struct, frozen=True, rename="pascal"):
    """Podman and Docker differ in what else is there; a running container that is paused says both."""

    status: str
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = field(default=False, name="OOMKilled")
    exit_code: int = 0
    error: str = ""
    started_at: str = ""
    finished_at: str = ""
    health: Health | None = None


class Config(Struct, frozen=True, rename="pascal"):
    tty: bool = False
    labels: dict[str, str] | None = None
    stop_timeout: int | None = None


class HostConfig(Struct, frozen=True, rename="pascal"):
    auto_remove: bool = False


class Container(Struct, frozen=True, rename="pascal"):
    id: str
    name: str
    state: State
    config: Config
    host_config: HostConfig = HostConfig()

    @property
    def called(self) -> str:
        return self.name.lstrip("/") or self.id[:12]

    @property
    def path(self) -> str:
        return f"/containers/{self.id}"

    @property
    def labels(self) -> dict[str, str]:
        return self.config.labels or {}

    @property
    def awake(self) -> bool:
        """It runs, or the engine is about to start it again by its restart policy."""
        return (self.state.running or self.state.restarting) and not self.state.paused

    @property
    def done(self) -> bool:
        """It ran and came to a good end."""
        return self.state.status == "exited" and self.state.exit_code == 0

    @property
    def grace(self) -> float | None:
        """How long its stop may take; None: as long as it likes."""
        said = self.config.stop_timeout
        if said is not None and said < 0:
            return None
        return DEFAULT_GRACE_S if said is None else said


async def look_up(engine: Engine, name: str) -> Container:
    """The container of this name or id, looked up each time: one that was made anew has another id."""
    try:
        return await engine.get(f"/containers/{quote(name, safe='')}/json", Container)
    except EngineRefused as refused:
        if refused.status != NOT_FOUND:
            raise
        raise missing(f"there is no container `{name}`: it was removed, renamed or never created") from refused


class Missing(LaunchFailed):
    """What the configuration names does not exist. Hestia creates no containers."""


def missing(words: str) -> Missing:
    return Missing(f"{words}. Create it once (`docker create`, `docker compose up --no-start`); Hestia only starts it")


def how_it_ended(container: Container) -> str:
    """In words for the operator, without its output."""
    state = container.state
    if state.paused:
        return "was paused"
    if state.status == "created":
        return f"did not start: {state.error}" if state.error else "was never started"
    words = f"exited with code {state.exit_code}"
    if state.oom_killed:
        words += ", out of memory"
    return f"{words} ({state.error})" if state.error else words


def unwell(container: Container) -> str | None:
    """Why it is not healthy by its own check. None: it is; "": it has no check."""
    health = container.state.health
    if not container.awake:
        return how_it_ended(container)
    if container.state.restarting:
        return f"{how_it_ended(container)}, and the engine starts it again"
    if health is None or health.status in {"", "none"}:
        return ""
    if health.status == "healthy":
        return None
    last = health.log[-1] if health.log else None
    output = " ".join(last.output.split())[:LONGEST_OUTPUT] if last else ""
    said = f"its health check says {health.status}"
    return f"{said} (exit code {last.exit_code}): {output}" if last and output else said
