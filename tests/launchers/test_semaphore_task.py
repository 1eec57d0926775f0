import pytest

from hestia.launchers.json_api import NoAnswer
from hestia.launchers.semaphore_task import Errand, Task, heard, last_words, newest_first, plain, read_task
from hestia.words.launch_spec import SemaphoreLaunch
from hestia.words.run import Run, Told


def errand(action="start", **more):
    keys = dict(id="one life", owner="app", machine="box", launch=SemaphoreLaunch())
    run = Run(**(keys | more))
    return Errand(run, run.launch, action)


def test_a_message_names_service_action_and_run():
    assert errand().message == "hestia:app:start:27b988bf6fb34b25"
    assert errand().nonce == errand("stop").nonce
    assert errand().nonce != errand(id="another").nonce


@pytest.mark.parametrize(
    "line, told",
    [
        ("HESTIA_BASE_URL=http://10.0.0.5:8000", Told(base_url="http://10.0.0.5:8000")),
        ('    "msg": "HESTIA_BASE_URL=https://vm.example/x"', Told(base_url="https://vm.example/x")),
        (
            'box | SUCCESS => {"msg": "HESTIA_BASE_URL=http://[::1]:80", "changed": false}',
            Told(base_url="http://[::1]:80"),
        ),
        (
            r'"msg": "HESTIA_BASE_URL=http://a:1\nHESTIA_HEALTH_URL=tcp://a:2"',
            Told(base_url="http://a:1", health_url="tcp://a:2"),
        ),
        ('"cmd": "echo HESTIA_BASE_URL=http://$(hostname):80"', Told()),
        ("HESTIA_BASE_URL=http://{{ ip }}:8000", Told()),
        ("HESTIA_BASE_URL=ftp://a", Told()),
        ("HESTIA_BASE_URL=", Told()),
    ],
)
def test_an_address_is_heard_as_ansible_shows_it(line, told):
    said = heard([line])
    assert (said.base_url, said.health_url) == (told.base_url, told.health_url)


def test_the_last_address_counts_and_a_bad_one_takes_none_away():
    lines = ["HESTIA_BASE_URL=http://a:1", "HESTIA_BASE_URL=http://a:2", "HESTIA_BASE_URL=nothing"]
    assert heard(lines).base_url == "http://a:2"


@pytest.mark.parametrize(
    "line, shown",
    [
        ("\x1b[0;31mfatal\x1b[0m: x\r\n", "fatal: x"),
        ("10%\r50%\r100%", "100%"),
        ("\x1b]0;title\x07ok\x00", "ok"),
        ("tab\there", "tab\there"),
    ],
)
def test_a_line_is_shown_without_colours_and_control_characters(line, shown):
    assert plain(line) == shown


def test_last_words_are_one_bounded_line():
    assert last_words(["", "  "]) == ""
    assert last_words(["a", "", " b "]) == "a | b"
    assert last_words([str(n) for n in range(100)]).startswith("88 | 89")
    assert len(last_words(["x" * 9999])) == 1503


def test_tasks_are_ordered_by_their_time_and_not_by_their_ids():
    early, late = "2026-11-21T01:46:29Z", "2026-11-21T01:46:29.459824007Z"
    rows = [{"id": 9, "status": "success", "created": early}, {"id": 3, "status": "success", "created": late}]
    assert [task.id for task in newest_first(map(read_task, rows))] == [3, 9]


@pytest.mark.parametrize("row", [{}, [], None, {"id": "1", "status": "x"}, {"id": 1}, "text"])
def test_what_is_no_task_is_no_answer(row):
    with pytest.raises(NoAnswer, match="its answer is no task"):
        read_task(row)


def test_a_task_is_read_whatever_else_a_version_says_or_leaves_out():
    assert read_task({"id": 1, "status": "success"}) == Task(id=1, status="success")
    row = {"id": 1, "status": "new word", "message": None, "created": "never", "environment": "[1]", "params": {}}
    assert read_task(row) == Task(id=1, status="new word")
    assert not read_task(row).finished


def test_a_task_of_another_machine_or_address_is_not_of_this_place():
    def task(**more):
        variables = {"hestia_machine": "box", "hestia_base_url": ""} | more
        return Task(id=1, status="running", message="hestia:app:start:0", variables=variables)

    assert errand().of_this_place(task(), "start")
    assert not errand().of_this_place(task(), "stop")
    assert not errand().of_this_place(task(hestia_machine="other"), "start")
    assert not errand(base_url="http://a:1").of_this_place(task(), "start")
    assert not errand(owner="ap").of_this_place(task(), "start")
