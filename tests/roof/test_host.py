import asyncio
import errno
import json
import os
import resource
import stat
import subprocess
import sys

import pytest

from hestia.roof import host
from hestia.roof.listen import CannotStart
from hestia.telemetry.log import Log


@pytest.mark.parametrize(
    ("wanted", "descriptors", "limit"), [(10_000, 1 << 20, 10_000), (10_000, 1024, 464), (10_000, 10, 1), (5, 1024, 5)]
)
def test_as_many_connections_as_descriptors_allow(wanted, descriptors, limit):
    assert host.connection_limit(wanted, descriptors) == limit


def test_the_soft_limit_of_open_files_is_lifted_to_the_hard_one(monkeypatch):
    given = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: given.append(limits))
    assert host.raise_descriptors() == 4096
    assert given == [(4096, 4096)]


def test_a_limit_that_cannot_be_lifted_is_worked_with(monkeypatch):
    def refuse(*_):
        raise ValueError("not here")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert host.raise_descriptors() == 256


def test_the_lock_names_who_has_it_and_is_free_when_its_file_is_closed(tmp_path):
    folder = tmp_path / "state" / "hestia"
    with host.lock(str(folder)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(CannotStart, match=rf"another gateway \(pid {os.getpid()}\) uses the data folder"):
            host.lock(str(folder))
    host.lock(str(folder)).close()


def test_the_lock_is_its_owners_alone_or_others_could_take_it_for_good(tmp_path):
    tmp_path.chmod(0o755)
    host.lock(str(tmp_path)).close()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    (tmp_path / "lock").chmod(0o644)  # as one of an older version
    host.lock(str(tmp_path)).close()
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_that_a_killed_gateway_left_means_nothing(tmp_path):
    (tmp_path / "lock").write_text("4711\n")
    with host.lock(str(tmp_path)):
        assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_serve(tmp_path):
    (tmp_path / "file").write_text("")
    assert host.lock(str(tmp_path / "file")) is None


def test_the_default_loop_can_be_asked_for():
    assert host.loop_factory({"HESTIA_LOOP": "asyncio"}) is None


def test_an_unknown_loop_is_refused():
    with pytest.raises(ValueError, match="none of auto, asyncio, uvloop"):
        host.loop_factory({"HESTIA_LOOP": "trio"})


def test_a_closed_standard_stream_is_taken_by_nothing_else():
    words = (
        "import os, sys; from hestia.roof import host; os.close(1); host.hold_standard_streams(); "
        "print(os.path.samestat(os.fstat(1), os.stat(os.devnull)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "True"


def test_names_are_lower_case_and_include_the_short_one(monkeypatch):
    monkeypatch.setattr(host.socket, "gethostname", lambda: "Box.Home.Example")
    assert host.own_names() == ("box.home.example", "box")


def reports():
    lines, now = [], [0.0]
    return host.LoopReports(Log(lines.append), lambda: now[0]), lines, now


def test_a_flood_of_failed_accepts_is_one_line_a_second():
    handler, lines, now = reports()
    context = {
        "message": "socket.accept() out of system resource",
        "exception": OSError(errno.EMFILE, "Too many files"),
    }
    for _ in range(5000):
        handler(asyncio.BaseEventLoop(), context)
    now[0] = 1.0
    handler(asyncio.BaseEventLoop(), context)
    said = [json.loads(line) for line in lines]
    assert [(each["event"], each["repeated"]) for each in said] == [
        ("gateway.accept_failed", 1),
        ("gateway.accept_failed", 5000),
    ]


def test_what_else_the_loop_reports_is_a_bug_with_its_trace():
    handler, lines, _ = reports()
    handler(asyncio.BaseEventLoop(), {"message": "protocol.data_received() call failed.", "exception": KeyError("x")})
    said = json.loads(lines[0])
    assert (said["event"], said["level"]) == ("internal", "error")
    assert "KeyError" in said["trace"]
