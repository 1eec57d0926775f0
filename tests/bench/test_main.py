"""The command line of the bench."""

import subprocess
import sys

import pytest

from bench.__main__ import SCENARIOS, SIZES, chosen, flags, main
from tests.house.tree import ROOT


def asked(*words):
    parser = flags()
    return chosen(parser.parse_args(words), parser)


def test_quick_is_two_scenarios_and_three_proxies():
    size = asked("--quick")
    assert len(size.scenarios) == 2
    assert len(set(size.peers) - {"direct"}) == 3
    assert size.rounds * len(size.scenarios) * len(size.peers) * (size.seconds + 1) < 90


def test_all_is_longer_than_the_usual_one_and_both_hold_everything():
    assert SIZES["all"].rounds > SIZES["bench"].rounds
    assert asked().scenarios == asked("--all").scenarios == tuple(SCENARIOS)


def test_parts_may_be_chosen():
    size = asked("--only", "post,sse", "--peers", "nginx", "--rounds", "2", "--bulk", "64")
    assert (size.scenarios, size.peers, size.rounds, size.bulk_mib) == (("post", "sse"), ("nginx",), 2, 64)


@pytest.mark.parametrize("words", (["--only", "nothing"], ["--peers", "iis"], ["--rounds", "0"], ["--quick", "--all"]))
def test_what_makes_no_sense_is_a_usage_error(words, capsys):
    with pytest.raises(SystemExit) as end:
        asked(*words)
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err


def test_without_wrk_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("bench.wrk.find", lambda: None)
    with pytest.raises(SystemExit) as end:
        main(["--quick"])
    assert end.value.code == 2
    assert "apt-get install wrk" in capsys.readouterr().err


def test_help_names_every_scenario_and_peer():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "get-64" in done.stdout
    assert "caddy" in done.stdout
