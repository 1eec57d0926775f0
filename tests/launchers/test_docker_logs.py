"""Frames of a log, whole and in pieces."""

import datetime as dt

import pytest

from hestia.launchers import docker_logs as module
from hestia.launchers.docker_container import State
from hestia.launchers.docker_logs import Lines, this_life_since
from hestia.ports import LaunchFailed


def frame(stream: int, text: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text


MIXED = frame(1, b"one\ntw") + frame(2, b"err\n") + frame(1, b"o\n") + frame(1, "drei é\r\n".encode()) + frame(2, b"rest")


@pytest.mark.parametrize("step", (1, 2, 7, 8, 9, 1000))
def test_frames_are_taken_apart_however_they_come(step):
    lines = Lines(tty=False)
    found = [line for at in range(0, len(MIXED), step) for line in lines.feed(MIXED[at : at + step])]
    assert found == ["one", "err", "two", "drei é"]
    assert lines.rest() == ["rest"]
    assert lines.rest() == []


@pytest.mark.parametrize("step", (1, 3, 100))
def test_a_terminal_has_no_frames(step):
    lines, text = Lines(tty=True), b"one\r\n\x01\x00\x00\x00\x00\x00\x00\x09two\r\nthree"
    found = [line for at in range(0, len(text), step) for line in lines.feed(text[at : at + step])]
    assert found == ["one", "\x01\x00\x00\x00\x00\x00\x00\ttwo"]
    assert lines.rest() == ["three"]


def test_a_line_without_end_is_cut():
    lines = Lines(tty=False)
    for _ in range(100):
        assert lines.feed(frame(1, b"x" * 1000)) == []
    assert lines.feed(frame(1, b"\nnext\n")) == ["x" * module.LONGEST_LINE, "next"]


def test_bytes_that_are_no_text_are_replaced():
    assert Lines(tty=False).feed(frame(2, b"\xff\xfe!\n")) == ["��!"]


@pytest.mark.parametrize("damaged", (frame(3, b"x"), b"HTTP/1.1 200 OK\r\n", b"\x01\0\0\0\xff\xff\xff\xff"))
def test_what_is_no_frame_is_refused(damaged):
    with pytest.raises(LaunchFailed, match="damaged"):
        Lines(tty=False).feed(damaged)


def test_a_life_begins_a_little_before_its_start_was_noted_but_after_the_one_before():
    def since(started, finished, running=True):
        return this_life_since(State(status="", running=running, started_at=started, finished_at=finished))

    at = dt.datetime(2026, 3, 1, 12, 0, 10, tzinfo=dt.UTC).timestamp()
    never = "0001-01-01T00:00:00Z"
    assert since(never, never) is None
    assert since("", "") is None
    assert since("2026-03-01T12:00:10.123456789Z", never) == f"{at + 0.123456 - 1:.6f}"
    assert since("2026-03-01T12:00:10Z", "2026-03-01T12:00:09.5Z") == f"{at - 0.5:.6f}"
    assert since("2026-03-01T12:00:10Z", "2026-03-01T12:00:01Z") == f"{at - 1:.6f}"
    assert since("2026-03-01T13:00:10+01:00", "2026-03-01T12:30:00Z", running=False) == f"{at - 1:.6f}"
    assert since("2026-03-01T12:00:10Z", "2026-03-01T12:00:09.9Z", running=False) == f"{at - 1:.6f}"  # a short life
