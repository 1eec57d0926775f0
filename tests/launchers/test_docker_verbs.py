"""Starts and stops of containers that overlap, are cancelled, or mean something else than was asked for."""

from __future__ import annotations

import asyncio

import pytest

from hestia.launchers import engine_api as module
from hestia.launchers.docker import Docker
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import DockerLaunch
from hestia.words.run import Run
from tests.support.conformance import started, until
from tests.support.docker_double import DockerDouble


def run_of(**launch) -> Run:
    return Run(id="r1", owner="a", machine="local", launch=DockerLaunch(**launch))


@pytest.fixture
async def double(tmp_path):
    async with DockerDouble(tmp_path / "docker.sock") as engine:
        yield engine


@pytest.fixture
def launcher(double):
    return Docker(docker_host=double.host)


class TestRaces:
    async def test_a_start_after_a_cancelled_stop_leaves_it_running(self, double, launcher):
        box = double.add("a", grace=0.3)
        run = await started(launcher, run_of(container="a"))
        stop = asyncio.ensure_future(launcher.stop(run))
        await until(lambda: any(call.endswith("/stop") for call in double.calls))
        stop.cancel()
        await asyncio.gather(stop, return_exceptions=True)
        await started(launcher, run)  # sent now it would be answered 304, and the container would end
        await asyncio.sleep(0.4)
        assert (box.status, box.starts) == ("running", 2)

    async def test_different_containers_do_not_wait_for_each_other(self, double, launcher, monkeypatch):
        monkeypatch.setattr(module, "SETTLE_S", 0.05)
        double.add("slow", slow=60)
        double.add("quick")
        slow = asyncio.ensure_future(started(launcher, run_of(container="slow")))
        await until(lambda: any(call.endswith("/start") for call in double.calls))
        await asyncio.wait_for(started(launcher, run_of(container="quick")), 3)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)

    async def test_a_cancelled_start_does_not_wait_for_ever(self, double, launcher, monkeypatch):
        monkeypatch.setattr(module, "SETTLE_S", 0.05)
        double.add("slow", slow=60)
        start = asyncio.ensure_future(started(launcher, run_of(container="slow")))
        await until(lambda: any(call.endswith("/start") for call in double.calls))
        start.cancel()
        await asyncio.wait_for(asyncio.gather(start, return_exceptions=True), 3)
        assert start.cancelled()

    async def test_one_that_is_paused_between_the_look_and_the_start_goes_on_all_the_same(self, double, launcher, monkeypatch):
        box = double.add("a")
        real = double._start

        async def overtaken(box):
            box.status = "paused"
            monkeypatch.setattr(double, "_start", real)
            return await real(box)

        monkeypatch.setattr(double, "_start", overtaken)
        await started(launcher, run_of(container="a"))
        assert box.status == "running"


class TestWhatAStopWouldRemove:
    async def test_it_is_not_stopped(self, double, launcher):
        box = double.add("a", auto_remove=True)
        double.began(box)
        with pytest.raises(LaunchFailed, match="`a` was made with --rm: a stop would remove it"):
            await launcher.stop(run_of(container="a"))
        assert box.status == "running"

    async def test_it_may_be_paused(self, double, launcher):
        box = double.add("a", auto_remove=True)
        double.began(box)
        await launcher.stop(run_of(container="a", on_idle="pause"))
        assert box.status == "paused"


class TestRefusals:
    @pytest.mark.parametrize("verb", ("stop", "pause"))
    async def test_one_that_cannot_be_put_to_sleep_says_why(self, double, launcher, monkeypatch, verb):
        async def refuse(box):
            return double._improper(500, "tried to kill container, but did not receive an exit event")

        double.began(double.add("a"))
        monkeypatch.setattr(double, f"_{verb}", refuse)
        with pytest.raises(LaunchFailed, match=f"did not {verb} `a`: tried to kill"):
            await launcher.stop(run_of(container="a", on_idle=verb))

    async def test_a_start_of_one_that_runs_asks_for_nothing(self, double, launcher):
        double.began(double.add("a"))
        await started(launcher, run_of(container="a"))
        assert [call for call in double.calls if call.startswith("POST")] == []
