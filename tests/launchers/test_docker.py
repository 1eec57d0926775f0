"""The `docker` kind before a double of the engine: what every launcher keeps, and what only containers have."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from hestia.launchers import docker as module
from hestia.launchers.docker import Docker
from hestia.ports import HasHealth, HasLogs, LaunchFailed, Pausing, Watchable
from hestia.words.launch_spec import DockerLaunch
from hestia.words.run import Run
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Shelf,
    Slow,
    Watched,
    WithEngine,
    WithLogs,
    started,
    until,
)
from tests.support.docker_double import LIVES, DockerDouble


class DoubleRig:
    crash_says = "exited with code 3"
    failure_says = "exec: no-such: not found"

    def __init__(self, double: DockerDouble, on_idle: str = "stop") -> None:
        self.double = double
        self.on_idle = on_idle
        self.launcher = self.new_gateway()

    def new_gateway(self) -> Docker:
        return Docker(docker_host=self.double.host)

    def _run(self, **more) -> Run:
        box = self.double.add(f"box-{len(self.double.boxes)}", **more)
        return run_of(container=box.name, on_idle=self.on_idle)

    def box(self, run: Run):
        return next(box for box in self.double.boxes if box.name == run.launch.container)

    def make_run(self) -> Run:
        return self._run()

    def make_slow(self) -> Run:
        return self._run(slow=0.5)

    def make_crashing(self) -> Run:
        return self._run(ends=3, says=[(2, b"no such model\n")])

    def make_failing(self) -> Run:
        return self._run(refuses=self.failure_says)

    def make_talking(self) -> Run:
        run = self._run(says=[(1, b"first\nsec"), (1, b"ond\n"), (2, b"third\n")])

        def tick(n=0):
            box = self.box(run)
            if box.status == "running":
                box.say(1, b"tick %d\n" % n)
            self.double._later(0.05, lambda: tick(n + 1))

        tick()
        return run

    async def running_really(self, run: Run) -> int:
        return int(self.box(run).status in LIVES - {"paused"})

    async def kill(self, run: Run) -> None:
        self.double.end(self.box(run), 137)

    async def break_engine(self) -> None:
        await self.double.close()

    async def heal_engine(self) -> None:
        await self.double.open()


def run_of(**launch) -> Run:
    return Run(id="r1", owner="a", machine="local", launch=DockerLaunch(**launch))


@pytest.fixture
async def double(tmp_path):
    async with DockerDouble(tmp_path / "docker.sock") as engine:
        yield engine


@pytest.fixture
def launcher(double):
    return Docker(docker_host=double.host)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Delays that a test can wait for; that they grow is tested by itself."""
    monkeypatch.setattr(module, "LONGEST_DELAY_S", 0.3)


class TestDockerKeeps(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, Watched, WithLogs):
    @pytest.fixture
    async def rig(self, double):
        return DoubleRig(double)


class TestPodmanKeeps(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, Watched, WithLogs):
    @pytest.fixture
    async def rig(self, tmp_path):
        async with DockerDouble(tmp_path / "podman.sock", podman=True) as double:
            yield DoubleRig(double)


class TestAPausedOneKeeps(Lives, Cancelled, WithEngine, Watched):
    @pytest.fixture
    async def rig(self, double):
        return DoubleRig(double, on_idle="pause")


def test_it_can_do_what_the_ports_ask_for():
    assert isinstance(Docker(), Watchable)
    assert isinstance(Docker(), HasHealth)
    assert isinstance(Docker(), HasLogs)
    assert isinstance(Docker(), Pausing)


