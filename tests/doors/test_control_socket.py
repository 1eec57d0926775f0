"""The control socket's file: its modes, its lock, and what it never touches."""

import grp
import os
import socket
import stat
import subprocess
import sys
import threading

import pytest

from hestia.doors import control_socket
from hestia.doors.control_socket import CannotListen, listen, may_speak, rights_of


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # unix socket paths are short
    return tmp_path


@pytest.fixture
def opened():
    every = []
    yield every
    for one in every:
        one.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_the_socket_and_its_folder_are_for_us_alone_whatever_the_umask(folder, opened, umask):
    before = os.umask(umask)
    try:
        opened.append(listen(f"{folder}/run/hestia.sock", None))
    finally:
        os.umask(before)
    assert (mode(folder / "run/hestia.sock"), mode(folder / "run")) == (0o600, 0o700)


def test_nobody_can_connect_before_the_mode_is_set(folder, opened, monkeypatch):
    seen = []

    class Watching(socket.socket):
        def listen(self, *backlog):
            seen.append(mode(self.getsockname()))
            super().listen(*backlog)

    monkeypatch.setattr(control_socket.socket, "socket", Watching)
    opened.append(listen(f"{folder}/run/a.sock", None))
    assert seen == [0o600]


def test_a_control_group_may_enter(folder, opened):
    group = grp.getgrgid(os.getegid()).gr_name
    opened.append(listen(f"{folder}/run/a.sock", group))
    assert (mode(folder / "run/a.sock"), mode(folder / "run")) == (0o660, 0o750)
    assert os.stat(folder / "run").st_gid == os.stat(folder / "run/a.sock").st_gid == os.getegid()
    assert opened[0].warnings == []


def test_a_group_may_be_a_number_and_must_exist():
    assert rights_of("12345") == (0o660, 0o750, 12345)
    with pytest.raises(CannotListen, match="no such group"):
        rights_of("no-such-group-here")


def test_a_folder_of_ours_is_tightened_and_a_shared_one_is_left(folder, opened):
    os.mkdir("mine", 0o755)
    opened.append(listen(f"{folder}/mine/a.sock", None))
    assert mode("mine") == 0o700
    os.mkdir("shared")
    os.chmod("shared", 0o777)
    (folder / "shared" / "other").touch()
    opened.append(listen(f"{folder}/shared/a.sock", None))
    assert mode("shared") == 0o777
    assert "others may write" in opened[1].warnings[0]


def test_a_group_that_cannot_enter_the_folder_is_said(folder, opened):
    os.mkdir("tight", 0o700)
    (folder / "tight" / "other").touch()
    opened.append(listen(f"{folder}/tight/a.sock", str(os.getegid())))
    assert "cannot enter" in opened[0].warnings[0]


def test_the_file_goes_with_us_and_another_may_come(folder, opened):
    one = listen(f"{folder}/a.sock", None)
    one.close()
    assert not os.path.exists("a.sock")
    opened.append(listen(f"{folder}/a.sock", None))


def test_a_file_that_is_not_ours_any_more_is_left(folder):
    one = listen(f"{folder}/a.sock", None)
    os.unlink("a.sock")
    (folder / "a.sock").write_text("somebody's")
    one.close()
    assert (folder / "a.sock").read_text() == "somebody's"


def test_a_stale_socket_is_replaced(folder, opened):
    left = socket.socket(socket.AF_UNIX)
    left.bind("a.sock")
    left.close()
    opened.append(listen(f"{folder}/a.sock", None))
    caller = socket.socket(socket.AF_UNIX)
    caller.connect("a.sock")
    caller.close()


def test_a_second_gateway_is_refused_and_told_who_is_there(folder, opened):
    opened.append(listen(f"{folder}/a.sock", None))
    with pytest.raises(CannotListen, match=f"the gateway with pid {os.getpid()} listens there"):
        listen(f"{folder}/a.sock", None)
    caller = socket.socket(socket.AF_UNIX)
    caller.connect("a.sock")
    caller.close()


def test_another_program_that_listens_there_is_left_alone(folder):
    other = socket.socket(socket.AF_UNIX)
    other.bind("a.sock")
    other.listen()
    with pytest.raises(CannotListen, match="another program"):
        listen(f"{folder}/a.sock", None)
    caller = socket.socket(socket.AF_UNIX)
    caller.connect("a.sock")
    caller.close()
    other.close()


def test_of_many_that_start_at_once_over_a_stale_socket_one_listens(folder):
    left = socket.socket(socket.AF_UNIX)
    left.bind("a.sock")
    left.close()
    barrier, won, lost = threading.Barrier(8), [], []

    def start():
        barrier.wait()
        try:
            won.append(listen(f"{folder}/a.sock", None))
        except CannotListen:
            lost.append(1)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (len(won), len(lost)) == (1, 7)
    won[0].close()


@pytest.mark.parametrize("make", ["file", "link", "dangling", "folder"])
def test_what_is_there_and_no_socket_is_left_alone(folder, make):
    (folder / "target").write_text("kept")
    {
        "file": lambda: (folder / "a.sock").write_text("kept"),
        "link": lambda: os.symlink("target", "a.sock"),
        "dangling": lambda: os.symlink("nowhere", "a.sock"),
        "folder": lambda: os.mkdir("a.sock"),
    }[make]()
    before = os.lstat("a.sock")
    with pytest.raises(CannotListen, match="is no socket: it is left alone"):
        listen(f"{folder}/a.sock", None)
    assert os.lstat("a.sock").st_ino == before.st_ino
    assert (folder / "target").read_text() == "kept"


def test_a_path_that_is_too_long_says_so(folder):
    with pytest.raises(CannotListen, match="at most 107 bytes"):
        listen(f"/tmp/{'ü' * 52}.s", None)


def test_a_path_of_the_longest_length_works(opened, folder):
    short = os.path.relpath(folder)
    name = "s" * (107 - len(str(short)) - 1)
    opened.append(listen(f"{short}/{name}", None))


def test_a_folder_that_cannot_be_made_is_an_error_with_words(folder):
    (folder / "file").touch()
    with pytest.raises(CannotListen, match="cannot be listened on"):
        listen(f"{folder}/file/a.sock", None)


def test_a_lock_that_is_a_link_is_not_followed(folder):
    os.symlink("victim", "a.sock.lock")
    with pytest.raises(CannotListen):
        listen(f"{folder}/a.sock", None)
    assert not os.path.exists("victim")


def test_a_gateway_that_was_killed_leaves_no_lock(folder, opened):
    code = f"import os; from hestia.doors.control_socket import listen; listen('{folder}/a.sock', None); os.kill(os.getpid(), 9)"
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == -9
    assert stat.S_ISSOCK(os.lstat("a.sock").st_mode)
    opened.append(listen(f"{folder}/a.sock", None))


def test_only_we_and_root_may_speak_unless_a_group_may():
    assert may_speak(os.geteuid(), group=False)
    assert may_speak(0, group=False)
    assert may_speak(None, group=False)
    assert not may_speak(54321, group=False)
    assert may_speak(54321, group=True)
