"""Who listens at an address of this machine: the process that was launched, or a stranger who was there before.

Only what is certain is said. A listener of another user cannot be seen; one that is younger than what was launched may
belong to it (a daemon's child, the proxy of a container that it runs); and pid 1 listens for those it will start.
"""

import ipaddress
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from hestia.launchers.owned import HAS_PROC, PROC, Owned, Stat, members, processes, stat_of

LISTENS: Final = "0A"
PORTS: Final = {"http": 80, "https": 443}
LOOK_WITHIN_S: Final = 0.1
"""A look at every process of a large machine is given up. Of our own time: one that others keep busy is not large."""


def stranger_at(url: str, owned: Owned) -> str | None:
    """`nginx (pid 123)` when somebody else is known to listen at `url`; None when it is ours or cannot be told."""
    if not HAS_PROC:
        return None
    sockets = _unix_sockets(url) if url.startswith("http+unix://") else _tcp_sockets(url)
    ours = [each.pid for each in members(owned)]
    leader = stat_of(owned.pid)
    if not sockets or not ours or leader is None or any(_holds(pid, sockets) for pid in ours):
        return None
    found = _holder(sockets, frozenset(ours))
    if found is None or found.pid == 1 or int(found.start) >= int(leader.start):
        return None
    return f"{_name(found.pid)} (pid {found.pid})"


def _tcp_sockets(url: str) -> frozenset[str]:
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        return frozenset()
    hosts = _loopback(parts.hostname or "")
    if not hosts:
        return frozenset()
    return frozenset(
        inode for host, at, inode in _listeners() if at == port and (host in hosts or _is_any(host, hosts))
    )


def _loopback(host: str) -> frozenset[str]:
    if host == "localhost":
        return frozenset({"127.0.0.1", "::1"})
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return frozenset()
    return frozenset({str(address)}) if address.is_loopback else frozenset()


def _is_any(host: str, hosts: frozenset[str]) -> bool:
    """`::` takes IPv4 too, unless it was told not to."""
    return host == "::" or (host == "0.0.0.0" and any("." in each for each in hosts))


def _listeners() -> Iterator[tuple[str, int, str]]:
    for table in ("tcp", "tcp6"):
        for line in _lines(PROC / "net" / table):
            fields = line.split()
            if len(fields) > 9 and fields[3] == LISTENS:  # noqa: PLR2004 -- the inode is the tenth field
                host, _, port = fields[1].partition(":")
                yield _address(host), int(port, 16), fields[9]


def _address(text: str) -> str:
    """Hexadecimal words of 32 bits, each in this machine's own order of bytes."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(words))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _unix_sockets(url: str) -> frozenset[str]:
    path = unquote(url.removeprefix("http+unix://"))
    rows = (line.split(maxsplit=7) for line in _lines(PROC / "net" / "unix"))
    # Num RefCount Protocol Flags Type St Inode Path; the flag 0x10000 says that it accepts connections
    return frozenset(row[6] for row in rows if len(row) > 7 and row[7] == path and row[3] == "00010000")  # noqa: PLR2004


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    except OSError:
        return []


def _holds(pid: int, sockets: frozenset[str]) -> bool:
    """Whether the process has one of these sockets; one whose descriptors cannot be read may have it."""
    try:
        return any(_socket(link) in sockets for link in _links(pid))
    except PermissionError:
        return True
    except OSError:
        return False


def _holder(sockets: frozenset[str], ours: frozenset[int]) -> Stat | None:
    """The oldest of others that has it: a child may have inherited it."""
    end, found = time.thread_time() + LOOK_WITHIN_S, list[Stat]()
    for each in processes():
        if time.thread_time() > end:
            return None
        if each.pid not in ours and _has(each.pid, sockets):
            found.append(each)
    return min(found, key=lambda each: int(each.start), default=None)


def _has(pid: int, sockets: frozenset[str]) -> bool:
    try:
        return any(_socket(link) in sockets for link in _links(pid))
    except OSError:
        return False


def _links(pid: int) -> Iterable[str]:
    folder = PROC / str(pid) / "fd"
    for name in os.listdir(folder):  # noqa: PTH208 -- thousands of them: no object for each
        try:
            yield os.readlink(f"{folder}/{name}")  # noqa: PTH115 -- as above
        except FileNotFoundError:  # closed meanwhile
            continue


def _socket(link: str) -> str:
    return link[8:-1] if link.startswith("socket:[") else ""


def _name(pid: int) -> str:
    try:
        name = (PROC / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "a program"
    return "".join(each if each.isprintable() else "?" for each in name)
