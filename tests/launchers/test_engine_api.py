"""The conversation with an engine: which one, which version, and what is said when it fails."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import aclosing

import pytest
from aiohttp import web

from hestia.launchers import engine_api as module
from hestia.launchers.engine_api import EngineDown, EngineRefused, engine_at, host_of
from tests.support.docker_double import DockerDouble


@pytest.fixture
async def double(tmp_path):
    async with DockerDouble(tmp_path / "docker.sock") as engine:
        yield engine


class TestWhichEngine:
    @pytest.mark.parametrize(
        ("said", "docker_host", "wanted"),
        (
            ("unix:///a.sock", "unix:///b.sock", "unix:///a.sock"),
            ("/a.sock", None, "unix:///a.sock"),
            (None, "unix:///b.sock", "unix:///b.sock"),
            (None, "tcp://127.0.0.1:2375", "tcp://127.0.0.1:2375"),
        ),
    )
    def test_the_place_goes_before_the_environment(self, said, docker_host, wanted):
        assert host_of(said, docker_host, None) == wanted

    @pytest.mark.parametrize(
        ("there", "wanted"),
        (
            ({"/var/run/docker.sock", "/run/user/7/podman/podman.sock"}, "/var/run/docker.sock"),
            ({"/run/user/7/docker.sock", "/run/user/7/podman/podman.sock"}, "/run/user/7/docker.sock"),
            ({"/run/user/7/podman/podman.sock", "/run/podman/podman.sock"}, "/run/user/7/podman/podman.sock"),
            ({"/run/podman/podman.sock"}, "/run/podman/podman.sock"),
            (set(), "/var/run/docker.sock"),
        ),
    )
    def test_else_the_first_socket_that_is_there(self, monkeypatch, there, wanted):
        monkeypatch.setattr(module.os.path, "exists", there.__contains__)
        assert host_of(None, None, "/run/user/7") == f"unix://{wanted}"

    @pytest.mark.parametrize("host", ("ssh://root@nas", "npipe:////./pipe/docker_engine", "docker", "tcp://", "tcp://a:b"))
    async def test_what_is_no_socket_is_refused_in_words(self, host):
        with pytest.raises(EngineDown):
            async with engine_at(host):
                pass

    async def test_an_engine_behind_a_filter_is_reached_over_tcp(self):
        async def ping(_):
            return web.Response(headers={"Api-Version": "1.43"})

        async def info(_):
            return web.json_response({"ok": True})

        runner = web.AppRunner(web.Application())
        runner.app.router.add_get("/_ping", ping)
        runner.app.router.add_get("/v1.43/info", info)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with engine_at(f"tcp://127.0.0.1:{runner.addresses[0][1]}") as engine:
                assert await engine.get("/info", dict) == {"ok": True}
        finally:
            await runner.cleanup()


class TestVersion:
    @pytest.mark.parametrize(("newest", "oldest", "used"), (("1.41", "1.12", "v1.41"), ("1.52", "1.44", "v1.47")))
    async def test_the_newest_that_both_know_is_used(self, tmp_path, newest, oldest, used):
        async with DockerDouble(tmp_path / "d.sock", newest=newest, oldest=oldest) as double:
            async with engine_at(double.host) as engine:
                assert await engine.get("/containers/json", list) == []
            assert double.calls == ["GET /_ping", f"GET /{used}/containers/json"]

    async def test_an_engine_that_was_upgraded_meanwhile_is_asked_anew(self, double):
        for version in ("1.41", "1.43"):
            double.newest = version
            async with engine_at(double.host) as engine:
                await engine.get("/containers/json", list)
            assert double.calls[-1] == f"GET /v{version}/containers/json"


class TestErrors:
    async def test_a_refusal_has_the_engines_status_and_words_on_one_line(self, double):
        async with engine_at(double.host) as engine:
            with pytest.raises(EngineRefused, match=r"^No such container: a$") as refused:
                await engine.ask("POST", "/containers/a/start")
            assert refused.value.status == 404
            double.fault = "500"
            with pytest.raises(EngineRefused, match=r"^the store is broken$"):
                await engine.ask("POST", "/containers/a/start")
            double.fault = "no message"
            with pytest.raises(EngineRefused, match=r"^the engine answered 500$"):
                await engine.ask("POST", "/containers/a/start")

    async def test_an_answer_that_is_something_else_is_no_answer(self, double):
        double.add("a")
        async with engine_at(double.host) as engine:
            double.fault = "bad json"
            with pytest.raises(EngineDown, match="something that is no /containers/a/json"):
                await engine.get("/containers/a/json", dict)
            double.fault = "not docker"
            with pytest.raises(EngineDown, match="something that is no"):
                await engine.get("/containers/a/json", dict)
        with pytest.raises(EngineDown, match="is no Docker or Podman"):
            async with engine_at(double.host):
                pass

    async def test_a_body_without_end_is_given_up(self, double, monkeypatch):
        monkeypatch.setattr(module, "LONGEST_BODY", 10)
        double.add("a")
        async with engine_at(double.host) as engine:
            with pytest.raises(EngineDown):
                await engine.get("/containers/a/json", dict)

    async def test_a_call_has_its_time(self, double):
        async with engine_at(double.host) as engine:
            double.fault = "hang"
            with pytest.raises(EngineDown, match=r"gave no answer within 0\.05s"):
                await engine.ask("GET", "/info", limit=0.05)

    async def test_a_socket_that_nobody_serves_says_what_to_start(self, tmp_path):
        with pytest.raises(EngineDown, match="its socket does not exist. Try `systemctl start docker`"):
            async with engine_at(f"unix://{tmp_path}/none.sock"):
                pass
        with pytest.raises(EngineDown, match="Try `systemctl --user start podman.socket`"):
            async with engine_at(f"unix://{tmp_path}/podman.sock"):
                pass

    async def test_a_socket_that_a_dead_daemon_left_says_so(self, tmp_path):
        path = str(tmp_path / "dead.sock")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
        with pytest.raises(EngineDown, match="nothing listens there"):
            async with engine_at(f"unix://{path}"):
                pass

    async def test_a_socket_that_may_not_be_used_names_the_group(self, double, monkeypatch):
        async def forbidden(*_, **__):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(asyncio.get_running_loop(), "create_unix_connection", forbidden, raising=False)
        with pytest.raises(EngineDown, match="no permission for its socket: add the user .*usermod -aG docker"):
            async with engine_at(double.host):
                pass

    @pytest.mark.parametrize("answer", (b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))
    async def test_one_that_breaks_off_or_speaks_no_http_is_down(self, tmp_path, answer):
        async def serve(reader, writer):
            await reader.read(1)
            writer.write(answer)
            writer.close()

        path = str(tmp_path / "x.sock")
        server = await asyncio.start_unix_server(serve, path)
        with pytest.raises(EngineDown):
            async with engine_at(f"unix://{path}"):
                pass
        server.close()


class TestStreams:
    async def test_it_wakes_at_once_and_at_each_event_and_ends_with_the_engine(self, double):
        box = double.add("a")
        async with engine_at(double.host) as engine, aclosing(engine.wakes({"event": ["start"]})) as wakes:
            await anext(wakes)
            double.event(box, "exec_start: true")  # of a health check: nobody is woken
            double.event(box, "start")
            await asyncio.wait_for(anext(wakes), 5)
            double.cut()
            with pytest.raises((EngineDown, StopAsyncIteration)):
                while True:
                    await asyncio.wait_for(anext(wakes), 5)
        await _until_none(double)

    async def test_a_quiet_stream_wakes_now_and_then(self, double, monkeypatch):
        monkeypatch.setattr(module, "QUIET_S", 0.05)
        async with engine_at(double.host) as engine, aclosing(engine.wakes({})) as wakes:
            for _ in range(3):
                await asyncio.wait_for(anext(wakes), 5)

    async def test_a_reader_that_is_cancelled_leaves_no_connection(self, double):
        async def read():
            async with engine_at(double.host) as engine, aclosing(engine.wakes({})) as wakes:
                async for _ in wakes:
                    pass

        task = asyncio.ensure_future(read())
        async with asyncio.timeout(5):
            while not double.streams:
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        double.event(double.add("a"), "start")
        await _until_none(double)

    async def test_a_stream_that_is_refused_says_why(self, double):
        async with engine_at(double.host) as engine, aclosing(engine.chunks("/nowhere", {})) as chunks:
            with pytest.raises(EngineRefused, match="page not found"):
                await anext(chunks)


async def _until_none(double):
    double.event(double.add("z"), "start")  # a write to a closed connection is how its server learns of it
    async with asyncio.timeout(5):
        while double.streams:
            double.event(double.boxes[-1], "start")
            await asyncio.sleep(0.02)
