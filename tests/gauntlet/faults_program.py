"""The program under test, with two handles that only a test needs: `python -m tests.gauntlet.faults_program serve ...`.

`GAUNTLET_CLOCK` names a file with the seconds by which the calendar is wrong: it is read at each look at the clock, so
that the clock of one process jumps and the machine's does not. On SIGUSR2 the figures that the system does not know go
to `GAUNTLET_FIGURES`: how many tasks there are, and how many objects.
"""

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

CLOCK, FIGURES = os.environ.pop("GAUNTLET_CLOCK"), os.environ.pop("GAUNTLET_FIGURES")


def wrong_by() -> float:
    with contextlib.suppress(OSError, ValueError):
        return float(Path(CLOCK).read_text())
    return 0.0


def bend_the_clock() -> None:
    """Before anything of Hestia's is imported: some of it takes `time.time` as a default."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + wrong_by()
    time.time_ns = lambda: right_ns() + int(wrong_by() * 1e9)


def show_figures(*_: object) -> None:
    gc.collect()
    tasks = asyncio.all_tasks()
    names = Counter(task.get_coro().__qualname__ for task in tasks)
    beside = Path(FIGURES + ".next")
    beside.write_text(json.dumps({"tasks": len(tasks), "objects": len(gc.get_objects()), "names": names}))
    beside.replace(FIGURES)


if __name__ == "__main__":
    bend_the_clock()
    signal.signal(signal.SIGUSR2, show_figures)
    from hestia.cli import hestia

    raise SystemExit(hestia.main(sys.argv[1:]))
