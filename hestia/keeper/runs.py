"""From a place of the configuration to a Run: placeholders filled in, a port chosen, a digest of what was said."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import replace

from hestia.ports import Check, LaunchFailed
from hestia.rules.fill import address, fill, wants
from hestia.words.run import Run
from hestia.words.spec import Machine

if TYPE_CHECKING:
    from hestia.core.life import Life
    from hestia.keeper.outside import Outside


def as_its_stopper_sees_it(run: Run) -> Run:
    """A launcher finds its own part in `launch`, also one that stops what another has launched."""
    return run if run.stop_with is None else replace(run, launch=run.stop_with)


def new_run(life: Life, outside: Outside, ports: frozenset[int]) -> Run:
    """What is about to be launched. Raises LaunchFailed when no port is free."""
    spec = life.spec
    base_url, health_url = urls(life)
    named = wants(spec.launch, spec.stop_with, base_url, health_url)
    id_ = outside.new_id()
    port = outside.free_port(ports) if "port" in named else None
    socket = outside.private_socket(id_) if "socket" in named else None
    values = _values(life, outside, id_)
    if port is not None:
        values["port"] = str(port)
    if socket is not None:
        values["socket"] = socket
    return Run(
        id=id_,
        of=kind_of(life),
        owner=life.owner.id,
        number=life.number,
        machine=life.machine,
        launch=fill(spec.launch, values),
        stop_with=fill(spec.stop_with, values),
        base_url=address(base_url, spec.launch, values),
        health_url=fill(health_url, values) if health_url is not None else None,
        port=port,
        socket=socket,
        request_id=values["request_id"],
        since=outside.wall(),
        spec=digest(life),
    )


def bare_run(life: Life, outside: Outside) -> Run:
    """The place as its launcher would know it by name alone, for asking whether it runs and for its logs."""
    values = _values(life, outside, "")
    base_url, health_url = urls(life)
    return Run(
        id=outside.new_id(),
        of=kind_of(life),
        owner=life.owner.id,
        number=life.number,
        machine=life.machine,
        launch=fill(life.spec.launch, values),
        stop_with=fill(life.spec.stop_with, values),
        base_url=fill(base_url, values) if base_url is not None else None,
        health_url=fill(health_url, values) if health_url is not None else None,
        since=outside.wall(),
        spec=digest(life),
    )


def kind_of(life: Life) -> Literal["service", "machine"]:
    """Whose life it is."""
    return "machine" if life.settings.machine else "service"


def urls(life: Life) -> tuple[str | None, str | None]:
    """Where it answers and where it is checked, as configured. A machine has only a check."""
    if isinstance(life.spec, Machine):
        return None, life.spec.health
    return life.spec.base_url, life.spec.health_url


def digest(life: Life) -> str:
    """Another one means that the place was changed: what runs of it is stopped."""
    spec = life.spec
    said: Any = (spec.launch, spec.stop_with, *urls(life), life.machine)
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:16]


def base_url_of(life: Life) -> str | None:
    """Where it answers now: what its start told, what was chosen for it, what is configured."""
    run = life.run
    if run is not None and (run.told.base_url or run.base_url):
        return run.told.base_url or run.base_url
    base_url = urls(life)[0]
    if base_url is None or wants(base_url) & {"port", "socket"}:
        return None
    return fill(base_url, {"service": life.owner.id, "machine": life.machine})


def check_of(life: Life, outside: Outside) -> Check | None:
    """Its readiness check, None while no address is known. A told health URL goes before the configured one."""
    run = life.run
    health = run.told.health_url or run.health_url if run is not None else urls(life)[1]
    if isinstance(life.spec, Machine):
        return Check(health, ((200, 399),)) if health else None
    verify = life.owner.spec.tls_verify
    if health:
        if run is None:
            if wants(health) & {"port", "socket"}:
                return None
            health = fill(health, _values(life, outside, ""))
        return Check(health, life.spec.health_status, verify)
    base = base_url_of(life)
    if base is None:
        return None
    return Check(fill(base, _values(life, outside, "")), None, verify)


def busy_url(life: Life, outside: Outside) -> str | None:
    """What `busy` asks; None where there is none, or while it names a port or a socket that nobody has chosen."""
    run, busy = life.run, life.owner.spec.busy
    if busy is None:
        return None
    values = _values(life, outside, run.id if run is not None else "")
    if run is not None and run.port is not None:
        values["port"] = str(run.port)
    if run is not None and run.socket is not None:
        values["socket"] = run.socket
    return fill(busy.url, values) if wants(busy.url) <= values.keys() else None


def must_be_known(life: Life) -> None:
    """A place that is launched but can be found nowhere. Raises LaunchFailed."""
    if not life.settings.machine and base_url_of(life) is None:
        words = "nothing told one (a line HESTIA_BASE_URL=<url> in its output)"
        raise LaunchFailed(f"it has no `base_url`, and {not_told(life) or words}")


def not_told(life: Life) -> str | None:
    """What it told in vain."""
    said = life.run.told.misheard if life.run is not None else None
    return f"what its output told is no address: {said}" if said is not None else None


def _values(life: Life, outside: Outside, id_: str) -> dict[str, str]:
    request_id = getattr(life.owner, "request_id", "") or id_
    return {"service": life.owner.id, "machine": life.machine, "request_id": request_id, "data_dir": outside.data_dir}
