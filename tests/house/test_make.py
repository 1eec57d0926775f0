"""`make` on machines that lack something: one clear line. Fake interpreters stand alone on PATH."""

import shutil
import subprocess

import pytest

from tests.house.tree import ROOT

MAKE = shutil.which("make") or "/usr/bin/make"
BROKEN_SHIM = "echo no such version >&2; exit 127"
# What set-up asks in turn: does it run, is it new enough, can it make an environment?
OLD = 'case "$2" in *version_info*) exit 1;; esac'
BARE = 'case "$2" in *ensurepip*) exit 1;; esac'
GOOD = 'case "$1" in -m) echo "made $*" >&2; exit 3;; esac'  # and then it stops: nothing is installed here


@pytest.fixture
def setup(tmp_path):
    """`setup(python3=..., ...)` puts scripts of those names on PATH and runs `make setup` with nothing else there."""

    def run(*words, **scripts):
        for name, body in scripts.items():
            file = tmp_path / name.replace("_", ".")
            file.write_text(f"#!/bin/sh\n{body}\nexit 0\n")
            file.chmod(0o755)
        (tmp_path / "rm").symlink_to("/bin/rm")
        return subprocess.run(
            [MAKE, "setup", f"VENV={tmp_path}/venv", *words],
            cwd=ROOT,
            env={"PATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_without_any_python_it_says_which_is_needed(setup):
    done = setup()
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stderr


def test_with_an_old_python_only_it_names_that_one(setup):
    assert "(python3 is older)" in setup(python3=OLD).stderr


def test_a_python_without_ensurepip_says_what_to_install(setup):
    assert "apt-get install python3-venv" in setup(python3=BARE).stderr


def test_a_shim_that_does_not_run_is_passed_over(setup):
    done = setup(python3_13=BROKEN_SHIM, python3_12=OLD, python3_11=BARE, python3=GOOD)
    assert "with python3 (" in done.stdout
    assert "made -m venv" in done.stderr


def test_the_newest_that_can_is_taken(setup):
    assert "with python3.13 (" in setup(python3_13=GOOD, python3=GOOD).stdout


def test_a_named_python_is_the_only_one_tried(setup, tmp_path):
    done = setup(f"PYTHON={tmp_path}/mine", mine=BROKEN_SHIM, python3=GOOD)
    assert "needs Python 3.11 or newer" in done.stderr


def test_help_is_one_line_for_each_target():
    done = subprocess.run([MAKE, "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert {"run", "dev", "status", "stop", "setup", "test", "test-engines"} <= {line.split()[1] for line in lines}
    assert all(len(line) < 100 for line in lines)
