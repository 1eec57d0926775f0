"""The command tree is the one of the contract."""

import pytest

from hestia.ctl.commands import COMMANDS, EVERYWHERE, begins, named

NAMES = """status|start|stop|restart|logs|ps|cancel|events|top|report|reload|config check|config show|machines|machines wake
|machines sleep|machines hold|strategies|strategies reload|log-level|activity|metrics|keys create|keys list|keys revoke
|backup|completion|ping|drain|shutdown"""


def test_every_command_of_the_contract_is_there_and_no_other():
    assert sorted(each.name for each in COMMANDS if not each.hidden) == sorted(NAMES.replace("\n", "").split("|"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_a_command_says_what_it_does_and_its_flags_are_its_own(command):
    assert command.says.endswith(".") or command.says.endswith("?") or command.says.endswith("quits.")
    flags = [word for option in (*EVERYWHERE, *command.options) for word in (option.flag, option.short) if word]
    assert len(flags) == len(set(flags))
    assert all(option.says and option.flag.startswith("--") for option in command.options)


def test_the_usage_reads_as_in_the_contract():
    assert named("stop").usage == "stop [ID] [--hold [DURATION]] [--all] [--wait]"
    assert named("keys create").usage == "keys create NAME [--services A,B]"
    assert named("logs").usage == "logs ID [-f] [-n N]"


def test_a_command_is_found_by_its_words():
    assert named("nope") is None
    assert [each.name for each in begins("config")] == ["config check", "config show"]