class TestPausing:
    async def test_an_idle_stop_pauses_and_the_next_start_lets_it_go_on(self, double, launcher):
        box = double.add("a")
        run = await started(launcher, run_of(container="a", on_idle="pause"))
        await launcher.stop(run)
        assert box.status == "paused"
        assert await launcher.state(run) == "stopped"
        await started(launcher, run)
        assert (box.status, box.starts) == ("running", 1)

    @pytest.mark.parametrize("podman", (False, True))
    async def test_an_end_stops_it_for_good_even_when_it_is_paused(self, tmp_path, podman):
        async with DockerDouble(tmp_path / "d.sock", podman=podman) as double:
            box, launcher = double.add("a"), Docker(docker_host=double.host)
            run = await started(launcher, run_of(container="a", on_idle="pause"))
            await launcher.end(run)
            assert box.status == "exited"
            await started(launcher, run)
            await launcher.stop(run)
            await launcher.end(run)
            assert box.status == "exited"

    async def test_the_engine_tells_what_is_paused_and_none_is_that_cannot_be_asked_about(self, double, launcher):
        double.add("a")
        run = await started(launcher, run_of(container="a", on_idle="pause"))
        assert not await launcher.paused(run)
        await launcher.stop(run)
        assert await launcher.paused(run)
        assert not await launcher.paused(run_of(container="never-made", on_idle="pause"))
        await double.close()
        assert not await launcher.paused(run)

    async def test_one_that_somebody_paused_is_let_go_on_by_a_start(self, double, launcher):
        box = double.add("a")
        run = await started(launcher, run_of(container="a"))
        box.status = "paused"
        assert await launcher.state(run) == "stopped"
        await started(launcher, run)
        assert box.status == "running"

    async def test_a_pause_by_somebody_else_is_an_end(self, double, launcher):
        box = double.add("a")
        run = await started(launcher, run_of(container="a"))
        gone = asyncio.ensure_future(launcher.gone(run))
        await until(lambda: double.streams)
        box.status = "paused"
        double.event(box, "pause")
        assert await asyncio.wait_for(gone, 5) == "was paused"


class TestRemoved:
    async def test_a_container_that_is_not_there_is_named_with_what_to_do(self, double, launcher):
        with pytest.raises(LaunchFailed, match=r"no container `jelly`: it was removed.*docker create"):
            await started(launcher, run_of(container="jelly"))
        assert await launcher.state(run_of(container="jelly")) == "stopped"
        await launcher.stop(run_of(container="jelly"))

    async def test_its_removal_is_noticed_and_told(self, double, launcher):
        box = double.add("jelly")
        run = await started(launcher, run_of(container="jelly"))
        gone = asyncio.ensure_future(launcher.gone(run))
        await until(lambda: double.streams)
        double.remove(box)
        assert "no container `jelly`" in await asyncio.wait_for(gone, 5)

    async def test_one_that_was_made_anew_is_found_by_its_name(self, double, launcher):
        first = double.add("jelly")
        run = await started(launcher, run_of(container="jelly"))
        double.remove(first)
        second = double.add("jelly")
        await started(launcher, run)
        assert second.status == "running"

    async def test_a_name_is_sent_as_one_part_of_the_path(self, double, launcher):
        assert await launcher.state(run_of(container="a/../../info?x=1#y")) == "stopped"
        assert double.calls[-1].startswith("GET /v1.41/containers/a/../../info?x=1#y/json")  # decoded by the server


class TestFaults:
    @pytest.mark.parametrize("fault", ("500", "bad json", "no message", "not docker"))
    async def test_an_engine_that_makes_no_sense_is_unknown_and_nothing_is_done(self, double, launcher, fault):
        box = double.add("a")
        run = run_of(container="a")
        double.fault = fault
        assert await launcher.state(run) == "unknown"
        with pytest.raises(LaunchFailed) as failed:
            await started(launcher, run)
        assert "\n" not in str(failed.value)
        with pytest.raises(LaunchFailed):
            await launcher.stop(run)
        assert await launcher.lines(run, 5) == []
        assert isinstance(await launcher.health(run), str)
        assert box.starts == 0

    async def test_an_engine_that_hangs_is_given_up(self, double, launcher, monkeypatch):
        monkeypatch.setattr("hestia.launchers.engine_api.CONNECT_S", 0.1)
        double.add("a")
        double.fault = "hang"
        assert await asyncio.wait_for(launcher.state(run_of(container="a")), 3) == "unknown"
        with pytest.raises(LaunchFailed, match=r"gave no answer within 0\.1s"):
            await started(launcher, run_of(container="a"))

    async def test_an_engine_without_a_socket_says_what_to_start(self, tmp_path):
        launcher = Docker(docker_host=f"unix://{tmp_path}/none.sock")
        assert await launcher.state(run_of(container="a")) == "unknown"
        with pytest.raises(LaunchFailed, match=r"not running: its socket does not exist. Try `systemctl start docker`"):
            await started(launcher, run_of(container="a"))

    async def test_the_places_own_host_goes_before_that_of_the_environment(self, double, tmp_path):
        double.add("a")
        launcher = Docker(docker_host=f"unix://{tmp_path}/none.sock")
        assert await launcher.state(run_of(container="a", host=double.host)) == "stopped"
        assert await launcher.state(run_of(container="a", host=str(double.path))) == "stopped"


