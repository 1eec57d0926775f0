"""The use-cases, on a gateway that only remembers what it was asked."""

import asyncio
import math
from datetime import UTC, datetime

import msgspec
import pytest

import hestia
from hestia.doors.verbs import VERBS, Rejected, Stream, UnknownVerb, Verbs, close_stream
from hestia.doors.verbs_params import BadParams, moment
from hestia.fence import Fence
from hestia.telemetry.bulletin import Missed
from hestia.words.refusal import Refusal
from tests.support.house import fake_house

NAMES = """hello services.list services.status services.start services.stop services.restart services.logs
machines.list machines.wake machines.sleep machines.hold inflight.list inflight.cancel events.follow activity.list
report metrics config.show config.check config.reload strategies.list strategies.reload
keys.create keys.list keys.revoke log.level backup gateway.drain gateway.shutdown"""


class World:
    def __init__(self):
        self.house = fake_house()
        self.failures = []
        self.fence = Fence(self.failures.append)
        self.verbs = Verbs(self.house, self.fence)

    async def call(self, name, /, **given):
        return await self.verbs.call(name, given)

    async def refusal(self, name, /, **given):
        with pytest.raises(Refusal) as caught:
            await self.call(name, **given)
        return caught.value


@pytest.fixture
async def world():
    one = World()
    yield one
    await one.fence.close()
    assert one.failures == []


def test_the_table_has_every_method_of_the_contract_and_no_other():
    assert sorted(VERBS) == sorted(NAMES.split())


def test_every_verb_says_what_it_does():
    assert [verb.name for verb in VERBS.values() if not verb.says.endswith(".")] == []


async def test_hello_names_the_version_and_every_method(world):
    hello = await world.call("hello")
    assert (hello.version, hello.methods) == (hestia.__version__, tuple(VERBS))
    assert hello.started == "2026-05-01T12:00:00Z"


async def test_an_unknown_method_is_told_apart_from_a_refusal(world):
    with pytest.raises(UnknownVerb):
        await world.call("services.explode")


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("services.status", {}),
        ("services.status", {"id": 5}),
        ("services.status", {"id": ""}),
        ("services.status", {"id": "demo", "extra": 1}),
        ("services.start", {"id": "demo", "wait": "yes"}),
        ("services.start", {"id": "demo", "timeout": "5s"}),
        ("services.start", {"id": "demo", "wait": True, "timeout": "5x"}),
        ("services.start", {"id": "demo", "wait": True, "timeout": -1}),
        ("services.stop", {}),
        ("services.stop", {"id": "demo", "all": True}),
        ("services.stop", {"id": "demo", "hold": "soon"}),
        ("services.logs", {"id": "demo", "lines": -1}),
        ("machines.hold", {"id": "desk", "hold": False}),
        ("activity.list", {"limit": 0}),
        ("activity.list", {"since": "yesterday"}),
        ("report", {"until": "2026-13-01"}),
        ("keys.create", {"name": ""}),
        ("keys.create", {"name": "a\nb"}),
        ("keys.create", {"name": "a", "services": []}),
        ("log.level", {"level": "loud"}),
        ("backup", {"path": "here.db"}),
        ("hello", {"a": 1}),
    ],
)
async def test_wrong_parameters_are_refused_and_nothing_is_done(world, name, given):
    with pytest.raises(BadParams) as caught:
        await world.call(name, **given)
    assert caught.value.code == "bad_request"
    assert [asked for asked in world.house.keeper.asked if asked[0] != "look"] == []


async def test_a_status_looks_at_the_service_first(world):
    status = await world.call("services.status", id="demo")
    assert status.state == "cold"
    assert world.house.keeper.asked == [("look", "demo")]


async def test_an_unknown_service_is_refused_before_anything_is_looked_at(world):
    assert (await world.refusal("services.status", id="nope")).code == "unknown_service"
    assert (await world.refusal("services.start", id="nope")).code == "unknown_service"
    assert (await world.refusal("services.logs", id="nope")).code == "unknown_service"
    assert world.house.keeper.asked == []


async def test_a_list_looks_at_all_of_them(world):
    listed = await world.call("services.list")
    assert [each.id for each in listed.services] == ["ollama", "demo"]
    assert world.house.keeper.asked == [("look", "ollama", "demo")]


async def test_a_start_returns_at_once(world):
    assert (await world.call("services.start", id="demo")).state == "starting"
    assert world.house.keeper.asked == [("start", "demo", "command", None)]


@pytest.mark.parametrize(("given", "wait"), [({}, 5.0), ({"timeout": "2s"}, 2.0), ({"timeout": 1.5}, 1.5), ({"timeout": "1h"}, 5.0)])
async def test_a_start_that_is_waited_for_waits_at_most_the_queue_timeout(world, given, wait):
    world.house.keeper.ready.set()
    assert (await world.call("services.start", id="demo", wait=True, **given)).state == "hot"
    assert world.house.keeper.asked[-1] == ("start", "demo", "command", wait)


