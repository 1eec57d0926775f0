"""Which process is ours: by number, start time and boot; and who belongs to it."""

import os
import signal
import subprocess
import time

import pytest

from hestia.launchers import owned as owned_module
from hestia.launchers.owned import Owned, alive, boot_id, members, own, owned_of, send, stat_of, still


@pytest.fixture
def child():
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as child:
        try:
            yield child
        finally:
            child.kill()


def test_a_child_is_known_by_its_handle(child):
    owned = own(child.pid)
    assert owned_of(owned.handle()) == owned
    assert alive(owned)
    assert owned.boot == boot_id() != ""
    child.kill()
    child.wait()
    assert not alive(owned)
    assert members(owned) == []


def test_one_that_waits_to_be_reaped_is_dead(child):
    owned = own(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert stat_of(child.pid).state == "Z"
    assert not alive(owned)
    assert members(owned) == []


@pytest.mark.parametrize("change", [{"start": "1"}, {"boot": "x"}])
def test_another_with_its_number_is_not_it(child, change):
    other = own(child.pid)._replace(**change)
    assert not alive(other)
    assert members(other) == []
    send(signal.SIGKILL, other, [])
    assert child.poll() is None


@pytest.mark.parametrize(
    "handle",
    [
        {},
        {"pid": 5},
        {"pid": "5", "start": "1", "boot": "b"},
        {"pid": 1, "start": "1", "boot": ""},
        {"pid": 5, "start": "", "boot": "b"},
    ],
)
def test_a_handle_that_names_nobody_for_certain_names_nobody(handle):
    assert owned_of(handle) is None


def test_a_name_with_spaces_and_parentheses_does_not_shift_the_fields(tmp_path):
    program = tmp_path / "a ) R (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "1000"], start_new_session=True) as child:
        found = stat_of(child.pid)
        child.kill()
    assert (found.pid, found.session, found.parent) == (child.pid, child.pid, os.getpid())


def test_members_are_the_session_and_its_groups():
    script = "set -m; sleep 1000 & sh -c 'sleep 1000; :' & echo up; wait"
    with subprocess.Popen(["/bin/bash", "-c", script], start_new_session=True, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        owned, end = own(child.pid), time.monotonic() + 10
        while len(found := members(owned)) < 4:
            assert time.monotonic() < end
        assert len({each.group for each in found}) == 3  # job control gave each job a group of its own
        send(signal.SIGKILL, owned, found)
        while any(still(each) for each in found):
            assert time.monotonic() < end
        assert members(owned) == []


def test_what_a_dead_and_reaped_leader_left_is_ended_one_by_one():
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 1000 & echo $!"], start_new_session=True, stdout=subprocess.PIPE
    ) as child:
        left = int(child.stdout.readline())
        owned = own(child.pid)
        child.wait()
    found = members(owned)
    assert [each.pid for each in found] == [left]
    send(signal.SIGKILL, owned, found)
    end = time.monotonic() + 10
    while members(owned):
        assert time.monotonic() < end


def test_without_proc_ps_and_the_group_are_asked(child, monkeypatch):
    monkeypatch.setattr(owned_module, "HAS_PROC", False)
    owned = own(child.pid)
    assert ":" in owned.start  # a time of the calendar
    assert alive(owned)
    found = members(owned)
    assert [each.pid for each in found] == [child.pid]
    assert still(found[0])
    send(signal.SIGKILL, owned, found)
    child.wait()
    assert not alive(owned)
    assert members(owned) == []
    assert members(Owned(child.pid, owned.start, owned.boot)) == []
