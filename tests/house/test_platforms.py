"""Tests that only Linux can run are named with a reason, and the others run everywhere."""

import os
import re

import pytest

from tests.conftest import LINUX_ONLY, linux_only, missing_here
from tests.house.tree import ROOT

WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text()


def test_every_name_of_the_list_is_there():
    assert [name for name in LINUX_ONLY if not (ROOT / "tests" / name).exists()] == []


def test_a_test_is_left_out_by_its_file_or_its_folder(tmp_path):
    path = ROOT / "tests" / "life" / "test_starting.py"
    assert linux_only(path.relative_to(ROOT)) == LINUX_ONLY["life"]
    assert linux_only((ROOT / "tests" / "house" / "test_platforms.py").relative_to(ROOT)) is None


def test_what_a_test_misses_elsewhere_is_told_from_a_mistake():
    assert missing_here(FileNotFoundError(2, "No such file", "/proc/self/fd")) == "there is no /proc/self/fd"
    assert missing_here(FileNotFoundError(2, "No such file", "/home/me/x")) is None
    assert missing_here(AssertionError("1 == 2")) is None
    with pytest.raises(AttributeError) as raised:
        os.pidfd_opened  # noqa: B018
    assert missing_here(raised.value) is None


def test_the_rules_the_core_and_the_relay_are_tested_everywhere():
    """What is pure, or speaks over sockets alone, has no excuse."""
    everywhere = {"words", "rules", "h1", "core", "relay", "doors", "keeper", "store", "telemetry", "plugins", "ctl"}
    assert not {name.partition("/")[0] for name in LINUX_ONLY} & everywhere


def test_the_workflow_has_a_job_for_macos_that_runs_the_tests():
    job = WORKFLOW.partition("\n  macos:\n")[2]
    assert "runs-on: macos" in job
    assert re.search(r"run: .*\bmake test\b", job)


def test_make_needs_nothing_that_only_gnu_tools_have():
    """macOS has BSD tools, GNU make 3.81 and bash 3.2."""
    text = (ROOT / "Makefile").read_text()
    assert "SHELL := /bin/sh" in text
    assert re.findall(r"sed -i|readlink -f|realpath|sha256sum|grep -P|date -d|\btimeout \d|\.ONESHELL|\$\(file |!=", text) == []
