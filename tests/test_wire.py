"""The words that scripts rely on."""

import math
import socket

import pytest

from hestia import wire
from hestia.roof.config import load_text
from hestia.rules import scalars
from hestia.words.refusal import REFUSALS

EXITS = {
    "DONE": 0,
    "FAILED": 1,
    "USAGE": 2,
    "NOT_RUNNING": 3,
    "NO_PERMISSION": 4,
    "UNKNOWN": 5,
    "UNREACHABLE": 7,
    "TIMED_OUT": 8,
    "INTERRUPTED": 130,
}


def test_the_exit_codes_are_those_that_scripts_know():
    assert {name: getattr(wire, name) for name in EXITS} == EXITS


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_every_refusal_has_an_exit_code(code):
    wanted = {"unknown_service": 5, "not_found": 5, "unauthorized": 4, "forbidden": 4, "wait_timeout": 8, "bad_request": 2}
    assert wire.exit_code(code) == wanted.get(code, 1)


@pytest.mark.parametrize("text", ["500ms", "30s", "15m", "2h", "90d", "12", "1.5h", "0", "0.25", "10ms"])
def test_a_duration_is_read_as_the_configuration_reads_it(text):
    assert math.isclose(wire.duration(text), scalars.duration(text))


@pytest.mark.parametrize("text", ["", "s", "ms", "-1s", "1x", "one", "1.h", ".5s", "1e3", "٣s", "1 h", "9" * 13, "1.5.2s"])
def test_what_is_no_duration_for_the_configuration_is_none_here(text):
    assert wire.duration(text) is None
    with pytest.raises(ValueError):
        scalars.duration(text)


@pytest.mark.parametrize(
    "environ",
    [
        {"XDG_RUNTIME_DIR": "/run/user/5", "HOME": "/home/me"},
        {"HOME": "/home/me"},
        {"HOME": "/home/me", "XDG_STATE_HOME": "/state"},
        {"HOME": "/home/me", "XDG_RUNTIME_DIR": ""},
    ],
)
def test_hestiactl_looks_first_where_the_gateway_listens(environ):
    gateway = load_text("", environ=environ).config
    assert wire.default_sockets(environ, environ["HOME"])[0] == gateway.control_socket


def test_beside_the_runtime_folder_the_data_folder_is_looked_at():
    environ = {"XDG_RUNTIME_DIR": "/run/user/5"}
    assert wire.default_sockets(environ, "/home/me") == (
        "/run/user/5/hestia/control.sock",
        "/home/me/.local/state/hestia/control.sock",
    )
    assert wire.default_sockets({}, "/home/me", "/data/") == ("/data/control.sock",)


def test_the_longest_path_of_a_socket_is_what_the_kernel_takes(tmp_path):
    """Linux takes 107 bytes, macOS and the BSDs 103."""
    path = f"/tmp/{'x' * wire.MAX_SOCKET_PATH}"[: wire.MAX_SOCKET_PATH + 1]
    with socket.socket(socket.AF_UNIX) as one:
        with pytest.raises(OSError, match="too long"):
            one.connect(path)
        with pytest.raises(FileNotFoundError):
            one.connect(path[:-1])