class TestWatching:
    async def test_an_engine_that_goes_away_and_comes_back_has_ended_nothing(self, double, launcher):
        box = double.add("a")
        run = await started(launcher, run_of(container="a"))
        gone = asyncio.ensure_future(launcher.gone(run))
        await until(lambda: double.streams)
        await double.close()
        await asyncio.sleep(0.1)
        await double.open()
        await until(lambda: double.streams)
        assert not gone.done()
        double.end(box, 3)
        assert await asyncio.wait_for(gone, 5) == "exited with code 3"

    async def test_an_end_that_nobody_heard_is_seen_after_the_reconnect(self, double, launcher):
        box = double.add("a")
        run = await started(launcher, run_of(container="a"))
        gone = asyncio.ensure_future(launcher.gone(run))
        await until(lambda: double.streams)
        await double.close()
        box.status, box.code = "exited", 1
        await double.open()
        assert await asyncio.wait_for(gone, 5) == "exited with code 1"

    async def test_a_stream_that_always_breaks_is_asked_for_ever_more_seldom(self, double, launcher, monkeypatch):
        monkeypatch.setattr(module, "LONGEST_DELAY_S", 15.0)
        delays = []
        real = asyncio.sleep

        async def sleep(seconds):
            delays.append(seconds)
            if len(delays) > 7:
                await real(3600)
            await real(0)

        run = await started(launcher, run_of(container=double.add("a").name))
        double.fault = "500"
        with monkeypatch.context() as patched:
            patched.setattr(module.asyncio, "sleep", sleep)
            gone = asyncio.ensure_future(launcher.gone(run))
            while len(delays) <= 7:
                await real(0.01)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        for delay, wanted in zip(delays, (0.25, 0.5, 1, 2, 4, 8, 15, 15), strict=True):
            assert 0.75 * wanted <= delay <= 1.25 * wanted

    async def test_a_restart_by_the_engines_own_policy_is_no_end(self, double, launcher):
        box = double.add("a")
        run = await started(launcher, run_of(container="a"))
        gone = asyncio.ensure_future(launcher.gone(run))
        await until(lambda: double.streams)
        looks = len(double.calls)
        double.end(box, 1, status="restarting")
        await until(lambda: len(double.calls) > looks)
        assert await launcher.state(run) == "running"
        double.began(box)
        assert not gone.done()
        double.end(box, 2)
        assert (await asyncio.wait_for(gone, 5)).startswith("exited with code 2")

    async def test_the_words_have_the_last_lines_of_this_life_only(self, double, launcher):
        box = double.add("a", says=[(1, b"old words\n")])
        run = await started(launcher, run_of(container="a"))
        await launcher.stop(run)
        box.log = [(at - 60, stream, text) for at, stream, text in box.log]  # a minute passes
        box.says = [(2, b"out of\nmemory\n")]
        box.oom = True
        await started(launcher, run)
        double.end(box, 137)
        assert await launcher.gone(run) == "exited with code 137, out of memory:\nout of\nmemory"

    async def test_one_that_somebody_else_starts_is_noticed(self, double, launcher):
        box = double.add("a")
        run = run_of(container="a")
        came = asyncio.ensure_future(launcher.came(run))
        await until(lambda: double.streams)
        assert not came.done()
        double.began(box)
        await asyncio.wait_for(came, 5)
        assert await launcher.state(run) == "running"

    async def test_one_that_is_made_and_started_later_is_noticed(self, double, launcher):
        came = asyncio.ensure_future(launcher.came(run_of(container="later")))
        await until(lambda: double.streams)
        double.began(double.add("later"))
        await asyncio.wait_for(came, 5)

    async def test_one_that_runs_already_has_come(self, double, launcher):
        double.began(double.add("a"))
        await asyncio.wait_for(launcher.came(run_of(container="a")), 5)


class TestHealth:
    async def test_a_container_without_a_check_says_so_by_an_empty_word(self, double, launcher):
        run = await started(launcher, run_of(container=double.add("a").name))
        assert await launcher.health(run) == ""

    async def test_podmans_empty_status_is_no_check(self, double, launcher):
        run = await started(launcher, run_of(container=double.add("a", health={"Status": "", "Log": None}).name))
        assert await launcher.health(run) == ""

    async def test_its_own_check_is_asked(self, double, launcher):
        box = double.add("a", health={"Status": "starting", "FailingStreak": 1, "Log": [{"ExitCode": 7, "Output": "not\nyet"}]})
        run = await started(launcher, run_of(container="a"))
        assert await launcher.health(run) == "its health check says starting (exit code 7): not yet"
        box.health = {"Status": "healthy", "Log": []}
        assert await launcher.health(run) is None

    async def test_one_that_ended_is_not_healthy(self, double, launcher):
        box = double.add("a", health={"Status": "healthy"})
        run = await started(launcher, run_of(container="a"))
        double.end(box, 4)
        assert await launcher.health(run) == "exited with code 4"


