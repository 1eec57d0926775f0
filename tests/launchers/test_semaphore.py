import asyncio
import itertools
import json
import logging

import pytest
from aiohttp import web
from msgspec.structs import replace

from hestia.launchers.semaphore import SemaphoreLauncher
from hestia.launchers.semaphore_site import Pace
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import CommandLaunch, SemaphoreLaunch
from hestia.words.run import Run, Told
from hestia.words.spec import Semaphore
from tests.support.conformance import (
    Cancelled,
    Crashing,
    Failing,
    Lives,
    Shelf,
    Slow,
    Tells,
    WithEngine,
    WithLogs,
    started,
    until,
)
from tests.support.semaphore_double import TOKEN, Play, SemaphoreDouble, empty, shown

QUICK = Pace(poll=0.01, later=0.02, start=10, stop=10, ending=0.5, lost=0.3, answer=5)
URL = "http://127.0.0.1:9999"


class SemaphoreRig:
    """Each run is a service of its own, with the templates that it finds by their names."""

    failure_says = "fatal: no route to the moon"
    crash_says = "it fell over"

    def __init__(self, double):
        self.double = double
        self.numbers = itertools.count(1)
        self.launcher = self.new_gateway()

    def new_gateway(self):
        settings = Semaphore(base_url=self.double.url, token=TOKEN)
        return SemaphoreLauncher(lambda: settings, pace=QUICK, ready=self.ready)

    async def ready(self, run):
        return run.owner.startswith("talking") and self.double.up.get(run.owner, 0) > 0

    def make(self, name, play=None, launch=None, **more):
        name = f"{name}{next(self.numbers)}"
        if play is not None:
            self.double.template(f"{name}-start", play)
        keys = dict(id=f"run-{name}", owner=name, machine="box", base_url=URL, launch=launch or SemaphoreLaunch())
        return Run(**(keys | more))

    def make_run(self):
        return self.make("plain")

    def make_slow(self):
        return self.make("slow", Play(lasts=0.4))

    def make_failing(self):
        return self.make("failing", Play(lines=("TASK [x]", self.failure_says, ""), fails=True))

    def make_crashing(self):
        return self.make("crashing", Play(lines=(self.crash_says,), fails=True))

    def make_talking(self):
        return self.make("talking", Play(lines=("first", "second", "third"), lasts=30, ticks=0.05))

    def make_telling(self):
        told = r'    "msg": "HESTIA_BASE_URL=http://127.0.0.1:4567\nHESTIA_HEALTH_URL=http://127.0.0.1:4567/healthz"'
        return self.make("telling", Play(lines=("ok: [box] => {", told, "}")), base_url=None)

    async def running_really(self, run):
        return self.double.up.get(run.owner, 0)

    async def break_engine(self):
        await self.double.close()

    async def heal_engine(self):
        await self.double.open()


async def opened(version="2.10", **more):
    double = SemaphoreDouble(version, **more)
    double.project()
    double.template("hestia-start")
    double.template("hestia-stop")
    await double.open()
    return double


@pytest.fixture(params=["2.10", "2.20"])
async def double(request):
    double = await opened(request.param)
    yield double
    await double.close()


@pytest.fixture
async def rig(double):
    return SemaphoreRig(double)


class TestConformance(Lives, Cancelled, WithEngine, Slow, Crashing, Failing, WithLogs, Tells):
    pass


# Which project, which template, which variables


async def test_a_task_gets_the_variables_as_texts_and_the_message(rig):
    launch = SemaphoreLaunch(
        machine_id="aws-gpu", vars={"gpus": 2, "spot": True, "sizes": [1], "none": None, "hestia_service": "x"}
    )
    run = rig.make("app", launch=launch)
    await started(rig.launcher, run)
    [variables] = rig.double.extra_vars
    assert variables == {
        "gpus": "2",
        "spot": "true",
        "sizes": [1],
        "none": "",
        "hestia_service": run.owner,
        "hestia_machine": "aws-gpu",
        "hestia_action": "start",
        "hestia_base_url": URL,
    }
    [message] = rig.double.began()
    assert message.startswith(f"hestia:{run.owner}:start:")


async def test_an_address_that_is_to_be_told_is_an_empty_text(rig):
    await started(rig.launcher, rig.make_telling())
    assert rig.double.extra_vars[0]["hestia_base_url"] == ""


