"""A diary for each test; and whatever a test starts is gone when it ends, also what it did not think of."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.life.serving import Diary, alive, processes_of


@pytest.fixture
def diary(tmp_path: Path) -> Diary:
    return Diary(tmp_path / "diary")


@pytest.fixture
def diaries(tmp_path: Path) -> Callable[[str], Diary]:
    """One for each of several services."""
    return lambda name: Diary(tmp_path / f"diary-{name}")


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A service with `--gate` does not listen before this is touched."""
    return tmp_path / "gate"


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """No process of a service is left, no zombie and no child."""
    before = children()
    yield
    end = time.monotonic() + 2.0
    while (left := [pid for pid in processes_of(str(tmp_path)) if alive(pid)]) and time.monotonic() < end:
        time.sleep(0.01)
    zombies = children() - before - set(left)
    for pid in left:
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"left running: {left}"
    assert not zombies, f"not reaped: {zombies}"


def children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found
