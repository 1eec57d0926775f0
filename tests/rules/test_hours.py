import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.rules.hours import inside, time_zone, until
from hestia.rules.scalars import window
from hestia.words.spec import Window

BERLIN = ZoneInfo("Europe/Berlin")  # forward on 29 March 2026 at 2:00, back on 25 October at 3:00
WORK = (window("Mon-Fri 08:00-18:00"),)
NIGHT = (window("Fri 22:00-06:00"),)
ALWAYS = (window("always"),)


def at(text, zone=BERLIN, fold=0):
    """Monday is 9 November 2026."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def when(wall, zone=BERLIN):
    return None if wall is None else datetime.fromtimestamp(wall, zone).isoformat(timespec="minutes")


@pytest.mark.parametrize(
    "windows, moment, is_inside, changes",
    [
        (WORK, "2026-11-09T08:00", True, "2026-11-09T18:00+01:00"),
        (WORK, "2026-11-09T07:59:59", False, "2026-11-09T08:00+01:00"),
        (WORK, "2026-11-13T17:59:59", True, "2026-11-13T18:00+01:00"),
        (WORK, "2026-11-13T18:00", False, "2026-11-16T08:00+01:00"),
        (NIGHT, "2026-11-13T22:00", True, "2026-11-14T06:00+01:00"),
        (NIGHT, "2026-11-14T05:59", True, "2026-11-14T06:00+01:00"),
        (NIGHT, "2026-11-14T06:00", False, "2026-11-20T22:00+01:00"),
        (NIGHT, "2026-11-13T05:00", False, "2026-11-13T22:00+01:00"),
        (ALWAYS, "2026-11-14T05:59", True, None),
        ((window("Sat,Sun"),), "2026-11-14T12:00", True, "2026-11-16T00:00+01:00"),
        ((window("08:00-08:00"),), "2026-11-14T03:00", True, None),
        ((window("08:00-12:00"), window("12:00-20:00")), "2026-11-14T09:00", True, "2026-11-14T20:00+01:00"),
        ((), "2026-11-14T09:00", False, None),
        ((Window((6,), 0, 0),), "2026-11-15T23:00", True, "2026-11-16T00:00+01:00"),
    ],
)
def test_a_window_is_open_from_its_start_to_its_end(windows, moment, is_inside, changes):
    assert inside(windows, at(moment), BERLIN) is is_inside
    assert when(until(windows, at(moment), BERLIN)) == changes


def test_a_start_that_the_clock_skips_is_the_moment_of_the_jump():
    windows = (window("Sun 02:30-06:00"),)
    jump = at("2026-03-29T03:00")
    assert not inside(windows, jump - 1, BERLIN)
    assert inside(windows, jump, BERLIN)
    assert until(windows, jump - 60, BERLIN) == jump
    assert until(windows, jump, BERLIN) == at("2026-03-29T06:00")


def test_an_end_that_the_clock_skips_is_the_moment_of_the_jump():
    windows = (window("Sun 01:00-02:30"),)
    assert until(windows, at("2026-03-29T01:10"), BERLIN) == at("2026-03-29T03:00")
    assert not inside(windows, at("2026-03-29T03:00"), BERLIN)


def test_an_hour_that_comes_twice_belongs_to_one_unbroken_window():
    windows = (window("Sun 02:15-02:45"),)
    first, last = at("2026-10-25T02:15"), at("2026-10-25T02:45", fold=1)
    assert until(windows, first - 60, BERLIN) == first
    assert until(windows, first, BERLIN) == last
    assert last - first == 90 * 60
    assert inside(windows, at("2026-10-25T02:50"), BERLIN)


def test_a_day_that_a_zone_leaves_out_has_no_window_of_its_own():
    apia = ZoneInfo("Pacific/Apia")  # there was no Friday, 30 December 2011
    jump = at("2011-12-31T00:00", apia)
    windows = (window("Fri 08:00-18:00"),)
    assert not inside(windows, jump - 1, apia)
    assert not inside(windows, jump, apia)
    assert when(until(windows, jump, apia), apia) == "2012-01-06T08:00+14:00"


def test_always_is_unbroken_over_every_change_of_the_clock():
    for day in ("2026-03-28T12:00", "2026-10-24T12:00"):
        assert until(ALWAYS, at(day), BERLIN) is None


def test_without_a_name_the_systems_zone_counts(monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        windows = (window("08:00-09:00"),)
        new_york = at("2026-11-09T08:30", ZoneInfo("America/New_York"))
        assert inside(windows, new_york, time_zone(None))
        assert until(windows, new_york) == new_york + 30 * 60
        gap = (window("Sun 02:30-06:00"),)
        assert (
            until(gap, at("2026-03-08T01:00", ZoneInfo("America/New_York")))
            == datetime(2026, 3, 8, 7, tzinfo=UTC).timestamp()
        )
    finally:
        monkeypatch.undo()
        time.tzset()


def test_an_unknown_zone_is_an_error_that_names_it():
    assert time_zone("Europe/Berlin") == BERLIN
    for name in ("Europe/Berlln", "Europe"):
        with pytest.raises(ValueError, match=name):
            time_zone(name)


@given(
    st.lists(
        st.builds(
            lambda days, start, end: Window(tuple(sorted(days)), start, end),
            st.sets(st.integers(0, 6), min_size=1),
            st.integers(0, 1439),
            st.integers(0, 1440),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(1_700_000_000, 1_900_000_000),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_until_is_the_first_moment_at_which_inside_changes(windows, wall, name):
    zone = time_zone(name)
    change = until(windows, wall, zone)
    now = inside(windows, wall, zone)
    if change is None:
        assert now
        assert all(inside(windows, wall + day * 86400, zone) for day in range(8))
        return
    assert change > wall
    assert inside(windows, change, zone) is not now
    assert inside(windows, change - 1, zone) is now
    assert inside(windows, (wall + change) / 2, zone) is now
