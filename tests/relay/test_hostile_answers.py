"""Every row of the table of hostile answers, end to end over real sockets, whole and in pieces."""

import pytest

from tests.support.gateway import running
from tests.support.hostile_answers import ROWS
from tests.support.trial import misbehaving, try_answer


@pytest.mark.parametrize("pieces", (False, True), ids=("whole", "in pieces"))
@pytest.mark.parametrize("row", ROWS, ids=str)
async def test_a_hostile_answer_harms_nobody(row, pieces):
    async with misbehaving(row, pieces=pieces) as upstream, running({"a": {"base_url": upstream.base_url}}) as gateway:
        assert await try_answer(gateway, upstream, row) == []


def test_the_names_are_unique():
    assert len({str(row) for row in ROWS}) == len(ROWS)
