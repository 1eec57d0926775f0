"""Texts of a llama-swap configuration: macros, command lines, and what `${...}` in them becomes in ours."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

from hestia.rules.fill import NAMES

MACRO: Final = re.compile(r"\$\{([A-Za-z0-9_-]+)\}")
PORT: Final = "${PORT}"
_MARKS: Final = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}|\$\{PORT\}|\$\{")
_OURS: Final = re.compile(r"\{(?:" + "|".join(NAMES) + r")\}")


def text(value: Any) -> str:
    """A scalar as a macro puts it into a text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def expanded(words: str, macros: Mapping[str, Any]) -> str:
    """The last macro first: each may hold those that were defined before it."""
    for name in reversed(list(macros)):
        words = words.replace(f"${{{name}}}", text(macros[name]))
    return words


def unknown(words: str, but: tuple[str, ...] = ("PORT",)) -> list[str]:
    """Macros that nothing defines."""
    return [name for name in dict.fromkeys(MACRO.findall(words)) if name not in but]


def without_comments(command: str) -> str:
    """Lines that begin with `#`, of a command over several lines."""
    return "\n".join(line for line in command.split("\n") if not line.strip().startswith("#"))


def split(command: str) -> list[str]:
    """As a POSIX shell would, with nothing expanded; a backslash at a line's end joins it to the next one.

    Raises ValueError when a quote is left open.
    """
    lines = []
    for line in without_comments(command).split("\n"):
        bare = line.strip()
        lines.append(bare.removesuffix("\\") + " " if bare.endswith("\\") else line)
    return shlex.split("\n".join(lines))


def ours(words: str) -> str:
    """In our spelling: `${env.X}` is `${X}`, `${PORT}` is `{port}`, and any other `${` is only that."""

    def spelt(found: re.Match[str]) -> str:
        if found[1]:
            return f"${{{found[1]}}}"
        return "{port}" if found[0] == PORT else "$${"

    return _MARKS.sub(spelt, words)


def of_environment(words: str) -> str:
    """Where llama-swap reads no macros but the environment's."""
    return re.sub(r"\$\{(?:env\.([A-Za-z_][A-Za-z0-9_]*)\})?", lambda at: f"${{{at[1]}}}" if at[1] else "$${", words)


def without_variables(words: str) -> str:
    """With a harmless word for each variable of ours, to be checked as an address."""
    return re.sub(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", "x", words)


def mistaken(words: str) -> list[str]:
    """What stands there by chance and would be replaced by us."""
    return list(dict.fromkeys(_OURS.findall(words)))