class TestCompose:
    def web(self, double, depends_on=""):
        return double.compose("shop", "web", depends_on)

    RUN = run_of(compose_project="shop", compose_service="web")

    async def test_a_service_is_found_by_its_labels(self, double, launcher):
        web = self.web(double)
        double.compose("other", "web")
        double.compose("shop", "web", number=2, oneoff="True")
        run = await started(launcher, self.RUN)
        assert [box.name for box in double.boxes if box.starts] == [web.name]
        await launcher.stop(run)
        assert await launcher.state(run) == "stopped"

    async def test_all_containers_of_a_scaled_service_start_and_stop(self, double, launcher):
        self.web(double)
        double.compose("shop", "web", number=2)
        run = await started(launcher, self.RUN)
        assert [box.status for box in double.boxes] == ["running", "running"]
        await launcher.stop(run)
        assert [box.status for box in double.boxes] == ["exited", "exited"]

    async def test_a_service_without_a_container_is_named(self, double, launcher):
        with pytest.raises(LaunchFailed, match=r"compose project `shop` has no container of a service `web`"):
            await started(launcher, self.RUN)

    async def test_dependencies_start_in_order_each_after_its_own(self, double, launcher):
        self.web(double, "api:service_started:false,db:service_started:true")
        double.compose("shop", "api", "cache:service_started:false,db:service_started:false")
        double.compose("shop", "cache")
        double.compose("shop", "db")
        shelf = Shelf(self.RUN)
        await launcher.start(self.RUN, shelf.record)
        order = [box.name for box in sorted(double.boxes, key=lambda box: box.begun)]
        assert order == ["shop-cache-1", "shop-db-1", "shop-api-1", "shop-web-1"]
        assert shelf.handles == [{"woke": ["shop-cache-1", "shop-db-1", "shop-api-1"]}]

    async def test_a_circle_of_labels_ends(self, double, launcher):
        self.web(double, "db:service_started:false")
        double.compose("shop", "db", "web:service_started:false")
        await asyncio.wait_for(started(launcher, self.RUN), 5)
        assert [box.status for box in double.boxes] == ["running", "running"]

    async def test_a_dependent_waits_until_its_dependency_is_healthy(self, double, launcher):
        web = self.web(double, "db:service_healthy:false")
        db = double.compose("shop", "db", health={"Status": "starting"})
        start = asyncio.ensure_future(started(launcher, self.RUN))
        await until(lambda: db.status == "running" and double.streams)
        assert web.starts == 0
        db.health = {"Status": "healthy"}
        double.event(db, "health_status: healthy")
        await asyncio.wait_for(start, 5)
        assert web.status == "running"

    async def test_a_one_shot_must_end_well_before_its_dependent_starts(self, double, launcher):
        web = self.web(double, "migrate:service_completed_successfully:false")
        migrate = double.compose("shop", "migrate", ends=0, ends_after=0.2)
        await started(launcher, self.RUN)
        assert (migrate.status, web.status) == ("exited", "running")

    async def test_a_one_shot_that_ended_well_is_done(self, double, launcher):
        self.web(double, "migrate:service_completed_successfully:false")
        migrate = double.compose("shop", "migrate", status="exited", starts=1)
        await started(launcher, self.RUN)
        assert migrate.starts == 1

    async def test_a_one_shot_that_failed_before_is_tried_again(self, double, launcher):
        self.web(double, "migrate:service_completed_successfully:false")
        migrate = double.compose("shop", "migrate", status="exited", code=1, ends=0)
        await started(launcher, self.RUN)
        assert migrate.starts == 1

    @pytest.mark.parametrize(
        ("condition", "more", "words"),
        (
            ("service_completed_successfully", {"ends": 5, "says": [(2, b"bad schema\n")]}, "its dependency `db` exited with code 5\nbad schema"),
            ("service_healthy", {"ends": 6}, "its dependency `db` exited with code 6"),
            ("service_healthy", {}, "its dependency `db` must be healthy, but has no health check"),
            ("service_healthy", {"health": {"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": "refused"}]}}, "its dependency `db` is not healthy: .*refused"),
            ("service_started", {"refuses": "port is taken"}, "did not start `shop-db-1`: port is taken"),
        ),
    )
    async def test_a_dependency_that_fails_is_named_and_its_dependent_stays_down(self, double, launcher, condition, more, words):
        web = self.web(double, f"db:{condition}:false")
        double.compose("shop", "db", **more)
        with pytest.raises(LaunchFailed, match=words):
            await asyncio.wait_for(started(launcher, self.RUN), 5)
        assert web.starts == 0

    async def test_a_dependency_without_a_container_is_named(self, double, launcher):
        self.web(double, "db:service_started:false")
        with pytest.raises(LaunchFailed, match=r"its dependency: the compose project `shop` has no container of a service `db`"):
            await started(launcher, self.RUN)

    async def test_what_a_start_woke_its_stop_puts_to_sleep_last_first(self, double, launcher):
        self.web(double, "api:service_started:false,db:service_started:false")
        api = double.compose("shop", "api", "db:service_started:false")
        db = double.compose("shop", "db")
        run = await started(launcher, self.RUN)
        assert run.handle == {"woke": ["shop-db-1", "shop-api-1"]}
        double.calls.clear()
        await Docker(docker_host=double.host).stop(run)
        stops = [call.split("/")[3] for call in double.calls if call.endswith("/stop")]
        assert stops[1:] == [api.id, db.id]

    async def test_a_dependency_that_ran_before_is_left_alone(self, double, launcher):
        self.web(double, "db:service_started:false")
        db = double.compose("shop", "db")
        double.began(db)
        run = await started(launcher, self.RUN)
        assert run.handle == {}
        await launcher.stop(run)
        assert db.status == "running"

    async def test_a_dependency_that_another_running_container_needs_goes_on(self, double, launcher):
        self.web(double, "db:service_started:false")
        db = double.compose("shop", "db")
        double.compose("shop", "worker", "db:service_started:false")
        web_run = await started(launcher, self.RUN)
        worker_run = await started(launcher, run_of(compose_project="shop", compose_service="worker"))
        await launcher.stop(web_run)
        assert db.status == "running"
        await launcher.stop(replace(worker_run, handle=web_run.handle))
        assert db.status == "exited"

    async def test_a_dependency_that_a_start_under_way_waits_for_goes_on(self, double, launcher):
        self.web(double, "db:service_started:false")
        db = double.compose("shop", "db", health={"Status": "starting"})
        double.compose("shop", "worker", "db:service_healthy:false")
        web_run = await started(launcher, self.RUN)
        start = asyncio.ensure_future(started(launcher, run_of(compose_project="shop", compose_service="worker")))
        await until(lambda: double.streams)
        await launcher.stop(web_run)
        assert db.status == "running"
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)

    async def test_its_end_and_its_start_by_others_are_noticed(self, double, launcher):
        web = self.web(double)
        came = asyncio.ensure_future(launcher.came(self.RUN))
        await until(lambda: double.streams)
        double.began(web)
        await asyncio.wait_for(came, 5)
        gone = asyncio.ensure_future(launcher.gone(self.RUN))
        await until(lambda: double.streams)
        double.end(web, 9)
        assert await asyncio.wait_for(gone, 5) == "exited with code 9"


