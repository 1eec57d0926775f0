"""What `hestiactl` can be asked, as data. Help, parsing, completion and the docs are made from these rows."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` would cost a third of the start
if TYPE_CHECKING:
    from collections.abc import Iterator


class Option:
    """A flag. `value` names what it takes; `optional`: it may stand without it; `choices`: what that may be."""

    __slots__ = ("choices", "flag", "optional", "says", "short", "value")

    def __init__(
        self,
        flag: str,
        says: str,
        *,
        value: str = "",
        short: str = "",
        choices: tuple[str, ...] = (),
        optional: bool = False,
    ) -> None:
        self.flag = flag
        self.says = says
        self.value = value
        self.short = short
        self.choices = choices
        self.optional = optional


class Arg:
    """A word after the command. `kind` says what completion offers: ids of that kind, files or `choices`."""

    __slots__ = ("choices", "kind", "name", "needed")

    def __init__(self, name: str, kind: str = "", *, needed: bool = True, choices: tuple[str, ...] = ()) -> None:
        self.name = name
        self.kind = kind
        self.needed = needed
        self.choices = choices


class Command:
    """One command; its name has one or two words."""

    __slots__ = ("args", "hidden", "name", "options", "says")

    def __init__(
        self,
        name: str,
        says: str,
        args: tuple[Arg, ...] = (),
        options: tuple[Option, ...] = (),
        *,
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.says = says
        self.args = args
        self.options = options
        self.hidden = hidden

    @property
    def usage(self) -> str:
        """`stop [ID] [--hold [DURATION]] [--all]`"""
        words = [self.name]
        words += [arg.name if arg.needed else f"[{arg.name}]" for arg in self.args]
        words += [f"[{usage_of(option)}]" for option in self.options]
        return " ".join(words)


def usage_of(option: Option) -> str:
    value = f" [{option.value}]" if option.optional else f" {option.value}" if option.value else ""
    return (option.short or option.flag) + value


JSON = "json"
TEXT = "text"
LEVELS = ("debug", "info", "warning", "error")
SHELLS = ("bash", "zsh", "fish")
DURATION = "DURATION"
LAST = Option("--lines", "how many lines (default 100)", value="N", short="-n")
SINCE = Option("--since", "from this time on: 2026-05-01T12:00:00Z, 2026-05-01, or 2h (ago)", value="TIME")
UNTIL = Option("--until", "before this time", value="TIME")
SERVICE = Option("--service", "of this service only", value="ID")

EVERYWHERE = (
    Option("--socket", "the gateway's control socket (default $HESTIA_SOCKET, else the usual place)", value="PATH"),
    Option("--json", "the answer as JSON"),
    Option("--format", "json or text", value="FORMAT", choices=(JSON, TEXT)),
    Option("--help", "show this, or what a command takes", short="-h"),
    Option("--version", "show the version"),
)

COMMANDS = (
    Command(
        "status",
        "Services and their states; one service in full (exit 3 when it does not run).",
        (Arg("ID", "services", needed=False),),
    ),
    Command(
        "start",
        "Start a service; ends its hold.",
        (Arg("ID", "services"),),
        (
            Option("--wait", "return when it is ready"),
            Option("--timeout", "with --wait: the longest wait; then exit 8", value=DURATION),
        ),
    ),
    Command(
        "stop",
        "Stop a service, or all.",
        (Arg("ID", "services", needed=False),),
        (
            Option(
                "--hold", "keep it cold for so long; without a time until it is started", value=DURATION, optional=True
            ),
            Option("--all", "every service"),
            Option("--wait", "return when it is cold"),
        ),
    ),
    Command("restart", "Stop a service and start it again.", (Arg("ID", "services"),)),
    Command(
        "logs",
        "The last lines of what a service launched.",
        (Arg("ID", "services"),),
        (
            Option("--follow", "go on with each new line", short="-f"),
            LAST,
        ),
    ),
    Command("ps", "Requests that are relayed or wait."),
    Command("cancel", "Break a request off.", (Arg("REQUEST", "requests"),)),
    Command(
        "events", "The last changes.", (), (Option("--follow", "go on with each new one", short="-f"), SERVICE, LAST)
    ),
    Command("top", "A live view; q quits."),
    Command("report", "Hours hot and asleep, cost and saving.", (), (SINCE, UNTIL)),
    Command(
        "activity",
        "What happened, newest first.",
        (),
        (
            SERVICE,
            Option("--kind", "of this kind only, such as service.ready", value="KIND"),
            SINCE,
            UNTIL,
            Option("--limit", "how many at most (default 100)", value="N"),
            Option("--cursor", "go on where the last page ended", value="CURSOR"),
        ),
    ),
    Command("metrics", "Counters and latencies.", (Arg("ID", "services", needed=False),)),
    Command("machines", "Machines, their room and what keeps them awake."),
    Command("machines wake", "Wake a machine; ends its hold.", (Arg("ID", "machines"),)),
    Command("machines sleep", "Put a machine to sleep.", (Arg("ID", "machines"),)),
    Command("machines hold", "Keep a machine asleep.", (Arg("ID", "machines"), Arg(DURATION, needed=False))),
    Command("reload", "Put the configuration on disk in force."),
    Command("config check", "Say the mistakes of the configuration on disk (exit 2 when there are any)."),
    Command(
        "config show",
        "The settings in force and where each came from.",
        (),
        (Option("--routes", "the ways to services, in the order in which they are tried"),),
    ),
    Command("strategies", "Every strategy, and who uses it."),
    Command("strategies reload", "Read the strategy files again."),
    Command(
        "keys create",
        "Make a key; it is shown this once.",
        (Arg("NAME"),),
        (Option("--services", "what it opens, with commas between (default: everything)", value="A,B"),),
    ),
    Command("keys list", "The names of the keys."),
    Command("keys revoke", "Take a key away.", (Arg("NAME", "keys"),)),
    Command(
        "log-level",
        "Say the level of the log, or change it until the next start.",
        (Arg("LEVEL", needed=False, choices=LEVELS),),
    ),
    Command("backup", "Copy the database into a new file.", (Arg("FILE", "files"),)),
    Command("completion", "Print the completion of a shell.", (Arg("SHELL", choices=SHELLS),)),
    Command("ping", "Is the gateway there?"),
    Command("drain", "Refuse new requests, wait for the running ones, end the gateway."),
    Command("shutdown", "End the gateway."),
    Command(
        "__complete",
        "Ids for completion.",
        (Arg("KIND", choices=("services", "machines", "requests", "keys")),),
        hidden=True,
    ),
)


def named(name: str) -> Command | None:
    return next((command for command in COMMANDS if command.name == name), None)


def begins(word: str) -> Iterator[Command]:
    """Commands of two words with this first one."""
    return (command for command in COMMANDS if command.name.startswith(word + " "))
