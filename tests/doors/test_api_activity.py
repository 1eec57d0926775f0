"""`/v1/activity`."""

import pytest

from tests.life.serving import Diary, launched
from tests.support.asking import get, post, problem, raw
from tests.support.gateway import running


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path / "diary")


async def test_what_happened_is_told_newest_first_as_soon_as_it_happened(diary):
    async with running({"a": launched(diary)}) as run:
        await post(run, "/v1/services/a/start?wait=true")
        code, found = await get(run, "/v1/activity")
    kinds = [entry["kind"] for entry in found["activity"]]
    ids = [entry["id"] for entry in found["activity"]]
    assert (code, kinds[0], kinds[-1], found["next"]) == (200, "service.ready", "service.starting", None)
    assert ids == sorted(ids, reverse=True)


async def test_a_request_that_woke_a_service_is_named(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(raw("GET", "/services/a/x", None, "X-Request-ID: mine"))
        _, found = await get(run, "/v1/activity?kind=service.starting")
    assert [(entry["cause"], entry["request_id"]) for entry in found["activity"]] == [("request", "mine")]


async def test_pages_follow_each_other_without_a_gap_while_more_happens(diary):
    async with running({"a": launched(diary)}) as run:
        for _ in range(3):
            await post(run, "/v1/services/a/start?wait=true")
            await post(run, "/v1/services/a/stop?wait=true")
        _, whole = await get(run, "/v1/activity?limit=1000")
        seen, cursor = [], ""
        while cursor is not None:
            _, page = await get(run, f"/v1/activity?limit=2&cursor={cursor}" if cursor else "/v1/activity?limit=2")
            if not cursor:
                await post(run, "/v1/services/a/stop?hold=true")
            seen += page["activity"]
            cursor = page["next"]
    assert seen == whole["activity"]


async def test_filters_narrow_it(diary, tmp_path):
    async with running({"a": launched(diary), "b": launched(Diary(tmp_path / "b"))}) as run:
        await post(run, "/v1/services/a/start?wait=true")
        await post(run, "/v1/services/b/start?wait=true")
        _, of_b = await get(run, "/v1/activity?service=b")
        assert {entry["service"] for entry in of_b["activity"]} == {"b"}
        first, last = of_b["activity"][-1], of_b["activity"][0]
        _, since = await get(run, f"/v1/activity?service=b&since={last['ts']}")
        assert last in since["activity"]  # from `since` on
        _, until = await get(run, f"/v1/activity?service=b&until={first['ts']}")
        assert first not in until["activity"]  # before `until`
        _, none = await get(run, "/v1/activity?service=nobody")
        assert none == {"activity": [], "next": None}
        _, hour = await get(run, "/v1/activity?since=1h&limit=1000")
        assert first in hour["activity"]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "since=yesterday", "until=", "cursor=1", "cursor=x-y", "since=2026-13-01"]
)
async def test_a_filter_that_is_none_is_a_400(query):
    async with running() as run:
        assert await problem(run, raw("GET", f"/v1/activity?{query}")) == (400, "bad_request")


async def test_an_unknown_filter_is_ignored():
    async with running() as run:
        assert (await get(run, "/v1/activity?color=red&limit=5"))[0] == 200
