"""What a launched program is given: its variables, its folder, and the program that its first word names."""

import os
import re
import shutil
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from hestia.ports import LaunchFailed

OURS: Final = ("HESTIA_", "LISTEN_", "WATCHDOG_")
OURS_EXACTLY: Final = frozenset({"NOTIFY_SOCKET", "SEMAPHORE_API_TOKEN", "SEMAPHORE_API_TOKEN_FILE"})
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ITSELF: Final = "hestia"


def scrubbed(environ: Mapping[str, str], secrets: Collection[str], env: Mapping[str, str]) -> dict[str, str]:
    """The gateway's environment without what is the gateway's own, and `launch.env` on top."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(OURS) and name not in OURS_EXACTLY and name not in secrets
    }
    for name, value in env.items():
        if not _NAME.fullmatch(name) or "\0" in value:  # a shell stands before the program, and would drop it silently
            raise LaunchFailed(f"env: {name!r} is no variable: letters, digits, _ in its name, no NUL in its value")
    return {**kept, **env}


def must_be_folder(cwd: str) -> None:
    path = Path(cwd)
    if not path.exists():
        raise LaunchFailed(f"{cwd}: no such folder; it is the `cwd` of the launch")
    if not path.is_dir():
        raise LaunchFailed(f"{cwd}: not a folder; it is the `cwd` of the launch")
    if not os.access(path, os.X_OK):
        raise LaunchFailed(f"{cwd}: no permission to enter this folder; it is the `cwd` of the launch")


def runnable(command: tuple[str, ...], env: Mapping[str, str], cwd: str) -> tuple[str, ...]:
    """The command, its program found; raises with words that say what to do."""
    if not command or not command[0]:
        raise LaunchFailed("the command is empty")
    if any("\0" in word for word in command):
        raise LaunchFailed("the command holds a NUL character")
    must_be_folder(cwd)
    program = command[0]
    if "/" in program:
        _must_run(program, Path(cwd, program))
    elif shutil.which(program, path=env.get("PATH", os.defpath)) is None:
        return _elsewhere(command, env)
    return command


def _must_run(program: str, path: Path) -> None:
    if not path.exists():
        raise LaunchFailed(f"{program}: not found; write the path as it is on this machine")
    if path.is_dir():
        raise LaunchFailed(f"{program}: is a folder, no program")
    if not os.access(path, os.X_OK):
        raise LaunchFailed(f"{program}: not executable, or no permission; see `chmod +x`")


def _elsewhere(command: tuple[str, ...], env: Mapping[str, str]) -> tuple[str, ...]:
    """Not on PATH. Hestia finds itself: a service manager's PATH does not name the folder it is installed in."""
    program = command[0]
    if program == _ITSELF:
        return (sys.executable, "-m", "hestia.cli.hestia", *command[1:])
    raise LaunchFailed(f"{program}: not found; install it, or write its full path (PATH is {env.get('PATH', '')!r})")
