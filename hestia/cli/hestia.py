"""`hestia`: the program. Each command is a row of COMMANDS; help is made from them."""

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

from hestia import __version__
from hestia.wire import DONE, FAILED, INTERRUPTED, USAGE

if TYPE_CHECKING:
    from hestia.roof.config import Loaded

LAST_PORT: Final = 65535
A_DAY_S: Final = 86400
DEMO_DELAY_S: Final = 3.0
DEMO_SERVERS: Final = ("slow", "chat", "big", "flaky")
LEVELS: Final = ("debug", "info", "warning", "error")


def serve(asked: argparse.Namespace) -> int:
    """Run the gateway."""
    from hestia.roof.config import load as load_config
    from hestia.roof.run import serve as run_gateway

    flags = {
        "listen": tuple(asked.listen) or None,
        "data_dir": asked.data_dir,
        "control_socket": asked.control_socket,
        "log.level": asked.log_level,
    }
    said = {name: value for name, value in flags.items() if value is not None}
    loaded = load(asked.config, said)
    if loaded is None:
        return USAGE
    load_again = partial(load_config, asked.config, os.environ, flags=said, strategies=False)
    return run_gateway(loaded, load_again, watch=asked.watch)


def check(asked: argparse.Namespace) -> int:
    """Say every mistake in a configuration file."""
    loaded = load(asked.file or asked.config, {})
    if loaded is None:
        return USAGE
    for warning in (*loaded.warnings, *loaded.broken):
        print(f"warning: {warning}", file=sys.stderr)
    named = asked.file or asked.config
    nothing = f"{named} says nothing" if named else "no configuration file"
    print(f"ok: {loaded.source or f'{nothing}, the built-in defaults'}")
    return DONE


def load(path: str | None, flags: dict[str, object]) -> "Loaded | None":
    """Every mistake on standard error and None, or what was loaded."""
    from hestia.roof.config import load as load_config
    from hestia.rules.marks import ConfigError

    try:
        return load_config(path, os.environ, flags=flags)
    except ConfigError as error:
        for mistake in error.mistakes:
            print(mistake, file=sys.stderr)
        return None


def doctor(asked: argparse.Namespace) -> int:
    """Say what is wrong with this set-up, or will surprise."""
    from hestia.cli.doctor import doctor as look

    loaded = load(asked.config, {})
    return FAILED if loaded is None else look(loaded, os.environ)


def hash_password(_: argparse.Namespace) -> int:
    """Print the line for `auth.dashboard.password_hash`."""
    from hestia.cli.hash_password import run_hash_password

    return run_hash_password()


def import_(asked: argparse.Namespace) -> int:
    """Print our configuration, made from another program's."""
    from hestia.cli.import_llama_swap import run_import

    return run_import(asked.file, os.environ)


def schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema of the configuration, for editors."""
    from hestia.rules.schema import json_schema

    print(json.dumps(json_schema(), indent=2))
    return DONE


def demo(asked: argparse.Namespace) -> int:
    """Show what a gateway does, with one of its own."""
    if asked.port is None:
        return demo_walk(asked)
    from hestia.cli.demo import run_demo

    if asked.listen is not None or asked.no_pause or asked.once:
        asked.refuse("--listen, --no-pause and --once are for the walk, which takes no --port")
    delay = DEMO_DELAY_S if asked.start_delay is None else asked.start_delay
    return run_demo(asked.port, delay, asked.kind or DEMO_SERVERS[0], asked.parent)


def demo_walk(asked: argparse.Namespace) -> int:
    if asked.kind is not None or asked.start_delay is not None or asked.parent is not None:
        asked.refuse("--as, --start-delay and --while are for a server: say its --port")
    from hestia.cli.demo_tour import run_tour

    return run_tour(asked.listen or "127.0.0.1:0", pause=not asked.no_pause, once=asked.once)


def version(_: argparse.Namespace) -> int:
    """Print the version."""
    print(f"hestia {__version__}")
    return DONE


def serve_flags(parser: argparse.ArgumentParser) -> None:
    config_flag(parser)
    parser.add_argument(
        "--listen", action="append", default=[], metavar="ADDRESS", help="HOST:PORT, [V6]:PORT or unix:PATH; repeatable"
    )
    parser.add_argument("--data-dir", metavar="DIR", help="where Hestia keeps what must outlive it")
    parser.add_argument("--control-socket", metavar="PATH", help="the socket that hestiactl speaks to")
    parser.add_argument("--log-level", choices=LEVELS, help="the least important events that are logged")
    parser.add_argument("--watch", action="store_true", help="reload when the configuration file changes")


def config_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="the configuration file; default: the first one there is")


def check_flags(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("file", nargs="?", metavar="FILE", help="default: the file that `serve` would read")
    choice.add_argument("--config", metavar="FILE", help="the same, as `serve` spells it")


def import_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", choices=("llama-swap",), help="whose configuration it is")
    parser.add_argument("file", metavar="FILE", help="`-`: standard input")


def demo_flags(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(refuse=parser.error)
    walk = parser.add_argument_group("the walk")
    walk.add_argument("--listen", type=loopback, metavar="ADDRESS", help="HOST:PORT of loopback (default: a free port)")
    walk.add_argument("--no-pause", action="store_true", help="go on without Enter, as it does without a terminal")
    walk.add_argument("--once", action="store_true", help="end after the walk")
    server = parser.add_argument_group("one of its servers")
    server.add_argument("--port", type=port_number, help="where on 127.0.0.1; 0: any free port")
    server.add_argument("--as", dest="kind", choices=DEMO_SERVERS, help="which one (default slow); flaky never starts")
    server.add_argument(
        "--start-delay", type=seconds, metavar="SECONDS", help="wait so long before listening (default 3)"
    )
    server.add_argument("--while", dest="parent", type=int, metavar="PID", help="end when this parent is gone")


def loopback(text: str) -> str:
    """The demo has no keys, and runs what it is asked for."""
    from ipaddress import ip_address

    from hestia.rules.addresses import UnixAddress, parse_listen

    try:
        address = parse_listen(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None
    host = "" if isinstance(address, UnixAddress) else address.host
    with contextlib.suppress(ValueError):
        if host == "localhost" or ip_address(host).is_loopback:
            return text
    raise argparse.ArgumentTypeError(f"{text!r} is not of loopback; the demo is for this machine only")


def port_number(text: str) -> int:
    if not text.isdecimal() or int(text) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to {LAST_PORT}")
    return int(text)


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < A_DAY_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


class Command(NamedTuple):
    run: Callable[[argparse.Namespace], int]
    flags: Callable[[argparse.ArgumentParser], None] | None = None


COMMANDS: Final = {
    "serve": Command(serve, serve_flags),
    "check": Command(check, check_flags),
    "schema": Command(schema),
    "demo": Command(demo, demo_flags),
    "doctor": Command(doctor, config_flag),
    "hash-password": Command(hash_password),
    "import": Command(import_, import_flags),
    "version": Command(version),
}


def command_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hestia", description="A personal on-demand service gateway.")
    parser.add_argument("--version", action="version", version=f"hestia {__version__}")
    rows = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        sentence = command.run.__doc__ or ""
        row = rows.add_parser(name, help=sentence, description=sentence, allow_abbrev=False)
        if command.flags is not None:
            command.flags(row)
    return parser


def fill_standard_streams() -> None:
    """Where one is closed, the first socket would take its number, and what is written to it would go to a client."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w")


def main(argv: list[str] | None = None) -> int:
    fill_standard_streams()
    asked = command_parser().parse_args(argv)
    try:
        code = COMMANDS[asked.command].run(asked)
        sys.stdout.flush()  # here, where a reader that left (`hestia schema | head`) can still be caught
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return code


if __name__ == "__main__":
    raise SystemExit(main())
