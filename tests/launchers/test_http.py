import asyncio
import itertools
import logging

import pytest
from aiohttp import web
from msgspec.structs import replace

from hestia.launchers.http import HttpLauncher, Pace, told_in
from hestia.launchers.json_api import Answer
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import CommandLaunch, HttpCall, HttpLaunch, HttpStatus, JsonTest
from hestia.words.run import Run, Told
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Shelf,
    Slow,
    Tells,
    WithEngine,
    started,
    until,
)

QUICK = Pace(poll=0.01, address=10, gone=5, answer=5, state=5)
SECRET = "tok-0123456789"
URL = "http://127.0.0.1:9999"


class Cloud:
    """Somebody's API: machines that are switched on and off, at once or after a while."""

    def __init__(self):
        self.up, self.slow, self.tells, self.asked = {}, {}, {}, []
        self.fault = None
        self.port, self.runner, self.later = 0, None, set()

    async def open(self):
        app = web.Application()
        app.router.add_route("*", "/{what}/{name}", self.answer)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def close(self):
        for task in self.later:
            task.cancel()
        await self.runner.cleanup()

    async def answer(self, request):
        what, name = request.match_info["what"], request.match_info["name"]
        self.asked.append((request.method, what, dict(request.headers), await request.text()))
        if self.fault is not None:
            answer = self.fault(request)
            answer = await answer if asyncio.iscoroutine(answer) else answer
            if answer is not None:
                return answer
        return {"start": self.start, "stop": self.stop, "status": self.status}[what](name)

    def start(self, name):
        if name.startswith("failing"):
            return web.json_response({"error": f"quota exceeded for {SECRET}"}, status=500)
        if name in self.slow:
            task = asyncio.ensure_future(self.rise(name))
            self.later.add(task)
            return web.Response(status=202)
        self.up[name] = self.up.get(name, 0) + 1
        return web.json_response({"data": [self.tells.get(name, {})]})

    async def rise(self, name):
        await asyncio.sleep(self.slow[name])
        self.up[name] = self.up.get(name, 0) + 1

    def stop(self, name):
        if not self.up.get(name) and name not in self.slow:
            return web.Response(status=404)
        for task in self.later:
            task.cancel()
        self.up[name] = 0
        return web.Response(status=204)

    def status(self, name):
        state = "running" if self.up.get(name) else "off"
        return web.json_response({"data": {"state": state} | (self.tells.get(name, {}) if self.up.get(name) else {})})

    def launch(self, name, **more):
        url = f"http://127.0.0.1:{self.port}"
        headers = {"Authorization": f"Bearer {SECRET}"}
        running = JsonTest(json="data.state", equals="running")
        calls = {
            "start": HttpCall(url=f"{url}/start/{name}", headers=headers, json={"power": "on"}),
            "stop": HttpCall(url=f"{url}/stop/{name}", headers=headers),
            "status": HttpStatus(url=f"{url}/status/{name}", headers=headers, running=running),
        }
        return HttpLaunch(**(calls | more))


class Rig:
    failure_says = "quota exceeded for \\*\\*\\*"
    crash_says = "quota exceeded"
    without = ()

    def __init__(self, cloud):
        self.cloud = cloud
        self.numbers = itertools.count(1)
        self.launcher = self.new_gateway()

    def new_gateway(self):
        return HttpLauncher(pace=QUICK)

    def make(self, name, **more):
        name = f"{name}{next(self.numbers)}"
        launch = self.cloud.launch(name, **dict(self.without))
        return Run(**(dict(id=f"run-{name}", owner=name, machine="box", base_url=URL, launch=launch) | more))

    def make_run(self):
        return self.make("plain")

    def make_slow(self):
        run = self.make("slow")
        self.cloud.slow[run.owner] = 0.1
        return run

    def make_failing(self):
        return self.make("failing")

    make_crashing = make_failing

    def make_telling(self):
        run = self.make("telling", base_url=None)
        self.cloud.tells[run.owner] = {
            "HESTIA_BASE_URL": "http://127.0.0.1:4567",
            "HESTIA_HEALTH_URL": "http://127.0.0.1:4567/healthz",
        }
        return run

    async def running_really(self, run):
        return self.cloud.up.get(run.owner, 0)

    async def break_engine(self):
        await self.cloud.close()

    async def heal_engine(self):
        await self.cloud.open()


