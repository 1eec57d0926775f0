"""The bench's own environment, for peers that come as Python packages. What cannot be had is left out, and said."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

PINS: Final = Path(__file__).with_name("requirements.txt")
LIMIT_S: Final = 300


def pins(text: str) -> dict[str, str]:
    """Package -> its requirement."""
    lines = [line.strip() for line in text.splitlines()]
    return {line.partition("==")[0]: line for line in lines if line and not line.startswith("#")}


class Packages:
    """A virtual environment and what could not be put into it."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.bin = folder / "bin"
        self.say = say
        self.missing: dict[str, str] = {}

    def install(self, wanted: frozenset[str]) -> None:
        """Each by itself; one that is there already is not asked for again."""
        requirements = {name: pin for name, pin in pins(PINS.read_text()).items() if name in wanted}
        stamp = self.bin.parent / "installed.txt"
        done = set(stamp.read_text().splitlines()) if stamp.is_file() else set()
        due = {name: pin for name, pin in requirements.items() if pin not in done}
        if due and not (self.bin / "python").exists():
            self.say(f"Making {self.bin.parent} for the peers (once)")
            problem = call([sys.executable, "-m", "venv", str(self.bin.parent)])
            if problem:
                self.missing = dict.fromkeys(due, f"no virtual environment: {problem}")
                return
        for name, pin in due.items():
            self.say(f"Installing {pin}")
            pip = [str(self.bin / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            problem = call([*pip, "--no-input", pin])
            if problem:
                self.missing[name] = f"{pin} cannot be installed: {problem}"
            else:
                done.add(pin)
                stamp.write_text("\n".join(sorted(done)) + "\n")


def call(command: list[str]) -> str:
    """Why it failed; empty: it did not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    lines = (done.stderr or done.stdout).strip().splitlines() or [f"exit {done.returncode}"]
    return next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])[:200]
