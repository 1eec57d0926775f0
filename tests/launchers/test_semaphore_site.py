import asyncio

import pytest

from hestia.launchers.json_api import NoAnswer
from hestia.launchers.semaphore_api import SemaphoreApi
from hestia.launchers.semaphore_site import Pace, Site, is_ours, number_in
from hestia.launchers.semaphore_task import Errand
from hestia.ports import LaunchFailed
from hestia.words.launch_spec import SemaphoreLaunch
from hestia.words.run import Run
from hestia.words.spec import Semaphore
from tests.support.semaphore_double import TOKEN, Play, SemaphoreDouble, empty

PACE = Pace(poll=0.01, later=0.01, ending=0.1, lost=0.1)


@pytest.fixture
async def double():
    double = await SemaphoreDouble().open()
    double.project()
    double.template("hestia-start", Play(lasts=30))
    yield double
    await double.close()


@pytest.fixture
def site(double):
    run = Run(id="1", owner="app", machine="box", launch=None)
    api = SemaphoreApi(Semaphore(base_url=double.url, token=TOKEN), 5.0)
    return Site(api, 1, Errand(run, SemaphoreLaunch(), "start"), PACE)


def test_a_handle_of_another_launcher_says_nothing():
    run = Run(id="1", owner="app", machine="box", launch=None, handle={"pid": 3, "task": 7})
    assert not is_ours(run)
    assert number_in(run) is None


async def test_a_task_that_was_not_begun_is_looked_for_and_the_reason_is_kept(double, site):
    double.faults.append(lambda request: empty(502) if request.method == "POST" else None)
    with pytest.raises(NoAnswer, match="502"):
        await site.begun(1)
    assert double.asked.count(("GET", "/api/project/1/tasks/last")) == 3


async def test_a_task_that_somebody_deleted_is_said(double, site):
    task = await site.begun(1)
    double.tasks.clear()
    with pytest.raises(LaunchFailed, match=f"Semaphore's task {task.id} is not there any more"):
        await site.end_of(task, 5)


async def test_a_task_that_heeds_no_stop_is_stopped_by_force(double, site):
    double.plays["hestia-start"].stubborn = True
    task = await site.begun(1)
    while double.tasks[task.id].work is None:
        await asyncio.sleep(0.001)
    await site.make_end(task)
    assert double.tasks[task.id].said["status"] == "stopped"


async def test_a_task_that_never_ends_is_a_failure(double, site):
    task = await site.begun(1)
    double.faults.append(lambda request: empty(204) if request.path.endswith("/stop") else None)
    with pytest.raises(LaunchFailed, match="does not end, though Semaphore was asked to stop it"):
        await site.make_end(task)


async def test_a_failure_whose_output_cannot_be_read_says_so(double, site):
    task = await site.begun(1)
    double.faults.append(lambda request: empty(500) if request.path.endswith("/output") else None)
    assert "ended with the status waiting: its output cannot be read: Semaphore at" in str(await site.failure(task))


async def test_a_task_without_output_says_so(double, site):
    double.plays["hestia-start"].lines = ()
    task = await site.begun(1)
    assert str(await site.failure(task)).endswith("it has no output")