class RigWithoutStatus(Rig):
    without = (("status", None),)


@pytest.fixture
async def cloud():
    cloud = await Cloud().open()
    yield cloud
    await cloud.close()


@pytest.fixture
async def rig(cloud):
    return Rig(cloud)


class TestWithStatus(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, Tells):
    pass


class TestWithoutStatus(Lives, Cancelled, Failing, Tells):
    """Nobody can be asked, so nothing is ever unknown, and the rest holds."""

    @pytest.fixture
    async def rig(self, cloud):
        return RigWithoutStatus(cloud)

    async def test_another_gateway_sees_what_ended(self, rig):
        """It cannot: to it a run that is written down runs, and stopping that once more does no harm."""
        run = await started(rig.launcher, rig.make_run())
        await rig.launcher.stop(run)
        assert await rig.new_gateway().state(run) == "running"
        await rig.new_gateway().stop(run)


# What is sent


async def test_methods_headers_and_bodies_are_as_configured(cloud):
    url = f"http://127.0.0.1:{cloud.port}"
    launch = HttpLaunch(
        start=HttpCall(url=f"{url}/start/a", headers={"X-Key": "k"}, json={"on": True}),
        stop=HttpCall(url=f"{url}/stop/a", method="PUT", body="off", headers={"Content-Type": "text/x"}),
        status=HttpStatus(url=f"{url}/status/a", running=JsonTest(json="data.state", equals="running")),
    )
    launcher = HttpLauncher(pace=QUICK)
    run = await started(launcher, Run(id="1", owner="a", machine="box", base_url=URL, launch=launch))
    await launcher.stop(run)
    (status, start, stop, last) = cloud.asked
    assert [one[:2] for one in (status, start, stop, last)] == [
        ("GET", "status"),
        ("POST", "start"),
        ("PUT", "stop"),
        ("GET", "status"),
    ]
    assert start[2]["X-Key"] == "k"
    assert start[2]["Content-Type"] == "application/json"
    assert start[3] == '{"on":true}'
    assert stop[2]["Content-Type"] == "text/x"
    assert stop[3] == "off"


async def test_what_runs_already_is_not_started(rig):
    run = rig.make_run()
    rig.cloud.up[run.owner] = 1
    await started(rig.launcher, run)
    assert [what for _method, what, *_ in rig.cloud.asked] == ["status"]


async def test_what_was_found_running_can_be_stopped(rig):
    run = rig.make_run()
    rig.cloud.up[run.owner] = 1
    assert await rig.launcher.state(run) == "running"
    await rig.launcher.stop(run)
    assert rig.cloud.up[run.owner] == 0


async def test_a_stop_waits_until_the_status_says_that_it_is_gone(rig):
    run = await started(rig.launcher, rig.make_run())
    rig.cloud.fault = lambda request: web.Response(status=202) if "/stop/" in request.path else None
    stop = asyncio.ensure_future(rig.launcher.stop(run))
    await until(lambda: len([what for _m, what, *_ in rig.cloud.asked if what == "status"]) > 4)
    assert not stop.done()
    rig.cloud.up[run.owner] = 0
    await stop


async def test_a_stop_that_leaves_it_running_is_a_failure(rig):
    run = await started(rig.launcher, rig.make_run())
    rig.cloud.fault = lambda request: web.Response(status=202) if "/stop/" in request.path else None
    with pytest.raises(LaunchFailed, match=r"does not say that it is gone, 0.1s after the stop"):
        await HttpLauncher(pace=QUICK._replace(gone=0.1)).stop(run)


async def test_without_a_stop_request_it_says_what_to_set(cloud):
    run = Run(id="1", owner="a", machine="box", base_url=URL, launch=cloud.launch("a", stop=None))
    run = await started(HttpLauncher(), run)
    with pytest.raises(LaunchFailed, match="launch.stop is not set"):
        await HttpLauncher().stop(run)


