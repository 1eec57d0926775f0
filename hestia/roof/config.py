"""Loading the configuration: finding the file, reading it, and everything that needs a look at the disk."""

import errno
import os
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from hestia.doors.control_socket import CannotListen, rights_of
from hestia.roof.choices import look_at
from hestia.rules.builtin import with_ollama, without_config
from hestia.rules.checks import check
from hestia.rules.decode import Decoder
from hestia.rules.marks import MAX_BYTES, ConfigError, Mark, Mistake, Node, Scalar, compose
from hestia.rules.overlay import Overlay
from hestia.rules.paths import Path as KeyPath
from hestia.rules.paths import quoted
from hestia.rules.settle import settle
from hestia.rules.substitute import Substitution
from hestia.wire import MAX_SOCKET_PATH
from hestia.words.renamed import RENAMED
from hestia.words.spec import Config

DEFAULT_FILES = ("hestia_config.yml", "/etc/hestia/hestia_config.yml")


class Loaded(NamedTuple):
    """A configuration without a mistake, what is worth a warning, and the file it came from."""

    config: Config
    warnings: tuple[str, ...]
    source: str | None
    marks: Mapping[KeyPath, Mark] = {}
    """Where each key was said that was said at all."""
    broken: tuple[str, ...] = ()
    """What is wrong with files of the operator's strategies; the gateway says so itself when it takes up the others."""


def load(
    path: str | None,
    environ: Mapping[str, str],
    *,
    flags: Mapping[str, object] | None = None,
    strategies: bool = True,
) -> Loaded:
    """The configuration in force: --config, else $HESTIA_CONFIG, else a file in its usual place, else the defaults.

    `strategies`: those that it names are looked for on disk. A gateway that runs has the last good ones itself.
    """
    source = _found(path, environ)
    text = _read(source) if source else ""
    return _loaded(text, source, environ, flags or {}, strategies=strategies)


def load_text(
    text: str,
    *,
    name: str = "hestia_config.yml",
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    renamed: Mapping[str, str] = RENAMED,
) -> Loaded:
    """A configuration from its text, as if it stood in a file of that name in the working directory."""
    return _loaded(text, name, environ or {}, flags or {}, renamed=renamed)


def _loaded(
    text: str,
    source: str | None,
    environ: Mapping[str, str],
    flags: Mapping[str, object],
    *,
    renamed: Mapping[str, str] = RENAMED,
    strategies: bool = True,
) -> Loaded:
    names = frozenset({socket.gethostname().lower()})
    composed = compose(text, source or "")
    if composed.node is None and composed.mistakes:
        raise ConfigError(composed.mistakes)
    substitution = Substitution(environ)
    root = substitution.node(composed.node, ()) if composed.node else None
    empty = root is None or (isinstance(root, Scalar) and root.null)
    overlay = Overlay(without_config() if root is None or empty else with_ollama(root), environ, _content, names)
    overlay.apply(flags)
    decoder = Decoder(_folders(source), home=environ.get("HOME", ""), renamed=renamed)
    decoder.mistakes += [*composed.mistakes, *substitution.mistakes, *overlay.mistakes]
    decoder.warnings += overlay.warnings
    beside = Path(source).absolute().parent if source else Path.cwd()
    broken: list[str] = []
    config = _decoded(overlay.root, decoder, names, environ)
    if strategies and ("strategies_dir",) not in decoder.spoilt:
        _strategies(config, decoder, beside, broken)
    if decoder.mistakes:
        raise ConfigError(sorted(decoder.mistakes, key=_order))
    warnings = [*_permissions(source, decoder), *sorted(decoder.warnings, key=_order)]
    found = None if empty else source
    return Loaded(_with_folders(config, environ), tuple(map(str, warnings)), found, decoder.marks, tuple(broken))


def said_at(marks: Mapping[KeyPath, Mark], path: KeyPath) -> str:
    """FILE:LINE:COLUMN, a variable, a flag, or `default`. A service may have it from `defaults`, and as `_ms`."""
    *above, last = path
    names = [path, (*above, f"{last}_ms")]
    if len(path) > 2 and path[0] == "services":  # noqa: PLR2004 - a key of a service
        names += [("defaults", *path[2:]), ("defaults", *path[2:-1], f"{last}_ms")]
    return next((str(marks[name]) for name in names if name in marks), "default")


def _order(mistake: Mistake) -> tuple[bool, int, int]:
    return (mistake.mark.line == 0, mistake.mark.line, mistake.mark.column)


def _decoded(
    root: Node,
    decoder: Decoder,
    names: frozenset[str],
    environ: Mapping[str, str],
) -> Config:
    given = decoder.document(root)
    known = frozenset(service_id for service_id, said in (given.get("services") or {}).items() if said is not None)
    for service_id, said in (given.get("services") or {}).items():
        if said is None and service_id != "ollama":
            decoder.mistake(
                decoder.mark_of(("services", service_id)),
                ("services", service_id),
                "is empty; null only removes `ollama`",
            )
    config = settle(given)
    check(config, decoder, known, names)
    _exists(decoder)
    _control(_with_folders(config, environ), decoder, environ)
    return config


