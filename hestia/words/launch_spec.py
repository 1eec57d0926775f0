"""Launchers as the file says them: one struct for each `launch.kind`, its keys with their sentences."""

from typing import Annotated, Any, Literal

from msgspec import Struct

from hestia.words.reads import (
    ONE_OR_MANY,
    Duration,
    Folder,
    FreeSecret,
    HeaderName,
    HeaderValue,
    HttpUrl,
    Mac,
    Method,
    Port,
    Positive,
    Signal,
    StatusRange,
    says,
)


class ProcessLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="process"):
    """A program that Hestia starts, watches and ends itself."""

    command: Annotated[tuple[str, ...], says("The program and its arguments, as a list.")]
    env: Annotated[dict[str, FreeSecret], says("Further environment variables of the program.")] = {}
    cwd: Annotated[Folder | None, says("The folder it runs in; else that of the config file.")] = None
    stop_command: Annotated[tuple[str, ...], says("Run to stop it, before the signal; empty: only the signal.")] = ()
    stop_signal: Annotated[Signal, says("The signal that asks its process group to end.")] = "SIGTERM"
    stop_grace: Annotated[Duration, says("After so long the whole process group is killed.")] = 10.0
    keep_running: Annotated[bool, says("Leave it running when the gateway ends; the next one adopts it.")] = False


class CommandLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="command"):
    """Commands that return while the service lives on."""

    start: Annotated[tuple[str, ...], says("The command that starts it, as a list.")]
    stop: Annotated[tuple[str, ...], says("The command that stops it; without it Hestia cannot.")] = ()
    status: Annotated[tuple[str, ...], says("The command that exits 0 while it runs.")] = ()
    env: Annotated[dict[str, FreeSecret], says("Further environment variables of the commands.")] = {}
    cwd: Annotated[Folder | None, says("The folder they run in; else that of the config file.")] = None


class DockerLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="docker"):
    """A container of Docker or Podman that exists already."""

    container: Annotated[str | None, says("The container's name or id.")] = None
    compose_project: Annotated[str | None, says("Together with `compose_service`: the container's labels.")] = None
    compose_service: Annotated[str | None, says("The service within `compose_project`.")] = None
    host: Annotated[str | None, says("The engine's socket, such as `unix:///run/podman/podman.sock`.")] = None
    on_idle: Annotated[Literal["stop", "pause"], says("What an idle stop does: stop it, or only pause it.")] = "stop"


class SystemdLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="systemd"):
    """A systemd unit that exists already."""

    unit: Annotated[str, says("The unit's name.")]
    user: Annotated[bool, says("A unit of the user's own systemd instead of the system's.")] = False


class SshLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="ssh"):
    """Command lines on another machine, through the user's own ssh."""

    host: Annotated[str, says("The host as `ssh` knows it, also `user@host` or an alias of its config.")]
    start: Annotated[str | None, says("The command line that starts it.")] = None
    stop: Annotated[str | None, says("The command line that stops it.")] = None
    status: Annotated[str | None, says("The command line that exits 0 while it runs.")] = None


class SemaphoreLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="semaphore"):
    """Tasks of Ansible Semaphore."""

    start_template: Annotated[
        str | None, says("The template that starts it, by id or name; else `<service>-start`, else `hestia-start`.")
    ] = None
    stop_template: Annotated[
        str | None, says("The template that stops it, by id or name; else `<service>-stop`, else `hestia-stop`.")
    ] = None
    machine_id: Annotated[str | None, says("What the tasks get as `hestia_machine`; else the machine's id.")] = None
    vars: Annotated[dict[str, Any], says("Further extra variables for the tasks.")] = {}


class HttpCall(Struct, frozen=True, kw_only=True):
    """One HTTP request to somebody's API."""

    url: Annotated[HttpUrl, says("Where the request goes: http or https.")]
    method: Annotated[Method | None, says("The method: GET for `status`, else POST.")] = None
    headers: Annotated[dict[HeaderName, HeaderValue], says("Headers of the request; values are never logged.")] = {}
    json: Annotated[Any, says("The body, sent as JSON.")] = None
    body: Annotated[FreeSecret | None, says("The body as it is; not together with `json`.")] = None
    expect: Annotated[tuple[StatusRange, ...], ONE_OR_MANY, says("The statuses that count as success.")] = (
        (200, 200),
        (202, 202),
        (204, 204),
    )


class JsonTest(Struct, frozen=True, kw_only=True):
    """A test of one field of a JSON answer."""

    json: Annotated[str, says("The field, as a dotted path.")]
    equals: Annotated[Any, says("The value the field has while the thing runs.")]


class HttpStatus(HttpCall, frozen=True, kw_only=True):
    """The request that tells whether the thing runs."""

    running: Annotated[JsonTest | None, says("The field of the answer that tells; else its status tells.")] = None


class HttpLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="http"):
    """Requests to an API: Proxmox, Home Assistant, a cloud."""

    start: Annotated[HttpCall, says("The request that starts it.")]
    stop: Annotated[HttpCall | None, says("The request that stops it; without it Hestia cannot.")] = None
    status: Annotated[HttpStatus | None, says("The request that tells whether it runs.")] = None


class WakeOnLanLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="wake_on_lan"):
    """A magic packet; it cannot stop anything."""

    mac: Annotated[Mac, says("The hardware address to wake.")]
    broadcast: Annotated[str, says("The address the packet is sent to.")] = "255.255.255.255"
    port: Annotated[Port, says("The UDP port the packet is sent to.")] = 9


class SwarmLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="swarm"):
    """A service of Docker Swarm, scaled up and down."""

    service: Annotated[str, says("The Swarm service's name.")]
    replicas: Annotated[Positive, says("How many replicas it has while it runs.")] = 1
    host: Annotated[str | None, says("The engine's socket.")] = None


class KubernetesLaunch(Struct, frozen=True, kw_only=True, tag_field="kind", tag="kubernetes"):
    """A deployment or stateful set, scaled up and down."""

    namespace: Annotated[str, says("The namespace it lies in.")] = "default"
    deployment: Annotated[str | None, says("The deployment's name.")] = None
    statefulset: Annotated[str | None, says("The stateful set's name, instead of `deployment`.")] = None
    replicas: Annotated[Positive, says("How many replicas it has while it runs.")] = 1
    context: Annotated[str | None, says("The context of the kubeconfig; else its current one.")] = None


Launch = (
    ProcessLaunch
    | CommandLaunch
    | DockerLaunch
    | SystemdLaunch
    | SshLaunch
    | SemaphoreLaunch
    | HttpLaunch
    | WakeOnLanLaunch
    | SwarmLaunch
    | KubernetesLaunch
)

# A start by these takes longer than one on this machine: `start_timeout: auto` is 180 s for them.
SLOW_KINDS = (SemaphoreLaunch, SshLaunch, HttpLaunch, WakeOnLanLaunch, KubernetesLaunch)


def can_stop(launch: Launch | None) -> bool:
    """Whether this launcher has something that stops what it started."""
    if isinstance(launch, CommandLaunch | SshLaunch | HttpLaunch):
        return bool(launch.stop)
    return launch is not None and not isinstance(launch, WakeOnLanLaunch)
