"""The minutes of the database, on a clock of the test's own."""

from hestia.telemetry.tally import Tally
from hestia.telemetry.usage import WRITTEN_EVERY_S, Minutes

NOON = 1_777_636_800.0


class Calendar:
    def __init__(self):
        self.now = NOON
        self.tally = Tally(["a", "b"])
        self.kept = []
        self.minutes = Minutes(self.tally, self.kept.extend, wall=lambda: self.now)
        self.minutes.look()

    def end(self, service="a", status=200, place=0):
        self.tally.ended(service, status, b"GET", b"/", "c", b"i", 0.5, 0.0, 10, 20, "ok", place)

    def after(self, seconds):
        self.now += seconds
        self.minutes.look()

    def rows(self):
        return [(row.service, row.place, row.minute - int(NOON // 60), row.requests, row.errors) for row in self.kept]


def test_what_was_counted_is_written_after_a_while_for_the_minute_it_was_counted_in():
    calendar = Calendar()
    calendar.end()
    calendar.end(status=500)
    calendar.after(WRITTEN_EVERY_S / 2)
    assert calendar.kept == []
    calendar.after(WRITTEN_EVERY_S / 2)
    assert calendar.rows() == [("a", 0, 0, 2, 1)]
    row = calendar.kept[0]
    assert (row.bytes_in, row.bytes_out, row.seconds) == (20, 40, 1.0)


def test_a_minute_that_is_over_is_written_at_once_and_what_comes_next_is_of_the_next():
    calendar = Calendar()
    calendar.after(55)
    calendar.end()
    calendar.after(5.4)
    calendar.end()
    calendar.after(WRITTEN_EVERY_S)
    assert calendar.rows() == [("a", 0, 0, 1, 0), ("a", 0, 1, 1, 0)]


def test_what_did_not_grow_is_not_written():
    calendar = Calendar()
    calendar.end("b")
    calendar.after(60)
    calendar.after(60)
    assert calendar.rows() == [("b", 0, 0, 1, 0)]


def test_requests_that_reached_no_service_are_of_none():
    calendar = Calendar()
    calendar.end("")
    calendar.after(60)
    assert calendar.kept == []


def test_each_place_has_its_own_row():
    calendar = Calendar()
    calendar.end()
    calendar.end(place=1)
    calendar.after(60)
    calendar.end(place=1)
    calendar.after(60)
    assert calendar.rows() == [("a", 0, 0, 1, 0), ("a", 1, 0, 1, 0), ("a", 1, 1, 1, 0)]


def test_a_write_in_between_adds_up():
    calendar = Calendar()
    calendar.end()
    calendar.minutes.write()
    calendar.end()
    calendar.minutes.write()
    calendar.minutes.write()
    assert calendar.rows() == [("a", 0, 0, 1, 0), ("a", 0, 0, 1, 0)]


def test_a_service_that_was_removed_and_came_back_counts_from_nothing():
    calendar = Calendar()
    for _ in range(5):
        calendar.end()
    calendar.minutes.write()
    calendar.tally.follow(["b"])
    calendar.tally.follow(["a", "b"])
    calendar.end()
    calendar.minutes.write()
    assert calendar.rows() == [("a", 0, 0, 5, 0), ("a", 0, 0, 1, 0)]


def test_a_clock_that_is_set_back_loses_nothing():
    calendar = Calendar()
    calendar.end()
    calendar.after(-3600)
    calendar.end()
    calendar.after(WRITTEN_EVERY_S)
    assert calendar.rows() == [("a", 0, 0, 1, 0), ("a", 0, -60, 1, 0)]
