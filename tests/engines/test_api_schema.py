"""Schemathesis, a stranger, reads the description of the API and asks whatever it allows and forbids.

Left out: endless answers, and two of its checks. A start that fails is a 503 by contract (`not_a_server_error`), and what a
text must look like to be a time or a duration is said in words (`positive_data_acceptance`).
"""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from tests.life.serving import Diary, launched
from tests.support.gateway import running

pytestmark = pytest.mark.engines

ON_OFF = {"kind": "command", "start": ["true"], "stop": ["true"], "status": ["true"]}
OPTIONS = ["--exclude-path-regex", "events|logs", "--exclude-checks", "not_a_server_error,positive_data_acceptance"]
OPTIONS += ["--max-examples", "50", "--phases", "examples,coverage,fuzzing", "--continue-on-failure"]


def program():
    """It stands beside the interpreter, or on PATH."""
    return shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or shutil.which("schemathesis")


async def test_nothing_that_a_stranger_asks_is_answered_otherwise_than_described(tmp_path):
    services = {"demo": launched(Diary(tmp_path / "diary")), "watched": {"base_url": "http://127.0.0.1:9"}}
    machines = {"desk": {"launch": ON_OFF}}
    async with running(services, strict=False, machines=machines) as run:
        found = await asyncio.create_subprocess_exec(
            program(),
            "run",
            f"http://127.0.0.1:{run.port}/v1/openapi.json",
            *OPTIONS,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        async with asyncio.timeout(300):
            words, _ = await found.communicate()
        said = [event for event in run.events if event["event"] == "internal"]
    assert found.returncode == 0, words.decode()[-8000:]
    assert not said, said