async def test_a_machines_id_stands_for_the_services(rig):
    rig.double.template("desk-start", Play(lines=("woken by its own",)))
    run = rig.make("desk", of="machine", owner="desk", machine="desk", base_url=None)
    assert await rig.launcher.start(run, Shelf(run).record) == Told()  # a machine needs no address
    assert rig.double.extra_vars[0]["hestia_service"] == rig.double.extra_vars[0]["hestia_machine"] == "desk"
    assert rig.double.bodies[0]["template_id"] == 3


@pytest.mark.parametrize("wanted", ["my own", "3"])
async def test_a_configured_template_is_found_by_name_and_by_id(rig, wanted):
    rig.double.template("my own")
    await started(rig.launcher, rig.make("app", launch=SemaphoreLaunch(start_template=wanted)))
    assert rig.double.bodies[0]["template_id"] == 3


async def test_a_template_of_the_services_own_name_goes_before_the_general_one(rig):
    run = rig.make("app", Play())
    await started(rig.launcher, run)
    assert rig.double.bodies[0]["template_id"] == 3


async def test_a_missing_template_is_named_with_the_key_to_set(rig):
    with pytest.raises(LaunchFailed, match=r"project 1 has no template other: make it, or set launch.start_template"):
        await started(rig.launcher, rig.make("app", launch=SemaphoreLaunch(start_template="other")))
    rig.double.lists[1, "templates"].clear()
    with pytest.raises(LaunchFailed, match=r"no template app\d+-start nor hestia-start"):
        await started(rig.launcher, rig.make("app"))


async def test_of_two_projects_one_must_be_named(rig):
    rig.double.project("other")
    with pytest.raises(
        LaunchFailed, match=r"sees the projects 1 \(hestia\), 2 \(other\): say which in semaphore.project_id"
    ):
        await started(rig.launcher, rig.make_run())
    settings = Semaphore(base_url=rig.double.url, token=TOKEN, project_id=1)
    await started(SemaphoreLauncher(lambda: settings, pace=QUICK), rig.make_run())


async def test_a_base_url_may_end_with_a_slash_or_with_api(rig):
    for ending in ("/", "/api", "/api/"):
        settings = Semaphore(base_url=rig.double.url + ending, token=TOKEN + "\n")
        await started(SemaphoreLauncher(lambda s=settings: s, pace=QUICK), rig.make_run())


@pytest.mark.parametrize(
    "settings, words",
    [
        (None, "semaphore.base_url is not set"),
        (Semaphore(token="t"), "SEMAPHORE_BASE_URL"),
        (Semaphore(base_url="http://127.0.0.1:1"), "semaphore.token is not set .or SEMAPHORE_API_TOKEN"),
    ],
)
async def test_what_is_not_configured_is_said(settings, words):
    launcher = SemaphoreLauncher(lambda: settings)
    run = Run(id="1", owner="app", machine="box", launch=SemaphoreLaunch())
    with pytest.raises(LaunchFailed, match=words):
        await started(launcher, run)
    assert await launcher.state(run) == "unknown"


# A task is found again


async def test_a_task_of_a_killed_gateway_is_followed_by_the_next_one(rig):
    shelf = Shelf(rig.make_slow())
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await until(rig.double.began)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    kept = replace(shelf.kept(), handle=shelf.handles[0])  # killed before the task's id was on disk
    other = rig.new_gateway()
    assert await other.state(kept) == "running"
    await started(other, kept)
    assert len(rig.double.began("start")) == 1
    assert rig.double.up[shelf.run.owner] == 1


async def test_a_start_of_the_same_place_that_another_gateway_began_is_joined(rig):
    run = rig.make_slow()
    first = asyncio.ensure_future(started(rig.launcher, run))
    await until(rig.double.began)
    again = await started(rig.new_gateway(), replace(run, id="another life"))
    await first
    assert len(rig.double.began("start")) == 1
    await rig.launcher.stop(again)
    assert rig.double.up[run.owner] == 0


async def test_two_places_of_one_service_have_a_task_each(rig):
    run = rig.make_slow()
    other = replace(run, id="second place", number=1, machine="other", base_url="http://127.0.0.1:9998")
    await asyncio.gather(started(rig.launcher, run), started(rig.launcher, other))
    assert len(rig.double.began("start")) == 2


