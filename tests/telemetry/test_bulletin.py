import asyncio
import contextlib

import pytest

from hestia.telemetry.bulletin import START_BOUNDS, Bulletin, Missed, Subscription
from hestia.telemetry.log import Log
from hestia.telemetry.tally import coarser
from hestia.words.notes import Note
from tests.store.doubles import Lines


class Scene:
    """A bulletin, its log, what it keeps, and both of its clocks."""

    def __init__(self, **options) -> None:
        self.lines = Lines()
        self.kept = []
        self.at = 1_700_000_000.1234
        self.now = 0.0
        keep = lambda entry, at: self.kept.append((entry, at))
        self.bulletin = Bulletin(self.lines, keep, wall=lambda: self.at, now=lambda: self.now, **options)

    def tell(self, kind: str = "service.ready", **fields) -> int:
        self.bulletin.tell(Note(kind=kind, **fields))
        return self.kept[-1][0].id


@pytest.fixture
def scene():
    return Scene()


async def heard(subscription: Subscription) -> list:
    """What waits for this listener now; an entry by its id."""
    found = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.02):
            async for one in subscription:
                found.append(one)  # noqa: PERF401 -- what was heard counts, although the time ends the loop
    return [one if isinstance(one, Missed) else one.id for one in found]


def test_a_note_becomes_a_line_a_row_and_an_entry(scene):
    scene.tell(service="a", place=0, machine="m", state="hot", cause="request", request_id="r", took_s=2.0, more={"x": 1})
    fields = {"service": "a", "place": 0, "machine": "m", "state": "hot", "cause": "request", "request_id": "r"}
    assert scene.lines.events == [("service.ready", "info", {**fields, "took_s": 2.0, "x": 1})]
    [(entry, at)] = scene.kept
    assert at == 1_700_000_000.123
    assert (entry.ts, entry.service, entry.more) == ("2023-11-14T22:13:20.123Z", "a", {"x": 1})


def test_the_level_is_that_of_the_catalogue(scene):
    scene.tell("gateway.warning", more={"detail": "x"})
    assert scene.lines.events == [("gateway.warning", "warning", {"detail": "x"})]


def test_ids_grow_also_in_one_moment_and_when_the_clock_is_set_back(scene):
    first = scene.tell()
    second = scene.tell()
    scene.at -= 3600
    assert first < second < scene.tell()


def test_ids_go_on_where_an_earlier_gateway_ended():
    scene = Scene(last_entry=2_000_000_000_000_000)
    assert scene.tell() == 2_000_000_000_000_001
    scene.bulletin.go_on_after(3_000_000_000_000_000)
    scene.bulletin.go_on_after(5)
    assert scene.tell() == 3_000_000_000_000_001


@pytest.mark.parametrize("deaf", ("log", "keep", "both"))
async def test_whoever_tells_never_fails_because_somebody_cannot_hear(deaf):
    scene = Scene()

    def fails(*_, **__):
        raise RuntimeError("deaf")

    if deaf in {"log", "both"}:
        scene.lines.event = fails
    if deaf in {"keep", "both"}:
        scene.bulletin._keep = fails
    with scene.bulletin.subscribe() as listener:
        scene.bulletin.tell(Note(kind="service.ready", service="a"))
        assert len(await heard(listener)) == 1
    assert scene.bulletin.counts["a"].starts
    assert len(scene.kept) == (1 if deaf == "log" else 0)
    if deaf == "keep":
        assert "deaf" in scene.lines.of("internal")["message"]


def test_keys_that_a_log_line_has_already_break_nothing():
    written = []
    bulletin = Bulletin(Log(written.append), lambda entry, at: None)
    bulletin.tell(Note(kind="service.ready", more={"name": "x", "level": "y"}))
    assert len(written) == 1
    assert b'"event":"internal"' in written[0]


async def test_a_listener_hears_what_happens_from_now_on_in_its_order(scene):
    scene.tell()
    with scene.bulletin.subscribe() as listener:
        ids = [scene.tell() for _ in range(3)]
        assert await heard(listener) == ids
        assert await heard(listener) == []
        assert scene.bulletin.listeners == 1
    assert scene.bulletin.listeners == 0


async def test_a_listener_who_waits_is_woken(scene):
    with scene.bulletin.subscribe() as listener:
        waiting = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(0)
        id_ = scene.tell()
        assert (await waiting).id == id_


