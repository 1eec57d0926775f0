"""`hestiactl`: speaks to a running gateway over its control socket. Nothing is imported before it is needed."""

from __future__ import annotations

import os
import sys

from hestia import __version__
from hestia.ctl.parse import Asked, Usage, help_text, parse
from hestia.wire import DONE, FAILED, INTERRUPTED, USAGE


def main(argv: list[str] | None = None) -> int:
    """The exit code says what happened; words go to standard error, data to standard output."""
    _hold_streams()
    try:
        code = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_output()
        return DONE
    except OSError as error:  # the disk behind `> FILE` is full, for example
        print(f"hestiactl: the answer could not be written: {error.strerror}", file=sys.stderr)
        _forget_output()
        return FAILED
    return code


def _run(argv: list[str]) -> int:
    try:
        asked = parse(argv)
    except Usage as error:
        more = "`hestiactl --help` lists what there is." if argv else help_text(None)
        print(f"hestiactl: {error}\n{more}", file=sys.stderr)
        return USAGE
    if "--version" in asked.flags:
        print(f"hestiactl {__version__}")
        return DONE
    if "--help" in asked.flags or asked.command is None:
        print(help_text(asked.command), end="")
        return DONE
    return _act(asked)


def _act(asked: Asked) -> int:
    from hestia.ctl.act import act  # noqa: PLC0415 -- json and socket: 15 ms that help does not need

    return act(asked, os.environ)


def _forget_output() -> None:
    """Whoever read our output has gone: what is left goes nowhere, quietly."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _hold_streams() -> None:
    """A stream that is closed at start would be a socket's number later, and no place to print."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 -- held to the end


if __name__ == "__main__":
    sys.exit(main())