async def test_an_answer_that_is_lost_begins_no_second_task(rig):
    def cut_once(request):
        if request.method == "POST" and request.path.endswith("/tasks"):
            rig.double.faults.remove(cut_once)
            return cut_after(rig.double, request)
        return None

    rig.double.faults.append(cut_once)
    run = await started(rig.launcher, rig.make_run())
    assert len(rig.double.began("start")) == 1
    assert rig.double.up[run.owner] == 1


async def cut_after(double, request):
    double._new_task(request, await request.json())
    request.transport.abort()
    return web.Response()


async def test_a_start_waits_for_a_stop_that_another_gateway_began(rig):
    run = rig.make_run()
    rig.double.template(f"{run.owner}-stop", Play(lasts=0.3, up_after=1))
    run = await started(rig.launcher, run)
    stop = asyncio.ensure_future(rig.launcher.stop(run))
    await until(lambda: rig.double.began("stop"))
    again = await started(rig.new_gateway(), replace(run, id="next", handle={}))
    await stop
    assert rig.double.up[run.owner] == 1
    assert await rig.launcher.state(again) == "running"


async def test_a_failed_start_is_tried_again_with_a_new_task(rig):
    run = rig.make("app", Play(fails=True))
    for _attempt in range(2):
        with pytest.raises(LaunchFailed):
            await started(rig.launcher, run)
    rig.double.plays[f"{run.owner}-start"].fails = False
    await started(rig.launcher, run)
    assert len(rig.double.began("start")) == 3


async def test_what_was_stopped_can_be_started_again(rig):
    run = await started(rig.launcher, rig.make_run())
    await rig.launcher.stop(run)
    again = await started(rig.launcher, run)
    assert rig.double.up[run.owner] == 1
    assert await rig.launcher.state(again) == "running"


async def test_a_second_stop_runs_nothing(rig):
    run = await started(rig.launcher, rig.make_run())
    await rig.launcher.stop(run)
    await rig.launcher.stop(run)
    assert len(rig.double.began("stop")) == 1


async def test_a_run_that_semaphore_has_forgotten_still_runs_and_can_be_stopped(rig):
    run = await started(rig.launcher, rig.make_run())
    rig.double.tasks.clear()
    assert await rig.launcher.state(run) == "running"
    await rig.launcher.stop(run)
    assert rig.double.up[run.owner] == 0


async def test_a_task_that_newer_ones_pushed_off_the_list_is_asked_for_by_itself(rig):
    run = await started(rig.launcher, rig.make_run())
    for _ in range(200):
        rig.double._row(1, {"template_id": 1, "message": "cron"}).said["status"] = "success"
    assert await rig.launcher.state(run) == "running"
    await rig.launcher.stop(run)
    assert await rig.launcher.state(run) == "stopped"


# Ends


async def test_a_failure_names_the_task_its_status_and_the_last_lines(rig):
    run = rig.make("app", Play(lines=("\x1b[0;31mfatal: [box]: FAILED! =>\x1b[0m", "PLAY RECAP"), fails=True))
    with pytest.raises(LaunchFailed) as failed:
        await started(rig.launcher, run)
    number = max(rig.double.tasks)
    assert str(failed.value) == (
        f"Semaphore's task {number} ended with the status error: fatal: [box]: FAILED! => | PLAY RECAP"
    )


async def test_a_start_without_any_address_fails_and_says_so(rig):
    shelf = Shelf(rig.make("app", base_url=None))
    with pytest.raises(LaunchFailed, match="ended without a line HESTIA_BASE_URL=..., and base_url is not set"):
        await rig.launcher.start(shelf.run, shelf.record)
    assert rig.double.up[shelf.run.owner] == 1
    await rig.launcher.stop(shelf.kept())
    assert rig.double.up[shelf.run.owner] == 0


async def test_readiness_may_come_before_the_playbooks_end(rig):
    run = await started(rig.launcher, rig.make_talking())
    [row] = rig.double.tasks.values()
    assert row.said["status"] == "running"
    await rig.launcher.stop(run)
    assert row.said["status"] == ("error" if rig.double.old else "stopped")
    assert rig.double.up[run.owner] == 0


async def test_an_address_told_on_the_way_is_what_readiness_is_asked_of(double):
    seen = []

    async def ready(run):
        seen.append(run.told)
        return run.told.base_url is not None

    launcher = SemaphoreLauncher(lambda: Semaphore(base_url=double.url, token=TOKEN), pace=QUICK, ready=ready)
    double.template("app-start", Play(lines=("HESTIA_BASE_URL=http://10.0.0.5:8000",), lasts=30))
    run = Run(id="1", owner="app", machine="box", launch=SemaphoreLaunch())
    assert await launcher.start(run, Shelf(run).record) == Told(base_url="http://10.0.0.5:8000")
    assert seen[-1] == Told(base_url="http://10.0.0.5:8000")


