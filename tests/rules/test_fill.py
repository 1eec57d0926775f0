"""Placeholders: six names, replaced once, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.rules.fill import NAMES, address, fill, wants
from hestia.words.launch_spec import (
    CommandLaunch,
    DockerLaunch,
    HttpCall,
    HttpLaunch,
    HttpStatus,
    JsonTest,
    ProcessLaunch,
    SemaphoreLaunch,
)

VALUES = {
    "service": "ollama",
    "machine": "local",
    "request_id": "r-1",
    "data_dir": "/data",
    "port": "12345",
    "socket": "/data/s.sock",
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{service}", "ollama"),
        ("{service}-{machine}-{request_id}-{data_dir}-{port}-{socket}", "ollama-local-r-1-/data-12345-/data/s.sock"),
        ('{"port": {port}}', '{"port": 12345}'),
        ("${port}", "$12345"),
        ("{{port}}", "{12345}"),
        ("{ port }", "{ port }"),
        ("{Port} {ports} {port:d} {} {0} {other}", "{Port} {ports} {port:d} {} {0} {other}"),
        ("{port", "{port"),
        ("{{ item }} {% port %}", "{{ item }} {% port %}"),
        ("", ""),
    ],
)
def test_only_the_exact_words_in_braces_are_replaced(text, filled):
    assert fill(text, VALUES) == filled


def test_a_value_is_not_looked_at_again():
    assert fill("{service}", {**VALUES, "service": "{port}"}) == "{port}"


def test_a_name_without_a_value_stays():
    assert fill("{service}:{port}", {"service": "a"}) == "a:{port}"


@given(st.text(alphabet="{}portservice $"))
def test_a_text_without_names_is_the_same(text):
    assert wants(text) or fill(text, VALUES) == text


def test_every_text_of_a_process_is_filled_and_its_figures_stay():
    launch = ProcessLaunch(
        command=("serve", "--port", "{port}", "{x}"),
        env={"{port}": "on {port}"},
        cwd="{data_dir}/{service}",
        stop_command=("stop", "{socket}"),
        stop_grace=3.0,
        keep_running=True,
    )
    assert fill(launch, VALUES) == ProcessLaunch(
        command=("serve", "--port", "12345", "{x}"),
        env={"{port}": "on 12345"},
        cwd="/data/ollama",
        stop_command=("stop", "/data/s.sock"),
        stop_grace=3.0,
        keep_running=True,
    )
    assert launch.command[2] == "{port}"


def test_what_is_nested_is_filled_too():
    launch = HttpLaunch(
        start=HttpCall(url="http://vm/{service}", json={"a": [{"b": "{machine}"}, 1, None, True]}),
        status=HttpStatus(url="http://vm/{machine}", running=JsonTest(json="x", equals="{service}")),
    )
    filled = fill(launch, VALUES)
    assert filled.start.url == "http://vm/ollama"
    assert filled.start.json == {"a": [{"b": "local"}, 1, None, True]}
    assert filled.start.expect == launch.start.expect
    assert filled.status.url == "http://vm/local"
    assert filled.status.running.equals == "ollama"
    assert fill(SemaphoreLaunch(vars={"n": 1, "p": "{port}"}), VALUES).vars == {"n": 1, "p": "12345"}


def test_it_knows_which_names_are_wanted():
    assert wants(DockerLaunch(container="a")) == frozenset()
    assert wants(None) == frozenset()
    assert wants(ProcessLaunch(command=("a", "{port}"), env={"A": "{socket} {x}"}), "http://h/{service}") == {
        "port",
        "socket",
        "service",
    }
    assert wants(" ".join(f"{{{name}}}" for name in NAMES)) == set(NAMES)


@pytest.mark.parametrize(
    ("base_url", "launch", "wanted"),
    [
        ("http://127.0.0.1:{port}/x", ProcessLaunch(command=("a",)), "http://127.0.0.1:12345/x"),
        ("http://h:1", ProcessLaunch(command=("a", "{port}")), "http://h:1"),
        (None, ProcessLaunch(command=("a", "{port}")), "http://127.0.0.1:12345"),
        (None, CommandLaunch(start=("a",), env={"P": "{port}"}), "http://127.0.0.1:12345"),
        (None, ProcessLaunch(command=("a", "{socket}")), "http+unix:///data/s.sock"),
        (None, ProcessLaunch(command=("a", "{socket}", "{port}")), "http://127.0.0.1:12345"),
        (None, ProcessLaunch(command=("a", "{service}")), None),
        (None, None, None),
    ],
)
def test_the_address_is_that_of_the_configuration_or_of_the_launcher(base_url, launch, wanted):
    assert address(base_url, launch, VALUES) == wanted
