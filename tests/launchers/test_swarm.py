"""The `swarm` kind before a double of an engine that is a swarm."""

from __future__ import annotations

import asyncio
import copy

import pytest

from hestia.launchers import engine_api
from hestia.launchers import swarm as module
from hestia.launchers.swarm import Swarm
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SwarmLaunch
from hestia.words.run import Run
from tests.support.conformance import Cancelled, Failing, Lives, Slow, WithEngine, until
from tests.support.swarm_double import SwarmDouble


def run_of(**launch) -> Run:
    return Run(id="r1", owner="a", machine="local", launch=SwarmLaunch(**launch))


class DoubleRig:
    failure_says = "rejected: No such image: no/such:1"

    def __init__(self, double: SwarmDouble) -> None:
        self.double = double
        self.launcher = self.new_gateway()

    def new_gateway(self) -> Swarm:
        return Swarm(docker_host=self.double.host)

    def make_run(self) -> Run:
        name = f"service-{len(self.double.services)}"
        self.double.make(name)
        return run_of(service=name)

    def make_slow(self) -> Run:
        self.double.slow = 0.5
        return self.make_run()

    def make_failing(self) -> Run:
        run = self.make_run()
        self.double.refuses[run.launch.service] = "No such image: no/such:1"
        return run

    async def running_really(self, run: Run) -> int:
        return self.double.living(run.launch.service)

    async def break_engine(self) -> None:
        await self.double.close()

    async def heal_engine(self) -> None:
        await self.double.open()


@pytest.fixture
async def double(tmp_path):
    async with SwarmDouble(tmp_path / "docker.sock") as engine:
        yield engine


@pytest.fixture
def launcher(double):
    return Swarm(docker_host=double.host)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "FIRST_LOOK_S", 0.02)
    monkeypatch.setattr(module, "LONGEST_LOOK_S", 0.1)


class TestSwarmKeeps(Lives, Cancelled, WithEngine, Slow, Failing):
    @pytest.fixture
    async def rig(self, double):
        return DoubleRig(double)


class TestScaling:
    async def test_only_the_number_of_replicas_is_changed(self, double, launcher):
        service = double.make("web")
        before = copy.deepcopy(service["Spec"])
        await launcher.start(run_of(service="web", replicas=3), None)
        assert service["Spec"] == before | {"Mode": {"Replicated": {"Replicas": 3}}}
        await launcher.stop(run_of(service="web", replicas=3))
        assert service["Spec"] == before

    async def test_one_that_others_change_meanwhile_is_read_again(self, double, launcher):
        double.make("web")
        double.overtaken = 3
        await launcher.start(run_of(service="web"), None)
        assert double.replicas("web") == 1

    async def test_one_that_others_change_all_the_time_is_given_up(self, double, launcher):
        double.make("web")
        double.overtaken = 1000
        with pytest.raises(LaunchFailed, match="`web` is changed by others all the time"):
            await launcher.start(run_of(service="web"), None)

    async def test_what_others_scaled_higher_is_left_alone(self, double, launcher):
        double.make("web", replicas=5)
        await launcher.start(run_of(service="web", replicas=2), None)
        assert double.replicas("web") == 5

    async def test_what_others_scaled_lower_is_scaled_up(self, double, launcher):
        double.make("web", replicas=1)
        await launcher.start(run_of(service="web", replicas=2), None)
        assert double.replicas("web") == 2

    async def test_nothing_is_written_when_it_is_so_already(self, double, launcher):
        double.make("web", replicas=1)
        await launcher.start(run_of(service="web"), None)
        double.make("db")
        await launcher.stop(run_of(service="db"))
        assert not any(call.startswith("POST") for call in double.calls)

    async def test_a_start_waits_for_the_tasks_of_the_life_before(self, double, launcher):
        double.make("web", replicas=1)
        await until(lambda: double.living("web"))
        double.grace = 0.3
        stop = asyncio.ensure_future(launcher.stop(run_of(service="web")))
        await until(lambda: double.replicas("web") == 0)
        stop.cancel()
        await launcher.start(run_of(service="web"), None)
        assert double.living("web") == 1

    @pytest.mark.parametrize("look", (1, 2, 3, 4))
    async def test_whenever_others_scale_to_nothing_no_two_tasks_run(self, double, launcher, look):
        double.make("web", replicas=1)
        await until(lambda: double.living("web"))
        double.grace, double.emptied_at = 0.3, look
        await launcher.start(run_of(service="web"), None)
        assert double.living("web") == 1

    async def test_a_start_that_is_overtaken_by_a_stop_says_so(self, double, launcher):
        double.make("web")
        double.slow = 60
        start = asyncio.ensure_future(launcher.start(run_of(service="web"), None))
        await until(lambda: double.replicas("web") == 1)
        await launcher.stop(run_of(service="web"))
        with pytest.raises(LaunchFailed, match="`web` was scaled to nothing while it started"):
            await start


