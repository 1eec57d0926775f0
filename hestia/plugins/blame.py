"""What went wrong in somebody's file, in words for its author: the line, and what was raised."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BROKEN: Final = (Exception, SystemExit)
"""What a strategy may raise: one that ends the program is broken too."""


def where(problem: BaseException, path: str) -> str:
    """FILE:LINE: what is wrong with it."""
    line = problem.lineno if isinstance(problem, SyntaxError) and problem.filename == path else _line(problem, path)
    words = problem.msg if isinstance(problem, SyntaxError) else _words(problem)
    return f"{path}:{line}: {words}" if line else f"{path}: {words}"


def said(problem: BaseException, path: str) -> str:
    """What a call raised, and in which line."""
    line = _line(problem, path)
    return f"{_words(problem)} (line {line})" if line else _words(problem)


def _line(problem: BaseException, path: str) -> int | None:
    lines = [frame.lineno for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == path]
    return lines[-1] if lines else None


def _words(problem: BaseException) -> str:
    words = shown(problem, str)
    if isinstance(problem, ValueError | OSError) and words:
        return words
    return f"{type(problem).__name__}: {words}" if words else type(problem).__name__


def shown(thing: object, show: Callable[[object], str] = repr) -> str:
    """A stranger's text, short; it may fail to tell."""
    try:
        return show(thing)[:200]
    except Exception:  # noqa: BLE001 - the door to somebody's __repr__
        return f"<{type(thing).__name__}>"
