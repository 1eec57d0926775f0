"""The gateway on a system that tells less than Linux: no /proc, no pidfd, no POLLRDHUP, no peer of a socket.

On Linux these are taken away before the program starts; elsewhere they are not there.
"""

import json
import signal
import sys
import time

import pytest

WITHOUT = '''
import os, pathlib, select, socket, sys, sysconfig, time, zoneinfo
import aiohttp, asyncio
sysconfig.get_config_vars()  # looks for a file named after the platform
for module, name in ((os, "pidfd_open"), (select, "POLLRDHUP"), (socket, "SO_PEERCRED"), (time, "CLOCK_BOOTTIME")):
    if hasattr(module, name):
        delattr(module, name)
really = os.killpg
def killpg(group, number):
    """As on the BSDs, where the dead that nobody has fetched yet are no members of a group."""
    if number == 0 and os.path.exists("/proc/self/stat") and not any(lives(name, group) for name in os.listdir("/proc")):
        raise PermissionError(1, "Operation not permitted")
    really(group, number)
def lives(name, group):
    try:
        fields = pathlib.Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[2]) == group and fields[0] not in "ZX"
os.killpg = killpg
import hestia.launchers.owned as owned
owned.PROC, owned.HAS_PROC = pathlib.Path("/nowhere"), False
sys.platform = "darwin"
from hestia.cli.hestia import main
sys.exit(main())
'''
CONFIG = f"""
listen: ["127.0.0.1:@PORT@"]
defaults: {{watch_interval: 0}}
services:
  ollama: null
  demo:
    launch: {{kind: process, command: ["{sys.executable}", -m, hestia.cli.hestia, demo, --port, "{{port}}", --start-delay, "0"]}}
    idle_timeout: 4s
    health_interval: 50ms
"""
LONG_S = 30.0


@pytest.fixture
def serve(start):
    return lambda: start(CONFIG, argv=[sys.executable, "-c", WITHOUT, "serve", "--config", "{file}"])


def state(program):
    return json.loads(program.get("/v1/services/demo/status")[2])


def until(program, wanted):
    end = time.monotonic() + LONG_S
    while (now := state(program))["state"] != wanted:
        assert time.monotonic() < end, now
        time.sleep(0.05)
    return now


def test_a_service_is_started_adopted_after_a_kill_and_stopped_when_idle(serve):
    first = serve()
    assert first.get("/services/demo/", limit=LONG_S)[0] == 200
    base_url = state(first)["base_url"]
    first.kill()
    second = serve()
    found = until(second, "hot")
    assert (found["base_url"], found["managed"], found["starts"]) == (base_url, True, 0)
    until(second, "cold")
    assert second.get("/services/demo/", limit=LONG_S)[0] == 200
    second.signal(signal.SIGTERM)
    assert second.wait(LONG_S) == 0
    assert "Traceback" not in first.stderr + second.stderr


def test_a_client_that_leaves_while_it_is_held_is_noticed_when_its_wait_ends_at_the_latest(serve):
    program = serve()
    with program.connect() as client:
        client.sendall(b"GET /services/demo/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(program, "hot")
    end = time.monotonic() + LONG_S
    while state(program)["waiters"] or state(program)["leases"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert "Traceback" not in program.stderr