async def test_a_start_that_takes_too_long_is_a_wait_timeout(world):
    assert (await world.refusal("services.start", id="demo", wait=True, timeout="10ms")).code == "wait_timeout"


@pytest.mark.parametrize(
    ("hold", "seconds"), [(False, None), (True, math.inf), ("2h", 7200.0), (90, 90.0), ("true", math.inf), ("no", None), (0.5, 0.5)]
)
async def test_a_stop_holds_for_ever_or_for_a_time(world, hold, seconds):
    await world.call("services.stop", id="demo", hold=hold, wait=True)
    assert world.house.keeper.asked == [("stop", "demo", seconds, True)]


async def test_all_services_stop_in_one_step_and_are_then_waited_for(world):
    await world.call("services.stop", all=True, hold="1h")
    assert world.house.keeper.asked == [("stop_all", 3600.0)]
    world.house.keeper.asked.clear()
    done = await world.call("services.stop", all=True, wait=True)
    assert world.house.keeper.asked == [("stop_all", None), ("stop", "ollama", None, True), ("stop", "demo", None, True)]
    assert [each.state for each in done.services] == ["cold", "cold"]


async def test_a_restart_goes_on_when_whoever_asked_leaves(world):
    assert (await world.call("services.restart", id="demo")).state == "starting"


async def test_logs_are_the_last_lines(world):
    assert (await world.call("services.logs", id="demo", lines=2)).lines == ("line 198", "line 199")
    assert (await world.call("services.logs", id="demo", lines=0)).lines == ()


async def test_a_service_without_a_log_says_why(world):
    world.house.keeper.log = None
    refusal = await world.refusal("services.logs", id="demo")
    assert (refusal.code, "did not launch it" in refusal.detail) == ("not_found", True)


async def test_logs_that_are_followed_go_on(world):
    stream = await world.call("services.logs", id="demo", lines=1, follow=True)
    assert isinstance(stream, Stream)
    assert stream.first.lines == ("line 199",)
    world.house.keeper.log.stream.items.put_nowait("line 200")
    assert await anext(stream.items) == "line 200"
    await close_stream(stream.items)
    assert world.house.keeper.log.stream.closed == 1


async def test_events_of_one_service_leave_the_others_out_and_can_be_closed_unread(world):
    stream = await world.call("events.follow", service="demo", after="7")
    world.house.events.tell(id=8, service="ollama")
    world.house.events.tell(id=9, service="demo")
    assert (await anext(stream.items)).id == 9
    world.house.events.streams[0].items.put_nowait(Missed(3))
    assert await anext(stream.items) == {"kind": "events.missed", "missed": 3}
    assert world.house.events.streams[0].after == "7"
    unread = await world.call("events.follow", service="demo")
    await close_stream(unread.items)
    assert world.house.events.streams[1].closed == 1
    assert (await world.refusal("events.follow", service="nope")).code == "unknown_service"


async def test_machines_are_woken_put_to_sleep_and_held(world):
    assert [each.id for each in (await world.call("machines.list")).machines] == ["local", "desk"]
    await world.call("machines.wake", id="desk")
    await world.call("machines.sleep", id="desk")
    await world.call("machines.hold", id="desk")
    await world.call("machines.hold", id="desk", hold="30m")
    assert world.house.keeper.asked == [("wake", "desk"), ("sleep", "desk"), ("hold", "desk", math.inf), ("hold", "desk", 1800.0)]
    assert (await world.refusal("machines.wake", id="moon")).code == "not_found"
    assert (await world.refusal("machines.sleep", id="local")).code == "bad_request"


async def test_requests_under_way_are_listed_newest_first_and_can_be_cancelled(world):
    assert [each.request_id for each in (await world.call("inflight.list")).inflight] == ["r2", "r1"]
    assert (await world.call("inflight.cancel", id="r1")).request_id == "r1"
    assert "hestiactl ps" in (await world.refusal("inflight.cancel", id="r1")).detail


async def test_activity_takes_times_dates_and_how_long_ago(world):
    await world.call("activity.list", service="demo", kind="service.ready", since="2026-05-01T14:00:00+02:00", until="2026-05-02", limit=1)
    wanted = world.house.archive.wanted[0]
    noon = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
    assert (wanted.since, wanted.until) == (noon, noon + 12 * 3600)
    assert (wanted.service, wanted.kind, wanted.limit) == ("demo", "service.ready", 1)
    assert moment("2h", "since", 10_000.0) == 2800.0
    assert moment(None, "since", 0.0) is None


@pytest.mark.parametrize("said", ["2026-05-01T14:00:00+02:00", "2026-05-01T14:00:00 02:00", "2026-05-01T14:00:00.000 02:00", "2026-05-01T14:00 02:00"])
def test_the_plus_of_a_time_zone_need_not_be_percent_encoded(said):
    assert moment(said, "since", 0.0) == datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()


async def test_activity_of_a_kind_that_there_is_not_is_a_mistake(world):
    refusal = await world.refusal("activity.list", kind="service.redy")
    assert (refusal.code, refusal.detail) == ("bad_request", "nothing is of the kind 'service.redy'; did you mean service.ready?")
    assert not world.house.archive.wanted


