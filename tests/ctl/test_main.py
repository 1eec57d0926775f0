"""`hestiactl` is honest about what it cannot do yet."""

import pytest

import hestia
from hestia.ctl.main import main


@pytest.mark.parametrize("words", ([], ["status"], ["stop", "demo"]))
def test_a_command_says_that_the_gateway_is_not_reachable_and_exits_7(capsys, words):
    assert main(words) == 7
    said = capsys.readouterr()
    assert said.out == ""
    assert "later version" in said.err
    assert "/v1/services" in said.err


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_is_no_error(capsys, word):
    assert main([word]) == 0
    assert "usage: hestiactl" in capsys.readouterr().out


def test_it_knows_its_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hestiactl {hestia.__version__}\n"
