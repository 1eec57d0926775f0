"""Thousands of connections: all are served, and none of them hurts who behaves.

HESTIA_CROWDS is the number of rounds of the long form (`make gauntlet`): then figures are judged. The short one counts alone.
"""

import os

import pytest

from tests.gauntlet import crowds

pytestmark = pytest.mark.engines

ROUNDS = int(os.environ.get("HESTIA_CROWDS", "0"))
SECONDS = 5.0 if ROUNDS else 1.0
MOST_HURT_MS = 5.0


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    with crowds.upstream(tmp_path_factory.mktemp("nginx") / "home") as port:
        yield port


def hurt_by(kind, count, upstream, tmp_path, **keys):
    """What the crowd came to, and what a normal client saw of it."""
    with crowds.gateway(tmp_path / "alone", upstream) as alone, crowds.gateway(tmp_path / "beside", upstream, **keys) as beside:
        rate = crowds.capacity(alone.port, SECONDS) / 2
        with crowds.clients(kind, beside.port, count) as crowd:
            there = crowd.told()
            hurt = crowds.in_turn(alone, beside, crowd, ROUNDS or 1, SECONDS, rate)
            memory = beside.memory("VmRSS") >> 20
            if kind == "slow":
                assert crowd.told()["cut"] >= count  # every one of them was cut, and came again
            end = crowd.end()
        assert beside.get("/services/up/small")[0] == 200
    print("\n" + crowds.row(f"{count:,} {kind}", there["held"], sum(end["errors"].values()), hurt, f"at {rate:.0f}/s, {memory} MiB, {end['cut']} cut"))
    return there, end, hurt


def judge(hurt):
    assert not hurt.errors, hurt.errors
    if ROUNDS:
        without, beside = hurt.p99()
        assert beside - without <= MOST_HURT_MS


def test_five_thousand_who_ask_at_once_are_all_answered(upstream, tmp_path):
    count = crowds.room(5000)
    with crowds.gateway(tmp_path / "gateway", upstream) as gateway:
        said = crowds.measured("busy", gateway.port, count, 20.0 if ROUNDS else 3.0)
        memory = gateway.memory("VmRSS") >> 20
    print("\n" + crowds.row(f"{count:,} busy", said["held"], sum(said["errors"].values()), None, f"{said['rate']}/s, p50 {said['p50']:.0f} ms, p99 {said['p99']:.0f} ms, {memory} MiB"))
    assert (said["held"], said["errors"]) == (count, {})
    assert said["done"] > count


def test_ten_thousand_who_keep_still_hurt_nobody(upstream, tmp_path):
    count = crowds.room(10_000)
    there, end, hurt = hurt_by("idle", count, upstream, tmp_path)
    assert (there["held"], end["held"], end["errors"]) == (count, count, {})
    judge(hurt)


def test_a_slowloris_hurts_nobody_and_is_cut(upstream, tmp_path):
    count = crowds.room(5000 if ROUNDS else 1000)
    there, end, hurt = hurt_by("slow", count, upstream, tmp_path, head_timeout="30s" if ROUNDS else "2s")
    assert there["held"] == count
    assert end["errors"] == {}
    judge(hurt)
