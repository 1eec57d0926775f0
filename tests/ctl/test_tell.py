"""Answers in words."""

import pytest

from hestia.ctl.show import Look
from hestia.ctl.tell import event_line, machines, metrics, note, reloaded, report, service, services

PLAIN = Look(colours=False, fine=True)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"state": "cold"}, ""),
        ({"state": "cold", "held_until": "forever"}, "held"),
        ({"state": "cold", "held_until": "2026-05-01T12:00:00Z"}, "held until 2026-05-01T12:00:00Z"),
        ({"state": "starting", "phase": "waking_machine"}, "waking machine"),
        ({"state": "starting", "phase": "launching", "expected_start_s": 4}, "launching, about 4.0s"),
        ({"state": "failed", "last_error": "exited with code 3"}, "exited with code 3"),
        ({"state": "hot", "last_error": "exited with code 3"}, ""),
        ({"state": "cold", "reason": "connection refused"}, "connection refused"),
    ],
)
def test_a_note_says_what_is_worth_saying(status, says):
    assert note(status) == says


def test_no_service_is_said():
    assert services({"services": []}, PLAIN) == ["no service is configured"]


def test_one_service_is_shown_in_full_and_its_places_if_there_are_more():
    status = {"id": "a", "state": "hot", "managed": True, "idle_for_s": 3, "idle_timeout_s": 600, "last_error": None, "places": [{"machine": "m", "state": "hot"}]}
    assert service(status, PLAIN) == ["id            a", "state         hot", "managed       yes", "idle for      3.0s", "idle timeout  10m 0s"]
    status["places"] = [{"machine": "m", "state": "hot", "leases": 1, "base_url": "http://x"}, {"machine": "n", "state": "cold"}]
    assert service(status, PLAIN)[-2:] == ["m      hot         1  http://x  -", "n      cold        0  -         -"]


def test_an_event_keeps_what_it_does_not_know():
    line = event_line({"id": "1", "ts": "T", "kind": "place.retry", "service": "a", "machine": "m", "cause": "request", "reason": "x\x1b"}, PLAIN)
    assert line == "T  place.retry             a  by request  on m  reason=x\\x1b"


def test_machines_say_what_keeps_them_awake():
    lines = machines({"machines": [{"id": "desk", "state": "hot", "capacity": {"vram": 24}, "used": {"vram": 12}, "holds": ["a", "b"]}]}, PLAIN)
    assert lines[1] == "desk  hot    vram 12/24  a, b           -"


def test_figures_are_paths():
    assert metrics({"a": {"b": [1, {"c": 2.5}]}}, PLAIN) == ["a.b[0]    1", "a.b[1].c  2.5"]


def test_a_reload_without_a_change_says_so():
    assert reloaded({"file": "x"}, PLAIN) == ["nothing changed"]
    assert reloaded({"added": ["a"], "warnings": ["w"]}, PLAIN) == ["added: a", "warning: w"]


def test_a_report_of_nothing_divides_by_nothing():
    assert "░" in report({"since": "a", "until": "b", "services": [{"id": "x", "hours_hot": 0, "hours_asleep": 0}]}, PLAIN)[-1]
