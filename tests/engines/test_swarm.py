"""The `swarm` kind before a real Docker Engine that is a swarm of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator

import pytest

from hestia.launchers.swarm import Swarm
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SwarmLaunch
from hestia.words.run import Run
from tests.engines.dockerd import IMAGE, Dockerd, dockerd
from tests.support.conformance import Failing, Lives, Shelf, cancelled_at, started, until
from tests.whole.program import free_port

NUMBERS = itertools.count(1)
STAYS = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
TALKS = "trap 'exit 0' TERM; echo first; echo second; echo third; n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    with dockerd(tmp_path_factory.mktemp("swarm")) as running:
        address = f"127.0.0.1:{free_port()}"
        running.call("POST", "/swarm/init", {"ListenAddr": address, "AdvertiseAddr": address})
        try:
            yield running
        finally:
            for service in running.call("GET", "/services"):
                running.call("DELETE", f"/services/{service['ID']}")
            running.call("POST", "/swarm/leave?force=1")


@pytest.fixture
def launcher(engine):
    return Swarm(docker_host=engine.host)


def run_of(**launch) -> Run:
    return Run(id="r1", owner="a", machine="local", launch=SwarmLaunch(**launch))


def make(engine: Dockerd, script: str, image: str = IMAGE, mode: dict | None = None) -> str:
    name = f"service-{next(NUMBERS)}"
    container = {"Image": image, "Command": ["/bin/sh", "-c", script], "StopGracePeriod": 3 * 10**8}
    spec = {
        "Name": name,
        "TaskTemplate": {
            "ContainerSpec": container,
            "Networks": [{"Target": "host"}],
            "RestartPolicy": {"Condition": "any", "Delay": 10**9},
        },
        "Mode": mode or {"Replicated": {"Replicas": 0}},
    }
    engine.call("POST", "/services/create", spec)
    return name


class RealRig:
    failure_says = "No such image"

    def __init__(self, engine: Dockerd) -> None:
        self.engine = engine
        self.launcher = self.new_gateway()

    def new_gateway(self) -> Swarm:
        return Swarm(docker_host=self.engine.host)

    def make_run(self) -> Run:
        return run_of(service=make(self.engine, STAYS))

    def make_failing(self) -> Run:
        return run_of(service=make(self.engine, STAYS, image="hestia-none:1"))

    def make_talking(self) -> Run:
        return run_of(service=make(self.engine, TALKS))

    async def running_really(self, run: Run) -> int:
        label = f"com.docker.swarm.service.name={run.launch.service}"
        return len(self.engine.call("GET", f'/containers/json?filters={{"label":["{label}"]}}'))


# Each end of a task takes seconds here, so it is cancelled at a few waits only; the double is at every one.
class TestSwarmKeeps(Lives, Failing):
    @pytest.fixture
    async def rig(self, engine):
        return RealRig(engine)


@pytest.mark.parametrize("wait", (4, 9, 14))
async def test_a_start_and_a_stop_may_be_cancelled(engine, launcher, wait):
    rig = RealRig(engine)
    shelf = Shelf(rig.make_run())
    await cancelled_at(launcher.start(shelf.run, shelf.record), wait)
    await rig.new_gateway().stop(shelf.kept())
    assert await rig.running_really(shelf.run) == 0
    await launcher.start(shelf.run, shelf.record)
    await cancelled_at(launcher.stop(shelf.run), wait)
    await launcher.stop(shelf.run)
    assert await rig.running_really(shelf.run) == 0


async def test_its_output_can_be_read_and_followed_while_it_runs(engine, launcher):
    run = await started(launcher, RealRig(engine).make_talking())
    await until(lambda: _has_line(launcher, run, "third"))
    assert (await launcher.lines(run, 1000))[:3] == ["first", "second", "third"]
    assert len(await launcher.lines(run, 2)) == 2
    async with asyncio.timeout(20):
        async for line in launcher.follow(run):
            if line.startswith("tick "):
                break
    await launcher.stop(run)
    assert await launcher.lines(run, 10) == []  # Swarm removes what it scaled down, its output too


async def _has_line(launcher, run, line) -> bool:
    return line in await launcher.lines(run, 1000)


async def test_a_crash_is_told_with_its_reason(engine, launcher):
    run = run_of(service=make(engine, "exit 3"))
    with contextlib.suppress(LaunchFailed):  # or it ran for a moment
        await launcher.start(run, None)
    await until(lambda: _says(launcher, run, "failed: task: non-zero exit (3)"))
    await launcher.stop(run)


async def _says(launcher, run, words) -> bool:
    return words in (await launcher.health(run) or "")


async def test_enough_tasks_are_no_health_of_their_own(engine, launcher):
    run = run_of(service=make(engine, STAYS), replicas=2)
    await launcher.start(run, None)
    await until(lambda: _all_run(launcher, run))
    await launcher.stop(run)
    assert (await launcher.health(run)).startswith("0 of 0 tasks run")


async def _all_run(launcher, run) -> bool:
    return await launcher.health(run) == ""


async def test_what_others_scaled_higher_is_left_alone(engine, launcher):
    run = run_of(service=make(engine, STAYS, mode={"Replicated": {"Replicas": 2}}), replicas=1)
    assert await launcher.state(run) == "running"
    await launcher.start(run, None)
    assert engine.call("GET", f"/services/{run.launch.service}")["Spec"]["Mode"]["Replicated"]["Replicas"] == 2
    await launcher.stop(run)


async def test_the_rest_of_its_specification_is_kept(engine, launcher):
    run = run_of(service=make(engine, STAYS))
    before = engine.call("GET", f"/services/{run.launch.service}")["Spec"]
    await launcher.start(run, None)
    await launcher.stop(run)
    assert engine.call("GET", f"/services/{run.launch.service}")["Spec"] == before


async def test_many_writers_end_with_one_figure(engine, launcher):
    run = run_of(service=make(engine, STAYS))
    await asyncio.gather(*(launcher.start(run, None) for _ in range(4)), return_exceptions=True)
    assert await launcher.state(run) == "running"
    await launcher.stop(run)


async def test_a_global_service_cannot_be_scaled(engine, launcher):
    run = run_of(service=make(engine, STAYS, mode={"Global": {}}))
    with pytest.raises(LaunchFailed, match="is not replicated"):
        await launcher.start(run, None)
    assert await launcher.state(run) == "unknown"


async def test_a_service_that_is_not_there_is_named(launcher):
    with pytest.raises(LaunchFailed, match="there is no Swarm service `none`"):
        await launcher.start(run_of(service="none"), None)
    assert await launcher.state(run_of(service="none")) == "stopped"
    await launcher.stop(run_of(service="none"))


async def test_an_engine_that_is_no_manager_says_so(tmp_path):
    with dockerd(tmp_path) as alone:
        launcher = Swarm(docker_host=alone.host)
        with pytest.raises(LaunchFailed, match="not a swarm manager"):
            await launcher.start(run_of(service="a"), None)
        assert await launcher.state(run_of(service="a")) == "unknown"
