import contextlib
import fcntl
import os
import threading
import time

import pytest

from hestia.telemetry.writer import Writer


@pytest.fixture
def pipe():
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    yield read, write
    for descriptor in (read, write):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def reading_all(read, into):
    def run():
        while chunk := os.read(read, 65536):
            into.append(chunk)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_lines_come_out_whole_and_in_order(pipe):
    read, write = pipe
    out = []
    reader = reading_all(read, out)
    writer = Writer(write)
    lines = [b"line %d\n" % number for number in range(5000)]
    for line in lines:
        writer(line)
    writer.close(10.0)
    os.close(write)
    reader.join(10.0)
    assert b"".join(out) == b"".join(lines)
    assert writer.dropped == 0


def test_a_blocked_reader_never_blocks_who_writes(pipe):
    read, write = pipe
    writer = Writer(write, buffer_bytes=100_000)
    began = time.monotonic()
    for _ in range(1000):
        writer(b"x" * 999 + b"\n")
    assert time.monotonic() - began < 1.0
    assert 890 <= writer.dropped <= 910
    began = time.monotonic()
    writer.close(0.05)
    assert time.monotonic() - began < 1.0
    os.close(read)  # the thread must be gone before the descriptor's number is another's
    writer.close(10.0)


def test_dropped_lines_are_said_once_when_there_is_room_again(pipe):
    read, write = pipe
    writer = Writer(write, buffer_bytes=20_000)
    for _ in range(50):
        writer(b"x" * 999 + b"\n")
    dropped = writer.dropped
    assert dropped == 30
    out = []
    reader = reading_all(read, out)
    writer.close(10.0)
    os.close(write)
    reader.join(10.0)
    lines = b"".join(out).splitlines()
    assert [line for line in lines if not line.startswith(b"x")] == [b"30 log lines were dropped"]
    assert len(lines) == 21


def test_a_reader_that_is_gone_costs_lines_and_nothing_else(pipe):
    read, write = pipe
    os.close(read)
    writer = Writer(write)
    writer(b"lost\n")
    writer.close(10.0)
    assert writer.dropped == 1


def test_a_descriptor_that_somebody_made_non_blocking_is_waited_for(pipe):
    read, write = pipe
    os.set_blocking(write, False)
    writer = Writer(write)
    lines = [b"y" * 999 + b"\n"] * 100
    for line in lines:
        writer(line)
    out = []
    reader = reading_all(read, out)
    writer.close(10.0)
    os.close(write)
    reader.join(10.0)
    assert b"".join(out) == b"".join(lines)


def test_a_closed_writer_drops_what_still_comes(pipe):
    _, write = pipe
    writer = Writer(write)
    writer.close()
    writer(b"late\n")
    assert writer.dropped == 1
