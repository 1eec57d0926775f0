"""The command line."""

import pytest

from hestia.ctl.parse import Usage, help_text, parse


@pytest.mark.parametrize(
    ("line", "name", "words", "flags"),
    [
        ("status", "status", {}, {}),
        ("status demo", "status", {"ID": "demo"}, {}),
        ("status --json demo", "status", {"ID": "demo"}, {"--json": ""}),
        ("--socket /x status", "status", {}, {"--socket": "/x"}),
        ("--socket=/x status", "status", {}, {"--socket": "/x"}),
        ("status --socket /x demo", "status", {"ID": "demo"}, {"--socket": "/x"}),
        ("config show --routes", "config show", {}, {"--routes": ""}),
        ("config --json show", "config show", {}, {"--json": ""}),
        ("machines", "machines", {}, {}),
        ("machines hold desk 2h", "machines hold", {"ID": "desk", "DURATION": "2h"}, {}),
        ("logs -f demo -n 5", "logs", {"ID": "demo"}, {"--follow": "", "--lines": "5"}),
        ("stop demo --hold", "stop", {"ID": "demo"}, {"--hold": ""}),
        ("stop demo --hold 2h", "stop", {"ID": "demo"}, {"--hold": "2h"}),
        ("stop --hold 2h demo", "stop", {"ID": "demo"}, {"--hold": "2h"}),
        ("stop --hold demo", "stop", {"ID": "demo"}, {"--hold": ""}),
        ("stop --hold 123", "stop", {"ID": "123"}, {"--hold": ""}),
        ("stop --hold 2h 123", "stop", {"ID": "123"}, {"--hold": "2h"}),
        ("stop --all --hold 2h", "stop", {}, {"--all": "", "--hold": "2h"}),
        ("stop --hold=90d demo", "stop", {"ID": "demo"}, {"--hold": "90d"}),
        ("start -- demo", "start", {"ID": "demo"}, {}),
        ("status -- --json", "status", {"ID": "--json"}, {}),
    ],
)
def test_words_and_flags_are_found_wherever_they_stand(line, name, words, flags):
    asked = parse(line.split())
    assert (asked.command.name, asked.words, asked.flags) == (name, words, flags)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "name a command"),
        ("staus", "did you mean status?"),
        ("xyzzy", "no command 'xyzzy'"),
        ("config", "`config` needs one of check, show"),
        ("keys", "`keys` needs one of create, list, revoke"),
        ("keys creat x", "`keys` needs one of"),
        ("start", "`start` needs ID: start ID [--wait] [--timeout DURATION]"),
        ("start a b", "does not take 'b'"),
        ("status --jsn", "did you mean --json?"),
        ("status --wait", "no option --wait"),
        ("ps --json=1", "--json takes no value"),
        ("ps --socket", "--socket needs PATH"),
        ("ps --format xml", "--format is one of json, text, not 'xml'"),
        ("ps --json --format text", "choose one"),
        ("start a --wait --timeout soon", "takes a duration"),
        ("start a --wait --timeout=", "takes a duration"),
        ("stop a --hold=x", "takes a duration"),
        ("stop a --hold=", "takes a duration"),
        ("machines hold desk soon", "no duration"),
        ("logs a -n many", "takes a whole number"),
        ("logs a -n -1", "takes a whole number"),
        ("log-level loud", "is one of debug, info"),
        ("completion csh", "is one of bash, zsh, fish"),
        ("ps -x", "no option -x"),
    ],
)
def test_what_makes_no_sense_says_why(line, says):
    with pytest.raises(Usage) as caught:
        parse(line.split())
    assert says in str(caught.value)


def test_help_goes_before_mistakes():
    assert parse(["start", "--help"]).command.name == "start"
    assert parse(["-h"]).command is None
    assert "--version" in parse(["--version"]).flags


def test_json_is_asked_for_in_two_ways():
    assert parse(["ps", "--json"]).json
    assert parse(["ps", "--format", "json"]).json
    assert parse(["ps", "--json", "--format", "json"]).json
    assert not parse(["ps", "--format", "text"]).json


def test_help_lists_commands_options_and_exit_codes():
    text = help_text(None)
    assert "machines hold ID [DURATION]" in text
    assert "--socket PATH" in text
    assert "130 interrupted" in text
    assert "__complete" not in text
    assert max(map(len, text.splitlines())) < 120


def test_help_of_one_command_lists_what_it_takes():
    text = help_text(parse(["stop", "-h"]).command)
    assert text.startswith("usage: hestiactl stop [ID] [--hold [DURATION]] [--all] [--wait]\n")
    assert "--hold [DURATION]" in text
    assert "machines wake ID" in help_text(parse(["machines", "-h"]).command)
