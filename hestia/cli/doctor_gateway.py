"""Checks of the gateway itself: its addresses, files and doors."""

import contextlib
import grp
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hestia.cli.doctor_world import Finding, World, broken, surprise
from hestia.doors.control_socket import CannotListen, concerns
from hestia.roof.exposure import beyond_loopback
from hestia.roof.listen import CannotStart, bind, wanted
from hestia.wire import MAX_SOCKET_PATH

MIB: Final = 1024 * 1024
LITTLE: Final = 500 * MIB
TOO_LITTLE: Final = 10 * MIB
THIS_PROGRAM: Final = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
A_LIFETIME: Final = 50 * 365 * 86400


def configuration(world: World) -> Iterator[Finding]:
    """What reading the file found; mistakes end `doctor` before its checks."""
    for warning in world.warnings:
        yield surprise(warning)


def ports(world: World) -> Iterator[Finding]:
    """Each address is bound for a moment, one by one: every one that is taken is said."""
    if world.runs:
        return
    for want in wanted(world.config):
        try:
            bound = bind(want, secure=world.config.tls is not None)
            if bound is not None:
                bound.close()
        except CannotStart as error:
            yield broken(str(error))


def control_socket(world: World) -> Iterator[Finding]:
    config = world.config
    path = Path(config.control_socket)
    if len(os.fsencode(str(path))) > MAX_SOCKET_PATH:
        yield broken(
            f"control_socket {path} is longer than the {MAX_SOCKET_PATH} bytes that a unix socket's path takes"
        )
        return
    if not world.runs and os.path.lexists(path) and not stat.S_ISSOCK(path.lstat().st_mode):
        yield broken(f"control_socket {path} is there and is no socket: choose another path, or remove it")
    words = _cannot_write(path.parent)
    if words:
        yield broken(f"control_socket {path}: {words}")
    if config.control_group is not None:
        yield from _group(config.control_group)
    with contextlib.suppress(CannotListen):
        yield from map(surprise, concerns(config.control_socket, config.control_group))


def _group(group: str) -> Iterator[Finding]:
    number = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid  # or it was a mistake already
    if os.geteuid() != 0 and number not in os.getgroups():
        yield broken(f"control_group {group}: the user of the gateway is not in it, and cannot give it the socket")


def data_folder(world: World) -> Iterator[Finding]:
    folder = Path(world.config.data_dir)
    words = _cannot_write(folder)
    if words:
        yield broken(f"data_dir {folder}: {words}: nothing would be remembered")
    elif folder.is_dir() and folder.stat().st_mode & stat.S_IWOTH:
        yield surprise(f"data_dir {folder}: everybody may write there: chmod o-w {folder}")


def paths(world: World) -> Iterator[Finding]:
    """Files that are read later than at the start."""
    for service in world.config.services.values():
        if service.waiting_page is not None and not os.access(service.waiting_page, os.R_OK):
            yield broken(f"services.{service.id}.waiting_page {service.waiting_page} cannot be read")
        for place in service.places:
            cwd = getattr(place.launch, "cwd", None)
            if cwd and not os.access(cwd, os.X_OK):
                yield broken(f"services.{service.id}: the folder {cwd} of its launch cannot be entered")


def strategies(world: World) -> Iterator[Finding]:
    """Each file is read and compiled; what only its run shows is known from the configuration's."""
    folder = Path(world.config.strategies_dir) if world.config.strategies_dir else None
    if folder is None or not folder.is_dir():
        return
    if folder.stat().st_mode & stat.S_IWOTH:
        yield broken(f"strategies_dir {folder}: everybody may write there, so nothing is loaded: chmod o-w {folder}")
    told = set()
    for file in sorted(folder.glob("*.py")):
        words = _strategy(file)
        if words:
            told.add(str(file))
            yield broken(f"the strategy {file} does not load: {words}")
    for words in world.not_loaded:
        if not any(words.startswith(file) for file in told):
            yield broken(f"a strategy does not load: {words}")


def _strategy(file: Path) -> str | None:
    if file.stat().st_mode & stat.S_IWOTH:
        return f"everybody may write it: chmod o-w {file}"
    try:
        code = compile(file.read_bytes(), str(file), "exec")
    except (SyntaxError, ValueError) as error:
        return f"{error}"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return None if "register_strategy" in code.co_names else "it defines no register_strategy(registry)"


def clock(world: World) -> Iterator[Finding]:
    if not THIS_PROGRAM < world.now < THIS_PROGRAM + A_LIFETIME:
        shown = datetime.fromtimestamp(world.now, UTC).date()
        yield broken(f"the clock says {shown}: keep_warm, holds and TLS go by it. Set it, for example with timedatectl")


def disk(world: World) -> Iterator[Finding]:
    folder = world.config.data_dir
    free = world.free_bytes(folder)
    if free is None:
        return
    if free < TOO_LITTLE:
        yield broken(f"the disk of data_dir {folder} is full ({free // MIB} MiB left): nothing can be remembered")
    elif free < LITTLE:
        yield surprise(f"the disk of data_dir {folder} has only {free // MIB} MiB left")


def open_doors(world: World) -> Iterator[Finding]:
    auth = world.config.auth
    if beyond_loopback(world.config) and not (auth.required or auth.api_keys or auth.dashboard):
        yield surprise(
            "auth is off and an address beyond loopback is listened on: whoever can reach it may use every service. "
            "Set auth.api_keys or auth.dashboard"
        )


def shared_origin(world: World) -> Iterator[Finding]:
    """Pages of a service share the gateway's origin, and so the browser's session."""
    config = world.config
    beside = [service.id for service in config.services.values() if not service.hosts and not service.listen]
    if config.auth.dashboard is not None and not config.admin_listen and beside:
        yield surprise(
            f"the dashboard and pages of services ({', '.join(beside)}) share one origin: a page of a service could "
            "use the dashboard's session. Set admin_listen, or give the services hosts of their own"
        )


def _cannot_write(folder: Path) -> str | None:
    """Why no file could be made in this folder, which may have to be made first."""
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        return f"{there} is no folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"no permission to write in {there}"
