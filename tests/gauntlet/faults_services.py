"""The services of the gauntlet, each for one kind of trouble, so that trouble excuses no other's loss."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

UPSTREAM = Path(__file__).with_name("faults_upstream.py")
COMMAND = Path(__file__).with_name("faults_command.sh")
QUICK: dict[str, Any] = {
    "start_timeout": "15s",
    "start_attempts": 5,
    "retry_delay": "20ms",
    "failure_cooldown": "300ms",
    "health_interval": "25ms",
    "drain_timeout": "10s",
    "idle_timeout": "2s",
}
NAPPERS = ("nap1", "nap2", "nap3")
STRATEGY = """
def register_strategy(registry):
    registry.add("chosen", lambda request: "plain", kind="route")
# {}
"""


def process(folder: Path, name: str, version: str = "0", **keys: Any) -> dict[str, Any]:
    words = [sys.executable, "-S", "-E", str(UPSTREAM), name, "{port}", str(folder / "diaries"), version]
    return {**QUICK, "launch": {"kind": "process", "stop_grace": "2s", "command": words}, **keys}


def command(folder: Path, name: str, **keys: Any) -> dict[str, Any]:
    """Started by a script that hangs when it is told to."""
    words = ["/bin/sh", str(COMMAND), name, str(folder), sys.executable, str(UPSTREAM), "{port}"]
    verbs = {verb: [*words, verb] for verb in ("start", "stop", "status")}
    return {**QUICK, "launch": {"kind": "command", **verbs}, **keys}


def house_of(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Services, and what stands beside them in the configuration."""
    (folder / "diaries").mkdir()
    strategies = folder / "strategies"
    strategies.mkdir()
    (strategies / "chosen.py").write_text(STRATEGY.format(0))
    services = {
        "plain": process(folder, "plain"),  # nothing is ever done to it alone
        **{name: process(folder, name, idle_timeout="300ms") for name in NAPPERS},  # cold starts and idle stops
        "prey": process(folder, "prey", start_attempts=10),  # its process is killed
        "frozen": process(folder, "frozen"),  # its process is stopped and goes on
        "cut": process(folder, "cut"),  # its answers break off
        "hung": command(folder, "hung", start_timeout="2s", start_attempts=1, idle_timeout="300ms"),
        "stuck": command(folder, "stuck", start_timeout="3s", start_attempts=4, idle_timeout="300ms"),
        "halted": process(folder, "halted"),  # stopped by command, and its requests cancelled
        "held": process(folder, "held"),
        "shifting": process(folder, "shifting"),  # changed by reloads
        "gone": process(folder, "gone"),  # removed by reloads, and put back
        "crowded": process(folder, "crowded", max_concurrency=1, queue_size=3),
    }
    top = {
        "strategies_dir": str(strategies),
        "routes": [{"match": {"path": "/chosen/*"}, "strategy": "chosen"}],
        "defaults": {"watch_interval": "1s"},
        "log": {"format": "json", "access": False, "level": "info"},
    }
    return services, top
