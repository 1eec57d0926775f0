"""The floors of the house: a file imports only from lower floors, and the pure files stay pure."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT, imports, name_of, sources

# Rooms on one floor do not import each other; inside one room everything may. `cli` stands on the roof and starts it.
FLOORS = {
    "hestia": 0,
    "wire": 0,
    "words": 1,
    "rules": 2,
    "h1": 2,
    "fence": 2,
    "ports": 2,
    "core": 3,
    "relay": 3,
    "telemetry": 3,
    "probes": 3,
    "plugins": 3,
    "launchers": 3,
    "store": 3,
    "keeper": 4,
    "doors": 5,
    "roof": 6,
    "cli": 7,
    "ctl": 7,
}
PURE = ("hestia/wire.py", "hestia/words/", "hestia/rules/", "hestia/h1/", "hestia/core/")
IMPURE = {
    "aiohttp",
    "aiosqlite",
    "asyncio",
    "io",
    "os",
    "pathlib",
    "random",
    "selectors",
    "select",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "urllib.request",
}
TOUCHES = {"open", "print", "input"}
CLOCKS = {"now", "today", "utcnow"}
ALLOWED_TOGETHER: dict[tuple[str, str], str] = {}  # (file, imported room) -> the reason


def room_of(module: str) -> str:
    """`hestia.relay.pool` -> `relay`; `hestia.__version__` -> `hestia`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else "hestia"


def room_of_file(path: Path) -> str:
    parts = path.relative_to(ROOT / "hestia").with_suffix("").parts
    return "hestia" if parts == ("__init__",) else parts[0]


def upward(path: Path) -> list[str]:
    room = room_of_file(path)
    targets = {room_of(module) for module in imports(path) if module.split(".")[0] == "hestia"} - {room}
    return [
        f"{name_of(path)} ({room}, floor {FLOORS[room]}) imports {target} (floor {FLOORS[target]})"
        for target in sorted(targets)
        if FLOORS[target] >= FLOORS[room] and (name_of(path), target) not in ALLOWED_TOGETHER
    ]


def impurities(path: Path) -> list[str]:
    found = [f"imports {module}" for module in sorted(imports(path)) if {module, module.split(".")[0]} & IMPURE]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in TOUCHES:
            found.append(f"line {node.lineno} calls {node.func.id}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS:
            found.append(f"line {node.lineno} reads the calendar")
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            found.append(f"line {node.lineno} waits")
    return [f"{name_of(path)}: {words}" for words in found]


def pure_files() -> list[Path]:
    return [path for path in sources() if name_of(path).startswith(PURE)]


def test_every_file_stands_in_a_room_that_has_a_floor():
    assert [name_of(path) for path in sources() if room_of_file(path) not in FLOORS] == []


def test_a_file_imports_only_from_lower_floors():
    assert [words for path in sources() for words in upward(path)] == []


def test_pure_files_know_no_loop_no_clock_no_file_and_no_socket():
    assert [words for path in pure_files() for words in impurities(path)] == []


def test_hestiactl_imports_nothing_of_hestia_but_its_words():
    wanted = {"hestia", "wire", "ctl"}
    files = [path for path in sources() if room_of_file(path) in {"ctl", "wire", "hestia"}]
    strangers = {module for path in files for module in imports(path) if module.split(".")[0] == "hestia"}
    assert {room_of(module) for module in strangers} <= wanted
    packages = {module.split(".")[0] for path in files for module in imports(path)}
    assert packages - set(sys.stdlib_module_names) == {"hestia"}


def test_hestiactl_starts_without_the_heavy_modules():
    code = "import hestia.ctl.main, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(done.stdout.split()) & {"asyncio", "aiohttp", "msgspec", "yaml", "dataclasses", "structlog"} == set()


@pytest.mark.parametrize(
    ("text", "words"),
    (
        ("import asyncio\n", "imports asyncio"),
        ("def f():\n    from os import path\n", "imports os"),
        ("import datetime\nx = datetime.datetime.now()\n", "line 2 reads the calendar"),
        ("async def f(): ...\n", "line 1 waits"),
        ("open('x')\n", "line 1 calls open"),
    ),
)
def test_what_is_impure_is_seen(tmp_path, monkeypatch, text, words):
    monkeypatch.setattr("tests.house.test_floors.name_of", lambda path: path.name)
    file = tmp_path / "case.py"
    file.write_text(text)
    assert impurities(file) == [f"case.py: {words}"]
