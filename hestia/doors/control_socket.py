"""The control socket's file: who may open it, and that only one gateway listens there."""

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from hestia.wire import MAX_SOCKET_PATH

BACKLOG = 512
LOOK_S = 1.0
LOCK = ".lock"


class CannotListen(Exception):
    """The control socket cannot be had. The text names it and says what to do."""


class NoFolder(CannotListen):
    """The disk does not let us: nobody else is in the way."""


class Rights(NamedTuple):
    """Modes of the file and its folder, and the group of both; -1: as it comes."""

    file: int = 0o600
    folder: int = 0o700
    group: int = -1


class Listening:
    """The control socket, ours alone until `close`."""

    def __init__(self, path: Path, lock: int, sock: socket.socket) -> None:
        self.path = path
        self.socket = sock
        self.warnings: list[str] = []
        self._lock = lock
        self._inode = path.lstat().st_ino

    def close(self) -> None:
        """Close it, and remove its file if that is still ours. The lock goes last."""
        self.socket.close()
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        os.close(self._lock)


def rights_of(group: str | None) -> Rights:
    """Only we; or a group too. Raises CannotListen when there is no such group."""
    if group is None:
        return Rights()
    try:
        number = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise CannotListen(f"control_group {group!r}: this machine knows no such group") from None
    return Rights(0o660, 0o750, number)


def listen(text: str, group: str | None) -> Listening:
    """Listen at this path, with its modes in force before anybody can connect. Raises CannotListen."""
    if len(os.fsencode(text)) > MAX_SOCKET_PATH:
        raise CannotListen(
            f"control_socket {text} is too long: a unix socket's path has at most {MAX_SOCKET_PATH} bytes"
        )
    path, rights = Path(text), rights_of(group)
    try:
        warnings = _folder(path, rights)
        lock = _lock(path)
    except OSError as error:
        raise NoFolder(_words(path, error)) from error
    try:
        _clear(path)
        listening = Listening(path, lock, _bound(path, rights))
    except OSError as error:
        os.close(lock)
        raise NoFolder(_words(path, error)) from error
    except CannotListen:
        os.close(lock)
        raise
    listening.warnings = warnings
    return listening


def concerns(text: str, group: str | None) -> list[str]:
    """What `listen` would say about the folder, as far as it is there. Raises CannotListen, as for a group's name."""
    path, rights = Path(text), rights_of(group)
    try:
        return _spoken_of(path.parent, rights) if path.parent.is_dir() and not _is_ours(path) else []
    except OSError:
        return []


def _folder(path: Path, rights: Rights) -> list[str]:
    """Make the folder, or tighten one that holds nothing but our files; others are left as they are, and spoken of."""
    folder = path.parent
    try:
        folder.mkdir(mode=0o700)
    except FileNotFoundError:
        folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        if not _is_ours(path):
            return _spoken_of(folder, rights)
    if rights.group != -1:
        os.chown(folder, -1, rights.group)
    folder.chmod(rights.folder)
    return []


def _is_ours(path: Path) -> bool:
    folder = path.parent
    ours = {path.name, path.name + LOCK}
    return folder.stat().st_uid == os.geteuid() and all(each.name in ours for each in folder.iterdir())


def _spoken_of(folder: Path, rights: Rights) -> list[str]:
    found = folder.stat()
    if found.st_mode & 0o022 and not found.st_mode & stat.S_ISVTX:
        return [f"others may write in {folder}, and so replace the control socket in it: chmod go-w {folder}"]
    if rights.group != -1 and (found.st_gid != rights.group or not found.st_mode & 0o010):
        return [f"the control_group cannot enter {folder}: chgrp it and chmod g+x, or choose another control_socket"]
    return []


def _lock(path: Path) -> int:
    """Held as long as we listen: of two gateways that start at once, one has it."""
    name = path.with_name(path.name + LOCK)
    descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        who = f"the gateway with pid {owner}" if owner.isdecimal() else "another gateway"
        raise CannotListen(f"control_socket {path} is taken: {who} listens there") from None
    except OSError:
        os.close(descriptor)
        raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
    return descriptor


def _clear(path: Path) -> None:
    """Remove a socket file that nobody answers at, and nothing else. The lock is ours: no gateway can come between."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(f"control_socket {path} is there and is no socket: it is left alone. Choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(LOOK_S)
        try:
            caller.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except (TimeoutError, BlockingIOError):
            pass  # somebody listens and is busy
    raise CannotListen(f"control_socket {path} is taken: another program, or another gateway, listens there")


def _bound(path: Path, rights: Rights) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(OSError):  # Linux makes the file with this mode; elsewhere `chmod` comes in time too
            os.fchmod(sock.fileno(), rights.file)
        sock.bind(str(path))
        if rights.group != -1:
            os.chown(path, -1, rights.group)
        path.chmod(rights.file)
        sock.listen(BACKLOG)  # only from here on can anybody connect
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _words(path: Path, error: OSError) -> str:
    if error.errno in {errno.EPERM, errno.EACCES}:
        where = error.filename or path
        return f"control_socket {path}: no permission at {where}. Choose another with `--control-socket`"
    return f"control_socket {path} cannot be listened on: {error.strerror or error}"


def peer_uid(sock: socket.socket) -> int | None:
    """Who is at the other end; None where the system does not tell (there the file's mode decides alone)."""
    if sys.platform != "linux":
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    _, uid, _ = struct.unpack("3i", raw)
    return int(uid)


def may_speak(uid: int | None, *, group: bool) -> bool:
    """Our own user and root; with a `control_group` whoever the file's mode let through."""
    return group or uid is None or uid in {os.geteuid(), 0}
