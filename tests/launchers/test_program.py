import asyncio
import os
import time

import pytest

from hestia.launchers.program import call, following
from hestia.ports import LaunchFailed
from tests.support.conformance import until

ENV = {"PATH": "/usr/bin:/bin"}


def sh(script):
    return ("/bin/sh", "-c", script)


async def test_words_and_exit_code_are_told():
    assert await call(sh("echo out; echo err >&2; exit 5"), ENV, 5) == (5, "out\n", "err\n")


async def test_a_program_has_only_the_variables_that_it_is_given():
    said = await call(sh("env"), {"A": "b"}, 5)
    assert "A=b\n" in said.out
    assert "HOME=" not in said.out


async def test_one_that_takes_too_long_is_killed():
    began = time.monotonic()
    with pytest.raises(LaunchFailed, match=r"/bin/sh did not end within 0.1s, and was killed"):
        await call(sh("exec sleep 30"), ENV, 0.1)
    assert time.monotonic() - began < 5


async def test_one_that_is_cancelled_is_killed(tmp_path):
    task = asyncio.ensure_future(call(sh(f"echo $$ > {tmp_path}/pid; exec sleep 30"), ENV, 30))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not os.path.exists(f"/proc/{pid}"), "its end")


async def test_one_that_is_missing_is_said():
    with pytest.raises(LaunchFailed, match="/no/such cannot be run: no such file or directory"):
        await call(("/no/such",), ENV, 5)


async def test_lines_come_until_the_end():
    assert [line async for line in following(sh("echo a; printf 'b\\r\\nc'"), ENV)] == ["a", "b", "c"]


async def test_a_line_that_is_too_long_comes_in_parts():
    lines = [line async for line in following(sh("head -c 200000 /dev/zero | tr '\\0' x; echo"), ENV)]
    assert "".join(lines) == "x" * 200_000


async def test_who_wants_no_more_lines_is_not_kept_by_a_full_pipe():
    began = time.monotonic()
    lines = following(sh("yes"), ENV)
    assert await anext(lines) == "y"
    await asyncio.sleep(0.1)
    await lines.aclose()
    assert time.monotonic() - began < 5


async def test_a_missing_program_has_no_lines():
    assert [line async for line in following(("/no/such",), ENV)] == []
