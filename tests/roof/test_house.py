"""The rooms of the House over a real gateway. What the use-cases make of them is tested at the doors."""

import pytest

from hestia.words.refusal import Refusal
from tests.life.serving import Diary, ask, launched, told, waiting
from tests.support.gateway import running

WATCHED = {"a": {"base_url": "http://127.0.0.1:1"}}


@pytest.fixture
def diary(tmp_path):
    return Diary(tmp_path / "diary")


def house(run):
    return run.gateway.rooms.house


async def test_a_request_that_waits_is_under_way_and_can_be_cancelled(diary, tmp_path):
    async with running({"a": launched(diary, "--gate", tmp_path / "gate")}) as run:
        client = await waiting(run, ask("/x", "X-Request-ID: mine"))
        found = list(house(run).exchanges.inflight())
        assert [(each.request_id, each.state, each.path) for each in found] == [("mine", "waiting", "/services/a/x")]
        assert house(run).exchanges.cancel("other") is False
        assert house(run).exchanges.cancel("mine") is True
        assert (await client.answer()).status == 503
        assert list(house(run).exchanges.inflight()) == []
        client.close()


async def test_the_figures_are_those_of_every_service(diary):
    async with running({"a": launched(diary), "b": WATCHED["a"]}) as run:
        await run.gateway.commands.start("a", wait=5.0)
        await run.ask(ask("/x"))
        whole, one = house(run).figures.metrics(None), house(run).figures.metrics("a")
    assert set(whole.services) == {"a", "b"}
    assert (one.requests, one.state, one.start_seconds.count) == (1, "hot", 1)
    assert one.hot_seconds > 0
    assert 'hestia_requests_total{service="a",code="200"} 1' in run.gateway.rooms.figures.text()


async def test_what_was_counted_is_in_the_report_at_once(diary):
    async with running({"a": launched(diary)}) as run:
        await run.ask(ask("/x"))
        report = await house(run).archive.report(None, None)
        again = await house(run).archive.report(None, None)
    assert report.services[0].requests == again.services[0].requests == 1


async def test_every_setting_is_shown():
    async with running(WATCHED) as run:
        shown = {each.key: each.value for each in house(run).settings.effective()}
        assert house(run).settings.config is run.gateway.config
    assert shown["services.a.base_url"] == "http://127.0.0.1:1"
    assert shown["log.level"] == "info"


async def test_the_level_of_the_log_changes_at_once_and_with_it_the_access_lines():
    async with running(WATCHED, strict=False) as run:
        process = house(run).gateway
        process.set_log_level("warning")
        await run.ask(ask("/x"))
        assert told(run, "request") == []
        process.set_log_level("info")
        await run.ask(ask("/x"))
        assert len(told(run, "request")) == 1
        assert process.log_level == "info"


async def test_the_gateway_says_where_it_listens_and_ends_only_where_somebody_ends_it():
    async with running(WATCHED) as run:
        process = house(run).gateway
        assert list(process.addresses) == run.gateway.addresses
        process.end = None
        with pytest.raises(Refusal, match="cannot be ended"):
            process.drain()
        ends = []
        process.end = ends.append
        assert (process.drain(), process.shutdown()) == (0, 0)
    assert ends == [True, False]
