"""The gauntlet in full, by `make gauntlet`, and so short in `make test-engines` that it only proves to work.

`HESTIA_SOAK_S` says for how long. At 300 s, every kind of fault comes at least 20 times.
"""

import os
from pathlib import Path

import pytest

from tests.gauntlet.faults import Gauntlet
from tests.gauntlet.faults_ledger import KINDS
from tests.gauntlet.faults_report import MIB, report

SECONDS = float(os.environ.get("HESTIA_SOAK_S", "20"))
WRITTEN = Path(__file__).parents[2] / ".make/gauntlet"


@pytest.mark.engines
async def test_nothing_is_lost_that_the_contract_does_not_allow(tmp_path):
    gauntlet = Gauntlet(tmp_path, SECONDS)
    try:
        outcome = await gauntlet.run()
    finally:
        gauntlet.house.end_all()
    text = report(outcome)
    print("\n" + text)
    WRITTEN.mkdir(parents=True, exist_ok=True)
    (WRITTEN / "soak.md").write_text(text)
    assert outcome.ledger.lost == []
    assert outcome.ledger.wrong == outcome.left_over == outcome.mistakes == outcome.diaries.twice == []
    assert {kind: outcome.faults[kind] for kind in KINDS if outcome.faults[kind] < gauntlet.least} == {}
    first, half, last = outcome.calm
    assert first.generation == half.generation
    for later in (half, last):
        assert later.files <= first.files + 2
        assert later.threads <= first.threads + 2
        assert later.tasks <= first.tasks
        assert later.memory <= first.memory + 24 * MIB