def _strategies(config: Config, decoder: Decoder, beside: Path, broken: list[str]) -> None:
    looked = look_at(config, beside)
    for path, words in looked.mistakes:
        decoder.mistake(decoder.mark_of(path), path, words)
    broken += looked.broken


def _control(config: Config, decoder: Decoder, environ: Mapping[str, str]) -> None:
    """The control socket must fit into an address, and who may use it must be able to get there."""
    path = ("control_socket",)
    if path in decoder.marks and len(os.fsencode(config.control_socket)) > MAX_SOCKET_PATH:
        words = f"is too long: a unix socket's path has at most {MAX_SOCKET_PATH} bytes"
        decoder.mistake(decoder.mark_of(path), path, words)
    if config.control_group is None:
        return
    path, runtime = ("control_group",), environ.get("XDG_RUNTIME_DIR")
    try:
        rights_of(config.control_group)
    except CannotListen:
        words = f"this machine knows no such group: groupadd {quoted(config.control_group)}"
        decoder.mistake(decoder.mark_of(path), path, words)
    if runtime and Path(config.control_socket).is_relative_to(runtime):
        words = f"cannot enter $XDG_RUNTIME_DIR: set `control_socket` to a path outside {runtime}"
        decoder.warn(decoder.mark_of(path), path, words)


def _found(path: str | None, environ: Mapping[str, str]) -> str | None:
    """The file to read. One that was named counts even when it is missing: that is a mistake, not the defaults."""
    named = path or environ.get("HESTIA_CONFIG")
    if named:
        return named
    return next((candidate for candidate in DEFAULT_FILES if os.path.lexists(candidate)), None)


def _read(path: str) -> str:
    mark = Mark(path)
    try:
        data = _bytes(path)
    except IsADirectoryError:
        raise ConfigError([Mistake(mark, "", "is a folder, not a configuration file")]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its name is no path"
        raise ConfigError([Mistake(mark, "", f"cannot be read: {reason}")]) from None
    if len(data) > MAX_BYTES:
        raise ConfigError([Mistake(mark, "", f"is too large: more than {MAX_BYTES // 1024} KiB")])
    return _text(data, path)


def _bytes(path: str, most: int = MAX_BYTES + 1) -> bytes:
    """What stands in a file; a pipe or a terminal must not make the gateway wait."""
    with open(path, "rb", opener=_without_waiting) as file:
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is a pipe, not a file")
        return file.read(most) or b""


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _text(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise ConfigError([Mistake(Mark(path, line, column), "", "is not UTF-8 text")]) from None


def _content(path: str) -> str:
    """The file that a variable's `_FILE` names."""
    data = _bytes(path)
    if len(data) > MAX_BYTES:
        raise ValueError("too large")
    return data.decode()


def _folders(source: str | None) -> Callable[[Mark], str]:
    beside = str(Path(source).absolute().parent) if source else str(Path.cwd())
    here = str(Path.cwd())
    return lambda mark: beside if mark.line else here


def _exists(decoder: Decoder) -> None:
    """Files, folders and time zones that are named must be there."""
    for named in decoder.named:
        words = _LOOKS[named.kind](named.text)
        if words:
            decoder.mistake(named.mark, named.path, words)


def _no_file(path: str) -> str | None:
    try:
        _bytes(path, 1)
    except IsADirectoryError:
        return "is a folder, not a file"
    except (OSError, ValueError) as error:
        return f"the file cannot be read: {error.strerror if isinstance(error, OSError) else 'its name is no path'}"
    return None


def _no_folder(path: str) -> str | None:
    try:
        return None if Path(path).is_dir() else "there is no such folder"
    except (OSError, ValueError):
        return "there is no such folder"


def _no_zone(name: str) -> str | None:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return "this machine knows no such time zone"
    return None


_LOOKS: Mapping[str, Callable[[str], str | None]] = {
    "file": _no_file,
    "tls_verify": _no_file,
    "folder": _no_folder,
    "timezone": _no_zone,
}


def _permissions(source: str | None, decoder: Decoder) -> list[Mistake]:
    try:
        mode = Path(source).stat().st_mode if source else 0
    except OSError:
        return []
    if not stat.S_ISREG(mode):
        return []
    mark = Mark(source or "")
    found = []
    if mode & stat.S_IWOTH:
        found.append(Mistake(mark, "", "everybody may write this file: chmod o-w"))
    if mode & stat.S_IROTH and decoder.holds_secret:
        found.append(Mistake(mark, "", "everybody may read this file, and it holds a secret: chmod o-r"))
    return found


def _with_folders(config: Config, environ: Mapping[str, str]) -> Config:
    """The folders that depend on who runs the gateway."""
    home = environ.get("HOME") or str(Path("~").expanduser())
    data = config.data_dir or str(Path(environ.get("XDG_STATE_HOME") or f"{home}/.local/state", "hestia"))
    runtime = environ.get("XDG_RUNTIME_DIR")
    socket_path = str(Path(runtime, "hestia", "control.sock")) if runtime else str(Path(data, "control.sock"))
    return msgspec.structs.replace(config, data_dir=data, control_socket=config.control_socket or socket_path)
