"""Every row of the table of hostile requests, end to end over real sockets, whole and in pieces."""

import pytest

from tests.support.gateway import running
from tests.support.hostile_requests import ROWS
from tests.support.trial import try_request
from tests.support.wire import Upstream


@pytest.mark.parametrize("pieces", (False, True), ids=("whole", "in pieces"))
@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_hostile_request_harms_nobody(row, pieces):
    async with Upstream() as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        assert await try_request(gateway, upstream, row, pieces=pieces) == []


def test_the_table_is_as_long_as_it_was_promised_and_its_names_are_unique():
    assert len({str(row) for row in ROWS}) == len(ROWS) >= 120
