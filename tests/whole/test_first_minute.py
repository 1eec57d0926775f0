"""What somebody sees who has just installed it: no configuration, and the three calls of the README."""

import json
import re
import shlex
import signal
import sqlite3
import time
import urllib.request

import pytest

from tests.life.serving import alive
from tests.whole.program import ROOT, command

SHORT = {"HESTIA__SERVICES__DEMO__IDLE_TIMEOUT": "1s"}
SLOW_S = 2.5  # it says that it needs three seconds; a fast answer takes milliseconds


def curls():
    """The README's block of calls: (the address, what it says of it)."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = next(block for block in blocks if "slow" in block).splitlines()
    return [(shlex.split(line, comments=True)[1], line.partition("# ")[2]) for line in lines]


def call(address, port):
    """(seconds, status, body)"""
    begun = time.monotonic()
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address.replace(":8080", f":{port}"), timeout=30) as answer:
        return time.monotonic() - begun, answer.status, answer.read().decode()


@pytest.fixture
def gateway(start):
    """`hestia serve --listen ...` in an empty folder, as `make run PORT=...` calls it; the demo's minute is a second."""
    program = start("", argv=[*command("serve"), "--listen", "127.0.0.1:{port}"], **SHORT)
    yield program
    program.signal(signal.SIGTERM)
    assert program.wait(20) == 0


def test_the_readme_shows_three_calls():
    assert [words.partition(":")[0] for _, words in curls()[:2]] == ["slow", "fast"]
    assert len(curls()) == 3


def test_the_demo_is_slow_then_fast_then_asleep(gateway):
    (first, _), (second, _), (third, _) = curls()
    seconds, status, body = call(first, gateway.port)
    assert (status, "It works" in body) == (200, True)
    assert seconds > SLOW_S
    seconds, status, _ = call(second, gateway.port)
    assert status == 200
    assert seconds < SLOW_S / 5
    pid = launched_pid(gateway)
    assert alive(pid)
    state = until_asleep(third, gateway.port)
    assert state["state"] == "cold"
    assert state["starts"] == 1
    assert not alive(pid)


def launched_pid(gateway):
    with sqlite3.connect(f"file:{gateway.home}/hestia/hestia.db?mode=ro", uri=True) as database:
        ((run,),) = database.execute("SELECT run FROM places WHERE owner = 'demo' AND run IS NOT NULL").fetchall()
    return json.loads(run)["handle"]["pid"]


def until_asleep(address, port):
    """A status wakes nothing and keeps nothing awake."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        state = json.loads(call(address, port)[2])
        if state["state"] == "cold":
            return state
        time.sleep(0.05)
    raise AssertionError(state)