async def test_a_task_that_waits_in_the_queue_is_ended_by_a_stop(rig):
    first, shelf = rig.make("a", launch=SemaphoreLaunch(start_template="slow-one")), None
    rig.double.template("slow-one", Play(lasts=5))
    shelf = Shelf(rig.make("b", launch=SemaphoreLaunch(start_template="slow-one")))
    starts = [asyncio.ensure_future(rig.launcher.start(first, Shelf(first).record))]
    await until(rig.double.began)
    starts.append(asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record)))
    await until(lambda: len(shelf.handles) == 2)
    await rig.launcher.stop(shelf.kept())
    with pytest.raises(LaunchFailed, match="ended with the status stopped"):
        await starts[1]
    starts[0].cancel()
    await asyncio.gather(*starts, return_exceptions=True)


async def test_a_zombie_of_a_killed_server_is_ended_by_a_stop(rig):
    shelf = Shelf(rig.make_slow())
    start = asyncio.ensure_future(rig.launcher.start(shelf.run, shelf.record))
    await until(lambda: [row for row in rig.double.tasks.values() if row.said["status"] == "running"])
    await rig.double.close()
    await rig.double.open()
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    assert await rig.launcher.state(shelf.kept()) == "running"
    await rig.launcher.stop(shelf.kept())
    assert await rig.launcher.state(shelf.kept()) == "stopped"


async def test_an_old_zombie_is_not_joined(rig):
    run = rig.make_slow()
    row = rig.double._row(
        1,
        {
            "template_id": 1,
            "message": f"hestia:{run.owner}:start:0000",
            "environment": json.dumps({"hestia_machine": "box", "hestia_base_url": URL}),
        },
    )
    row.said |= {"status": "running", "created": "2020-01-01T00:00:00Z"}
    row.work = asyncio.get_running_loop().create_future()
    await started(rig.launcher, run)
    assert len(rig.double.began("start")) == 2


async def test_a_server_that_restarts_during_a_task_is_waited_for(rig):
    rig.double.template("hard-start", Play(lasts=0.2))
    start = asyncio.ensure_future(
        started(rig.launcher, rig.make("x", launch=SemaphoreLaunch(start_template="hard-start")))
    )
    await until(lambda: [row for row in rig.double.tasks.values() if row.said["status"] == "running"])
    await rig.double.close()
    [row] = rig.double.tasks.values()
    await asyncio.sleep(0.05)  # a few polls that find nobody
    row.said["status"] = "success"
    await rig.double.open()
    await start


async def test_a_server_that_stays_away_ends_the_start(rig):
    run = rig.make_slow()
    start = asyncio.ensure_future(started(rig.launcher, run))
    await until(lambda: [row for row in rig.double.tasks.values() if row.said["status"] == "running"])
    await rig.double.close()
    with pytest.raises(LaunchFailed, match="connection refused"):
        await start


async def test_a_task_that_does_not_end_within_the_limit_is_a_failure(double):
    pace = QUICK._replace(start=0.1)
    launcher = SemaphoreLauncher(lambda: Semaphore(base_url=double.url, token=TOKEN), pace=pace)
    double.template("app-start", Play(lasts=30))
    with pytest.raises(LaunchFailed, match="still runs after 0.1s"):
        await started(launcher, Run(id="1", owner="app", machine="box", base_url=URL, launch=SemaphoreLaunch()))


async def test_a_stop_that_fails_says_why_and_is_tried_again(rig):
    run = await started(rig.launcher, rig.make_run())
    rig.double.template(f"{run.owner}-stop", Play(lines=("it holds on",), fails=True))
    with pytest.raises(LaunchFailed, match="it holds on"):
        await rig.launcher.stop(run)
    assert await rig.launcher.state(run) == "running"
    rig.double.plays[f"{run.owner}-stop"].fails = False
    await rig.launcher.stop(run)
    assert await rig.launcher.state(run) == "stopped"


