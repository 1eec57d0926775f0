"""The `docker` kind before a real Docker Engine: the daemon is the test's own, its image is made here."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import ClassVar

import pytest

from hestia.launchers import docker as module
from hestia.launchers.docker import Docker
from hestia.launchers.engine_api import engine_at
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import DockerLaunch
from hestia.words.run import Run
from tests.engines.dockerd import Dockerd, dockerd
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Watched,
    WithEngine,
    WithLogs,
    started,
    until,
)

NUMBERS = itertools.count(1)
STAYS = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
# The engine copies the two streams side by side: their order to each other is not kept.
TALKS = "trap 'exit 0' TERM; echo first; echo second; echo third; n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.1; done"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    with dockerd(tmp_path_factory.mktemp("dockerd"), "--live-restore") as running:
        yield running


@pytest.fixture
def launcher(engine):
    return Docker(docker_host=engine.host)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "LONGEST_DELAY_S", 0.5)


def run_of(**launch) -> Run:
    return Run(id="r1", owner="a", machine="local", launch=DockerLaunch(**launch))


def named(engine: Dockerd, script: str, **config) -> str:
    name = f"box-{next(NUMBERS)}"
    engine.create(name, script, **config)
    return name


def composed(engine: Dockerd, project: str, service: str, script: str, depends_on: str = "", **config) -> str:
    labels = {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": "1",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.depends_on": depends_on,
    }
    engine.create(f"{project}-{service}-1", script, Labels=labels, **config)
    return f"{project}-{service}-1"


class RealRig:
    crash_says = "exited with code 3"
    failure_says = "no-such-program"

    def __init__(self, engine: Dockerd, on_idle: str = "stop") -> None:
        self.engine = engine
        self.on_idle = on_idle
        self.launcher = self.new_gateway()

    def new_gateway(self) -> Docker:
        return Docker(docker_host=self.engine.host)

    def _run(self, script: str, **config) -> Run:
        return run_of(container=named(self.engine, script, **config), on_idle=self.on_idle)

    def make_run(self) -> Run:
        return self._run(STAYS)

    def make_crashing(self) -> Run:
        return self._run("echo no such model >&2; exit 3")

    def make_failing(self) -> Run:
        return self._run("", Cmd=["no-such-program"])

    def make_talking(self) -> Run:
        return self._run(TALKS)

    async def running_really(self, run: Run) -> int:
        state = self.engine.state(run.launch.container)
        return int(state["Running"] and not state["Paused"])

    async def kill(self, run: Run) -> None:
        self.engine.call("POST", f"/containers/{run.launch.container}/kill")

    async def break_engine(self) -> None:
        await asyncio.to_thread(self.engine.stop)

    async def heal_engine(self) -> None:
        await asyncio.to_thread(self.engine.start)


class TestDockerKeeps(Lives, Cancelled, WithEngine, Crashing, Failing, Watched, WithLogs):
    @pytest.fixture
    async def rig(self, engine):
        return RealRig(engine)


class TestAPausedOneKeeps(Lives, Cancelled, Watched):
    @pytest.fixture
    async def rig(self, engine):
        return RealRig(engine, on_idle="pause")


class TestPausing:
    async def test_a_paused_container_keeps_its_process_and_goes_on(self, engine, launcher):
        run = run_of(container=named(engine, STAYS), on_idle="pause")
        await launcher.start(run, None)
        pid = engine.state(run.launch.container)["Pid"]
        await launcher.stop(run)
        assert engine.state(run.launch.container)["Status"] == "paused"
        assert await launcher.paused(run)
        await launcher.start(run, None)
        state = engine.state(run.launch.container)
        assert (state["Status"], state["Pid"]) == ("running", pid)
        await launcher.stop(run)
        await launcher.end(run)
        assert engine.state(run.launch.container)["Status"] == "exited"
        assert not await launcher.paused(run)


class TestEnds:
    async def test_a_removed_container_is_named(self, engine, launcher):
        run = run_of(container=named(engine, STAYS))
        await launcher.start(run, None)
        gone = asyncio.ensure_future(launcher.gone(run))
        await asyncio.sleep(0.1)
        engine.call("DELETE", f"/containers/{run.launch.container}?force=1")
        assert await asyncio.wait_for(gone, 20)
        assert f"no container `{run.launch.container}`" in await asyncio.wait_for(launcher.gone(run), 20)
        with pytest.raises(LaunchFailed, match=f"no container `{run.launch.container}`: it was removed"):
            await launcher.start(run, None)

    async def test_an_end_is_told_with_its_last_lines(self, engine, launcher):
        run = run_of(container=named(engine, "echo loading; echo out of luck >&2; exit 7"))
        await launcher.start(run, None)
        assert sorted((await asyncio.wait_for(launcher.gone(run), 20)).splitlines()) == [
            "exited with code 7:",
            "loading",
            "out of luck",
        ]

    async def test_a_crash_loop_of_the_engines_own_policy_is_no_end(self, engine, launcher):
        policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
        run = run_of(container=named(engine, "exit 5", HostConfig=policy))
        await launcher.start(run, None)
        assert (await asyncio.wait_for(launcher.gone(run), 20)).startswith("exited with code 5")
        inspected = engine.call("GET", f"/containers/{run.launch.container}/json")
        assert inspected["RestartCount"] == 3

    async def test_a_terminal_has_plain_lines(self, engine, launcher):
        run = run_of(container=named(engine, "echo one; echo two", Tty=True))
        await launcher.start(run, None)
        await asyncio.wait_for(launcher.gone(run), 20)
        assert await launcher.lines(run, 10) == ["one", "two"]

    async def test_a_log_that_cannot_be_read_has_no_line(self, engine, launcher):
        run = run_of(container=named(engine, "echo one; exit 1", HostConfig={"LogConfig": {"Type": "none"}}))
        await launcher.start(run, None)
        assert await asyncio.wait_for(launcher.gone(run), 20) == "exited with code 1"
        assert await launcher.lines(run, 10) == []


    async def test_one_that_a_stop_would_remove_is_left_alone(self, engine, launcher):
        run = run_of(container=named(engine, STAYS, HostConfig={"AutoRemove": True}))
        await launcher.start(run, None)
        with pytest.raises(LaunchFailed, match="was made with --rm"):
            await launcher.stop(run)
        assert engine.state(run.launch.container)["Running"]


class TestOthers:
    async def test_a_start_by_somebody_else_is_noticed(self, engine, launcher):
        run = run_of(container=named(engine, STAYS))
        came = asyncio.ensure_future(launcher.came(run))
        await asyncio.wait({came}, timeout=0.2)
        assert not came.done()
        engine.call("POST", f"/containers/{run.launch.container}/start")
        await asyncio.wait_for(came, 10)
        await launcher.stop(run)

    async def test_a_watch_outlives_a_restart_of_the_engine(self, engine, launcher):
        run = run_of(container=named(engine, STAYS))
        await launcher.start(run, None)
        gone = asyncio.ensure_future(launcher.gone(run))
        await asyncio.wait({gone}, timeout=0.2)
        await asyncio.to_thread(engine.stop)
        await asyncio.wait({gone}, timeout=0.5)
        await asyncio.to_thread(engine.start)
        await asyncio.wait({gone}, timeout=0.5)
        assert not gone.done()
        engine.call("POST", f"/containers/{run.launch.container}/kill")
        assert (await asyncio.wait_for(gone, 20)).startswith("exited with code 137")


class TestHealth:
    CHECK: ClassVar = {"Test": ["CMD", "test", "-e", "/tmp/ready"], "Interval": 10**9, "Timeout": 10**9, "Retries": 100}

    async def test_the_containers_own_check_is_asked(self, engine, launcher):
        script = "trap 'exit 0' TERM; sleep 1.5; touch /tmp/ready; while :; do sleep 0.05; done"
        run = run_of(container=named(engine, script, Healthcheck=self.CHECK))
        await launcher.start(run, None)
        assert "starting" in await launcher.health(run)
        await until(lambda: _is_healthy(launcher, run))
        await launcher.stop(run)
        assert await launcher.health(run) == "exited with code 0"

    async def test_one_without_a_check_says_so(self, engine, launcher):
        run = run_of(container=named(engine, STAYS))
        await launcher.start(run, None)
        assert await launcher.health(run) == ""
        await launcher.stop(run)


async def _is_healthy(launcher, run) -> bool:
    return await launcher.health(run) is None


class TestCompose:
    async def test_a_project_starts_in_order_and_falls_asleep(self, engine, launcher):
        migrate = composed(engine, "shop", "migrate", "sleep 0.5; echo done", "db:service_healthy:false")
        check = TestHealth.CHECK
        db = composed(engine, "shop", "db", f"touch /tmp/ready; {STAYS}", Healthcheck=check)
        web = composed(engine, "shop", "web", STAYS, "migrate:service_completed_successfully:false,db:service_started:true")
        run = await started(launcher, run_of(compose_project="shop", compose_service="web"))
        assert run.handle == {"woke": [db, migrate]}
        assert engine.state(db)["StartedAt"] < engine.state(migrate)["StartedAt"] < engine.state(web)["StartedAt"]
        assert engine.state(migrate)["FinishedAt"] < engine.state(web)["StartedAt"]
        assert await launcher.state(run) == "running"
        before = engine.state(migrate)["StartedAt"]
        await launcher.stop(run)
        assert [engine.state(name)["Status"] for name in (db, migrate, web)] == ["exited"] * 3
        await started(launcher, run)
        assert engine.state(migrate)["StartedAt"] == before  # its work is done
        await launcher.stop(run)

    async def test_a_dependency_that_another_one_needs_goes_on(self, engine, launcher):
        db = composed(engine, "two", "db", STAYS)
        for service in ("web", "worker"):
            composed(engine, "two", service, STAYS, "db:service_started:false")
        web = await started(launcher, run_of(compose_project="two", compose_service="web"))
        worker = await started(launcher, run_of(compose_project="two", compose_service="worker"))
        await launcher.stop(web)
        assert engine.state(db)["Status"] == "running"
        await launcher.stop(worker)
        await launcher.stop(web)
        assert engine.state(db)["Status"] == "exited"


async def test_its_version_is_negotiated(engine):
    async with engine_at(engine.host) as talk:
        assert (await talk.get("/version", dict))["ApiVersion"] == talk._root.rpartition("/v")[2]
