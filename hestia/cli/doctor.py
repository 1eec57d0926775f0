"""`hestia doctor`: what is wrong with this set-up, or will surprise, in plain words. It changes nothing.

Each check is a function of the World that yields findings; CHECKS is the list of them.
"""

import os
import shutil
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from hestia.cli import doctor_gateway as gateway
from hestia.cli import doctor_services as services
from hestia.cli.doctor_world import Finding, Spot, World
from hestia.roof.config import Loaded
from hestia.wire import DONE, FAILED

CONNECT_S: Final = 2.0
Check = Callable[[World], Iterator[Finding]]

CHECKS: Final[tuple[Check, ...]] = (
    gateway.configuration,
    gateway.ports,
    gateway.control_socket,
    gateway.data_folder,
    gateway.paths,
    gateway.strategies,
    gateway.clock,
    gateway.disk,
    gateway.open_doors,
    gateway.shared_origin,
    services.ourselves,
    services.upstreams,
    services.engines,
    services.detached_containers,
    services.short_idle,
    services.long_starts,
)


def doctor(loaded: Loaded, environ: Mapping[str, str]) -> int:
    """Print every finding; FAILED when something is broken."""
    found = findings(world_of(loaded, environ))
    for level in ("broken", "surprise"):
        for finding in found:
            if finding.level == level:
                print(f"{LABELS[level]}: {finding.words}")
    broken = sum(finding.level == "broken" for finding in found)
    surprises = len(found) - broken
    print(f"{broken} broken, {surprises} worth knowing" if found else "all is well")
    return FAILED if broken else DONE


LABELS: Final[Mapping[Literal["broken", "surprise"], str]] = {"broken": "broken", "surprise": "worth knowing"}


def findings(world: World) -> list[Finding]:
    return [finding for check in CHECKS for finding in check(world)]


def world_of(loaded: Loaded, environ: Mapping[str, str]) -> World:
    """This machine as the checks see it."""
    config = loaded.config
    return World(
        config=config,
        warnings=loaded.warnings,
        not_loaded=loaded.broken,
        source=loaded.source,
        environ=environ,
        now=time.time(),
        reach=reach,
        which=lambda program: shutil.which(program, path=environ.get("PATH")),
        free_bytes=free_bytes,
        runs=_answers(config.control_socket),
        in_container=Path("/.dockerenv").exists() or Path("/run/.containerenv").exists(),
    )


def reach(place: Spot) -> str | None:
    """Why nobody can be spoken to there; None: somebody takes connections."""
    try:
        if isinstance(place, str):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(CONNECT_S)
                sock.connect(place)
        else:
            socket.create_connection(place, CONNECT_S).close()
    except socket.gaierror:
        return "no address is known for this name"
    except TimeoutError:
        return "no answer"
    except (OSError, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error)).lower()
    return None


def free_bytes(folder: str) -> int | None:
    """Room on the disk of this folder, or of the nearest one that exists."""
    path = Path(folder)
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def _answers(path: str) -> bool:
    """Does a gateway listen at its control socket already? Then its ports are taken by itself."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 -- the answer is an error or a mode
            return False
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(CONNECT_S)
            sock.connect(path)
    except (OSError, ValueError):
        return False
    return True