async def test_it_stops_what_another_launcher_started(cloud):
    cloud.up["a"] = 1
    launch = CommandLaunch(start=("true",))
    await HttpLauncher().stop(Run(id="1", owner="a", machine="box", launch=launch, stop_with=cloud.launch("a")))
    assert cloud.up["a"] == 0


# Addresses


async def test_an_address_that_only_a_later_status_tells_is_waited_for(rig):
    run = rig.make_telling()
    rig.cloud.slow[run.owner] = 0.1
    told = await rig.launcher.start(run, Shelf(run).record)
    assert told.base_url == "http://127.0.0.1:4567"


async def test_no_address_at_all_is_a_failure(cloud):
    run = Run(id="1", owner="a", machine="box", launch=cloud.launch("a", status=None))
    with pytest.raises(LaunchFailed, match="the start's answer has no HESTIA_BASE_URL, and base_url is not set"):
        await started(HttpLauncher(), run)
    run = Run(id="2", owner="b", machine="box", launch=cloud.launch("b"))
    with pytest.raises(LaunchFailed, match="no answer had a HESTIA_BASE_URL within 0.05s"):
        await started(HttpLauncher(pace=QUICK._replace(address=0.05)), run)


async def test_a_machine_needs_no_address(cloud):
    run = Run(id="1", of="machine", owner="desk", machine="desk", launch=cloud.launch("desk"))
    assert await HttpLauncher().start(run, Shelf(run).record) == Told()


@pytest.mark.parametrize(
    "body, told",
    [
        (b'{"HESTIA_BASE_URL": "http://a:1"}', Told(base_url="http://a:1")),
        (b'[{"x": {"HESTIA_HEALTH_URL": "tcp://a:1"}}]', Told(health_url="tcp://a:1")),
        (b'{"HESTIA_BASE_URL": 7}', Told()),
        (b'{"HESTIA_BASE_URL": "no url"}', Told()),
        (b"HESTIA_BASE_URL=http://a:1", Told()),
        (b"[" * 5000, Told()),
    ],
)
def test_an_address_is_found_anywhere_in_the_json(body, told):
    assert told_in(Answer(200, body)) == told


# States


@pytest.mark.parametrize(
    "status, state",
    [(200, "running"), (404, "stopped"), (409, "stopped"), (401, "unknown"), (429, "unknown"), (500, "unknown")],
)
async def test_without_a_field_the_status_tells(cloud, status, state):
    cloud.fault = lambda request: web.Response(status=status)
    launch = cloud.launch("a", status=HttpStatus(url=f"http://127.0.0.1:{cloud.port}/status/a"))
    assert await HttpLauncher().state(Run(id="1", owner="a", machine="box", launch=launch)) == state


async def test_an_expected_status_is_running_whatever_it_is(cloud):
    cloud.fault = lambda request: web.Response(status=503)
    status = HttpStatus(url=f"http://127.0.0.1:{cloud.port}/status/a", expect=((503, 503),))
    assert await HttpLauncher().state(Run(id="1", owner="a", machine="b", launch=cloud.launch("a", status=status))) == (
        "running"
    )


@pytest.mark.parametrize(
    "status, body, state",
    [
        (200, '{"a": [{"b": "on"}]}', "running"),
        (200, '{"a": [{"b": "off"}]}', "stopped"),
        (200, '{"a": []}', "stopped"),
        (200, "7", "stopped"),
        (200, "<html>", "unknown"),
        (404, "{}", "stopped"),
        (400, "{}", "unknown"),
        (503, "{}", "unknown"),
    ],
)
async def test_with_a_field_the_field_tells(cloud, status, body, state):
    cloud.fault = lambda request: web.Response(status=status, text=body)
    call = HttpStatus(url=f"http://127.0.0.1:{cloud.port}/status/a", running=JsonTest(json="a.0.b", equals="on"))
    assert (
        await HttpLauncher().state(Run(id="1", owner="a", machine="box", launch=cloud.launch("a", status=call)))
        == state
    )


