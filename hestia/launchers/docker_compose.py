"""What Docker Compose wrote on its containers: which belong to a service, and what each depends on.

The labels alone count: Hestia reads no compose file and needs no compose. Containers are found by their labels each
time, since `docker compose up` makes a changed one anew, with another id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import NamedTuple

import msgspec

from hestia.launchers.docker_container import Container, Missing, how_it_ended, look_up, missing, unwell
from hestia.launchers.docker_logs import last_lines, log_of, this_life_since
from hestia.launchers.engine_api import Engine
from hestia.ports import LaunchFailed

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NUMBER = "com.docker.compose.container-number"
ONE_OFF = "com.docker.compose.oneoff"
DEPENDS_ON = "com.docker.compose.depends_on"
LOOK_ANYWAY_S = 2.0  # not every engine tells of a health check
STARTED = "service_started"
HEALTHY = "service_healthy"
COMPLETED = "service_completed_successfully"
NEWS = ("start", "unpause", "die", "died", "destroy", "remove", "health_status")


class Listed(msgspec.Struct, rename="pascal"):
    """A container in a list: no more than is needed to ask for it."""

    id: str
    state: str = ""
    labels: dict[str, str] | None = None

    def label(self, name: str) -> str:
        return (self.labels or {}).get(name, "")


class Needed(NamedTuple):
    """A container that must have come so far before its dependent starts."""

    container: Container
    condition: str
    service: str


def depends_on(label: str) -> list[tuple[str, str]]:
    """`db:service_healthy:false,cache:service_started:true` -> the services with their conditions, in this order."""
    found = []
    for part in filter(None, label.split(",")):
        service, _, rest = part.strip().partition(":")
        found.append((service, rest.partition(":")[0] or STARTED))
    return found


async def listed(engine: Engine, project: str, service: str | None = None, *, everything: bool = True) -> list[Listed]:
    """The project's containers, without those of `docker compose run`; the lowest number first."""
    labels = [f"{PROJECT}={project}"] + ([f"{SERVICE}={service}"] if service is not None else [])
    params = {"filters": msgspec.json.encode({"label": labels}).decode()} | ({"all": "1"} if everything else {})
    found = await engine.get("/containers/json", list[Listed], params)
    found = [one for one in found if one.label(ONE_OFF).lower() != "true"]
    return sorted(found, key=lambda one: (int(one.label(NUMBER)) if one.label(NUMBER).isdecimal() else 0, one.id))


async def containers_of(engine: Engine, project: str, service: str) -> list[Container]:
    """Those of one service. Raises Missing when there is none."""
    found = [await look_up(engine, one.id) for one in await listed(engine, project, service)]
    if not found:
        raise missing(f"the compose project `{project}` has no container of a service `{service}`")
    return found


async def dependencies(engine: Engine, project: str, of: list[Container]) -> list[Needed]:
    """What they depend on, and what that depends on: each after its own dependencies."""
    return [needed async for needed in _closure(engine, project, of, set())]


async def _closure(engine: Engine, project: str, of: list[Container], seen: set[str]) -> AsyncIterator[Needed]:
    wanted = {service: condition for one in of for service, condition in depends_on(one.labels.get(DEPENDS_ON, ""))}
    for service, condition in wanted.items():
        try:
            found = await containers_of(engine, project, service)
        except Missing as error:
            raise Missing(f"its dependency: {error}") from error
        if service not in seen:
            seen.add(service)
            async for needed in _closure(engine, project, found, seen):
                yield needed
        for container in found:
            yield Needed(container, condition, service)


async def come_so_far(engine: Engine, project: str, needed: Needed) -> None:
    """Waits until the started dependency is what its dependent waits for. Raises LaunchFailed when it will not be."""
    filters = {"type": ["container"], "label": [f"{PROJECT}={project}"], "event": list(NEWS)}
    async with aclosing(engine.wakes(filters, quiet=LOOK_ANYWAY_S)) as wakes:
        async for _ in wakes:
            if await _is_so_far(engine, needed):
                return
    raise LaunchFailed(f"the engine went away while its dependency `{needed.service}` was starting")


async def _is_so_far(engine: Engine, needed: Needed) -> bool:
    container = await look_up(engine, needed.container.id)
    if needed.condition == COMPLETED:
        if container.awake or container.done:
            return container.done
    elif container.awake:
        return needed.condition != HEALTHY or _is_healthy(container, needed.service)
    lines = await last_lines(engine, log_of(container), 5, this_life_since(container.state))
    raise LaunchFailed("\n".join([f"its dependency `{needed.service}` {how_it_ended(container)}", *lines]))


def _is_healthy(container: Container, service: str) -> bool:
    reason = unwell(container)
    if reason == "":
        raise LaunchFailed(f"its dependency `{service}` must be healthy, but has no health check")
    if container.state.health is not None and container.state.health.status == "unhealthy":
        raise LaunchFailed(f"its dependency `{service}` is not healthy: {reason}")
    return reason is None


async def still_needed(engine: Engine, project: str) -> set[str]:
    """The services of the project that its running containers depend on."""
    running = await listed(engine, project, everything=False)
    return {service for one in running for service, _ in depends_on(one.label(DEPENDS_ON))}
