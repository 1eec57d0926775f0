"""The `kubernetes` kind before a double of a cluster, over TLS and with a kubeconfig."""

from __future__ import annotations

import asyncio
import json

import pytest

from hestia.launchers import kubernetes as module
from hestia.launchers.kubernetes import KubernetesLauncher, Pace
from hestia.ports import HasHealth, HasLogs, LaunchFailed, Named
from hestia.words.launch_spec import KubernetesLaunch, SshLaunch
from hestia.words.run import Run
from tests.support.conformance import Cancelled, Crashing, Failing, Lives, Shelf, Slow, WithEngine, started, until
from tests.support.kubernetes_double import TOKEN, KubernetesDouble

QUICK = Pace(look=0.01, under_way=2, settled=0.01, patience=2, margin=5)


def run_of(**launch) -> Run:
    return Run(id="r1", owner="a", machine="local", launch=KubernetesLaunch(**launch))


class DoubleRig:
    failure_says = 'ImagePullBackOff: Back-off pulling image "no/such:1"'
    crash_says = "exited with code 3: no model here"
    kind = "deployment"

    def __init__(self, double: KubernetesDouble, environ) -> None:
        self.double, self.environ = double, environ
        self.launcher = self.new_gateway()

    def new_gateway(self) -> KubernetesLauncher:
        return KubernetesLauncher(environ=self.environ, pace=QUICK)

    def make_run(self) -> Run:
        name = f"web-{len(self.double.workloads)}"
        self.double.make(name, kind=f"{self.kind}s")
        return run_of(**{self.kind: name})

    def make_slow(self) -> Run:
        self.double.slow = 0.5
        return self.make_run()

    def play(self, what: str) -> Run:
        run = self.make_run()
        self.double.plays[run.launch.deployment or run.launch.statefulset] = what
        return run

    def make_failing(self) -> Run:
        return self.play("image")

    def make_crashing(self) -> Run:
        return self.play("crash")

    async def running_really(self, run: Run) -> int:
        return self.double.living(run.launch.deployment or run.launch.statefulset)

    async def break_engine(self) -> None:
        await self.double.close()

    async def heal_engine(self) -> None:
        await self.double.open()


class StatefulRig(DoubleRig):
    kind = "statefulset"


@pytest.fixture
async def double():
    async with KubernetesDouble() as cluster:
        yield cluster


@pytest.fixture
def environ(double, tmp_path):
    """Written late: the double's port is known only when it is open."""
    path = tmp_path / "config"
    path.write_text(json.dumps(double.config()))
    return {"KUBECONFIG": str(path)}


@pytest.fixture
def launcher(environ):
    return KubernetesLauncher(environ=environ, pace=QUICK)


class TestDeploymentKeeps(Lives, WithEngine, Slow, Failing, Crashing):
    @pytest.fixture
    async def rig(self, double, environ):
        return DoubleRig(double, environ)


class TestCancelledKeeps(Cancelled):
    """As through `kubectl proxy`: without the waits of TLS there are few enough to try each."""

    @pytest.fixture
    async def rig(self, tmp_path):
        async with KubernetesDouble(tls=False) as cluster:
            cluster.slow = cluster.grace = 0.0
            (tmp_path / "plain").write_text(json.dumps(cluster.config()))
            yield DoubleRig(cluster, {"KUBECONFIG": str(tmp_path / "plain")})


class TestStatefulSetKeeps(Lives, Slow, Failing):
    @pytest.fixture
    async def rig(self, double, environ):
        return StatefulRig(double, environ)


def test_it_has_what_its_engine_can_do(launcher):
    assert isinstance(launcher, Named)
    assert isinstance(launcher, HasHealth)
    assert isinstance(launcher, HasLogs)