@pytest.mark.parametrize("found, equals", [("true", 1), ("1", True), ("0", False), ("null", False), ('"1"', 1)])
async def test_true_is_not_one(cloud, found, equals):
    cloud.fault = lambda request: web.Response(text=f'{{"x": {found}}}')
    call = HttpStatus(url=f"http://127.0.0.1:{cloud.port}/status/a", running=JsonTest(json="x", equals=equals))
    launch = cloud.launch("a", status=call)
    assert await HttpLauncher().state(Run(id="1", owner="a", machine="box", launch=launch)) == "stopped"


# Faults


async def stuck(request):
    await asyncio.sleep(30)


def cut(request):
    request.transport.abort()
    return web.Response()


FAULTS = {
    "refused": (lambda request: web.Response(status=401), "GET http://127.0.0.1:[0-9]+ answered 401$"),
    "says why": (
        lambda request: web.json_response({"message": f"bad {SECRET}"}, status=403),
        r"answered 403: bad \*\*\*",
    ),
    "500": (lambda request: web.Response(status=500, text="oh no"), "answered 500: oh no"),
    "no JSON": (lambda request: web.Response(text="<html>"), "its answer is no JSON"),
    "moved": (lambda request: web.Response(status=302, headers={"Location": "/x"}), "answered 302"),
    "hang": (stuck, "no answer within 0.2s"),
    "cut": (cut, "closed the connection without an answer|connection reset"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_of_the_status_starts_nothing_and_shows_no_secret(cloud, caplog, fault):
    caplog.set_level(logging.DEBUG)
    cloud.fault, words = FAULTS[fault]
    run = Run(id="1", owner="a", machine="box", base_url=URL, launch=cloud.launch("a"))
    launcher = HttpLauncher(pace=QUICK._replace(answer=0.2, state=0.2))
    with pytest.raises(LaunchFailed, match=words) as failed:
        await started(launcher, run)
    assert SECRET not in f"{failed.value} {failed.value!r} {failed.value.__cause__!r} {caplog.text} {launcher!r}"
    assert {what for _method, what, *_ in cloud.asked} == {"status"}
    assert await launcher.state(run) == "unknown"


@pytest.mark.parametrize("status, handle", [(403, {}), (500, {"http": "asked"})])
async def test_only_a_refusal_is_sure_to_have_started_nothing(cloud, status, handle):
    cloud.fault = lambda request: web.Response(status=status) if "/start/" in request.path else None
    shelf = Shelf(Run(id="1", owner="a", machine="box", base_url=URL, launch=cloud.launch("a")))
    with pytest.raises(LaunchFailed, match=f"POST http://127.0.0.1:{cloud.port} answered {status}"):
        await HttpLauncher().start(shelf.run, shelf.record)
    assert shelf.handles[-1] == handle


async def test_secrets_of_address_and_body_are_blotted_out(cloud):
    cloud.fault = lambda request: web.Response(status=500, text=f"{request.path_qs} pa55word")
    url = f"http://127.0.0.1:{cloud.port}/start/0123456789abcdef0123?key=hunter22"
    launch = HttpLaunch(start=HttpCall(url=url, body="pa55word"))
    run = Run(id="1", owner="a", machine="box", base_url=URL, launch=launch)
    with pytest.raises(LaunchFailed, match=r"answered 500: /start/\*\*\*\?\*\*\* \*\*\*$"):
        await started(HttpLauncher(), run)


async def test_a_stop_that_is_answered_wrongly_is_a_failure_unless_it_is_gone(rig):
    run = await started(rig.launcher, rig.make_run())
    rig.cloud.fault = lambda request: web.Response(status=409) if "/stop/" in request.path else None
    with pytest.raises(LaunchFailed, match="answered 409"):
        await rig.launcher.stop(run)
    rig.cloud.up[run.owner] = 0
    await rig.launcher.stop(run)


async def test_a_gateway_killed_while_it_asked_finds_the_run_again(cloud):
    """Without a status nobody knows whether the start arrived: it counts as running, so that it can be stopped."""
    run = Run(
        id="1", owner="a", machine="box", base_url=URL, launch=cloud.launch("a", status=None), handle={"http": "asked"}
    )
    assert await HttpLauncher().state(run) == "running"
    await HttpLauncher().stop(run)
    assert await HttpLauncher().state(replace(run, handle={})) == "stopped"