class TestFollowing:
    async def test_a_follower_goes_on_over_a_restart_and_misses_no_line_of_it(self, double, launcher, monkeypatch):
        monkeypatch.setattr(module, "FIRST_DELAY_S", 0.01)
        box = double.add("a", says=[(1, b"hello\n")])
        run = await started(launcher, run_of(container="a"))
        async with gathering(launcher, run) as lines:
            await until(lambda: any(call.endswith("/logs") for call in double.calls))
            await asyncio.sleep(0.05)
            box.say(1, b"now\n")
            await until(lambda: lines == ["now"])
            double.end(box, 0)
            await asyncio.sleep(0.05)
            double.began(box)
            await until(lambda: lines == ["now", "hello"])

    async def test_one_that_does_not_run_yet_is_followed_from_its_first_line(self, double, launcher, monkeypatch):
        monkeypatch.setattr(module, "FIRST_DELAY_S", 0.01)
        box = double.add("a", says=[(1, b"hello\n")])
        async with gathering(launcher, run_of(container="a")) as lines:
            await until(lambda: double.streams)
            double.began(box)
            await until(lambda: lines == ["hello"])


@asynccontextmanager
async def gathering(launcher, run):
    lines = []

    async def gather():
        async for line in launcher.follow(run):
            lines.append(line)  # noqa: PERF401 -- one by one: they are looked at meanwhile

    task = asyncio.ensure_future(gather())
    try:
        yield lines
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
