import pytest

from hestia.launchers.json_api import NoAnswer
from hestia.launchers.semaphore_api import SemaphoreApi, refused
from hestia.launchers.semaphore_task import Errand
from hestia.words.launch_spec import SemaphoreLaunch
from hestia.words.run import Run
from hestia.words.spec import Semaphore
from tests.support.semaphore_double import TOKEN, SemaphoreDouble, empty

START = Errand(Run(id="1", owner="app", machine="box", launch=None), SemaphoreLaunch(), "start")


@pytest.fixture(params=["2.10", "2.20"])
async def double(request):
    double = await SemaphoreDouble(request.param, tick=60).open()  # the queue stands still
    double.project()
    double.template("hestia-start")
    yield double
    await double.close()


@pytest.fixture
def api(double):
    return SemaphoreApi(Semaphore(base_url=double.url, token=TOKEN), 5.0)


async def test_the_only_project_is_found(api):
    assert await api.project() == 1


async def test_a_token_without_a_project_is_said(double, api):
    double.roles[TOKEN] = "stranger"
    with pytest.raises(NoAnswer, match="the token sees no project"):
        await api.project()


async def test_a_name_goes_before_an_id(double, api):
    double.template("1")
    launch = SemaphoreLaunch(start_template="1")
    assert await api.template(1, Errand(START.run, launch, "start")) == 2


async def test_a_task_that_is_not_there_is_none(api):
    assert await api.task(1, 5) is None


async def test_a_stop_is_sent_with_a_body(double, api):
    task = await api.run(1, 1, START)
    await api.end(1, task.id, force=False)
    assert (await api.task(1, task.id)).status == "stopping"


async def test_output_comes_plain_and_line_by_line(double, api):
    task = await api.run(1, 1, START)
    double.tasks[task.id].output += ["\x1b[1mone\x1b[0m\ntwo", ""]
    assert await api.output(1, task.id) == ["one", "two", ""]


@pytest.mark.parametrize("status, final", [(400, True), (401, True), (404, True), (500, False), (502, False)])
async def test_a_5xx_says_nothing_of_what_was_done(double, api, status, final):
    double.faults.append(lambda request: empty(status))
    with pytest.raises(NoAnswer) as problem:
        await api.run(1, 1, START)
    assert problem.value.status == status
    assert refused(problem.value) == final


async def test_no_connection_says_where(double, api):
    await double.close()
    with pytest.raises(NoAnswer, match=r"Semaphore at 127\.0\.0\.1:\d+: connection refused") as problem:
        await api.project()
    assert not refused(problem.value)
