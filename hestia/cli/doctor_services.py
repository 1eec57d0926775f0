"""Checks of the services: can they be reached, can they be started, do their times fit."""

import socket
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from hestia.cli.doctor_world import Finding, Spot, World, broken, surprise
from hestia.h1.address import read_address
from hestia.rules.addresses import TcpAddress, parse_listen
from hestia.words.launch_spec import (
    CommandLaunch,
    DockerLaunch,
    KubernetesLaunch,
    Launch,
    ProcessLaunch,
    SemaphoreLaunch,
    SshLaunch,
    SwarmLaunch,
    SystemdLaunch,
)
from hestia.words.spec import Place, Service

DOCKER: Final = "/var/run/docker.sock"
BRIDGES: Final = ("172.17.0.1", "host.docker.internal", "host.containers.internal")
ENGINES: Final = ("docker", "podman", "nerdctl")


def ourselves(world: World) -> Iterator[Finding]:
    """A name that leads back here: `check` knows only the names that need no look-up."""
    own = [each for text in _listening(world) if isinstance(each := parse_listen(text), TcpAddress)]
    for service, place in _places(world):
        if place.base_url is None or "{" in place.base_url:
            continue
        address = read_address(place.base_url)
        hosts = [each.host for each in own if address.path is None and each.port == address.port]
        if hosts and _leads_here(address.host, hosts):
            where = _spot_words((address.host, address.port))
            yield broken(
                f"services.{service.id}: base_url {where} leads back to this gateway: "
                "requests would go round in circles. Give the address of the service itself"
            )


def upstreams(world: World) -> Iterator[Finding]:
    """Services that Hestia only watches should answer, or their requests get 503."""
    for service, place in _places(world):
        if place.launch is not None or place.base_url is None or "{" in place.base_url:
            continue
        if place.machine != "local" and _wakes(world, place.machine):
            continue
        spot = _spot(place.base_url)
        reason = world.reach(spot)
        if reason is not None:
            yield surprise(f"services.{service.id}: {_spot_words(spot)}: {reason}. {_hint(world, spot)}")


def _wakes(world: World, machine: str) -> bool:
    """A machine that sleeps answers nothing, and that is as it should be."""
    known = world.config.machines.get(machine)
    return known is not None and known.launch is not None


def _hint(world: World, spot: Spot) -> str:
    if isinstance(spot, str):
        return "It has no `launch`: start it yourself, or say how"
    host, port = spot
    local = host in {"127.0.0.1", "localhost", "::1"}
    if world.in_container and local:
        return (
            "Inside a container this address is the container itself: use http://host.docker.internal and "
            "`extra_hosts: [host.docker.internal:host-gateway]`, or the network of the other container"
        )
    if host in BRIDGES and world.reach(("127.0.0.1", port)) is None:
        return f"It listens on 127.0.0.1:{port} only, which containers cannot reach: let it listen on {host} too"
    return "It has no `launch`: start it yourself, or say how"


def engines(world: World) -> Iterator[Finding]:
    """What starts things must be there itself."""
    for owner, launch in _launches(world):
        words = _engine(world, launch)
        if words:
            yield broken(f"{owner}: {words}")


def _engine(world: World, launch: Launch) -> str | None:
    match launch:
        case ProcessLaunch(command=command) | CommandLaunch(start=command):
            return _program(world, command[0], launch.cwd) if command else None
        case DockerLaunch() | SwarmLaunch():
            return _docker(world, launch.host)
        case SystemdLaunch():
            return _program(world, "systemctl", None)
        case SshLaunch():
            return _program(world, "ssh", None)
        case SemaphoreLaunch():
            return _semaphore(world)
        case KubernetesLaunch():
            return _kubernetes(world)
    return None


def _program(world: World, name: str, cwd: str | None) -> str | None:
    if "{" in name:
        return None
    if "/" in name and not name.startswith("/") and cwd:
        name = str(PurePath(cwd, name))
    if world.which(name) is not None:
        return None
    where = "is no program that may be run" if "/" in name else "is not in the PATH of the gateway"
    return f"its launch needs `{name}`, which {where}"


def _docker(world: World, host: str | None) -> str | None:
    named = host or world.environ.get("DOCKER_HOST") or f"unix://{DOCKER}"
    kind, _, where = named.partition("://")
    address, _, port = where.rpartition(":")
    if kind != "unix" and not (kind in {"tcp", "http", "https"} and port.isdecimal()):
        return None
    reason = world.reach(where if kind == "unix" else (address.strip("[]"), int(port)))
    if reason is None:
        return None
    more = "add the gateway's user to the group docker" if "permission" in reason else "is the engine running?"
    return f"the container engine at {where} cannot be reached: {reason}; {more}"


