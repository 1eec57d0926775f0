"""The page of the docs that shows what each command prints: the program made it, before a gateway that is one."""

import itertools
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hestia.ctl.commands import COMMANDS
from tests.whole.program import ROOT, Program
from tests.whole.test_hestiactl import Gateway, until
from tests.whole.upstream import upstream

PAGE = ROOT / "hestia" / "docs" / "output.md"
HEAD = """\
# What hestiactl prints

A tour of every command before one gateway, which starts `chat` on demand and watches `photos`; [the flags](hestiactl.md).
With `--json` each prints the answer of [the API](api.md) instead.

<!-- The rest is made: HESTIA_REWRITE_DOCS=1 pytest tests/whole/test_hestiactl_docs.py -->
"""
CONFIG = """\
listen: ["127.0.0.1:@PORT@"]
control_socket: "{home}/control.sock"
data_dir: "{home}/data"
services:
  ollama: null
  photos: {{base_url: "{url}"}}
  chat:
    launch: {{kind: process, command: ["{python}", -m, hestia.cli.hestia, demo, --port, "{{port}}", --start-delay, "1"]}}
    machine: desk
    needs: {{vram: 8}}
    cost_per_hour: 0.12
machines:
  desk:
    launch: {{kind: command, start: [touch, "{home}/on"], stop: [rm, -f, "{home}/on"], status: [test, -e, "{home}/on"]}}
    capacity: {{vram: 24}}
"""
TOUR = (
    "ping", "status", "start chat --wait", "status chat", "logs chat", "machines", "ps", "cancel REQUEST", "top", "metrics chat", "metrics", "stop chat --hold 2h --wait", "start chat",
    "start chat --wait", "restart chat", "start chat --wait", "events", "activity --limit 2", "report", "config check", "config show --routes", "config show", "reload", "strategies", "strategies reload",
    "keys create phone --services chat", "keys list", "keys revoke phone", "log-level", "log-level debug", "backup copy.db", "stop chat --wait", "machines sleep desk", "machines hold desk 2h",
    "machines wake desk", "stop --all", "shutdown",
)  # fmt: skip
NOT_SHOWN = {"completion": "it prints a script", "drain": "it ends as `shutdown` does", "__complete": "it is for shells"}
KEPT = ("listen", "data_dir", "services.chat.idle_timeout", "services.chat.launch.kind", "services.photos.base_url")
DURATION = r"\d+(?:\.\d+)?(?:ms|[smhd])(?: \d+[smh])?"


def tour(gateway: Gateway, home: Path) -> Iterator[str]:
    """Each command with what it printed."""
    until(lambda: re.search(r"photos +hot", gateway.run("status")))
    client = gateway.program.connect()
    client.sendall(b"GET /services/photos/endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
    until(lambda: "endless" in gateway.run("ps"))
    for line in TOUR:
        request = gateway.run("__complete", "requests").strip() if "REQUEST" in line else ""
        words = line.replace("REQUEST", request)
        process = gateway.begin(*words.split())
        out, err = process.communicate(timeout=20)
        code = f"\n[exit {process.returncode}]\n" if process.returncode else ""
        yield f"\n```console\n$ hestiactl {words}\n{tidy(line, out + err + code, home)}```\n"
    client.close()


def tidy(line: str, text: str, home: Path) -> str:
    if line == "config show":
        head, *rows = text.splitlines()
        kept = [head, *(row for row in rows if row.startswith(tuple(f"{key} " for key in KEPT)))]
        text = "".join(f"{row}\n" for row in kept) + "...\n"
    text = text.replace(f"{home}/hestia_config-0.yml", "/etc/hestia/hestia_config.yml").replace(str(home), "/var/lib/hestia")
    if line == "config show":
        cells = [re.split(r"  +", row) for row in text.splitlines()]
        text = "".join(f"{'  '.join(f'{cell:<30}' for cell in row).rstrip()}\n" for row in cells)
    return re.sub(r"hestia_[\w-]{43}", "hestia_" + "x" * 43, text)


def shape(text: str) -> str:
    """Without what is different each time."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "STAMP", text)
    text = re.sub(rf"\b{DURATION}(?![\w.])", "SPAN", text)
    text = re.sub(r"^(desk +)\w+ +vram \d+/24 +\S+", r"\1", text, flags=re.MULTILINE)  # it is on its way
    text = re.sub(r"[█░#]{3,}|\.{4,}", "BAR", text)
    text = re.sub(r"\$ hestiactl cancel \S+|\S+: cancelled|^\S+(?=  photos +GET)", "REQUEST", text, flags=re.MULTILINE)
    return re.sub(r" +", " ", re.sub(r"\d+(\.\d+)?", "N", text))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with upstream() as behind, Program(tmp_path, CONFIG.format(url=behind.url, python=sys.executable, home=tmp_path)) as program:
        one = Gateway(program)
        one.socket = f"{tmp_path}/control.sock"
        program.start()
        yield one


def test_what_the_page_shows_is_what_the_program_prints(gateway, tmp_path):
    made = HEAD + "".join(tour(gateway, tmp_path))
    if os.environ.get("HESTIA_REWRITE_DOCS"):
        PAGE.write_text(made)
    for shown, printed in itertools.zip_longest(PAGE.read_text().split("```console"), made.split("```console")):
        assert shape(shown or "") == shape(printed or "")


def test_every_command_is_shown_or_has_a_reason():
    shown = set()
    for line in TOUR:
        words = line.split()
        shown |= {" ".join(words[:2]), words[0]}
    assert {each.name for each in COMMANDS} - shown == set(NOT_SHOWN)
