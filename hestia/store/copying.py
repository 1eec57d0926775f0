"""A whole and consistent copy of a database, while others write to it."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path


def copy_to_new(source: Path, target: Path) -> None:
    """Copy to a path where nothing may stand: a backup never takes another one's place. Waits for the disk."""
    if target.exists():
        raise FileExistsError(f"{target} exists: give a name that is not taken")
    with contextlib.closing(_read_only(source)) as opened, _part_of(target) as part:
        _copy(opened, part)
        try:
            os.link(part, target)
        except FileExistsError:
            raise FileExistsError(f"{target} exists: give a name that is not taken") from None
        except OSError:  # a file system without links
            part.rename(target)
        _sync(target.parent)


def keep_copy(opened: sqlite3.Connection, target: Path) -> None:
    """Copy an open database; a copy of an earlier try is replaced."""
    with _part_of(target) as part:
        _copy(opened, part)
        part.replace(target)
        _sync(target.parent)


@contextlib.contextmanager
def _part_of(target: Path) -> Iterator[Path]:
    """A file of ours beside the target, gone at the end whatever happens; nobody else may read it."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def _copy(opened: sqlite3.Connection, part: Path) -> None:
    with contextlib.closing(sqlite3.connect(part)) as copied:
        opened.backup(copied)
        copied.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    _sync(part)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
