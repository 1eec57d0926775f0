"""A gateway that ends itself, as by SIGKILL, at a named step: `python -m tests.support.failing POINT[:COUNT] serve ...`."""

import functools
import os
import signal
import sys

from hestia.cli import hestia
from hestia.roof import run
from hestia.roof.build import build


def killed_at(point: str):
    name, _, count = point.partition(":")
    left = int(count or 1)

    def step(here: str) -> None:
        nonlocal left
        if here == name:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    return step


if __name__ == "__main__":
    run.build = functools.partial(build, step=killed_at(sys.argv[1]))
    raise SystemExit(hestia.main(sys.argv[2:]))
