"""The thread that writes log lines, so that a slow or blocked stderr never stops the loop.

A blocked stderr stalled a loop for 3.6 s when it was written to directly. Lines wait in a bounded buffer; what does not
fit is dropped, counted, and said in one line when there is room again.
"""

from __future__ import annotations

import errno
import os
import select
import threading
from collections import deque
from collections.abc import Callable

BUFFER_BYTES = 8 * 1024 * 1024
# Lines that come within this time are written together: one wake of the thread for many lines of a busy gateway.
GATHER_S = 0.02
CHUNK_BYTES = 64 * 1024


class Writer:
    """Takes finished lines from any thread and writes them to `fd` in order. Starts its thread at the first line."""

    def __init__(self, fd: int, *, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.dropped = 0
        self._fd = fd
        self._room = buffer_bytes
        self._lines: deque[bytes] = deque()
        self._pending = 0
        self._said = 0
        self._closing = False
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped_line: Callable[[int], bytes] = _plain_dropped_line

    def __call__(self, line: bytes) -> None:
        """Take one line with its end. Never waits; drops the line when the buffer is full or the writer is closed."""
        with self._lock:
            if self._closing or self._pending + len(line) > self._room:
                self.dropped += 1
                return
            self._pending += len(line)
            self._lines.append(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hestia-log", daemon=True)
                self._thread.start()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout: float = 2.0) -> None:
        """Write what waits, for `timeout` seconds at most, and end the thread."""
        with self._lock:
            self._closing = True
        self._hurry.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._hurry.wait(GATHER_S)
            self._wake.clear()
            closing = self._closing  # read before the last take: no line comes after it was set
            batch = self._take()
            while batch:
                self._write(batch)
                batch = self._take()
            if closing:
                return

    def _take(self) -> bytes:
        """Cut off the lines of one write. What is taken still fills the buffer until it is written."""
        with self._lock:
            taken, size = [], 0
            while self._lines and size < CHUNK_BYTES:
                taken.append(self._lines.popleft())
                size += len(taken[-1])
            return b"".join(taken)

    def _write(self, batch: bytes) -> None:
        whole = self._write_all(batch)
        with self._lock:
            self._pending -= len(batch)
            if not whole:
                self.dropped += batch.count(b"\n")
                return
            missing = self.dropped - self._said
            if missing and self._pending < self._room // 2:
                self._said = self.dropped
                line = self.dropped_line(missing)
                self._pending += len(line)
                self._lines.append(line)

    def _write_all(self, batch: bytes) -> bool:
        """False when the batch could not be written: the disk is full, the reader or the terminal is gone."""
        rest = memoryview(batch)
        while rest:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except OSError as error:
                if error.errno != errno.EAGAIN:
                    return False
                # Somebody made the shared descriptor non-blocking: wait for room as if it were not.
                poller = select.poll()
                poller.register(self._fd, select.POLLOUT)
                poller.poll()
        return True


def _plain_dropped_line(count: int) -> bytes:
    return b"%d log lines were dropped\n" % count
