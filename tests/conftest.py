"""What the whole suite keeps: tests that need an engine are named when they are left out, and never skip when asked.

Where the system is not Linux, tests that look at it through what only Linux has are skipped, each with its reason.
"""

import sys
from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

LEFT_OUT = pytest.StashKey[Counter[str]]()
PROC = "asks /proc which processes live and what they hold"
LINUX_ONLY = {
    "bench": "pins processes to cores and reads their times in /proc",
    "gauntlet": PROC,
    "hostile": PROC,
    "life": PROC,
    "cli/test_demo_tour.py": PROC,
    "cli/test_doctor.py": "stands at 127.0.0.2 and further addresses of loopback",
    "cli/test_hestia.py": "stands at 127.0.0.2 and further addresses of loopback",
    "launchers/test_command.py": PROC,
    "launchers/test_ending.py": PROC,
    "launchers/test_free_port.py": "the kernel's own range of ports is read in /proc",
    "launchers/test_hired.py": PROC,
    "launchers/test_listening.py": "who owns a listening socket is read in /proc",
    "launchers/test_orphans.py": PROC,
    "launchers/test_owned.py": PROC,
    "launchers/test_process.py": PROC,
    "launchers/test_program.py": PROC,
    "launchers/test_ssh.py": PROC,
    "launchers/test_systemd.py": "systemd",
    "roof/test_systemd.py": "abstract sockets",
    "whole/test_log.py": "/dev/full",
}
"""Files and folders below tests/ -> why they mean nothing elsewhere."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT_OUT] = Counter()


class Remembers:
    """`pytest_deselected` is told no config: this plug-in holds it."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        left = [item.path for item in items if item.get_closest_marker("engines")]
        self.config.stash[LEFT_OUT].update(str(path.relative_to(self.config.rootpath)) for path in left)


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(Remembers(session.config))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A folder is easier to keep in order than a mark on each test."""
    for item in items:
        if Path(config.rootpath, "tests", "engines") in item.path.parents:
            item.add_marker(pytest.mark.engines)
        reason = linux_only(item.path.relative_to(config.rootpath)) if sys.platform != "linux" else None
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=f"Linux only: {reason}"))


def linux_only(path: Path) -> str | None:
    below = path.as_posix().removeprefix("tests/")
    return next((why for name, why in LINUX_ONLY.items() if below == name or below.startswith(f"{name}/")), None)


def missing_here(problem: BaseException) -> str | None:
    """What only Linux has and a test ran into, wherever it stood: it tells nothing about this system."""
    name = getattr(problem, "filename", None)
    if isinstance(problem, FileNotFoundError) and str(name).startswith(("/proc", "/sys", "/dev/full")):
        return f"there is no {name}"
    if isinstance(problem, AttributeError) and getattr(problem, "name", None) in {"pidfd_open", "POLLRDHUP", "prlimit"}:
        return f"there is no {problem.name}"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = config.stash[LEFT_OUT]
    if left:
        terminalreporter.section("left out, run them by `make test-engines`")
        for name, count in sorted(left.items()):
            terminalreporter.line(f"{name}: {count}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test of an engine that skips has tested nothing: it fails and says what is missing."""
    report = yield
    if sys.platform != "linux" and report.failed and call.excinfo is not None:
        lacks = missing_here(call.excinfo.value)
        if lacks is not None:
            report.outcome = "skipped"
            report.longrepr = (str(item.path), item.location[1] or 0, f"Linux only: {lacks}")
    if report.skipped and item.get_closest_marker("engines") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report
