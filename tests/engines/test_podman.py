"""The `docker` kind before a real Podman: its service runs in a mount namespace of its own, its folders are the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hestia.launchers import docker as module
from hestia.launchers.docker import Docker
from hestia.ports import LaunchFailed
from tests.engines.dockerd import PATH, Dockerd, program, serving
from tests.engines.test_docker import STAYS, RealRig, composed, named, run_of
from tests.support.conformance import Cancelled, Crashing, Failing, Lives, Watched, WithEngine, WithLogs, started

CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "host"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
STORAGE = """\
[storage]
driver = "vfs"
graphroot = "{home}/root"
runroot = "{home}/run"
"""
# runc and crun refuse a machine with both kinds of cgroups: here, and only here, it has the older ones.
SERVE = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$0" --tmpdir "$1/tmp" system service --time=0 "unix://$1/podman.sock"'


class Podman(Dockerd):
    def __init__(self, home: Path) -> None:
        self.home = home
        self.socket = str(home / "podman.sock")
        self.image = "docker.io/library/hestia-box:latest"
        (home / "containers.conf").write_text(CONTAINERS)
        (home / "storage.conf").write_text(STORAGE.format(home=home))
        self.env = {
            "PATH": PATH,
            "HOME": str(home),
            "CONTAINERS_CONF": str(home / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(home / "storage.conf"),
        }
        self.argv = ["unshare", "--mount", "sh", "-c", SERVE, program("podman", "podman"), str(home)]
        self.process = None

    def call(self, method, path, body=None):
        return super().call(method, path if path == "/_ping" else f"/v1.41{path}", body)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    program("runc", "runc")
    with serving(Podman(tmp_path_factory.mktemp("podman"))) as running:
        yield running


@pytest.fixture
def launcher(engine):
    return Docker(docker_host=engine.host)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(module, "LONGEST_DELAY_S", 0.5)


class TestPodmanKeeps(Lives, Cancelled, WithEngine, Crashing, Failing, Watched, WithLogs):
    @pytest.fixture
    async def rig(self, engine):
        return RealRig(engine)


async def test_a_paused_container_goes_on_and_can_be_ended(engine, launcher):
    run = run_of(container=named(engine, STAYS), on_idle="pause")
    await launcher.start(run, None)
    await launcher.stop(run)
    assert engine.state(run.launch.container)["Status"] == "paused"
    assert await launcher.state(run) == "stopped"
    await launcher.start(run, None)
    assert engine.state(run.launch.container)["Status"] == "running"
    await launcher.stop(run)
    await launcher.end(run)
    assert engine.state(run.launch.container)["Status"] == "exited"


async def test_one_without_a_check_says_so(engine, launcher):
    run = run_of(container=named(engine, STAYS))
    await launcher.start(run, None)
    assert await launcher.health(run) == ""
    await launcher.stop(run)


async def test_a_removed_container_is_noticed_and_named(engine, launcher):
    run = run_of(container=named(engine, STAYS))
    await launcher.start(run, None)
    gone = asyncio.ensure_future(launcher.gone(run))
    await asyncio.wait({gone}, timeout=0.2)
    engine.call("DELETE", f"/containers/{run.launch.container}?force=1")
    assert await asyncio.wait_for(gone, 10)
    with pytest.raises(LaunchFailed, match=f"no container `{run.launch.container}`: it was removed"):
        await launcher.start(run, None)


async def test_a_start_by_somebody_else_is_noticed(engine, launcher):
    run = run_of(container=named(engine, STAYS))
    came = asyncio.ensure_future(launcher.came(run))
    await asyncio.wait({came}, timeout=0.2)
    assert not came.done()
    engine.call("POST", f"/containers/{run.launch.container}/start")
    await asyncio.wait_for(came, 10)
    await launcher.stop(run)


async def test_a_project_starts_in_order_and_falls_asleep(engine, launcher):
    migrate = composed(engine, "shop", "migrate", "sleep 0.3; echo done", "db:service_started:false")
    db = composed(engine, "shop", "db", STAYS)
    web = composed(engine, "shop", "web", STAYS, "migrate:service_completed_successfully:false,db:service_started:true")
    run = await started(launcher, run_of(compose_project="shop", compose_service="web"))
    assert run.handle == {"woke": [db, migrate]}
    assert engine.state(migrate)["Status"] == "exited"
    assert await launcher.state(run) == "running"
    await launcher.stop(run)
    assert [engine.state(name)["Status"] for name in (db, migrate, web)] == ["exited"] * 3
