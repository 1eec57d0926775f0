"""The command line: which command, with which words and flags. `argparse` costs twice the time of all the rest."""

from __future__ import annotations

from hestia import __version__
from hestia.ctl.commands import COMMANDS, EVERYWHERE, JSON, TEXT, Command, Option, begins, named, usage_of
from hestia.wire import duration

WIDTH = 30


class Usage(Exception):
    """The command line makes no sense. The text says why."""


class Asked:
    """What was asked for."""

    __slots__ = ("command", "flags", "words")

    def __init__(self, command: Command | None, words: dict[str, str], flags: dict[str, str]) -> None:
        self.command = command
        self.words = words
        self.flags = flags

    @property
    def json(self) -> bool:
        return "--json" in self.flags or self.flags.get("--format") == JSON


def parse(argv: list[str]) -> Asked:
    """Flags may stand anywhere; `--` ends them. Raises Usage."""
    command, plain = _command(argv)
    options = {option.flag: option for option in (*EVERYWHERE, *(command.options if command else ()))}
    options |= {option.short: option for option in options.values() if option.short}
    flags, words, doubtful = _sorted(argv, options)
    if "--help" in flags or "--version" in flags:
        return Asked(command, {}, flags)
    if command is None:
        raise Usage(_no_command(plain))
    if "--json" in flags and flags.get("--format") == TEXT:
        raise Usage("--json and --format text: choose one")
    return Asked(command, _named_words(command, words[len(command.name.split()) :], flags, doubtful), flags)


def _command(argv: list[str]) -> tuple[Command | None, list[str]]:
    """The command, before its flags are known: only those with a value that stand before it matter."""
    every = {option.flag: option for option in EVERYWHERE}
    plain: list[str] = []
    left = list(argv)
    while left and len(plain) < 2:  # noqa: PLR2004 -- no command has more words
        word = left.pop(0)
        if word == "--":
            plain += left
        elif not word.startswith("-"):
            plain.append(word)
        elif word in every and every[word].value and left:
            left.pop(0)
    return named(" ".join(plain[:2])) or (named(plain[0]) if plain else None), plain


def _sorted(argv: list[str], options: dict[str, Option]) -> tuple[dict[str, str], list[str], tuple[str, str] | None]:
    """Flags and plain words; and the word after a flag whose value is optional, which may have been a plain one."""
    flags: dict[str, str] = {}
    words: list[str] = []
    doubtful = None
    left = list(argv)
    while left:
        word = left.pop(0)
        if word == "--":
            return flags, words + left, doubtful
        if not word.startswith("-") or word == "-":
            words.append(word)
            continue
        flag, equals, value = word.partition("=")
        option = options.get(flag)
        if option is None:
            raise Usage(f"there is no option {flag}{_nearest(flag, [name for name in options if name])}")
        if option.optional:
            if not equals and left and duration(left[0]) is not None:
                value = left.pop(0)
                doubtful = (option.flag, value)
        elif option.value:
            if not equals:
                if not left:
                    raise Usage(f"{flag} needs {option.value}")
                value = left.pop(0)
        elif equals:
            raise Usage(f"{flag} takes no value")
        flags[option.flag] = _checked(option, flag, value, given=bool(equals))
    return flags, words, doubtful


def _checked(option: Option, flag: str, value: str, *, given: bool) -> str:
    if option.choices and value not in option.choices:
        raise Usage(f"{flag} is one of {', '.join(option.choices)}, not {value!r}")
    if option.value == "DURATION" and (value or given or not option.optional) and duration(value) is None:
        raise Usage(f"{flag} takes a duration such as 500ms, 30s, 15m, 2h or 90d, not {value!r}")
    if option.value == "N" and not (value.isascii() and value.isdigit()):
        raise Usage(f"{flag} takes a whole number, not {value!r}")
    return value


def _named_words(
    command: Command, words: list[str], flags: dict[str, str], doubtful: tuple[str, str] | None
) -> dict[str, str]:
    if not words and doubtful is not None and command.args and "--all" not in flags:
        flag, value = doubtful  # `stop --hold 2h`: no service is named but by that word
        flags[flag] = ""
        words = [value]
    found: dict[str, str] = {}
    for arg, word in zip(command.args, words, strict=False):
        if arg.choices and word not in arg.choices:
            raise Usage(f"{arg.name} is one of {', '.join(arg.choices)}, not {word!r}")
        if arg.name == "DURATION" and duration(word) is None:
            raise Usage(f"{word!r} is no duration such as 500ms, 30s, 15m, 2h or 90d")
        found[arg.name] = word
    if len(words) > len(command.args):
        raise Usage(f"`{command.name}` does not take {words[len(command.args)]!r}: {command.usage}")
    missing = [arg.name for arg in command.args if arg.needed and arg.name not in found]
    if missing:
        raise Usage(f"`{command.name}` needs {missing[0]}: {command.usage}")
    return found


def _no_command(plain: list[str]) -> str:
    if not plain:
        return "name a command"
    rest = [command.name.partition(" ")[2] for command in begins(plain[0])]
    if rest:
        return f"`{plain[0]}` needs one of {', '.join(rest)}"
    names = [command.name for command in COMMANDS if not command.hidden]
    return f"there is no command {plain[0]!r}{_nearest(plain[0], names)}"


def _nearest(word: str, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 -- 6 ms that only a mistake pays

    near = get_close_matches(word, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def help_text(command: Command | None) -> str:
    """What can be asked, or what one command takes."""
    if command is None:
        lines = [f"usage: hestiactl [OPTIONS] COMMAND ...\n\nhestiactl {__version__} speaks to a running gateway.\n"]
        lines.append("commands:")
        lines += [_row(_short(each), each.says) for each in COMMANDS if not each.hidden]
        lines.append("\n`hestiactl COMMAND --help` says what a command takes.")
        options: tuple[Option, ...] = EVERYWHERE
    else:
        lines = [f"usage: hestiactl {command.usage}\n\n{command.says}"]
        more = [each for each in begins(command.name) if not each.hidden]
        lines += ["\ncommands:", *(_row(each.usage, each.says) for each in more)] if more else []
        options = (*command.options, *EVERYWHERE)
    lines.append("\noptions:")
    lines += [_row(_spelled(option), option.says) for option in options]
    lines.append("\nexit codes: 0 done, 1 failed, 2 usage or configuration, 3 service not running (status ID),")
    lines.append("4 no permission, 5 unknown id, 7 gateway not reachable, 8 timed out, 130 interrupted")
    return "\n".join(lines) + "\n"


def _short(command: Command) -> str:
    return " ".join([command.name, *(arg.name if arg.needed else f"[{arg.name}]" for arg in command.args)])


def _spelled(option: Option) -> str:
    long = Option(option.flag, "", value=option.value, optional=option.optional)
    return f"{option.short}, {usage_of(long)}" if option.short else usage_of(long)


def _row(left: str, right: str) -> str:
    gap = "" if len(left) < WIDTH else "\n" + " " * (WIDTH + 2)
    return f"  {left:<{WIDTH}}{gap}{right}"