class TestScaling:
    async def test_one_number_is_patched_and_nothing_else_is_written(self, double, launcher):
        workload = double.make("web")
        await launcher.start(run_of(deployment="web", replicas=3), None)
        assert workload.replicas == 3
        await launcher.stop(run_of(deployment="web", replicas=3))
        written = [each for each in double.asked if each[0] != "GET"]
        assert written == [("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/scale")] * 2

    async def test_what_others_scaled_higher_is_left_alone(self, double, launcher):
        workload = double.make("web", replicas=5)
        await launcher.start(run_of(deployment="web", replicas=2), None)
        assert workload.replicas == 5

    async def test_what_others_scaled_lower_is_scaled_up(self, double, launcher):
        workload = double.make("web", replicas=1)
        await launcher.start(run_of(deployment="web", replicas=2), None)
        assert workload.replicas == 2

    async def test_a_name_is_only_a_name(self, double, launcher):
        with pytest.raises(LaunchFailed, match="no deployment `a/b"):
            await launcher.start(run_of(deployment="a/b?x"), None)
        assert double.asked[-1][1].endswith("/deployments/a/b?x") is True  # decoded by the server, one part of the path

    async def test_a_workload_that_is_not_there_is_stopped_and_cannot_be_started(self, double, launcher):
        run = run_of(deployment="web", namespace="default")
        assert await launcher.state(run) == "stopped"
        await launcher.stop(run)
        words = "no deployment `web` in the namespace `default`. Create it once .`kubectl apply`.; Hestia only scales it"
        with pytest.raises(LaunchFailed, match=words):
            await launcher.start(run, None)

    async def test_it_may_be_what_stops_something_else(self, double, launcher):
        workload = double.make("web", replicas=1)
        other = Run(id="1", owner="a", machine="m", launch=SshLaunch(host="x"), stop_with=KubernetesLaunch(deployment="web"))
        await launcher.stop(other)
        assert workload.replicas == 0
        for name in ("web", "side"):
            double.make(name, replicas=1)
        both = KubernetesLaunch(deployment="web"), KubernetesLaunch(deployment="side")
        await launcher.stop(Run(id="2", owner="a", machine="m", launch=both[0], stop_with=both[1]))
        assert [double.workloads["deployments", name].replicas for name in ("web", "side")] == [1, 0]

    async def test_a_run_without_a_part_for_it_is_refused(self, launcher):
        run = Run(id="1", owner="a", machine="m", launch=SshLaunch(host="x"))
        assert await launcher.state(run) == "unknown"
        with pytest.raises(LaunchFailed, match="no Kubernetes workload has a part"):
            await launcher.start(run, None)


class TestFailures:
    async def test_what_may_not_be_scaled_is_told_in_the_clusters_words(self, double, launcher):
        double.make("web")
        double.forbidden.add("scale")
        words = '`web` was not scaled to 1: the cluster answered 403: .* User "me" cannot patch resource "deployments/scale"'
        with pytest.raises(LaunchFailed, match=words):
            await launcher.start(run_of(deployment="web"), None)

    async def test_a_quota_that_is_used_up_is_told(self, double, environ):
        double.make("web")
        double.plays["web"] = "quota"
        launcher = KubernetesLauncher(environ=environ, pace=QUICK._replace(under_way=0.1))
        with pytest.raises(LaunchFailed, match="does not run: FailedCreate: .*exceeded quota: gpus"):
            await launcher.start(run_of(deployment="web"), None)

    async def test_what_waits_for_a_node_is_under_way_and_says_why_it_is_not_ready(self, double, environ):
        double.make("web")
        double.plays["web"] = "unschedulable"
        launcher = KubernetesLauncher(environ=environ, pace=QUICK._replace(under_way=0.1))
        await launcher.start(run_of(deployment="web"), None)
        assert await launcher.health(run_of(deployment="web")) == (
            "0 of 1 pods are ready: Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
        )

    async def test_what_only_an_event_tells_is_told(self, double, environ):
        double.make("web")
        double.plays["web"] = "volume"
        launcher = KubernetesLauncher(environ=environ, pace=QUICK._replace(under_way=0.1))
        await launcher.start(run_of(deployment="web"), None)
        words = "0 of 1 pods are ready: FailedMount: Unable to attach or mount volumes: unmounted volumes=[models]"
        assert await launcher.health(run_of(deployment="web")) == words

    async def test_who_may_see_neither_pods_nor_events_is_told_less(self, double, environ):
        double.forbidden |= {"pods", "events", "pods/log"}
        double.make("web")
        launcher = KubernetesLauncher(environ=environ, pace=QUICK)
        run = run_of(deployment="web")
        await launcher.start(run, None)
        assert await launcher.lines(run, 5) == []
        await launcher.stop(run)
        double.plays["web"] = "unschedulable"
        await KubernetesLauncher(environ=environ, pace=QUICK._replace(under_way=0.1)).start(run, None)
        assert await launcher.health(run) == "0 of 1 pods are ready"

    async def test_one_that_is_scaled_to_nothing_while_it_starts_is_told(self, double, launcher):
        workload = double.make("web")
        double.slow = 10
        start = asyncio.ensure_future(launcher.start(run_of(deployment="web"), None))
        await until(lambda: workload.replicas)
        workload.replicas = 0
        with pytest.raises(LaunchFailed, match="`web` was scaled to nothing while it started"):
            await start

    async def test_pods_that_do_not_end_are_told(self, double, environ):
        workload = double.make("web", replicas=2, grace=0)
        await until(lambda: double.living("web") == 2)
        double.grace = 60
        launcher = KubernetesLauncher(environ=environ, pace=QUICK._replace(margin=0.1))
        with pytest.raises(LaunchFailed, match="2 pods of the deployment `web` do not end"):
            await launcher.stop(run_of(deployment="web"))
        assert workload.replicas == 0

    @pytest.mark.parametrize("fault", ("500", "503", "429", "html"))
    async def test_a_cluster_that_makes_no_sense_is_unknown(self, double, launcher, fault):
        double.make("web", replicas=1)
        double.fault = fault
        run = run_of(deployment="web")
        assert await launcher.state(run) == "unknown"
        assert await launcher.lines(run, 5) == []
        assert await launcher.health(run)
        with pytest.raises(LaunchFailed):
            await launcher.stop(run)

    async def test_a_hanging_cluster_is_unknown(self, double, launcher, monkeypatch):
        monkeypatch.setattr(module, "STATE_S", 0.2)
        double.fault = "hang"
        run = run_of(deployment="web")
        assert await launcher.state(run) == "unknown"
        assert await launcher.health(run) == "the cluster gave no answer"
        assert await launcher.lines(run, 5) == []

    async def test_a_cluster_that_is_away_for_a_moment_is_waited_for(self, double, launcher):
        double.make("web")
        double.slow = 0.3
        start = asyncio.ensure_future(started(launcher, run_of(deployment="web")))
        await until(lambda: double.pods)
        double.fault = "503"
        await asyncio.sleep(0.05)
        double.fault = None
        await start
        assert double.living("web") == 1

    async def test_a_token_that_is_not_accepted_is_told_and_quoted_nowhere(self, double, launcher):
        double.make("web")
        double.tokens.clear()
        with pytest.raises(LaunchFailed, match="the cluster answered 401: Unauthorized") as failed:
            await launcher.start(run_of(deployment="web"), None)
        assert TOKEN not in str(failed.value)
        assert await launcher.state(run_of(deployment="web")) == "unknown"


