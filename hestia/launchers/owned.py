"""A process of ours, told from strangers: by pid, start time and boot. And the processes of its session.

Linux tells all of it in /proc. Elsewhere `ps` tells the start time, and a process group is asked by signal 0.
"""

import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

PROC: Final = Path("/proc")
HAS_PROC: Final = (PROC / "self" / "stat").exists()
DEAD: Final = frozenset("ZX")


class Stat(NamedTuple):
    """What /proc/<pid>/stat says of a process that lives or waits to be reaped."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start: str
    threads: int = 1

    @property
    def alive(self) -> bool:
        """A leader that is dead while threads of it still end has its sockets still, and cannot be reaped."""
        return self.state not in DEAD or self.threads > 1


class Owned(NamedTuple):
    """Which process it is, whatever its number is used for later. It leads its session and its process group."""

    pid: int
    start: str
    boot: str

    def handle(self) -> dict[str, Any]:
        return {"pid": self.pid, "pgid": self.pid, "start": self.start, "boot": self.boot}


def owned_of(handle: Mapping[str, Any]) -> Owned | None:
    """The process that a handle names; None when it names none that could be told from a stranger."""
    pid, start, boot = handle.get("pid"), handle.get("start"), handle.get("boot")
    if isinstance(pid, int) and pid > 1 and isinstance(start, str) and start and isinstance(boot, str):
        return Owned(pid, start, boot)
    return None


def own(pid: int) -> Owned:
    """A child that was just born: it cannot be anybody else."""
    found = stat_of(pid)
    return Owned(pid, found.start if found else "", boot_id())


@functools.cache
def boot_id() -> str:
    """Changes with each boot, so never while this process lives. "" where start times are those of a calendar."""
    try:
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def stat_of(pid: int) -> Stat | None:
    if not HAS_PROC:
        return _asked_ps(pid)
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 -- read by hundreds
            text = file.read()
    except OSError:
        return None
    # The name in parentheses may hold anything, also spaces and parentheses: the fields begin after the last one.
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(pid, fields[0], int(fields[1]), int(fields[2]), int(fields[3]), fields[19], int(fields[17]))


def _asked_ps(pid: int) -> Stat | None:
    words = ["/bin/ps", "-o", "stat=,ppid=,pgid=,sess=,lstart=", "-p", str(pid)]
    said = subprocess.run(words, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603 -- our words
    if len(said) < 5:  # noqa: PLR2004 -- four fields, and the words of a date
        return None
    group = int(said[2])
    return Stat(pid, said[0][0], int(said[1]), group, group, " ".join(said[4:]))


def alive(owned: Owned) -> bool:
    found = stat_of(owned.pid)
    return found is not None and found.alive and _is(found, owned)


def _is(found: Stat, owned: Owned) -> bool:
    return found.start == owned.start and owned.boot == boot_id()


def members(owned: Owned) -> list[Stat]:
    """The living processes of its session and its group: it, its children, and what they left behind.

    The kernel gives the number of a group or a session to nobody else while a member lives. So when another process
    has the number now, or the machine has booted since, no member is left.
    """
    leader = stat_of(owned.pid)
    if owned.boot != boot_id() or (leader is not None and leader.start != owned.start):
        return []
    if HAS_PROC:
        return [each for each in processes() if each.alive and owned.pid in {each.session, each.group}]
    return [leader] if leader is not None and leader.alive else _asked_group(owned)


def _asked_group(owned: Owned) -> list[Stat]:
    try:
        os.killpg(owned.pid, 0)
    except OSError:  # also EPERM: only the dead are left
        return []
    return [Stat(-owned.pid, "S", 1, owned.pid, owned.pid, "")]


def processes() -> Iterator[Stat]:
    for name in os.listdir(PROC):  # noqa: PTH208 -- a path object for each process is half of the cost
        if name.isdecimal() and (found := stat_of(int(name))) is not None:
            yield found


def still(member: Stat) -> bool:
    """Whether this very process lives."""
    if member.pid < 0:
        return bool(_asked_group(Owned(-member.pid, "", "")))
    found = stat_of(member.pid)
    return found is not None and found.alive and found.start == member.start


def send(number: signal.Signals, owned: Owned, to: list[Stat]) -> None:
    """Signals its group at one stroke while its leader holds the number, and the others one by one."""
    one_by_one = to
    if _holds_number(owned):
        with contextlib.suppress(OSError):  # gone meanwhile; or a member that became another user's
            os.killpg(owned.pid, number)
        one_by_one = [each for each in to if each.group != owned.pid]
    for each in one_by_one:
        _send_one(number, each)


def _holds_number(owned: Owned) -> bool:
    """The leader, alive or waiting to be reaped, keeps the number from being used again."""
    found = stat_of(owned.pid)
    return found is not None and _is(found, owned)


def _send_one(number: signal.Signals, member: Stat) -> None:
    """Through a descriptor of that very process where there are such, so that no stranger is ever hit."""
    with contextlib.suppress(OSError):
        if member.pid < 0 or not hasattr(os, "pidfd_open"):
            os.kill(member.pid, number)
            return
        descriptor = os.pidfd_open(member.pid)
        try:
            if still(member):
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)
