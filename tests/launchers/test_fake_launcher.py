"""The fake keeps what the real launchers keep, or what is tested with it proves nothing."""

import itertools

import pytest

from hestia.words.run import Told
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Slow,
    Tells,
    Watched,
    WithEngine,
    WithLogs,
)
from tests.support.fake_launcher import FakeLauncher, World, fake_run, target_of


class FakeRig:
    crash_says = "exited with code 3"
    failure_says = "no such thing"

    def __init__(self):
        self.world = World()
        self.launcher = FakeLauncher(self.world)
        self.names = (f"fake{number}" for number in itertools.count())

    def make_run(self):
        return fake_run(next(self.names))

    def make_slow(self):
        run = self.make_run()
        self.launcher.delay[run.owner] = 0.2
        return run

    def make_crashing(self):
        run = self.make_run()
        self.launcher.crashes[run.owner] = "exited with code 3: no model"
        return run

    def make_failing(self):
        run = self.make_run()
        self.launcher.fails[run.owner] = "no such thing"
        return run

    def make_talking(self):
        run = self.make_run()
        self.world.printed[run.owner] = Ticking(["first", "second", "third"])
        return run

    def make_telling(self):
        run = self.make_run()
        told = Told(base_url="http://127.0.0.1:4567", health_url="http://127.0.0.1:4567/healthz")
        self.launcher.tells[run.owner] = told
        return run

    def new_gateway(self):
        other = FakeLauncher(self.world)
        other.tells = self.launcher.tells
        return other

    async def running_really(self, run):
        return self.world.running.get(target_of(run), 0)

    async def kill(self, run):
        self.world.end(target_of(run))

    async def break_engine(self):
        self.world.down = True

    async def heal_engine(self):
        self.world.down = False


class Ticking(list):
    """Prints one line more at each look."""

    def __getitem__(self, where):
        self.append(f"tick {len(self)}")
        return super().__getitem__(where)


class TestFake(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, Watched, WithLogs, Tells):
    @pytest.fixture
    async def rig(self):
        return FakeRig()
