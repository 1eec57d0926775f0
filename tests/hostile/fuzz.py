"""How far the fuzzing goes: a little with every run of the tests, HESTIA_FUZZ times as far in the gauntlet."""

import os

from hypothesis import HealthCheck, settings

FACTOR = int(os.environ.get("HESTIA_FUZZ", "1"))


def tries(count: int) -> settings:
    """So many examples. Their time is bounded by the tests themselves: the machine may be busy."""
    return settings(max_examples=count * FACTOR, deadline=None, suppress_health_check=list(HealthCheck))
