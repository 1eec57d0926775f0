import pytest

from hestia.rules.report import Moment, Thing, report
from hestia.words.activity import Kept, Usage, Woke

HOUR = 3600.0


def said(hour: float, kind: str, state=None, service="a", *, life: int = 1, **fields) -> Moment:
    return Moment(at=hour * HOUR, life=life, kind=kind, state=state, service=service, **fields)


def hot(hour: float, **fields) -> Moment:
    return said(hour, "service.ready", "hot", **fields)


def cold(hour: float, **fields) -> Moment:
    return said(hour, "service.stopped", "cold", **fields)


def made(*moments, services=None, machines=(), usage=(), since=0, until=24, now=24, life=1, using=None):
    things = services or (Thing(id="a"),)
    return report(
        moments, usage, things, machines, since=since * HOUR, until=until * HOUR, now=now * HOUR, life=life, using=using or {}
    )


def hours(*moments, **options) -> tuple[float, float | None]:
    [one] = made(*moments, **options).services
    return one.hours_hot, one.hours_asleep


def test_what_never_ran_slept_all_the_time():
    assert hours() == (0, 24)


def test_it_is_hot_from_ready_until_anything_else():
    assert hours(said(1, "service.starting", "starting"), hot(2), said(5, "service.idle", "stopping"), cold(6)) == (3, 21)
    assert hours(hot(2), said(5, "service.died", "cold"), hot(6), cold(7)) == (4, 20)


def test_what_is_hot_now_is_hot_until_now():
    assert hours(hot(20), now=22) == (2, 20)
    assert hours(hot(20), until=21) == (1, 20)


def test_a_second_ready_begins_nothing_anew():
    assert hours(hot(2), hot(3), cold(4)) == (2, 22)


def test_what_was_hot_before_the_time_is_hot_in_it():
    assert hours(hot(2), cold(12), since=10) == (2, 12)
    assert hours(hot(2), since=10, until=12) == (2, 0)
    assert hours(hot(2), cold(3), since=10, until=12) == (0, 2)


def test_an_empty_time_is_no_mistake():
    assert hours(hot(2), since=10, until=10) == (0, 0)
    assert hours(hot(2), since=10, until=5) == (0, 0)
    assert hours(hot(2), since=30, now=24, until=40) == (0, 0)


def test_nothing_slept_before_it_was_first_configured():
    assert hours(hot(20), cold(21), services=(Thing(id="a", first_seen=18 * HOUR),)) == (1, 5)


def test_what_is_told_of_a_place_alone_is_no_change_of_its_service():
    assert hours(hot(2), said(3, "place.retry", "failed"), cold(5)) == (3, 21)


def test_a_gateway_that_was_killed_and_adopts_leaves_no_gap():
    assert hours(hot(2), hot(6, life=2, cause="adoption"), cold(8, life=2), life=2) == (6, 18)
    assert hours(hot(2), hot(6, life=2, cause="found"), cold(8, life=2), life=2) == (6, 18)


@pytest.mark.parametrize("after", ((), (cold(7, life=2),), (hot(9, life=2, cause="request"), cold(9, life=2))))
def test_a_gateway_that_was_killed_and_finds_nothing_ends_it_at_its_last_word(after):
    last_word = said(4, "service.ready", "hot", "b")
    started = Moment(at=6 * HOUR, life=2, kind="gateway.started")
    assert hours(hot(2), last_word, started, *after, life=2) == (2, 22)


def test_a_life_that_no_present_gateway_knows_ends_at_its_last_word():
    assert hours(hot(2), Moment(at=5 * HOUR, life=1, kind="gateway.stopped"), life=9) == (3, 21)


def test_requests_are_those_of_all_its_places():
    usage = (Usage(service="a", requests=3), Usage(service="a", place=1, requests=4), Usage(service="b", requests=5))
    both = made(usage=usage, services=(Thing(id="a"), Thing(id="b"), Thing(id="c"))).services
    assert [one.requests for one in both] == [7, 5, 0]


def test_the_three_who_woke_it_most_are_named():
    causes = ["request"] * 3 + ["page"] * 2 + ["keep_warm"] * 2 + ["command"]
    starts = [said(hour, "service.starting", "starting", cause=cause) for hour, cause in enumerate(causes)]
    starts.append(said(9, "service.starting", "starting", cause="request", more={"who": "laptop"}))
    [one] = made(*starts).services
    assert one.starts == 9
    assert one.woken_by == (Woke(who="request", starts=3), Woke(who="keep_warm", starts=2), Woke(who="page", starts=2))


def test_a_start_before_the_time_is_not_counted_in_it():
    [one] = made(said(1, "service.starting", "starting", cause="page"), since=2).services
    assert (one.starts, one.woken_by) == (0, ())