class TestWords:
    async def test_a_service_that_is_not_there_is_named(self, launcher):
        with pytest.raises(LaunchFailed, match="there is no Swarm service `a/b`. Create it once"):
            await launcher.start(run_of(service="a/b"), None)
        assert await launcher.state(run_of(service="none")) == "stopped"
        await launcher.stop(run_of(service="none"))

    async def test_a_global_service_cannot_be_scaled(self, double, launcher):
        double.make("web", Global={})
        for verb in (launcher.start(run_of(service="web"), None), launcher.stop(run_of(service="web"))):
            with pytest.raises(LaunchFailed, match="`web` is not replicated: it cannot be scaled"):
                await verb
        assert await launcher.state(run_of(service="web")) == "unknown"

    async def test_an_engine_that_is_no_manager_is_unknown_and_says_so(self, double, launcher):
        double.make("web", replicas=1)
        double.manager = False
        assert await launcher.state(run_of(service="web")) == "unknown"
        with pytest.raises(LaunchFailed, match="not a swarm manager"):
            await launcher.start(run_of(service="web"), None)

    async def test_tasks_that_do_not_end_are_told(self, double, launcher, monkeypatch):
        monkeypatch.setattr(module, "STOP_MARGIN_S", -1.0)
        double.make("web", replicas=2)
        await until(lambda: double.living("web") == 2)
        double.grace = 60
        with pytest.raises(LaunchFailed, match="2 tasks of the Swarm service `web` do not end"):
            await launcher.stop(run_of(service="web"))

    @pytest.mark.parametrize("fault", ("500", "bad json", "no message", "not docker"))
    async def test_an_engine_that_makes_no_sense_is_unknown(self, double, launcher, fault):
        double.make("web", replicas=1)
        double.fault = fault
        assert await launcher.state(run_of(service="web")) == "unknown"
        assert await launcher.lines(run_of(service="web"), 5) == []
        assert await launcher.health(run_of(service="web"))
        with pytest.raises(LaunchFailed):
            await launcher.stop(run_of(service="web"))

    async def test_a_hanging_engine_is_unknown(self, double, launcher, monkeypatch):
        monkeypatch.setattr(engine_api, "CONNECT_S", 0.1)
        double.fault = "hang"
        assert await launcher.state(run_of(service="web")) == "unknown"


class TestHealth:
    async def test_while_enough_tasks_run_the_places_own_check_decides(self, double, launcher):
        double.make("web", replicas=2)
        await until(lambda: double.living("web") == 2)
        assert await launcher.health(run_of(service="web")) == ""

    async def test_else_it_says_how_many_and_why(self, double, launcher):
        double.refuses["web"] = "no suitable node"
        double.make("web", replicas=2)
        await until(lambda: any(task.err for task in double.task_list))
        assert await launcher.health(run_of(service="web")) == "0 of 2 tasks run: rejected: no suitable node"


class TestLogs:
    async def test_the_last_lines_are_read(self, double, launcher):
        double.make("web", replicas=1)
        double.log = b"one\ntwo\nthree\n"
        assert await launcher.lines(run_of(service="web"), 2) == ["two", "three"]

    async def test_they_are_followed(self, double, launcher):
        double.make("web", replicas=1)
        double.log = b"one\n"
        lines = launcher.follow(run_of(service="web"))
        async with asyncio.timeout(5):
            assert [await anext(lines), await anext(lines)] == ["one", "one"]  # the double ends each stream
        await lines.aclose()
