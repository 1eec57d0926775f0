"""Every example of docs/api.md, run with curl against a gateway; and no endpoint without one."""

import asyncio
import re
import shlex
import sys
from pathlib import Path

import pytest

import hestia
from hestia.doors.api_routes import ROUTES, find
from tests.life.serving import Diary, ask, launched, until
from tests.support.gateway import running

PAGE = (Path(hestia.__file__).parent / "docs" / "api.md").read_text()
EXAMPLES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
PAGES = {"/", "/__health", "/v1/openapi.json", "/metrics", "/v1/requests"}
GOES_ON = 28  # curl's code for a time that is over: a stream has no other end
ON_OFF = {"kind": "command", "start": ["true"], "stop": ["true"], "status": ["true"]}


def asked(example):
    """Method and path of an example."""
    words = shlex.split(example)
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    address = next(word for word in words if word.startswith("http://localhost:8080/"))
    return method, address.removeprefix("http://localhost:8080").partition("?")[0]


def test_every_endpoint_has_an_example():
    shown = {(method, path) for method, path in map(asked, EXAMPLES)}
    found = {find(path).route for _, path in shown if path not in PAGES}
    assert found == set(ROUTES)
    assert {path for _, path in shown} >= PAGES


@pytest.mark.parametrize("example", EXAMPLES)
async def test_an_example_does_what_it_says(example, tmp_path):
    method, path = asked(example)
    services = {"demo": launched(Diary(tmp_path / "diary"))}
    machines = {"desk": {"launch": ON_OFF, "start_timeout": "5s"}}
    async with running(services, machines=machines) as run:
        if "/cancel" in path or "/logs" in path:
            await run.gateway.commands.start("demo", wait=5.0)
        client = await run.dial()
        if "/cancel" in path:
            await client.send(ask("/slow?5", "X-Request-ID: my-request", service="demo"))
            await until(lambda: run.gateway.fleet.leases)
        code, status = await curl(example, run.port)
        client.transport.abort()
    assert (code, status[0]) == (GOES_ON if " -N " in example else 0, "2")
    if method == "POST" and path not in PAGES:
        assert status == ("200" if "wait" in example else "202")


async def curl(example, port):
    """Its exit code, and the status of the answer."""
    words = shlex.split(example.replace("localhost:8080", f"127.0.0.1:{port}"))
    more = ["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--max-time", "1" if "-N" in words else "20"]
    process = await asyncio.create_subprocess_exec(*words, *more, stdout=asyncio.subprocess.PIPE, stderr=sys.stderr)
    out, _ = await process.communicate()
    return process.returncode, out.decode()
