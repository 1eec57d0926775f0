"""The gateway is killed at every step where that would be worst, and at random moments under traffic.

The next one finds the database whole, runs nothing twice and leaves nothing behind. `HESTIA_KILLS` sets how many random
kills there are; `make gauntlet` takes more than the tests do.
"""

import contextlib
import http.client
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.life.serving import alive, launched, processes_of
from tests.support.gateway import config_text

ROOT = Path(__file__).parents[2]
DEADLINE = 20.0
KILLS = int(os.environ.get("HESTIA_KILLS", "10"))

STARTS = ("start.chosen", "start.written", "start.spawned", "start.recorded", "start.launched", "start.ready")
STOPS = ("stop.begun", "stop.done")
RELOADS = ("reload.read", "reload.bound", "reload.adopted")
ADOPTIONS = ("adoption.looked", "adoption.taken")
LEFT_OVER = ("adoption.looked", "adoption.ended")


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class House:
    """A configuration, and gateways that come and go over it."""

    def __init__(self, folder, diary):
        self.folder = folder
        self.diary = diary
        self.port = free_port()
        self.config = folder / "hestia_config.yml"
        self.write(a=launched(diary, idle_timeout="0s"))
        self.process = None
        self.broken = ""  # how the last request without an answer ended

    def write(self, **services):
        # A name that changes with every writing: a reload has something to do, and services stay as they are.
        text = config_text(str(self.folder), services, {"listen": [f"127.0.0.1:{self.port}"], "allowed_hosts": [f"h{time.monotonic_ns()}.example"]})
        beside = self.folder / "next.yml"
        beside.write_text(text)
        beside.replace(self.config)  # a reload never reads half of it

    def begin(self, point="none"):
        """Starts a gateway that ends itself at `point`; returns whether it got as far as answering."""
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.failing", point, "serve", "--config", str(self.config)],
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                return False
            if self.ask("/__health") == 200:
                return True
            time.sleep(0.02)
        raise AssertionError("the gateway neither answers nor ends")

    def ask(self, path="/services/a/", timeout=DEADLINE):
        """The status, None for no answer."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            client.request("GET", path)
            answer = client.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException) as problem:
            self.broken = repr(problem)
            return None
        finally:
            client.close()

    def post(self, path):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        with contextlib.suppress(OSError, http.client.HTTPException):
            client.request("POST", path)
            client.getresponse().read()
        client.close()

    def killed(self):
        """It has ended itself."""
        assert self.process.wait(DEADLINE) == -signal.SIGKILL, (self.folder / "gateway.log").read_text()[-3000:]

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(DEADLINE) == 0

    def running(self):
        return [pid for pid in self.diary.starts if alive(pid)]

    def is_whole(self):
        """After a last gateway that is not killed: it serves, one process runs, and then none; the database is whole."""
        assert self.begin(), (self.folder / "gateway.log").read_text()[-3000:]
        assert self.ask() == 200
        assert len(self.running()) == 1
        self.end()
        assert self.running() == []
        assert not [pid for pid in processes_of(str(self.folder)) if alive(pid)]
        with contextlib.closing(sqlite3.connect(self.folder / "hestia.db")) as database:
            assert database.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            assert database.execute("SELECT count(*) FROM places WHERE run IS NOT NULL").fetchone() == (0,)


@pytest.fixture
def house(diary, tmp_path):
    one = House(tmp_path, diary)
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()
    for pid in one.running():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


@pytest.mark.parametrize("point", STARTS)
def test_killed_in_a_start(house, point):
    assert house.begin(point)
    house.ask()
    house.killed()
    house.is_whole()


@pytest.mark.parametrize("point", STOPS)
def test_killed_in_a_stop(house, point):
    assert house.begin(point)
    assert house.ask() == 200
    house.post("/v1/services/a/stop")
    house.process.terminate()  # a stop in any case
    house.killed()
    house.is_whole()


@pytest.mark.parametrize("point", ADOPTIONS)
def test_killed_while_it_adopts(house, point):
    assert house.begin("none")
    assert house.ask() == 200
    house.process.kill()
    house.process.wait()
    first = house.running()
    house.begin(point)
    house.killed()
    assert house.running() == first
    house.is_whole()
    assert house.diary.starts == first


@pytest.mark.parametrize("point", LEFT_OVER)
def test_killed_while_it_ends_what_nobody_wants_any_more(house, point):
    assert house.begin("none")
    assert house.ask() == 200
    house.process.kill()
    house.process.wait()
    house.write(a=launched(house.diary, "--print", "new", idle_timeout="0s"))
    house.begin(point)
    house.killed()
    house.is_whole()


@pytest.mark.parametrize("point", RELOADS)
def test_killed_in_a_reload(house, point):
    assert house.begin(point)
    assert house.ask() == 200
    house.write(a=launched(house.diary, "--print", "new", idle_timeout="0s"))
    house.process.send_signal(signal.SIGHUP)
    house.killed()
    house.is_whole()


def test_killed_at_random_moments_under_traffic(house):
    chance = random.Random(7)
    for _ in range(KILLS):
        assert house.begin()
        until = time.monotonic() + chance.uniform(0.0, 0.6)
        while time.monotonic() < until:
            what = chance.random()
            if what < 0.7:
                assert house.ask(timeout=5.0) in {200, 503}, house.broken
            elif what < 0.9:
                house.post("/v1/services/a/stop")
            else:
                house.write(a=launched(house.diary, "--print", str(chance.random()), idle_timeout="0s"))
                house.process.send_signal(signal.SIGHUP)
        house.process.kill()
        house.process.wait()
        assert len(house.running()) <= 1
    house.is_whole()
