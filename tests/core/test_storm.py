"""Storms over the whole core. HESTIA_STORM=100000 makes them as many events long as a release has to stand."""

import os
import time

import pytest

from tests.support.storm import ACTIONS, Storm, blow

EVENTS = int(os.environ.get("HESTIA_STORM", "5000"))
EACH = 250  # events of one storm: many small worlds find more than a large one
FIRST = int(os.environ.get("HESTIA_STORM_SEED", "1"))


def test_no_storm_breaks_what_must_hold_and_after_each_everything_is_cold():
    began, seen = time.perf_counter(), {}
    for seed in range(FIRST, FIRST + max(1, EVENTS // EACH)):
        try:
            storm = blow(seed, EACH)
        except AssertionError as broken:
            pytest.fail(f"seed {seed}: {broken}")
        for name, count in storm.seen.items():
            seen[name] = seen.get(name, 0) + count
    events = sum(seen.values())
    took = time.perf_counter() - began
    print(f"{events} events from seed {FIRST} in {took:.1f} s, {events / took:.0f} a second")
    assert set(seen) == set(ACTIONS)


def test_one_seed_is_one_storm():
    first, second = Storm(7), Storm(7)
    for storm in (first, second):
        for _ in range(300):
            storm.step()
    assert [note.kind for note in first.stage.notes] == [note.kind for note in second.stage.notes]
    assert first.stage.now == second.stage.now
