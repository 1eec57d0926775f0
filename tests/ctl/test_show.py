"""How things look."""

import io

import pytest

from hestia.ctl.show import Look, bar, counted, look_of, moment, neutral, pairs, room, size, span, table, width

PLAIN = Look(colours=False, fine=True)
COLOURED = Look(colours=True, fine=True)


class Terminal(io.StringIO):
    encoding = "UTF-8"

    def isatty(self):
        return True


def test_colours_are_for_terminals_that_want_them():
    assert look_of(Terminal(), {}).colours
    assert not look_of(io.StringIO(), {}).colours
    assert not look_of(Terminal(), {"NO_COLOR": "1"}).colours
    assert look_of(Terminal(), {"NO_COLOR": ""}).colours
    assert not look_of(Terminal(), {"TERM": "dumb"}).colours


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain ü 語", "plain ü 語"), ("\x1b[31mx", "\\x1b[31mx"), ("a\nb\tc", "a\\nb\\tc"), ("\x9b", "\\x9b"), ("\u202e", "\\u202e"), ("\udcff", "\\udcff"), (None, "-"), ("", "-"), (0, "0")],
)
def test_nothing_of_others_steers_the_terminal(text, shown):
    assert neutral(text) == shown


def test_columns_are_aligned_and_numbers_stand_right():
    lines = table(("ID", "LEASES"), [("a", 5), ("語語", 12), ("long-name", None)], PLAIN)
    assert lines == ["ID         LEASES", "a               5", "語語           12", "long-name       -"]
    assert table(("A", "B"), [], PLAIN) == ["A  B"]


def test_states_are_coloured_and_stay_aligned():
    first, second = table(("S", "X"), [("hot", "1"), ("failed", "2")], COLOURED)[1:]
    assert first == "\x1b[32mhot\x1b[0m     1"
    assert second == "\x1b[31mfailed\x1b[0m  2"


def test_pairs_leave_out_what_is_not_known():
    assert pairs([("id", "a"), ("machine", None), ("reason", ""), ("leases", 0)], PLAIN) == ["id      a", "leases  0"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.0s"), (4.24, "4.2s"), (59, "59s"), (200, "3m 20s"), (7500, "2h 5m"), (3 * 86400 + 4 * 3600, "3d 4h"), (None, "-")],
)
def test_durations_are_short(seconds, shown):
    assert span(seconds) == shown


def test_a_bar_shows_a_part():
    assert bar(0.5, PLAIN, 4) == "██░░"
    assert bar(7, Look(colours=False, fine=False), 4) == "####"
    assert bar(-1, PLAIN, 2) == "░░"


def test_room_is_what_is_used_of_what_there_is():
    assert room({"capacity": {"vram": 24.0, "slots": 2}, "used": {"vram": 12.5}}) == "vram 12.5/24, slots 0/2"
    assert room({}) == ""


def test_wide_characters_take_two_columns():
    assert (width("abc"), width("語"), width("é")) == (3, 2, 1)


@pytest.mark.parametrize(("value", "shown"), ((None, "-"), (0, "0 B"), (1023, "1023 B"), (1434, "1.4 KiB"), (1 << 20, "1.0 MiB"), (1 << 50, "1024.0 TiB")))
def test_sizes_are_short(value, shown):
    assert size(value) == shown


@pytest.mark.parametrize(("stamp", "shown"), ((None, "-"), ("2026-05-01T12:00:00.123Z", "2026-05-01T12:00:00Z"), ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00Z"), ("forever", "forever")))
def test_nobody_reads_milliseconds(stamp, shown):
    assert moment(stamp) == shown


def test_one_is_not_many():
    assert [counted(number, "start") for number in (0, 1, 2)] == ["0 starts", "1 start", "2 starts"]
