"""`/v1/report`."""

import pytest

from tests.life.serving import Diary, launched
from tests.support.asking import get, post, problem, raw
from tests.support.gateway import running


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path / "diary")


async def test_the_report_says_who_woke_it_how_often_it_was_asked_and_what_was_saved(diary):
    async with running({"a": launched(diary, cost_per_hour=2), "b": {"base_url": "http://127.0.0.1:1"}}) as run:
        await run.ask(raw("GET", "/services/a/x"))
        for _ in range(4):
            await run.ask(raw("GET", "/services/a/x"))
        await post(run, "/v1/services/a/stop?wait=true")
        await post(run, "/v1/services/a/start?wait=true")
        code, report = await get(run, "/v1/report")
    services = {each["id"]: each for each in report["services"]}
    assert code == 200
    assert (services["a"]["requests"], services["a"]["starts"]) == (5, 2)
    assert {each["who"]: each["starts"] for each in services["a"]["woken_by"]} == {"127.0.0.1": 1, "command": 1}
    assert services["a"]["cost"] is not None
    assert services["a"]["saving"] is not None
    assert services["b"]["hours_asleep"] is None  # it is only watched
    assert {each["id"] for each in report["machines"]} == {"local"}
    assert report["until"].endswith("Z")


async def test_the_time_of_the_report_may_be_given(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(raw("GET", "/services/a/x"))
        _, past = await get(run, "/v1/report?since=2020-01-01&until=2020-01-02")
        assert past["since"] == "2020-01-01T00:00:00.000Z"
        assert [each["requests"] for each in past["services"]] == [0]


@pytest.mark.parametrize("query", ["since=soon", "until=x", "since=2026-01-02&until=2026-01-01"])
async def test_a_time_that_is_none_is_a_400(query):
    async with running() as run:
        assert await problem(run, raw("GET", f"/v1/report?{query}")) == (400, "bad_request")
