"""What the state of a container means, in the shapes that Docker and Podman give it."""

import msgspec
import pytest

from hestia.launchers.docker_container import Container, how_it_ended, look_up, missing, unwell
from hestia.launchers.engine_api import EngineRefused, engine_at
from tests.support.docker_double import DockerDouble


def container(config=None, **state) -> Container:
    said = {"Id": "a" * 64, "Name": "/a", "State": state, "Config": config or {"Labels": None}, "Further": [1]}
    return msgspec.convert(said, Container)


@pytest.mark.parametrize(
    ("state", "awake"),
    (
        ({"Status": "running", "Running": True}, True),
        ({"Status": "paused", "Running": True, "Paused": True}, False),
        ({"Status": "paused", "Running": False, "Paused": True}, False),  # Podman
        ({"Status": "restarting", "Running": True, "Restarting": True}, True),
        ({"Status": "created", "Running": False}, False),
        ({"Status": "exited", "ExitCode": 0}, False),
        ({"Status": "removing"}, False),
        ({"Status": "dead", "Dead": True}, False),
    ),
)
def test_awake_is_what_runs_or_is_about_to(state, awake):
    assert container(**state).awake is awake


@pytest.mark.parametrize(
    ("state", "words"),
    (
        ({"Status": "exited", "ExitCode": 3}, "exited with code 3"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, "exited with code 137, out of memory"),
        ({"Status": "exited", "ExitCode": 128, "Error": "no shim"}, "exited with code 128 (no shim)"),
        ({"Status": "created"}, "was never started"),
        ({"Status": "created", "ExitCode": 127, "Error": "exec: not found"}, "did not start: exec: not found"),
        ({"Status": "paused", "Paused": True}, "was paused"),
    ),
)
def test_an_end_is_told_in_words(state, words):
    assert how_it_ended(container(**state)) == words


@pytest.mark.parametrize(
    ("health", "words"),
    (
        (None, ""),
        ({"Status": ""}, ""),
        ({"Status": "none"}, ""),
        ({"Status": "healthy", "Log": None}, None),
        ({"Status": "starting"}, "its health check says starting"),
        ({"Status": "healthy", "Restarting": True}, "exited with code 0, and the engine starts it again"),
        ({"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": " a\nb "}]}, "its health check says unhealthy (exit code 1): a b"),
        ({"Status": "unhealthy", "Log": [{"ExitCode": 1, "Output": "x" * 5000}]}, "its health check says unhealthy (exit code 1): " + "x" * 300),
    ),
)
def test_its_own_check_is_told_in_words(health, words):
    restarting = bool(health and health.pop("Restarting", False))
    state = {"Status": "running", "Running": True, "Restarting": restarting} | ({"Health": health} if health is not None else {})
    assert unwell(container(**state)) == words


@pytest.mark.parametrize(("config", "grace"), (({}, 10), ({"StopTimeout": 90}, 90), ({"StopTimeout": -1}, None), ({"StopTimeout": 0}, 0)))
def test_a_stop_takes_as_long_as_the_container_may_ask_for(config, grace):
    assert container(config, Status="running").grace == grace


async def test_only_a_missing_container_is_missing(tmp_path):
    async with DockerDouble(tmp_path / "d.sock") as double, engine_at(double.host) as engine:
        with pytest.raises(type(missing("x")), match="no container `a`"):
            await look_up(engine, "a")
        double.fault = "500"
        with pytest.raises(EngineRefused, match="the store is broken"):
            await look_up(engine, "a")