def _semaphore(world: World) -> str | None:
    settings = world.config.semaphore
    if settings is None or settings.base_url is None:
        return "its launch is semaphore, and `semaphore: {base_url: ..., token: ...}` is not set"
    reason = world.reach(_spot(settings.base_url))
    return f"Semaphore at {_spot_words(_spot(settings.base_url))} cannot be reached: {reason}" if reason else None


def _kubernetes(world: World) -> str | None:
    inside = world.environ.get("KUBERNETES_SERVICE_HOST")
    file = world.environ.get("KUBECONFIG") or f"{world.environ.get('HOME', '')}/.kube/config"
    if inside or any(_exists(each) for each in file.split(":")):
        return None
    return f"its launch is kubernetes, and there is no kubeconfig at {file}"


def _exists(path: str) -> bool:
    try:
        with open(path, "rb"):  # noqa: PTH123 -- only whether it can be opened
            return True
    except (OSError, ValueError):
        return False


def detached_containers(world: World) -> Iterator[Finding]:
    """`docker run` as a process: what is stopped is the client, not the container."""
    for owner, launch in _launches(world):
        if isinstance(launch, ProcessLaunch) and _runs_container(launch.command):
            yield surprise(
                f"{owner}: `{PurePath(launch.command[0]).name} run` under `process` stops its client, and may leave "
                "the container running: create it once, and use `launch: {kind: docker, container: NAME}`"
            )


def _runs_container(command: tuple[str, ...]) -> bool:
    words = [word for word in command if not word.startswith("-") and word != "sudo"]
    first = PurePath(words[0]).name if words else ""
    return first in ENGINES and ("run" in words[1:3] or words[1:3] == ["compose", "up"])


def short_idle(world: World) -> Iterator[Finding]:
    for service in world.config.services.values():
        starts = [place.start_timeout or 0.0 for place in service.places if place.launch is not None]
        if starts and 0 < service.idle_timeout < max(starts):
            yield surprise(
                f"services.{service.id}: idle_timeout {service.idle_timeout:g}s is shorter than the {max(starts):g}s "
                "that its start may take: it may be stopped again sooner than it was started"
            )


def long_starts(world: World) -> Iterator[Finding]:
    for service in world.config.services.values():
        longest = max((place.start_timeout or 0.0 for place in service.places if place.launch is not None), default=0.0)
        wait = service.queue_timeout
        if 0 < wait < longest:
            yield surprise(
                f"services.{service.id}: one attempt to start may take {longest:g}s and a request waits only "
                f"{wait:g}s: clients would be refused while it starts. Raise queue_timeout, or set it to auto"
            )


def _places(world: World) -> Iterator[tuple[Service, Place]]:
    for service in world.config.services.values():
        for place in service.places:
            yield service, place


def _launches(world: World) -> Iterator[tuple[str, Launch]]:
    for service, place in _places(world):
        for launch in (place.launch, place.stop_with):
            if launch is not None:
                yield f"services.{service.id}", launch
    for machine in world.config.machines.values():
        for launch in (machine.launch, machine.stop_with):
            if launch is not None:
                yield f"machines.{machine.id}", launch


def _listening(world: World) -> list[str]:
    config = world.config
    return [*config.listen, *config.admin_listen, *(text for each in config.services.values() for text in each.listen)]


def _spot(url: str) -> Spot:
    address = read_address(url)
    return address.path if address.path is not None else (address.host, address.port)


def _spot_words(spot: Spot) -> str:
    return f"unix:{spot}" if isinstance(spot, str) else f"{spot[0]}:{spot[1]}"


def _leads_here(host: str, listening: list[str]) -> bool:
    """Is one of this name's addresses one that we listen on? Listening on all means every address that can be bound."""
    ours = {address for each in listening for address in _addresses(each)}
    meant = _addresses(host)
    if {"0.0.0.0", "::"} & ours:
        return any(_is_of_this_machine(address) for address in meant)
    return bool(ours & meant) or ("0.0.0.0" in meant and "127.0.0.1" in ours)


def _addresses(host: str) -> set[str]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {str(where[0]) for _, _, _, _, where in found}


def _is_of_this_machine(address: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True