class TestHealth:
    async def test_pods_with_a_readiness_check_are_healthy_when_they_are_ready(self, double, launcher):
        double.make("web", replicas=1, readiness=True)
        await until(lambda: double.living("web"))
        assert await launcher.health(run_of(deployment="web")) is None

    async def test_of_others_nothing_is_known_when_they_run(self, double, launcher):
        double.make("web", replicas=1)
        await until(lambda: double.living("web"))
        assert await launcher.health(run_of(deployment="web")) == ""

    async def test_a_status_that_lags_behind_is_not_believed(self, double, launcher):
        workload = double.make("web", replicas=1, readiness=True)
        await until(lambda: double.living("web"))
        workload.generation += 1
        assert await launcher.health(run_of(deployment="web")) == "the cluster has not acted on its new scale yet"

    async def test_a_program_that_falls_over_is_told_with_its_last_words(self, double, launcher):
        double.plays["web"] = "crash"
        double.make("web", replicas=1)
        await until(lambda: any(pod.last for pod in double.pods))
        words = "0 of 1 pods are ready: CrashLoopBackOff: main exited with code 3: no model here"
        assert await launcher.health(run_of(deployment="web")) == words


class TestLogs:
    async def test_the_last_lines_of_all_pods_are_read_in_their_order(self, double, launcher):
        double.make("web", replicas=2)
        await until(lambda: double.living("web") == 2)
        one, two = double.pods
        for pod, words in ((one, "first"), (two, "second"), (one, "third")):
            pod.says(words)
        run = run_of(deployment="web")
        assert await launcher.lines(run, 10) == ["first", "second", "third"]
        assert await launcher.lines(run, 2) == ["second", "third"]

    async def test_of_several_containers_the_first_is_meant(self, double, launcher):
        double.make("web", replicas=1, containers=2)
        await until(lambda: double.living("web"))
        double.pods[0].says("hello")
        assert await launcher.lines(run_of(deployment="web"), 10) == ["hello"]

    async def test_they_are_followed_from_now_on_each_line_once_and_over_to_new_pods(self, double, launcher):
        double.make("web", replicas=1)
        await until(lambda: double.living("web"))
        double.pods[0].says("before")
        lines = launcher.follow(run_of(deployment="web"))
        first = asyncio.ensure_future(anext(lines))
        await until(lambda: sum(path.endswith("/log") for _, path in double.asked) > 2)
        for word in ("one", "two"):
            double.pods[0].says(word)
        async with asyncio.timeout(5):
            assert [await first, await anext(lines)] == ["one", "two"]
            double.make("web", replicas=2)
            await until(lambda: double.living("web") >= 2)
            double.pods[-1].says("three")
            assert await anext(lines) == "three"
        await lines.aclose()

    async def test_what_is_not_there_has_no_lines_and_can_be_followed_all_the_same(self, double, launcher):
        run = run_of(deployment="web")
        assert await launcher.lines(run, 10) == []
        lines = launcher.follow(run)
        first = asyncio.ensure_future(anext(lines))
        await until(lambda: len(double.asked) > 2)
        double.words["web"] = ("hello",)
        double.make("web", replicas=1)
        assert await asyncio.wait_for(first, 5) == "hello"
        await lines.aclose()


async def test_the_shelf_keeps_nothing_for_a_name_is_enough(double, launcher):
    double.make("web")
    shelf = Shelf(run_of(deployment="web"))
    await launcher.start(shelf.run, shelf.record)
    assert shelf.handles == []
    await launcher.stop(shelf.kept())