async def test_it_stops_what_another_launcher_started(rig):
    run = rig.make(
        "app", launch=CommandLaunch(start=("true",)), stop_with=SemaphoreLaunch(), handle={"pid": 1, "task": 5}
    )
    rig.double.up[run.owner] = 1
    await rig.launcher.stop(run)
    assert rig.double.up[run.owner] == 0
    rig.double.up[run.owner] = 1  # its launcher started it once more in the same life
    await rig.launcher.stop(run)
    assert rig.double.up[run.owner] == 0


# Faults


async def stuck(request):
    await asyncio.sleep(30)


def cut(request):
    request.transport.abort()
    return web.Response()


FAULTS = {
    "refused": (lambda request: empty(401), "answered 401: the token is not accepted"),
    "forbidden": (lambda request: empty(403), "the token may not do this: it needs the role task_runner"),
    "not found": (lambda request: empty(404), "answered 404"),
    "moved": (lambda request: web.Response(status=302, headers={"Location": "/login"}), "it redirects"),
    "empty 500": (lambda request: empty(500), "500: without a word; it does so when a template has no environment"),
    "says why": (lambda request: shown({"error": "No active subscription available."}, 403), "project: No active sub"),
    "says why not": (
        lambda request: shown({"error": f"database is locked {TOKEN}"}, 503),
        r"database is locked \*\*\*",
    ),
    "no JSON": (lambda request: web.Response(text="<html>"), "its answer is no JSON; is it Semaphore"),
    "no list": (lambda request: shown({"a": 1}), "is it Semaphore"),
    "hang": (stuck, "no answer within"),
    "cut": (cut, "closed the connection without an answer|connection reset"),
    "endless": (lambda request: web.Response(body=b"[" * 9_000_000), "its answer is longer than 8192 KiB"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_fails_the_start_with_its_reason_and_never_shows_the_token(rig, caplog, fault):
    answer, words = FAULTS[fault]
    rig.double.faults.append(answer)
    settings = Semaphore(base_url=rig.double.url, token=TOKEN)
    launcher = SemaphoreLauncher(lambda: settings, pace=QUICK._replace(answer=0.5))
    shelf = Shelf(rig.make_run())
    caplog.set_level(logging.DEBUG)
    with pytest.raises(LaunchFailed, match=words) as failed:
        await launcher.start(shelf.run, shelf.record)
    error = failed.value
    assert TOKEN not in "".join([str(error), repr(error), repr(error.__cause__), caplog.text, repr(launcher)])
    assert f"Semaphore at 127.0.0.1:{rig.double.port}" in str(error)
    assert shelf.handles == []


async def test_a_refused_task_leaves_nothing_to_stop(rig):
    rig.double.roles[TOKEN] = "guest"
    shelf = Shelf(rig.make_run())
    with pytest.raises(LaunchFailed, match="403"):
        await rig.launcher.start(shelf.run, shelf.record)
    assert shelf.handles[-1] == {}


async def test_a_template_without_an_environment_is_explained(rig):
    run = rig.make("app", launch=SemaphoreLaunch(start_template="bare"))
    rig.double.template("bare", environment=None)
    with pytest.raises(LaunchFailed, match="500: without a word; it does so when a template has no environment"):
        await started(rig.launcher, run)
    assert rig.double.up == {}


async def test_a_token_that_is_taken_away_during_a_task_ends_the_start_at_once(rig):
    start = asyncio.ensure_future(started(rig.launcher, rig.make_slow()))
    await until(lambda: [row for row in rig.double.tasks.values() if row.said["status"] == "running"])
    rig.double.roles.clear()
    with pytest.raises(LaunchFailed, match="401: the token is not accepted"):
        await start


async def test_a_refusal_does_not_make_what_never_ran_unknown(rig):
    """Else nothing would start, and nobody would read that the token is not accepted."""
    run = await started(rig.launcher, rig.make_run())
    rig.double.roles.clear()
    assert await rig.launcher.state(rig.make_run()) == "stopped"
    assert await rig.launcher.state(run) == "unknown"


async def test_a_token_in_the_output_is_blotted_out(rig):
    run = rig.make("app", Play(lines=(f"curl -H 'Bearer {TOKEN}'",), fails=True))
    with pytest.raises(LaunchFailed, match=r"Bearer \*\*\*"):
        await started(rig.launcher, run)


async def test_lines_that_cannot_be_had_say_why(rig):
    run = await started(rig.launcher, rig.make_run())
    await rig.double.close()
    [line] = await rig.launcher.lines(run, 10)
    assert "connection refused" in line
    await rig.double.open()
