"""What the whole suite keeps: tests that need an engine are named when they are left out, and never skip when asked."""

from collections import Counter
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

LEFT_OUT = pytest.StashKey[Counter[str]]()


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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = config.stash[LEFT_OUT]
    if left:
        terminalreporter.section("left out, run them by `make test-engines`")
        for name, count in sorted(left.items()):
            terminalreporter.line(f"{name}: {count}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test of an engine that skips has tested nothing: it fails and says what is missing."""
    report = yield
    if report.skipped and item.get_closest_marker("engines") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report
