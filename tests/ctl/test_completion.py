"""Completion, tried in each shell that is installed."""

import shutil
import stat
import subprocess
import sys

import pytest

from hestia.ctl.commands import COMMANDS
from hestia.ctl.completion import completion
from tests.support.control_server import ROOT, environ, run

SHELLS = ("bash", "zsh", "fish")


def installed(shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")


@pytest.fixture
def program(tmp_path):
    """A `hestiactl` in the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "hestiactl"
    file.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m hestia.ctl.main "$@"\n')
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture
def offered(program, gateway, tmp_path):
    """What bash or fish offers after some words."""

    def ask(shell, line):
        (tmp_path / "script").write_text(completion(shell))
        source = f"source {tmp_path}/script; "
        if shell == "bash":
            words = " ".join(f"'{word}'" for word in line.split(" "))
            code = f"{source} COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _hestiactl; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        else:
            code = f"{source} complete -C '{line}'"
        env = environ(HESTIA_SOCKET=gateway.path) | {"HOME": str(tmp_path)}
        env["PATH"] = f"{program}:{env['PATH']}"
        done = subprocess.run([shutil.which(shell), "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=True)
        assert done.stderr == ""
        return {each.split("\t")[0] for each in done.stdout.split("\n") if each}

    return ask


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_accepts_it(shell, tmp_path):
    installed(shell)
    (tmp_path / "script").write_text(run("completion", shell).stdout)
    done = subprocess.run([shell, "-n", f"{tmp_path}/script"], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("shell", SHELLS)
def test_it_names_every_command_and_none_that_is_hidden(shell):
    text = completion(shell)
    for command in COMMANDS:
        first = command.name.split()[0]
        assert command.hidden or first in text
    assert "'__complete'" not in text


@pytest.mark.parametrize("shell", ("bash", "fish"))
def test_it_offers_commands_their_words_flags_and_ids(shell, offered):
    installed(shell)
    assert {"status", "start", "machines", "keys"} <= offered(shell, "hestiactl ")
    assert offered(shell, "hestiactl sta") == {"status", "start"}
    assert {"ollama", "demo"} <= offered(shell, "hestiactl start ")
    assert offered(shell, "hestiactl start de") == {"demo"}
    assert {"check", "show"} <= offered(shell, "hestiactl config ")
    assert {"wake", "sleep", "hold"} <= offered(shell, "hestiactl machines ")
    assert "desk" in offered(shell, "hestiactl machines wake ")
    assert offered(shell, "hestiactl stop --ho") == {"--hold"}
    assert {"bash", "zsh", "fish"} <= offered(shell, "hestiactl completion ")
    assert {"create", "list", "revoke"} <= offered(shell, "hestiactl keys ")


def test_bash_knows_flags_with_a_value(offered):
    installed("bash")
    assert offered("bash", "hestiactl --format ") == {"json", "text"}
    assert "--wait" in offered("bash", "hestiactl --socket x start ")
    assert offered("bash", "hestiactl --format js") == {"json"}
    assert offered("bash", "hestiactl backup bi") == {"bin"}


def test_zsh_registers_it(tmp_path, program):
    installed("zsh")
    (tmp_path / "script").write_text(completion("zsh"))
    code = f"autoload -Uz compinit && compinit -u -d {tmp_path}/dump && source {tmp_path}/script && print -r -- $_comps[hestiactl]"
    done = subprocess.run(["zsh", "-f", "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "_hestiactl\n"