async def test_a_listener_who_comes_back_hears_what_it_missed(scene):
    ids = [scene.tell() for _ in range(4)]
    with scene.bulletin.subscribe(str(ids[1])) as listener:
        assert await heard(listener) == ids[2:]
        more = scene.tell()
        assert await heard(listener) == [more]
    with scene.bulletin.subscribe(str(more)) as listener:
        assert await heard(listener) == []


@pytest.mark.parametrize("seen", ("1", "", "nonsense", "-5", "9" * 18, "9" * 200, "²"))
async def test_an_id_of_another_life_is_answered_with_all_there_is_and_a_marker(scene, seen):
    ids = [scene.tell() for _ in range(2)]
    with scene.bulletin.subscribe(seen) as listener:
        assert await heard(listener) == [Missed(None), *([] if seen == "9" * 18 else ids)]


async def test_what_is_forgotten_is_marked_and_what_was_just_seen_is_not():
    scene = Scene(remembered=3)
    ids = [scene.tell() for _ in range(6)]
    for seen, missed in ((ids[0], [Missed(None)]), (ids[1], [Missed(None)]), (ids[2], []), (ids[3], [])):
        with scene.bulletin.subscribe(str(seen)) as listener:
            assert await heard(listener) == [*missed, *(id_ for id_ in ids[3:] if id_ > seen)]


async def test_a_slow_listener_loses_the_oldest_with_a_marker_and_slows_nobody(scene):
    slow = Subscription(lambda _: None, waiting=3)
    scene.bulletin._listeners.add(slow)
    with scene.bulletin.subscribe() as quick:
        ids = [scene.tell() for _ in range(10)]
        assert await heard(quick) == ids
    assert await heard(slow) == [Missed(7), *ids[7:]]
    ids = [scene.tell() for _ in range(3)]
    assert await heard(slow) == ids


async def test_the_end_of_the_gateway_ends_every_stream(scene):
    with scene.bulletin.subscribe() as listener:
        waiting = asyncio.ensure_future(anext(listener, "over"))
        await asyncio.sleep(0)
        scene.bulletin.close()
        assert await waiting == "over"


async def test_a_listener_that_is_cancelled_loses_nothing(scene):
    with scene.bulletin.subscribe() as listener:
        waiting = asyncio.ensure_future(anext(listener))
        await asyncio.sleep(0)
        id_ = scene.tell()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        assert await heard(listener) in ([id_], [])
        assert waiting.cancelled() or waiting.result().id == id_


def test_starts_are_counted_by_machine_and_outcome_and_their_time_in_steps(scene):
    scene.tell("service.ready", service="a", machine="m", took_s=0.2, state="hot")
    scene.tell("service.ready", service="a", machine="m", took_s=4000.0, state="hot")
    scene.tell("service.ready", service="a", machine="m", cause="adoption", state="hot")
    scene.tell("service.start_failed", service="a", machine="n", took_s=60.0, state="failed")
    counts = scene.bulletin.counts["a"]
    assert counts.starts == {("m", "ready"): 2, ("n", "failed"): 1}
    assert coarser(counts.start_seconds)[1] == coarser(counts.start_seconds)[len(START_BOUNDS)] == 1
    assert sum(counts.start_seconds) == 2
    assert counts.start_seconds_sum == pytest.approx(4000.2)


def test_only_stops_for_idleness_count_as_such(scene):
    scene.tell("service.stopped", service="a", cause="idle", state="cold")
    scene.tell("service.stopped", service="a", cause="command", state="cold")
    assert scene.bulletin.counts["a"].idle_stops == 1


def test_hot_seconds_count_while_it_is_hot(scene):
    assert scene.bulletin.hot_seconds("a") == 0
    scene.tell("service.ready", service="a", state="hot")
    scene.now = 5
    assert scene.bulletin.hot_seconds("a") == 5
    scene.tell("service.busy", service="a")
    scene.tell("place.not_ready", service="a", state="starting")
    scene.now = 8
    scene.tell("service.stopped", service="a", state="cold")
    scene.now = 20
    scene.tell("service.ready", service="a", state="hot")
    scene.now = 21
    assert scene.bulletin.hot_seconds("a") == 9
