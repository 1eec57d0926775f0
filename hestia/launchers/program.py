"""A short program that is asked something: its words and its exit code, within a time, or its lines as they come."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from hestia.launchers.last_words import why_not
from hestia.ports import LaunchFailed

LONGEST_LINE = 64 * 1024


class Said(NamedTuple):
    code: int
    out: str
    err: str


async def call(argv: tuple[str, ...], env: Mapping[str, str], limit: float, *, stdin: int = DEVNULL) -> Said:
    """Raises LaunchFailed when it cannot be run or takes too long. Cancelled, it ends the program."""
    process = await _begun(argv, env, err=PIPE, stdin=stdin)
    try:
        async with asyncio.timeout(limit):
            out, err = await process.communicate()
    except TimeoutError:
        raise LaunchFailed(f"{argv[0]} did not end within {limit:g}s, and was killed") from None
    finally:
        await _let_go(process)
    return Said(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))


async def following(argv: tuple[str, ...], env: Mapping[str, str]) -> AsyncIterator[str]:
    """Its lines, until it ends or nobody wants more of them. A program that cannot be run has none."""
    try:
        process = await _begun(argv, env, err=DEVNULL)
    except LaunchFailed:
        return
    try:
        assert process.stdout is not None  # noqa: S101 -- it was asked for
        while line := await _line(process.stdout):
            yield line.decode(errors="replace").rstrip("\r\n")
    finally:
        await _let_go(process)


async def _line(stream: asyncio.StreamReader) -> bytes:
    """One that is too long comes in parts."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as long:
        return await stream.read(long.consumed)


async def _begun(argv: tuple[str, ...], env: Mapping[str, str], *, err: int, stdin: int = DEVNULL) -> Process:
    try:
        return await asyncio.create_subprocess_exec(
            *argv, stdin=stdin, stdout=PIPE, stderr=err, env=env, limit=LONGEST_LINE, start_new_session=True
        )
    except OSError as error:
        raise LaunchFailed(f"{argv[0]} cannot be run: {why_not(error)}") from error


async def _let_go(process: Process) -> None:
    """Closes its pipes and kills it if it is not done: to wait for its end first is in vain while a pipe is full."""
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 -- there is no public way to it
    await process.wait()
