"""What launched programs print: a file each, rotated by copy and truncate, read from its end, followed and searched.

The program has the file itself, opened with O_APPEND: a pipe would die with the gateway, and take the program along.
Copy and truncate keeps that file the same one; what is written between the end of the copy and the cut is lost: within
microseconds, unless the program writes faster than it can be copied.
"""

import asyncio
import contextlib
import os
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from hestia.launchers.last_words import why_not
from hestia.ports import LaunchFailed
from hestia.words.run import Run

FILE_BYTES: Final = 10 * 1024 * 1024
FILES: Final = 3  # the current one and two older ones
LINE_BYTES: Final = 64 * 1024  # a longer line is cut
BLOCK: Final = 64 * 1024
READ_BYTES: Final = 4 * 1024 * 1024  # the most that one look back reads
LOOK_EVERY_S: Final = 0.2
BEHIND_BYTES: Final = 1024 * 1024  # a follower that is further behind skips


class Output:
    """The output of one place or machine, over all its lives.

    Positions count from the begin of the current file, plus what was cut off since this object was made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._cut = 0
        self._turning = threading.Lock()  # two threads must not rotate at once

    def open(self) -> int:
        """A descriptor to append with, the caller's to close; the null device where the disk refuses.

        Raises LaunchFailed where not even that can be opened.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.parent.chmod(0o700)
            descriptor = os.open(self.path, flags, 0o600)
        except OSError:
            return nowhere()
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe or a device would block or leak
            os.close(descriptor)
            return nowhere()
        os.set_blocking(descriptor, True)
        return descriptor

    def end(self) -> int:
        return self._cut + self._size()

    def offset(self, at: int) -> int:
        """A position as another gateway can find it again."""
        return max(0, at - self._cut)

    def kept_from(self, offset: int) -> int:
        """The position that an offset of an earlier gateway means; the begin when the file was rotated since."""
        return self._cut if self._cut or offset > self._size() else offset

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    async def tidy(self) -> None:
        """Rotate when it has grown too long. Cheap otherwise."""
        if self._size() > FILE_BYTES:
            await asyncio.to_thread(self.rotate)

    def rotate(self) -> None:
        """A full disk keeps nothing of the old, but the file is cut in any case: it must not grow without end."""
        with self._turning:
            size = self._size()
            if size > FILE_BYTES:  # else another look was quicker
                self._rotate(size)

    def _rotate(self, size: int) -> None:
        with contextlib.suppress(OSError):
            for number in range(FILES - 1, 1, -1):
                with contextlib.suppress(FileNotFoundError):
                    self.older(number - 1).replace(self.older(number))
            size = self._copy(size)
        with contextlib.suppress(OSError):
            os.truncate(self.path, 0)
            self._cut += size

    def _copy(self, size: int) -> int:
        """The end of the file, and what is written meanwhile. Returns up to where."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        with self.path.open("rb") as source, os.fdopen(os.open(self.older(1), flags, 0o600), "wb") as target:
            source.seek(size - FILE_BYTES + FILE_BYTES // 10)  # a tenth is for what comes
            left = FILE_BYTES
            while left and (block := source.read(min(BLOCK, left))):
                target.write(block)
                left -= len(block)
            return source.tell()

    def read(self, at: int, limit: int) -> tuple[bytes, int]:
        """What stands at a position, and the position after it; what is no longer kept is passed over."""
        file, offset, base = self.path, at - self._cut, self._cut
        if offset < 0:  # cut off since: the end of the older file
            file = self.older(1)
            base = self._cut - _size_of(file)
            offset = max(0, at - base)
        data = _read(file, offset, limit)
        if not data and base < self._cut:
            return self.read(self._cut, limit)
        return data, base + offset + len(data)

    def tail(self, last: int, since: int | None = None) -> list[str]:
        """The last lines, oldest first, also out of older files; with `since` only what stands after that position."""
        lines: list[bytes] = []
        files = [self.path] if since is not None else [self.path, *(self.older(n) for n in range(1, FILES))]
        budget = READ_BYTES
        for file in files:
            begin = max(0, since - self._cut) if since is not None else 0
            text = _last_bytes(file, begin, last - len(lines), budget)
            budget -= len(text)
            lines = [*_split(text), *lines]
            if len(lines) >= last or budget <= 0:
                break
        return [_shown(line) for line in lines[-last:]] if last > 0 else []

    async def follow(self) -> AsyncIterator[str]:
        """Lines from now on. A reader that is slow skips what it cannot keep up with, and is told so."""
        at, rest = self.end(), b""
        while True:
            if self.end() - at > BEHIND_BYTES:
                skipped = self.end() - at
                at, rest = self.end(), b""
                yield f"[{skipped} bytes skipped]"
            data, at = self.read(at, BLOCK)
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield _shown(line)
            if len(rest) > LINE_BYTES:
                yield _shown(rest)
                rest = b""
            if not data:
                await asyncio.sleep(LOOK_EVERY_S)


def nowhere() -> int:
    try:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        raise LaunchFailed(f"its output cannot be opened: {why_not(error)}") from error


def output_of(data_dir: Path, run: Run) -> Path:
    """Its file. `@` stands in no id, so that a service `a.1`, the second place of `a`, and a machine differ."""
    name = f"@{run.owner}" if run.of == "machine" else run.owner
    return data_dir / "logs" / (f"{name}@{run.number}.log" if run.number else f"{name}.log")


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _read(file: Path, offset: int, limit: int) -> bytes:
    try:
        with file.open("rb") as source:
            source.seek(offset)
            return source.read(limit)
    except OSError:
        return b""


def _last_bytes(file: Path, begin: int, lines: int, budget: int) -> bytes:
    """The end of a file, as far back as so many lines need."""
    text = b""
    for offset, length in _backwards(begin, _size_of(file)):
        text = _read(file, offset, length) + text
        if text.count(b"\n") > lines or len(text) >= budget:
            break
    return text


def _backwards(begin: int, end: int) -> Iterator[tuple[int, int]]:
    while end > begin:
        length = min(BLOCK, end - begin)
        end -= length
        yield end, length


def _split(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _shown(line: bytes) -> str:
    return line[:LINE_BYTES].removesuffix(b"\r").decode("utf-8", errors="replace")
