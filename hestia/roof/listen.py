"""Listening addresses: what the configuration asks for, bound as sockets, before anything is served on them.

All are bound before the first connection is taken: an address that is taken stops the start, and nothing has happened.
"""

import contextlib
import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hestia.rules.addresses import TcpAddress, UnixAddress, parse_listen
from hestia.rules.routing import Door
from hestia.words.spec import DEFAULT_LISTEN, Config, Tls

BACKLOG = 4096
UNIX_MODE = 0o660
NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


class CannotStart(Exception):
    """Something that serving needs cannot be had. The text names it and says what to do. `usage`: exit 2, not 1."""

    def __init__(self, words: str, *, usage: bool = False) -> None:
        super().__init__(words)
        self.usage = usage


class Wanted(NamedTuple):
    """One address that the configuration asks for."""

    text: str
    door: Door
    optional: bool = False


@dataclass(slots=True, eq=False)
class Bound:
    """A socket that listens but is not served yet. `url` is what a person or a program would call."""

    text: str
    door: Door
    socket: socket.socket
    url: str
    secure: bool
    path: Path | None = None
    inode: int = 0

    def close(self) -> None:
        """Close the socket, and remove its file if that is still ours."""
        self.socket.close()
        if self.path is not None:
            with contextlib.suppress(OSError):
                if self.path.stat().st_ino == self.inode:
                    self.path.unlink()


def wanted(config: Config) -> Iterator[Wanted]:
    """Every address of the configuration with what answers there."""
    own = not config.admin_listen
    for number, text in enumerate(config.listen):
        yield Wanted(text, Door(text, own=own), optional=config.listen == DEFAULT_LISTEN and number > 0)
    for text in config.admin_listen:
        yield Wanted(text, Door(text, admin=True))
    for service in config.services.values():
        for text in service.listen:
            yield Wanted(text, Door(text, service=service.id))


def bind_anew(ours: Bound, want: Wanted, *, secure: bool) -> Bound:
    """An address of ours on which something else is spoken from now on: its socket is served anew."""
    scheme = "https" if secure else "http"
    return Bound(want.text, want.door, ours.socket.dup(), f"{scheme}://{address_of(ours.socket)}", secure)


def bind(want: Wanted, *, secure: bool, handed: list[socket.socket] | None = None) -> Bound | None:
    """Listen there; a socket that was handed to us for this address is taken. Raises CannotStart.

    None: there is no IPv6 on this machine, and it was not asked for.
    """
    address = parse_listen(want.text)
    scheme = "https" if secure else "http"
    given = next((sock for sock in handed or () if _is_for(sock, address)), None)
    if given is not None and handed is not None:
        handed.remove(given)
        if isinstance(address, UnixAddress):  # its file is the manager's
            return Bound(want.text, want.door, given, f"unix:{address.path}", secure=False, path=Path(address.path))
        return Bound(want.text, want.door, given, f"{scheme}://{address_of(given)}", secure)
    if isinstance(address, UnixAddress):
        return _bind_unix(Path(address.path), want)
    try:
        sock = _tcp_socket(address)
    except OSError as error:
        if want.optional and error.errno in NO_IPV6:
            return None
        raise CannotStart(_tcp_words(want.text, error)) from error
    return Bound(want.text, want.door, sock, f"{scheme}://{address_of(sock)}", secure)


def _is_for(sock: socket.socket, address: TcpAddress | UnixAddress) -> bool:
    """Whether a socket of the service manager's listens at this very address."""
    name = sock.getsockname()
    if isinstance(address, UnixAddress):
        return sock.family == socket.AF_UNIX and name == address.path
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return False
    with contextlib.suppress(OSError):
        return any(name[:2] == found[4][:2] for found in _resolved(address))
    return False


def _resolved(address: TcpAddress) -> list[Any]:
    return socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)


def _tcp_socket(address: TcpAddress) -> socket.socket:
    found = _resolved(address)
    # A name with both kinds of address means its IPv4 one, as clients of old try it.
    family, kind, protocol, _, where = min(found, key=lambda each: each[0] != socket.AF_INET)
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def address_of(sock: socket.socket) -> str:
    """Where it listens, as it is written in the configuration."""
    if sock.family == socket.AF_UNIX:
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tcp_words(text: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        port = int(text.rpartition(":")[2])
        return (
            f"{text} is taken: another program, or another gateway, listens there (see `ss -ltnp sport = :{port}`). "
            f"Choose another address: `hestia serve --listen 127.0.0.1:{port + 1}`, or `make run PORT={port + 1}`"
        )
    if error.errno == errno.EACCES:
        return f"{text} needs permission: ports below 1024 are the system's. Choose a higher one with `--listen`"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{text} is no address of this machine. Choose one of `ip address` with `--listen`"
    return f"{text} cannot be listened on: {error.strerror or error}"


def _bind_unix(path: Path, want: Wanted) -> Bound:
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~UNIX_MODE)  # the file has its mode from its first moment
    try:
        sock.bind(str(path))
    except OSError as error:
        sock.close()
        raise CannotStart(f"unix:{path} cannot be listened on: {error.strerror or error}") from error
    finally:
        os.umask(before)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return Bound(want.text, want.door, sock, f"unix:{path}", secure=False, path=path, inode=path.stat().st_ino)


def _clear(path: Path) -> None:
    """Remove a socket file that nobody answers at, and nothing else."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return  # it is not there, or binding will say what is wrong
    if not stat.S_ISSOCK(mode):
        raise CannotStart(f"unix:{path} is there and is no socket: it is left alone. Choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(1.0)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        except OSError as error:
            raise CannotStart(f"unix:{path} cannot be looked at: {error.strerror or error}") from error
        else:
            raise CannotStart(f"unix:{path} is taken: another program, or another gateway, listens there")


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS for our own addresses, from certificate and key."""
    for key, path in (("certificate", tls.certificate), ("key", tls.key)):
        try:
            with Path(path).open("rb"):
                pass
        except OSError as error:
            raise CannotStart(f"tls.{key} {path} cannot be read: {error.strerror or error}") from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        words = "do not fit together" if "MISMATCH" in str(error) else "are no PEM certificate and unlocked key"
        raise CannotStart(f"tls: {tls.certificate} and {tls.key} {words}") from error
    return context


def _no_password() -> str:
    """Asked for a locked key. Without this, OpenSSL would ask the terminal and wait."""
    raise ValueError("the key is locked with a password")
