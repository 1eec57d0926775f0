"""The order of a session, and what becomes of a measurement that fails."""

from itertools import pairwise
from random import Random

import pytest

from bench import session
from bench.figures import Measure
from bench.peers import BY_ID, HESTIA
from bench.scenarios import COMMON, Scenario
from bench.session import Job, Outcome, perform, plan

SCENARIOS = {scenario.id: scenario for scenario in COMMON}
PEERS = tuple(BY_ID)


def planned(*ids, rounds=4, seed=1, peers=PEERS):
    return plan([SCENARIOS[id_] for id_ in ids], peers, rounds, Random(seed))


def test_each_round_holds_every_pair_once():
    jobs = planned("get-64", "get-1")
    for round_ in range(4):
        pairs = [(job.scenario.id, job.peer) for job in jobs if job.round == round_]
        assert sorted(pairs) == sorted((id_, peer) for id_ in ("get-64", "get-1") for peer in PEERS)


def test_rounds_are_shuffled_anew_and_by_the_seed():
    orders = {tuple(job.peer for job in planned("get-64") if job.round == round_) for round_ in range(4)}
    assert len(orders) > 1
    assert planned("get-64", "post") == planned("get-64", "post")
    assert planned("get-64", "post") != planned("get-64", "post", seed=2)


def test_the_peers_of_one_scenario_run_side_by_side():
    names = [job.scenario.id for job in planned("get-64", "get-1", "post", rounds=1)]
    assert sum(one != other for one, other in pairwise(names)) == 2


def test_who_cannot_or_has_nothing_to_compare_takes_no_part():
    assert "fastapi-httpx" not in {job.peer for job in planned("tunnel")}
    assert "direct" not in {job.peer for job in planned("sse")}


def test_what_hardly_varies_is_not_repeated_for_ever():
    assert {job.round for job in planned("idle", rounds=9)} == {0, 1, 2}


class Gateway:
    """Stands for a running peer."""

    def __init__(self, folder, alive=True):
        self.peer = BY_ID[HESTIA]
        self.site = type("Site", (), {"folder": folder})
        self.alive = alive

    def stop(self):
        self.stopped = True


@pytest.fixture
def at(tmp_path):
    """`at(run)`: the outcome of three rounds of that measurement."""

    def go(run, gateway=None, rig=None):
        scenario = Scenario("one", "words", Measure("x", "ms"), run)
        jobs = [Job(round_, scenario, HESTIA) for round_ in range(3)]
        said = []
        outcome = Outcome([scenario])
        perform(jobs, rig, {HESTIA: gateway or Gateway(tmp_path)}, outcome, said.append)
        return outcome, said

    return go


def test_a_measurement_that_fails_is_said_and_the_session_goes_on(at):
    rounds = iter((1.0, None, 3.0))

    def run(rig, running):
        value = next(rounds)
        if value is None:
            raise RuntimeError("no answer")
        return {"x": value}

    outcome, said = at(run)
    assert outcome.results["one"].values(HESTIA) == {0: 1.0, 2: 3.0}
    assert outcome.failures == ["one, hestia-uvloop, round 2: no answer"]
    assert "failed: no answer" in said[1]


def test_progress_says_which_of_how_many_and_what_was_found(at):
    _, said = at(lambda rig, running: {"x": 5, "errors": 2})
    assert said[0].startswith("[1/3] round 1 one")
    assert "5.0 ms, 2 errors" in said[0]


def test_a_peer_that_died_is_begun_anew(at, tmp_path):
    dead, fresh = Gateway(tmp_path, alive=False), Gateway(tmp_path)
    rig = type("Rig", (), {"fresh": lambda self, peer, name: fresh})()
    used = []
    at(lambda rig, running: used.append(running) or {"x": 1}, dead, rig)
    assert used == [fresh] * 3
    assert dead.stopped


def test_logs_that_nobody_reads_do_not_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "MOST_LOGGED", 10)
    (tmp_path / "access.log").write_bytes(b"x" * 11)
    (tmp_path / "out0.log").write_bytes(b"x" * 10)
    session.trim(tmp_path)
    assert [(tmp_path / name).stat().st_size for name in ("access.log", "out0.log")] == [0, 10]
