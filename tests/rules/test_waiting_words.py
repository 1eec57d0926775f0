from typing import get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest

from hestia.rules.waiting_words import (
    LOG_SHOWN,
    PHASES,
    WaitingView,
    clean,
    duration,
    look_of,
    refresh,
    retry_after,
    view_of,
    words_of,
)
from hestia.words.status import STATES, Phase, ServiceStatus

BERLIN = ZoneInfo("Europe/Berlin")


def view(state="starting", **more):
    return WaitingView(name="ollama", state=state, **more)


def test_every_phase_has_its_words():
    assert set(PHASES) == set(get_args(Phase))


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_title_and_a_sentence(state):
    words = words_of(view(state))
    assert words.title.startswith("ollama ")
    assert words.lead


@pytest.mark.parametrize(
    "started, expected, left, percent",
    [
        (3.0, 12.0, "About 9 seconds left", 25),
        (11.9, 12.0, "About 1 second left", 95),
        (0.0, 600.0, "About 10 minutes left", 0),
        (30.0, 12.0, "30 seconds so far, longer than usual (about 12 seconds)", 95),
        (5.0, None, "5 seconds so far. No earlier start tells how long it takes", None),
        (None, 12.0, "", None),
    ],
)
def test_time_left_comes_from_past_starts_and_is_not_made_up(started, expected, left, percent):
    words = words_of(view(started_s=started, expected_s=expected))
    assert (words.left, words.percent) == (left, percent)


def test_while_there_is_no_room_it_says_what_is_in_the_way_and_promises_no_time():
    words = words_of(view(phase="making_room", in_the_way="comfyui, 2 requests", started_s=20, expected_s=12))
    assert words.phase == "Waiting for room on its machine. In the way: comfyui, 2 requests"
    assert (words.left, words.percent) == ("20 seconds so far", None)


@pytest.mark.parametrize("waiters, crowd, cancel", [(0, "", True), (1, "", True), (3, "3 are waiting for it", False)])
def test_cancel_is_offered_to_the_only_one_who_waits(waiters, crowd, cancel):
    words = words_of(view(waiters=waiters))
    assert (words.crowd, words.cancel) == (crowd, cancel)


def test_a_failure_says_why_and_offers_retry():
    words = words_of(view("failed", error="exited with code 3:\nno GPU"))
    assert (words.lead, words.why, words.button) == ("did not start", "exited with code 3:\nno GPU", "Retry")
    assert words_of(view("failed")).why


def test_one_that_sleeps_offers_start_and_says_why_there_was_no_room():
    words = words_of(view("cold", error="no room within 120 s", in_the_way="comfyui"))
    assert (words.lead, words.why, words.button) == ("is asleep", "no room within 120 s\nIn the way: comfyui", "Start")


@pytest.mark.parametrize(
    "held_until, lead",
    [
        ("forever", "is kept asleep by its operator, until somebody starts it"),
        ("2026-11-21T17:05:00Z", "is kept asleep by its operator until 18:05 on Saturday, 21 November"),
        ("soon", "is kept asleep by its operator until soon"),
    ],
)
def test_a_held_one_says_until_when_and_offers_nothing(held_until, lead):
    words = words_of(view("cold", held_until=held_until, error="x"), BERLIN)
    assert (words.lead, words.button, words.cancel) == (lead, "", False)


@pytest.mark.parametrize(
    "shown, seconds",
    [
        (view(started_s=3.0, expected_s=12.0), 9),
        (view(started_s=30.0, expected_s=12.0), 5),
        (view(), 5),
        (view("failed", cooldown_s=6.2), 7),
        (view("failed"), 10),
        (view("cold", held_until="1970-01-01T00:01:40Z"), 40),
        (view("cold", held_until="1970-01-01T00:00:10Z"), 1),
        (view("cold", held_until="forever"), None),
        (view("cold"), 1),
    ],
)
def test_retry_after_is_what_is_known(shown, seconds):
    assert retry_after(shown, 60.0) == seconds


@pytest.mark.parametrize("state, comes_again", [("starting", True), ("hot", True), ("failed", False), ("cold", False)])
def test_a_page_without_scripts_comes_again_only_where_that_starts_nothing(state, comes_again):
    assert (refresh(view(state)) is not None) is comes_again


def test_colours_and_control_characters_of_a_log_are_left_out():
    shown = view(logs=("\x1b[31mred\x1b[0m", "a\tb\x00\x07", "\u202etxt", "lone \ud800"))
    assert words_of(shown).lines == "red\na\tb\ntxt\nlone"
    assert clean(None) == ""
    assert len(words_of(view(logs=("x" * 99999,))).lines) == LOG_SHOWN


def test_a_look_is_json_whatever_an_error_holds():
    look = look_of(view("failed", error="lone \ud800 \x1b[1mbold", waiters=1))
    told = msgspec.json.decode(msgspec.json.encode(look))
    assert told["last_error"] == "lone  bold"
    assert (told["service"], told["state"], told["phase"], told["waiters"]) == ("ollama", "failed", None, 1)
    assert told["expected_s"] is None
    assert told["page"]["button"] == "Retry"


def test_the_view_is_made_from_a_status():
    status = ServiceStatus(
        id="a", state="failed", readiness="not_ready", last_error="boom", cooldown_s=3, waiters=2, expected_start_s=9
    )
    made = view_of(status, started_s=1.0, in_the_way="b", logs=("x",))
    assert (made.name, made.error, made.cooldown_s, made.waiters, made.expected_s) == ("a", "boom", 3, 2, 9)
    assert (made.started_s, made.in_the_way, made.logs) == (1.0, "b", ("x",))
    starting = ServiceStatus(id="a", state="starting", readiness="not_ready", last_error="of the last time")
    assert view_of(starting).error is None


@pytest.mark.parametrize("seconds, says", [(0, "1 second"), (2.4, "2 seconds"), (90, "90 seconds"), (170, "3 minutes")])
def test_durations_are_said_as_people_do(seconds, says):
    assert duration(seconds) == says
