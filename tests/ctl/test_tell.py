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
        ({"state": "cold", "held_until": "2026-05-01T12:00:00.123Z"}, "held until 2026-05-01T12:00:00Z"),
        ({"state": "starting", "phase": "waking_machine"}, "waking its machine"),
        ({"state": "starting", "phase": "making_room"}, "making room"),
        ({"state": "starting", "phase": "launching", "expected_start_s": 4}, "launching, about 4.0s"),
        ({"state": "failed", "last_error": "exited with code 3"}, "exited with code 3"),
        ({"state": "hot", "last_error": "exited with code 3"}, ""),
        ({"state": "cold", "reason": "connection refused"}, "connection refused"),
        ({"state": "hot", "kept_by": ["webui", "keep_warm"]}, "kept awake by webui, keep_warm"),
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


def test_an_event_leaves_out_what_is_empty():
    assert event_line({"ts": "T", "kind": "service.stopped", "service": "a", "more": {"kept_by": {}}}, PLAIN) == "T  service.stopped         a"


def test_what_an_event_adds_reads_as_words():
    more = {"managed": False, "kept_by": {"a": 2.5, "b\x1b": 1}, "places": ["m", "n"]}
    assert event_line({"ts": "T", "kind": "k", "service": "a", "more": more}, PLAIN).split("  ")[-3:] == ["managed=no", "kept_by=a:2.5,b\\x1b:1", "places=m,n"]


def test_machines_say_what_keeps_them_awake():
    lines = machines({"machines": [{"id": "desk", "state": "hot", "capacity": {"vram": 24}, "used": {"vram": 12}, "holds": ["a", "b"]}]}, PLAIN)
    assert lines[1] == "desk  hot    vram 12/24  a, b           -"


def test_figures_of_all_services_are_a_table():
    each = {"requests": 3, "bytes_out": 1434, "request_seconds": {"p50": 0.0003, "p99": 0.042}, "starts": [{"count": 1}, {"count": 2}], "start_seconds": {"p50": 1.75}}
    lines = metrics({"connections": 2, "services": {"a": each, "b": {"requests": 0}}}, PLAIN)
    assert lines[1].split() == ["a", "3", "0", "-", "1.4", "KiB", "0.3ms", "42ms", "3", "1.8s"]
    assert lines[2].split() == ["b", "0", "0", "-", "-", "-", "-", "0", "-"]
    assert lines[3:] == ["", "connections  2"]


def test_an_event_says_until_when_as_a_time():
    assert event_line({"ts": "T", "kind": "service.held", "service": "a", "more": {"until": 1795297553.07}}, PLAIN).endswith("  until=2026-11-21T21:45:53Z")


def test_figures_are_paths():
    assert metrics({"a": {"b": [1, {"c": 2.5}]}}, PLAIN) == ["a.b[0]    1", "a.b[1].c  2.5"]
    assert metrics({"store_failing": False}, PLAIN) == ["store_failing  no"]


def test_a_reload_without_a_change_says_so():
    assert reloaded({"file": "x"}, PLAIN) == ["nothing changed"]
    assert reloaded({"added": ["a"], "warnings": ["w"]}, PLAIN) == ["added: a", "warning: w"]
    assert reloaded({"settings": ["auth", "limits"]}, PLAIN) == ["settings: auth, limits"]


def test_what_is_only_watched_never_sleeps():
    line = report({"since": "a", "until": "b", "services": [{"id": "x", "hours_hot": 0.5, "hours_asleep": None, "requests": 1, "starts": 1}]}, PLAIN)[-1]
    assert line.endswith("30m 0s hot       - asleep  1 request  1 start")


def test_a_report_of_nothing_divides_by_nothing():
    assert "░" in report({"since": "a", "until": "b", "services": [{"id": "x", "hours_hot": 0, "hours_asleep": 0}]}, PLAIN)[-1]
