"""The steps know whether they showed what they say. The whole walk stands in test_demo_tour."""

import io
import json

import pytest

from hestia.cli import demo_walk
from hestia.cli.demo_home import Home
from hestia.cli.demo_screen import Screen
from hestia.cli.demo_visitor import Answer, Visitor
from hestia.cli.demo_walk import STEPS, Step, walk

FULL = Answer(503, "Queue full", {"Retry-After": "5", "Content-Type": "application/problem+json"}, json.dumps({"code": "queue_full", "detail": "2 wait"}), 0.01)


class Scripted(Visitor):
    """Gets the answers that a test gives it, and nothing else."""

    def __init__(self, folder, answers, says=""):
        super().__init__(Home("http://127.0.0.1:1", folder), Screen(io.StringIO(), lambda: None), None)
        self.answers, self.says = answers, says

    @property
    def told(self):
        return self.screen._out.getvalue()

    async def ask(self, path, *, headers=None, body=None):
        return self.answers(path)

    async def chat(self, path, body):
        return self.answers(path).status, 0

    async def hestiactl(self, *words):
        return self.says


def good(text="{}", took=0.1, status=200, **headers):
    return Answer(status, "OK", headers, text, took)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(demo_walk, "SOON_S", 0.05)
    monkeypatch.setattr(demo_walk, "LOOK_EVERY_S", 0.01)


async def broken(_):
    return False


async def fine(_):
    return True


async def test_a_walk_goes_on_after_a_step_that_failed_and_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_walk, "STEPS", (Step("One", "It breaks.", broken), Step("Two", "It works.", fine)))
    visitor = Scripted(tmp_path, None)
    visitor.home.log.write_text("".join(f"line {number}\n" for number in range(9)))
    assert await walk(visitor) is False
    assert "This is not what was meant to be shown." in visitor.told
    assert "line 3" not in visitor.told
    assert "line 8\n" in visitor.told
    assert "2/2  Two" in visitor.told


async def test_a_walk_without_a_mistake_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_walk, "STEPS", (Step("One", "It works.", fine),))
    visitor = Scripted(tmp_path, None)
    assert await walk(visitor) is True
    assert "not what was meant" not in visitor.told


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.show.__name__)
async def test_no_step_takes_an_error_for_what_it_shows(step, tmp_path):
    assert await step.show(Scripted(tmp_path, lambda _: good("oh no", status=500), "cannot be reached")) is False


@pytest.mark.parametrize("times, well", [((2.0, 0.01), True), ((0.01, 0.02), False)])
async def test_the_second_request_is_to_be_the_faster_one(tmp_path, times, well):
    answers = iter(times)
    assert await demo_walk.cold_then_hot(Scripted(tmp_path, lambda _: good(took=next(answers)))) is well


async def test_a_full_line_is_two_answers_in_order_and_two_refusals(tmp_path):
    def answers(path):
        number = path[-1]
        if number in "12":
            return good(took=int(number))
        return FULL if number in "34" else good('{"leases": 0, "waiters": 2}')

    visitor = Scripted(tmp_path, answers)
    assert await demo_walk.full_line(visitor) is True
    assert "3: HTTP/1.1 503 Queue full, Retry-After: 5  [10 ms]  queue_full: 2 wait\n" in visitor.told


async def test_a_line_that_refuses_nobody_was_not_full(tmp_path):
    visitor = Scripted(tmp_path, lambda path: good('{"leases": 1, "waiters": 2}', took=int(path[-1]) if path[-1].isdigit() else 0))
    assert await demo_walk.full_line(visitor) is False


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.show.__name__)
def test_each_step_is_told_in_one_or_two_sentences(step):
    assert 1 <= sum(step.words.count(end) for end in (". ", ".\n")) + step.words.endswith(".") <= 2