def test_the_three_who_kept_it_awake_longest_are_named():
    [one] = made(
        hot(0),
        cold(20),
        cold(20, more={"kept_by": {"laptop": 3600, "phone": 1800, "keep_warm": 7200}}),
        cold(21, more={"kept_by": {"phone": 3600, "odd": "text"}}),
        said(22, "service.busy"),
    ).services
    assert one.kept_awake_by == (Kept(who="keep_warm", hours=2), Kept(who="phone", hours=1.5), Kept(who="laptop", hours=1))


def test_who_asked_for_what_never_ran_kept_nothing_awake():
    [one] = made(cold(3, more={"kept_by": {"laptop": 2}})).services
    assert one.kept_awake_by == ()


def test_what_requests_took_is_not_said_again_of_those_who_are_known_by_name():
    usage = (Usage(service="a", requests=3, seconds=3 * HOUR),)
    [one] = made(hot(0), cold(5, more={"kept_by": {"laptop": 2 * HOUR, "keep_warm": HOUR}}), usage=usage).services
    assert one.kept_awake_by == (Kept(who="laptop", hours=2), Kept(who="keep_warm", hours=1), Kept(who="request", hours=1))
    [one] = made(hot(0), cold(5, more={"kept_by": {"laptop": 3 * HOUR}}), usage=usage).services
    assert one.kept_awake_by == (Kept(who="laptop", hours=3),)


def test_a_dependent_that_kept_it_awake_is_no_request():
    things = (Thing(id="a"), Thing(id="ui"))
    usage = (Usage(service="a", requests=1, seconds=HOUR),)
    one, _ = made(hot(0), cold(5, more={"kept_by": {"ui": 2 * HOUR}}), usage=usage, services=things).services
    assert one.kept_awake_by == (Kept(who="ui", hours=2), Kept(who="request", hours=1))


def test_who_keeps_it_awake_now_is_named_too():
    usage = (Usage(service="a", requests=3, seconds=3 * HOUR),)
    [one] = made(hot(0), usage=usage, using={"a": {"phone": 3 * HOUR}}).services
    assert one.kept_awake_by == (Kept(who="phone", hours=3),)


def test_requests_to_what_was_hot_before_the_time_count_for_its_machine():
    usage = (Usage(service="a", requests=7, seconds=1.0),)
    told = made(hot(0, machine="desk"), usage=usage, machines=(Thing(id="desk"),), since=5)
    assert told.machines[0].requests == 7


def test_a_busy_minute_is_a_minute():
    [one] = made(hot(0), *(said(1 + minute / 60, "service.busy") for minute in range(30))).services
    assert one.kept_awake_by == (Kept(who="busy", hours=0.5),)


def test_requests_keep_it_awake_for_as_long_as_they_take_and_no_longer_than_it_is_hot():
    usage = (Usage(service="a", requests=1, seconds=3600.0), Usage(service="a", place=1, requests=1, seconds=1800.0))
    [one] = made(hot(0), cold(5), usage=usage).services
    assert one.kept_awake_by == (Kept(who="request", hours=1.5),)
    [one] = made(hot(0), cold(1), usage=usage).services
    assert one.kept_awake_by == (Kept(who="request", hours=1.0),)


def test_cost_and_saving_add_up_to_being_always_on():
    services = (Thing(id="a", cost_per_hour=0.5), Thing(id="b"))
    found = made(hot(2), cold(8), services=services)
    [a, b] = found.services
    assert (a.cost, a.saving) == (3.0, 9.0)
    assert (b.cost, b.saving) == (None, None)
    assert (found.cost, found.saving) == (3.0, 9.0)


def test_without_any_price_nothing_is_said_of_money():
    found = made(hot(2))
    assert (found.cost, found.saving) == (None, None)


def test_what_hestia_only_watches_neither_sleeps_nor_saves():
    [one] = made(hot(2), cold(4), services=(Thing(id="a", cost_per_hour=1.0, managed=False),)).services
    assert (one.hours_hot, one.hours_asleep, one.cost, one.saving) == (2, None, 2.0, None)


def test_a_machine_has_hours_of_its_own_and_the_requests_of_what_ran_on_it():
    moments = (
        said(1, "machine.waking", "starting", None, machine="desk", cause="request", more={"who": "a"}),
        said(2, "machine.awake", "hot", None, machine="desk"),
        hot(3, machine="desk"),
        cold(4, machine="desk"),
        said(10, "machine.asleep", "cold", None, machine="desk"),
    )
    machines = (Thing(id="desk", cost_per_hour=2.0), Thing(id="local", managed=False, always=True))
    usage = (Usage(service="a", requests=3), Usage(service="b", requests=4))
    found = made(*moments, machines=machines, usage=usage, services=(Thing(id="a"), Thing(id="b")))
    [desk, local] = found.machines
    assert (desk.hours_hot, desk.hours_asleep, desk.requests, desk.starts) == (8, 16, 3, 1)
    assert (desk.cost, desk.saving, desk.woken_by) == (16.0, 32.0, (Woke(who="a", starts=1),))
    assert (local.hours_hot, local.hours_asleep) == (24, None)
    assert (found.since, found.until) == ("1970-01-01T00:00:00.000Z", "1970-01-02T00:00:00.000Z")
