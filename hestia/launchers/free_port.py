"""Addresses that are chosen at each start: `{port}` on loopback, and `{socket}` in a private folder."""

import contextlib
import errno
import hashlib
import os
import random
import socket
import stat
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from hestia.ports import LaunchFailed

RANGE_FILE: Final = "/proc/sys/net/ipv4/ip_local_port_range"
LOWEST: Final = 10240  # below it stand the well-known ports that people configure by hand
ELSEWHERE: Final = 32768  # where the ephemeral range of other systems does not begin earlier
TRIES: Final = 500
LONGEST_PATH: Final = 107  # the kernel's sun_path, without its NUL


def free_port(taken: Collection[int] = (), range_file: str = RANGE_FILE) -> int:
    """A loopback port that nobody listens on and that is none of `taken`, in 10240 up to the ephemeral range.

    From the ephemeral range a connection to a port where nobody listens yet can get that very port as its own, connect
    to itself, and keep the server from binding it. And it is found out by binding, never by connecting.
    """
    end = _ephemeral_begin(range_file)
    for port in _candidates(end):
        if port not in taken and _can_bind(port):
            return port
    raise LaunchFailed(f"no free port from {LOWEST} to {end - 1} on 127.0.0.1")


def _ephemeral_begin(range_file: str) -> int:
    try:
        begin = int(Path(range_file).read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        begin = ELSEWHERE
    return begin if begin > LOWEST + TRIES else ELSEWHERE  # a range that leaves no room below it cannot be avoided


def _candidates(end: int) -> Iterator[int]:
    """At random: two starts at once do not try the same ones."""
    yield from random.sample(range(LOWEST, end), k=min(TRIES, end - LOWEST))


def _can_bind(port: int) -> bool:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.bind((host, port))
        except OSError as error:
            if family == socket.AF_INET or error.errno == errno.EADDRINUSE:
                return False  # where there is no IPv6, its address is simply not there
    return True


def private_socket(data_dir: Path, name: str) -> str:
    """A path for a unix socket, in a folder of ours alone; what an earlier life left there is removed.

    A path that the kernel would find too long lies in a folder of this user's among the temporary files instead.
    """
    path = data_dir / "sockets" / f"{name}.sock"
    if len(os.fsencode(path)) > LONGEST_PATH:
        short = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"hestia-{os.getuid()}" / f"{short}.sock"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _must_be_ours(path.parent)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
    except OSError as error:
        raise LaunchFailed(f"{path.parent}: {error.strerror}; {{socket}} needs a folder there") from error
    return str(path)


def _must_be_ours(folder: Path) -> None:
    """Somebody else's folder of that name could be in everybody's folder for temporary files."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(errno.EPERM, "belongs to another user")
    folder.chmod(0o700)
