"""Fixtures of the black-box tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole.program import Program, Start
from tests.whole.upstream import CONFIG, Upstream, upstream


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(config, **options)` serves it; all are ended after the test, and what they wrote is shown if it failed."""
    begun: list[Program] = []

    def start_one(config: str, *, stderr: int | None = None, argv: list[str] | None = None, **extra: str) -> Program:
        program = Program(tmp_path, config, serial=len(begun))
        begun.append(program)
        return program.start(stderr=stderr, argv=argv, **extra)

    yield start_one
    for program in begun:
        program.kill()
        print(f"--- {program.log.name}\n{program.stderr[-20_000:]}")


@pytest.fixture
def behind() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


@pytest.fixture
def program(start: Start, behind: Upstream) -> Program:
    return start(CONFIG.format(base_url=behind.url))
