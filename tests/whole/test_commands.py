"""The commands of `hestia` beside `serve`, each as a program."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

import pytest

from tests.whole.program import ROOT, command, environment, run

SWAP = """\
models:
  llama:
    cmd: llama-server --port ${PORT} -m /models/llama.gguf
    ttl: 60
"""
WITHIN = 30.0


def test_doctor_of_a_healthy_set_up_is_exit_0(tmp_path):
    (tmp_path / "c.yml").write_text('listen: ["127.0.0.1:0"]\nservices: {ollama: null}\n')
    done = run(tmp_path, "doctor", "--config", "c.yml")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"(worth knowing: the disk .*\n)?(all is well|0 broken, 1 worth knowing)\n", done.stdout)


def test_doctor_says_all_that_is_broken_first_and_then_exit_1(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = f"""\
listen: ["127.0.0.1:{port}"]
services:
  ollama: null
  a: {{launch: {{kind: process, command: [no-such-program-here]}}, idle_timeout: 1s}}
"""
        (tmp_path / "c.yml").write_text(text)
        done = run(tmp_path, "doctor", "--config", "c.yml")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert f"127.0.0.1:{port} is taken" in lines[0]
    assert "`no-such-program-here`" in lines[1]
    assert "idle_timeout 1s is shorter" in lines[2]
    assert [line.partition(":")[0] for line in lines[:3]] == ["broken", "broken", "worth knowing"]


def test_doctor_of_a_broken_file_says_line_and_column(tmp_path):
    (tmp_path / "c.yml").write_text("lissten: []\n")
    done = run(tmp_path, "doctor", "--config", "c.yml")
    assert (done.returncode, done.stderr.startswith("c.yml:1:1: lissten: ")) == (1, True)


def test_doctor_beside_a_gateway_that_runs_finds_its_port_in_order(start, tmp_path):
    program = start('listen: ["127.0.0.1:@PORT@"]\nservices: {ollama: null}\n')
    done = run(tmp_path, "doctor", "--config", str(program.file))
    assert done.returncode == 0, done.stdout
    assert "taken" not in done.stdout


def test_a_configuration_of_llama_swap_is_one_of_ours_afterwards(tmp_path):
    (tmp_path / "swap.yaml").write_text(SWAP)
    done = run(tmp_path, "import", "llama-swap", "swap.yaml")
    assert done.returncode == 0
    (tmp_path / "c.yml").write_text(done.stdout)
    assert run(tmp_path, "check", "c.yml").returncode == 0
    assert run(tmp_path, "import", "llama-swap", "nope.yaml").returncode == 2


def test_a_password_is_asked_for_twice_and_its_hash_opens_the_dashboard(tmp_path):
    master, slave = pty.openpty()
    program = subprocess.Popen(command("hash-password"), env=environment(tmp_path), stdin=slave, stdout=subprocess.PIPE, stderr=slave, text=True, start_new_session=True)
    os.close(slave)
    for _ in range(2):
        until_asked(master)
        os.write(master, b"correct horse battery\n")
    out, _ = program.communicate(timeout=WITHIN)
    os.close(master)
    assert program.returncode == 0
    assert "scrypt" in out
    assert "horse" not in out


def until_asked(master: int) -> None:
    said, end = b"", time.monotonic() + WITHIN
    while b":" not in said:
        assert time.monotonic() < end, said
        if select.select([master], [], [], 0.1)[0]:
            said += os.read(master, 1024)


def test_the_schema_is_what_editors_take(tmp_path):
    assert json.loads(run(tmp_path, "schema").stdout)["properties"]["services"]


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_the_demo_leaves_nothing_behind_when_it_is_ended(tmp_path, number):
    words = command("demo", "--no-pause")
    program = subprocess.Popen(words, cwd=ROOT, env=environment(tmp_path, TMPDIR=str(tmp_path)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = program.stdout.readline()
    while "HESTIA_SOCKET=" not in line:
        assert line
        line = program.stdout.readline()
    program.send_signal(number)
    _, err = program.communicate(timeout=WITHIN)
    assert program.returncode in {130, 143, 0}
    assert "Traceback" not in err
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("hestia-demo")] == []
