"""The duty of process 1: whoever has lost its parent becomes its child, and stays a zombie until it is reaped.

Only where the gateway is process 1 itself, in a container without an init, or its users' subreaper.
"""

import os
from collections.abc import Collection

from hestia.launchers.owned import HAS_PROC, processes


def reap_orphans(seen: Collection[int], ours: Collection[int]) -> frozenset[int]:
    """One look: reaps the zombies that the last look has seen already, but for children of ours, whose codes count.

    Returns what the next look is told as `seen`. A zombie seen but once may be a command that is just being waited for.
    """
    if not HAS_PROC:
        return frozenset()
    me = os.getpid()
    zombies = {each.pid for each in processes() if each.parent == me and not each.alive} - set(ours)
    for pid in zombies & set(seen):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:  # reaped by whoever waited for it
            continue
    return frozenset(zombies - set(seen))
