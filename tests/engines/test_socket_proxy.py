"""The filtering proxy of the docs lets the docker kind do all that it does, and nobody do more."""

import re

import aiohttp
import pytest
import yaml
from aiohttp import web
from yarl import URL

from hestia.launchers.docker import Docker
from hestia.words.run import Run
from tests.engines.clone import ROOT
from tests.engines.dockerd import dockerd
from tests.engines.test_docker import STAYS, TALKS, RealRig, composed, run_of
from tests.support.conformance import Cancelled, Crashing, Lives, Watched, WithLogs, started

MAY_NOT = 403
HOP_BY_HOP = {"Connection", "Transfer-Encoding", "Content-Length"}


def rules():
    """What stands in the docs: by method, a pattern that a path must match as a whole."""
    page = (ROOT / "hestia" / "docs" / "container.md").read_text()
    proxy = yaml.safe_load(re.search(r"```yaml\n(# compose\.override.*?)```", page, re.DOTALL)[1])["services"]["docker-proxy"]
    return dict(re.fullmatch(r"-allow([A-Z]+)=(.*)", word).groups() for word in proxy["command"] if re.match("-allow[A-Z]", word))


class Proxy:
    """What the proxy of the docs does with its rules."""

    def __init__(self, engine):
        self.engine = engine
        self.refused = []

    async def answer(self, request):
        if not re.fullmatch(rules().get(request.method, r"(?!)"), request.path):
            self.refused.append(f"{request.method} {request.path}")
            return web.Response(status=MAY_NOT, text="Forbidden")
        url = URL(f"http://engine{request.raw_path}", encoded=True)
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(self.engine.socket)) as session,
            session.request(request.method, url, data=await request.read(), timeout=aiohttp.ClientTimeout()) as answer,
        ):
            kept = {name: text for name, text in answer.headers.items() if name not in HOP_BY_HOP}
            passed = web.StreamResponse(status=answer.status, headers=kept)
            await passed.prepare(request)
            async for piece in answer.content.iter_any():
                await passed.write(piece)
            return passed


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with dockerd(tmp_path_factory.mktemp("dockerd")) as running:
        yield running


@pytest.fixture
async def proxy(engine, tmp_path):
    proxy = Proxy(engine)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.answer)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    proxy.socket = str(tmp_path / "proxy.sock")
    await web.UnixSite(runner, proxy.socket).start()
    yield proxy
    await runner.cleanup()


class Rig(RealRig):
    def __init__(self, engine, proxy, on_idle="stop"):
        self.proxy = proxy
        super().__init__(engine, on_idle)

    def new_gateway(self):
        return Docker(docker_host=f"unix://{self.proxy.socket}")


@pytest.fixture
async def rig(engine, proxy):
    yield Rig(engine, proxy)
    assert proxy.refused == []


class TestThroughTheProxyDockerKeeps(Lives, Cancelled, Crashing, Watched, WithLogs):
    pass


async def test_a_container_is_paused_and_goes_on(engine, proxy):
    rig = Rig(engine, proxy, on_idle="pause")
    run = await started(rig.launcher, rig.make_run())
    await rig.launcher.stop(run)
    assert engine.state(run.launch.container)["Status"] == "paused"
    await started(rig.launcher, run)
    await rig.launcher.stop(run)
    assert proxy.refused == []


async def test_a_service_of_compose_is_started_with_what_it_depends_on(engine, rig):
    composed(engine, "shop", "db", STAYS)
    composed(engine, "shop", "web", TALKS, depends_on="db:service_started:false")
    run: Run = run_of(compose_project="shop", compose_service="web")
    await started(rig.launcher, run)
    assert engine.state("shop-db-1")["Running"]
    assert engine.state("shop-web-1")["Running"]
    await rig.launcher.stop(run)


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "/v1.41/containers/create"),
        ("POST", "/v1.41/containers/some/exec"),
        ("POST", "/v1.41/containers/some/update"),
        ("POST", "/v1.41/containers/create/../some/start/x"),
        ("POST", "/v1.41/images/create"),
        ("DELETE", "/v1.41/containers/some"),
        ("PUT", "/v1.41/containers/some/archive"),
        ("GET", "/v1.41/containers/some/archive"),
        ("GET", "/v1.41/secrets"),
        ("GET", "/_ping/../v1.41/secrets"),
    ],
)
async def test_what_could_become_root_is_refused(proxy, method, path):
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(proxy.socket)) as session,
        session.request(method, URL(f"http://engine{path}", encoded=True)) as answer,
    ):
        assert answer.status == MAY_NOT
