"""Zombies of lost parents are reaped, and no others."""

import os
import subprocess
import sys
import time

from hestia.launchers.orphans import reap_orphans
from hestia.launchers.owned import stat_of

STORY = """
import ctypes, os, subprocess, sys, time
from hestia.launchers.orphans import reap_orphans
from hestia.launchers.owned import processes

def zombies():
    return {each.pid for each in processes() if each.parent == os.getpid() and not each.alive}

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: as process 1 is
subprocess.run(["/bin/sh", "-c", "(sleep 0.05; exit 0) & exit 0"])
end = time.monotonic() + 20
while not zombies():
    assert time.monotonic() < end
seen = reap_orphans((), ())
assert zombies()
reap_orphans(seen, ())
print(len(zombies()))
"""


def test_what_became_ours_is_reaped_at_the_second_look():
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", STORY], capture_output=True, text=True, timeout=60, env=env, check=False
    )
    assert done.stdout == "0\n", done.stderr


def test_a_child_of_ours_keeps_its_code():
    child = subprocess.Popen(["/bin/sh", "-c", "exit 3"])
    end = time.monotonic() + 20
    while stat_of(child.pid).alive:
        assert time.monotonic() < end
    seen = reap_orphans((), {child.pid})
    assert child.pid not in seen
    reap_orphans({child.pid}, {child.pid})
    assert child.wait() == 3


def test_who_was_reaped_meanwhile_is_no_error():
    assert 2**22 - 1 not in reap_orphans({2**22 - 1}, ())