async def test_the_report_is_for_a_time(world):
    report = await world.call("report", since="2026-05-01")
    assert report.services[0].id == "ollama"
    assert world.house.archive.wanted == [(datetime(2026, 5, 1, tzinfo=UTC).timestamp(), None)]


async def test_metrics_are_of_all_services_or_of_one(world):
    assert set((await world.call("metrics"))["services"]) == {"ollama", "demo"}
    assert set((await world.call("metrics", service="demo"))["services"]) == {"demo"}
    assert (await world.refusal("metrics", service="nope")).code == "unknown_service"


async def test_the_configuration_is_shown_with_its_sources_and_the_routes_in_order(world):
    shown = await world.call("config.show")
    assert [each.key for each in shown.settings][:2] == ["log.level", "services.ollama.base_url"]
    ways = [(route.match, route.to) for route in shown.routes]
    assert ways[0] == ("address 127.0.0.1:18081", "demo")
    assert ways[1:3] == [("host chat.example.org", "ollama"), ("host *.chat.example.org", "ollama")]
    assert ("path /v1/*, method POST, header x-team: a, json model: llama*", "ollama") in ways
    assert ways[-2:] == [("path /v1/*", "strategy by_model"), ("anything else", "404")]


async def test_a_rejected_reload_says_every_mistake_and_changes_nothing(world):
    world.house.settings.break_it()
    refusal = await world.refusal("config.reload")
    assert isinstance(refusal, Rejected)
    assert refusal.mistakes == ("hestia_config.yml:3:5: services.ollama.idle_timout: unknown key",)
    assert refusal.mistakes[0] in refusal.detail
    assert (await world.call("config.check")).ok is False
    assert world.house.settings.reloads == 0


async def test_two_reloads_come_one_after_the_other(world):
    world.house.settings.go.clear()
    async with asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(world.call("config.reload"))
        await until(lambda: world.house.settings.at_once == 1)
        world.house.settings.go.set()
    assert (world.house.settings.reloads, world.house.settings.most_at_once) == (3, 1)


async def test_a_reload_goes_on_when_whoever_asked_leaves(world):
    world.house.settings.go.clear()
    asking = asyncio.create_task(world.call("config.reload"))
    await until(lambda: world.house.settings.at_once == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    world.house.settings.go.set()
    await until(lambda: world.house.settings.reloads == 1)


async def test_whoever_waits_for_a_reload_when_the_gateway_ends_is_told(world):
    world.house.settings.go.clear()
    asking = asyncio.create_task(world.call("config.reload"))
    await until(lambda: world.house.settings.at_once == 1)
    await world.fence.close()
    with pytest.raises(Refusal) as caught:
        await asking
    assert caught.value.code == "stopped"


async def test_a_mistake_of_ours_while_nobody_waits_reaches_the_log(world):
    asking, begun, go = None, asyncio.Event(), asyncio.Event()

    async def reload():
        begun.set()
        await go.wait()
        raise RuntimeError("ours")

    world.house.settings.reload = reload
    asking = asyncio.create_task(world.call("config.reload"))
    await begun.wait()
    asking.cancel()
    await asyncio.wait([asking])
    go.set()
    await until(lambda: world.failures)
    assert str(world.failures.pop()) == "ours"


async def test_strategies_are_listed_and_read_again(world):
    assert (await world.call("strategies.list")).strategies[0].name == "by_model"
    await world.call("strategies.reload")
    assert world.house.strategies.reloads == 1


async def test_a_key_is_made_listed_without_its_text_and_revoked(world):
    made = await world.call("keys.create", name="me", services=["demo"])
    assert made.key == "hst_secret"
    listed = await world.call("keys.list")
    assert b"hst_secret" not in msgspec.json.encode(listed)
    assert listed.keys[0].services == ("demo",)
    assert (await world.refusal("keys.create", name="me")).code == "bad_request"
    await world.call("keys.revoke", name="me")
    assert (await world.refusal("keys.revoke", name="me")).code == "not_found"


async def test_a_key_for_a_service_that_is_not_configured_is_an_error(world):
    refusal = await world.refusal("keys.create", name="me", services=["demo", "olama"])
    assert (refusal.code, "'ollama'" in refusal.detail) == ("unknown_service", True)
    assert world.house.keys.names == {}


async def test_the_log_level_is_told_and_changed(world):
    assert (await world.call("log.level")).level == "info"
    assert (await world.call("log.level", level="debug")).level == "debug"
    assert world.house.gateway.log_level == "debug"


async def test_a_backup_goes_where_it_was_asked_for(world):
    assert (await world.call("backup", path="/var/backups/h.db")).bytes == 4096
    assert world.house.archive.wanted == ["/var/backups/h.db"]


async def test_the_gateway_drains_and_ends(world):
    assert (await world.call("gateway.drain")).leases == 2
    assert (await world.call("gateway.shutdown")).ending is True
    assert world.house.gateway.ends == ["drain", "shutdown"]


async def until(true, within=5.0):
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0)
