"""Starting, stopping and pausing one container, whatever its engine's codes mean and whoever else does so too."""

from __future__ import annotations

from hestia.launchers.docker_container import Container, Missing, look_up
from hestia.launchers.engine_api import Engine, EngineRefused, carried_through
from hestia.ports import LaunchFailed

STOP_MARGIN_S = 15.0


class Verbs:
    """Remembers which stops were sent and not answered: a cancelled one goes on in the engine."""

    def __init__(self) -> None:
        self._stopping: set[str] = set()  # ids

    def is_up(self, container: Container) -> bool:
        """It runs, and no stop of ours is under way."""
        return container.awake and container.id not in self._stopping

    async def start(self, engine: Engine, container: Container) -> None:
        """A paused one goes on. A start that is sent during a stop would be answered "runs already"."""
        if container.id in self._stopping:
            await self.stop(engine, container)
            container = await look_up(engine, container.id)
        verb = "unpause" if container.state.paused else "start"
        try:
            await carried_through(engine.ask("POST", f"{container.path}/{verb}"))
        except EngineRefused as refused:
            # What the codes mean differs between engines and versions: what it is now decides.
            now = await look_up(engine, container.id)
            if now.state.paused and verb == "start":
                await carried_through(engine.ask("POST", f"{container.path}/unpause"))
            elif not now.awake:
                raise LaunchFailed(f"the engine did not start `{container.called}`: {refused}") from refused

    async def stop(self, engine: Engine, container: Container) -> None:
        """Returns when it has ended: after the grace that it has of its own the engine kills it."""
        if container.host_config.auto_remove and (container.awake or container.state.paused):
            raise LaunchFailed(
                f"`{container.called}` was made with --rm: a stop would remove it. Make it without,"
                " or set `on_idle: pause`"
            )
        self._stopping.add(container.id)
        try:
            await _ask_to_stop(engine, container)
        except EngineRefused as refused:
            now = await _now(engine, container)
            if now is not None and now.state.paused:  # Podman stops no paused container
                await engine.ask("POST", f"{container.path}/unpause")
                await _ask_to_stop(engine, container)
            elif now is not None and now.awake:
                raise LaunchFailed(f"the engine did not stop `{container.called}`: {refused}") from refused
        self._stopping.discard(container.id)


async def _ask_to_stop(engine: Engine, container: Container) -> None:
    limit = None if container.grace is None else container.grace + STOP_MARGIN_S
    await engine.ask("POST", f"{container.path}/stop", limit=limit)


async def _now(engine: Engine, container: Container) -> Container | None:
    try:
        return await look_up(engine, container.id)
    except Missing:
        return None


async def pause_it(engine: Engine, container: Container) -> None:
    if not container.awake:
        return
    try:
        await engine.ask("POST", f"{container.path}/pause")
    except EngineRefused as refused:
        if (now := await _now(engine, container)) is not None and now.awake:
            raise LaunchFailed(f"the engine did not pause `{container.called}`: {refused}") from refused
