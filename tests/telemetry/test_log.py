import json
import logging
import os

import pytest

from hestia.telemetry.log import Log, capture_libraries, open_log, wants_console
from hestia.words.spec import Log as Spec

NASTY = b'/a"\\\x1b[31m\x7f\xff\r\n{"event":"forged"}'


def written(**keys):
    lines = []
    return Log(lines.append, clock=lambda: 1_700_000_000.25, **keys), lines


def access(log, path=b"/api/tags?key=secret", request_id=b"r-1", method=b"GET", client="127.0.0.1"):
    log.access("ollama", 200, method, path, client, request_id, 0.01234, 0.0000456, 7, 8, "ok")


def test_an_event_is_one_json_object_a_line():
    log, lines = written()
    log.event("gateway.started", listen=["a"], n=1)
    assert lines[0].endswith(b"\n")
    assert json.loads(lines[0]) == {
        "ts": "2023-11-14T22:13:20.250Z", "level": "info", "event": "gateway.started", "listen": ["a"], "n": 1,
    }  # fmt: skip


def test_the_access_line_has_no_query():
    log, lines = written()
    access(log)
    assert json.loads(lines[0]) == {
        "ts": "2023-11-14T22:13:20.250Z", "level": "info", "event": "request", "service": "ollama", "method": "GET",
        "path": "/api/tags", "status": 200, "client": "127.0.0.1", "request_id": "r-1", "duration_ms": 12.34,
        "overhead_ms": 0.046, "bytes_in": 7, "bytes_out": 8, "outcome": "ok",
    }  # fmt: skip


@pytest.mark.parametrize("console", [False, True])
def test_no_control_character_of_a_client_reaches_a_line(console):
    log, lines = written(console=console)
    access(log, path=NASTY, request_id=NASTY, method=NASTY)
    access(log, client=NASTY.decode("latin-1") + '"')
    log.event("gateway.warning", detail=NASTY.decode("latin-1") + "\u202e\x85\u2028")
    for line in lines:
        text = line.decode("ascii") if not console else line.decode()
        assert text.count("\n") == 1
        assert not any(ord(each) < 32 or 127 <= ord(each) < 160 or each in "\u202e\u2028" for each in text[:-1])
    if not console:
        assert [json.loads(line)["event"] for line in lines] == ["request", "request", "gateway.warning"]


def test_a_very_long_path_is_cut():
    log, lines = written()
    access(log, path=b"/" + b"a" * 60_000)
    assert len(lines[0]) < 3000
    assert json.loads(lines[0])["path"].endswith("...")


def test_what_lies_below_the_level_is_not_written():
    log, lines = written(level="warning")
    log.event("a.b")
    log.event("a.c", "error")
    assert [json.loads(line)["event"] for line in lines] == ["a.c"]
    assert not log.access_wanted


def test_the_level_can_change_while_it_runs():
    log, lines = written(level="error")
    log.set_level("debug")
    log.event("a.b", "debug")
    assert len(lines) == 1
    assert log.access_wanted


def test_an_unknown_level_is_refused():
    with pytest.raises(ValueError, match="none of debug, info, warning, error"):
        written(level="loud")


def test_access_lines_can_be_switched_off():
    assert not written(access=False)[0].access_wanted


def test_the_stamp_follows_the_second():
    now = [1_700_000_000.999]
    log = Log(lambda _: None, clock=lambda: now[0])
    first = log.stamp()
    now[0] = 1_700_000_001.0
    assert (first, log.stamp()) == (b"2023-11-14T22:13:20.999Z", b"2023-11-14T22:13:21.000Z")


def test_auto_means_console_on_a_terminal_only():
    ours, theirs = os.openpty()
    read, write = os.pipe()
    try:
        assert wants_console("auto", theirs)
        assert not wants_console("auto", write)
        assert wants_console("console", write)
        assert not wants_console("json", theirs)
    finally:
        for descriptor in (ours, theirs, read, write):
            os.close(descriptor)


def test_an_opened_log_writes_to_its_descriptor_when_it_is_closed():
    read, write = os.pipe()
    log, writer = open_log(Spec(), write)
    log.event("gateway.started")
    writer.close()
    os.close(write)
    with os.fdopen(read, "rb") as out:
        assert json.loads(out.read())["event"] == "gateway.started"


def test_what_libraries_log_becomes_one_short_line_without_a_trace():
    log, lines = written()
    logger = logging.getLogger("aiohttp.server")
    with capture_libraries(log):
        try:
            raise ValueError("secret")
        except ValueError:
            logger.exception("Error handling request\nTraceback")
    said = json.loads(lines[0])
    assert (said["event"], said["level"], said["logger"]) == ("library.message", "error", "aiohttp.server")
    assert said["message"] == "Error handling request (ValueError)"
    assert len(lines) == 1
