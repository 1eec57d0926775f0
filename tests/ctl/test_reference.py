"""The reference of `hestiactl`."""

from hestia import wire
from hestia.ctl.commands import COMMANDS, EVERYWHERE
from hestia.ctl.reference import EXITS, as_markdown


def test_every_command_and_every_flag_stands_in_it():
    text = as_markdown()
    for command in COMMANDS:
        assert command.hidden == (f"| `{command.usage}` |" not in text)
        assert all(option.says in text for option in command.options)
    assert all(option.flag in text for option in EVERYWHERE)
    assert "__complete" not in text


def test_every_exit_code_stands_in_it():
    names = ("DONE", "FAILED", "USAGE", "NOT_RUNNING", "NO_PERMISSION", "UNKNOWN", "UNREACHABLE", "TIMED_OUT", "INTERRUPTED")
    assert [code for code, _ in EXITS] == [getattr(wire, name) for name in names]
