"""Gateways under attack are ended after each test, and so is what they launched."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.gateway import Gateway

Serve = Callable[..., Gateway]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve(services, head)` starts one. None of them may have made a mistake."""
    begun: list[Gateway] = []

    def serve_one(services: dict[str, dict[str, Any]], head: str = "", **extra: str) -> Gateway:
        gateway = Gateway(tmp_path, services, head)
        begun.append(gateway)
        gateway.program.start(**extra)
        return gateway

    yield serve_one
    for gateway in begun:
        gateway.program.kill()
        for line in gateway.left_over():
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        assert not gateway.mistakes(), gateway.mistakes()
