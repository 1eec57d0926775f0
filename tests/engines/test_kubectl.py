"""The double of a cluster before the real `kubectl`: what a user's own tool reads from it and writes to it."""

import asyncio
import json
import os
import shutil

import pytest

from hestia.launchers.kubernetes import KubernetesLauncher
from hestia.words.launch_spec import KubernetesLaunch
from hestia.words.run import Run
from tests.support.conformance import until
from tests.support.kubernetes_double import KubernetesDouble

WITHIN_S = 60


@pytest.fixture
async def double():
    async with KubernetesDouble() as cluster:
        yield cluster


@pytest.fixture
def config(double, tmp_path):
    path = tmp_path / "config"
    path.write_text(json.dumps(double.config()))
    return path


@pytest.fixture
def kubectl(config, tmp_path):
    program = shutil.which("kubectl")
    assert program, "kubectl is not installed: apt-get install kubernetes-client"

    async def ask(*words, fails=False):
        env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "KUBECONFIG": str(config)}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(program, *words, env=env, stdout=pipe, stderr=pipe)
        out, err = await asyncio.wait_for(process.communicate(), WITHIN_S)
        assert (process.returncode != 0) == fails, (words, out, err)
        return (out or err).decode().strip()

    return ask


@pytest.mark.parametrize(("kind", "kinds"), [("deployment", "deployments"), ("statefulset", "statefulsets")])
async def test_kubectl_scales_what_the_double_has_and_waits_for_it(double, kubectl, kind, kinds):
    workload = double.make("web", kind=kinds)
    assert f"{kind}.apps/web" in await kubectl("get", kinds, "-o", "name")
    assert "scaled" in await kubectl("scale", f"{kind}/web", "--replicas=2")
    assert workload.replicas == 2
    await kubectl("rollout", "status", f"{kind}/web", "--timeout=30s")
    assert double.living("web") == 2
    await kubectl("scale", f"{kind}/web", "--current-replicas=2", "--replicas=0")
    await until(lambda: double.living("web") == 0)
    assert (await kubectl("get", f"{kind}/web", "-o", "jsonpath={.spec.replicas}/{.status.replicas}")) == "0/"


async def test_kubectl_writes_the_very_patch_that_the_launcher_writes(double, kubectl, config):
    double.make("web")
    await kubectl("scale", "deployment/web", "--replicas=1")
    await kubectl("scale", "deployment/web", "--replicas=0")
    launcher = KubernetesLauncher(environ={"KUBECONFIG": str(config)})
    run = Run(id="1", owner="a", machine="local", launch=KubernetesLaunch(deployment="web"))
    await launcher.start(run, None)
    await launcher.stop(run)
    written = [
        (method, path, headers["Content-Type"])
        for (method, path), headers in zip(double.asked, double.headers, strict=True)
        if method != "GET"
    ]
    assert len(written) == 4
    assert len(set(written)) == 1, written


async def test_kubectl_sees_what_the_launcher_did(double, kubectl, config):
    double.words["web"] = ("hello",)
    double.make("web")
    launcher = KubernetesLauncher(environ={"KUBECONFIG": str(config)})
    run = Run(id="1", owner="a", machine="local", launch=KubernetesLaunch(deployment="web"))
    await launcher.start(run, None)
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert await kubectl("logs", "deployment/web") == "hello"
    assert await launcher.lines(run, 5) == ["hello"]
    await launcher.stop(run)
    assert "No resources found" in await kubectl("get", "pods")


async def test_kubectl_is_refused_as_the_launcher_is(double, kubectl):
    double.make("web")
    double.forbidden.add("scale")
    assert "Forbidden" in await kubectl("scale", "deployment/web", "--replicas=1", fails=True)
    assert "NotFound" in await kubectl("get", "deployment/no", fails=True)
