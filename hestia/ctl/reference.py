"""The page of the docs about `hestiactl`, made from the command tree."""

from __future__ import annotations

from hestia import wire
from hestia.ctl.commands import COMMANDS, EVERYWHERE, Option, usage_of

EXITS = (
    (wire.DONE, "done"),
    (wire.FAILED, "failed"),
    (wire.USAGE, "wrong usage, or a mistake in the configuration"),
    (wire.NOT_RUNNING, "`status ID`: the service does not run"),
    (wire.NO_PERMISSION, "no permission"),
    (wire.UNKNOWN, "unknown service, machine, request or key"),
    (wire.UNREACHABLE, "the gateway cannot be reached"),
    (wire.TIMED_OUT, "timed out"),
    (wire.INTERRUPTED, "interrupted by ^C"),
)


def as_markdown() -> str:
    """Commands, flags that all of them take, and exit codes."""
    lines = ["| command | does |", "| --- | --- |"]
    for command in COMMANDS:
        if not command.hidden:
            lines.append(f"| {_code(command.usage)} | {command.says} |")
            lines += [f"| &nbsp;&nbsp;{_code(_spelled(option))} | {option.says} |" for option in command.options]
    lines += ["", "| flag of every command | does |", "| --- | --- |"]
    lines += [f"| {_code(_spelled(option))} | {option.says} |" for option in EVERYWHERE]
    lines += ["", "| exit code | says |", "| --- | --- |", *(f"| {code} | {says} |" for code, says in EXITS), ""]
    return "\n".join(lines)


def _spelled(option: Option) -> str:
    long = Option(option.flag, "", value=option.value, optional=option.optional)
    return f"{option.short}, {usage_of(long)}" if option.short else usage_of(long)


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")
