"""Chosen addresses: a port below the ephemeral range, a socket in a folder of ours."""

import os
import socket
import stat
from pathlib import Path

import pytest

from hestia.launchers.free_port import ELSEWHERE, LOWEST, free_port, private_socket
from hestia.ports import LaunchFailed


def ranged(folder, text):
    file = folder / "range"
    file.write_text(text)
    return str(file)


def test_a_port_can_be_bound_and_lies_below_the_ephemeral_range():
    for _ in range(20):
        port = free_port()
        assert LOWEST <= port < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        with socket.create_server(("127.0.0.1", port)):
            pass


@pytest.mark.parametrize("text", ["1024 65535", "", "no numbers", "10500 60999"])
def test_a_range_that_leaves_no_room_is_passed_over(tmp_path, text):
    assert LOWEST <= free_port(range_file=ranged(tmp_path, text)) < ELSEWHERE


def test_without_that_file_there_is_a_port_too():
    assert LOWEST <= free_port(range_file="/no/such/file") < ELSEWHERE


def test_a_port_that_is_taken_or_in_use_is_not_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr("hestia.launchers.free_port.TRIES", 3)
    low = free_port()
    monkeypatch.setattr("hestia.launchers.free_port.LOWEST", low)
    file = ranged(tmp_path, f"{low + 3} 60999")
    monkeypatch.setattr("hestia.launchers.free_port.ELSEWHERE", low + 3)
    with socket.create_server(("127.0.0.1", low)):
        assert free_port({low + 1}, file) == low + 2
        with pytest.raises(LaunchFailed, match="no free port"):
            free_port({low + 1, low + 2}, file)


def test_a_port_that_another_listens_on_at_every_address_is_not_free(monkeypatch):
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]
        monkeypatch.setattr("hestia.launchers.free_port._candidates", lambda end: iter([port]))
        with pytest.raises(LaunchFailed):
            free_port()


def test_a_private_socket_lies_in_a_folder_of_ours_alone(tmp_path):
    path = private_socket(tmp_path, "ollama")
    assert path == str(tmp_path / "sockets" / "ollama.sock")
    assert stat.S_IMODE(os.stat(tmp_path / "sockets").st_mode) == 0o700


def test_what_an_earlier_life_left_there_is_removed(tmp_path):
    path = private_socket(tmp_path, "a")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    assert os.path.exists(path)
    private_socket(tmp_path, "a")
    assert not os.path.exists(path)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path):
    path = Path(private_socket(tmp_path, "a"))
    path.write_text("mine")
    private_socket(tmp_path, "a")
    assert path.read_text() == "mine"


def test_a_path_that_is_too_long_lies_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    path = private_socket(tmp_path / ("x" * 120), "a")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700


def test_a_folder_of_somebody_else_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "sockets").mkdir()
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(LaunchFailed, match="socket"):
        private_socket(tmp_path, "a")
