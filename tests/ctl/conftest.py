"""A gateway that only remembers, behind a real control socket."""

import pytest

from tests.support.control_server import served


@pytest.fixture
def gateway(tmp_path):
    with served(tmp_path) as one:
        yield one
