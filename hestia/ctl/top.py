"""`hestiactl top`: the gateway as it is, again each second."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time

from hestia.ctl.client import Client, Where
from hestia.ctl.show import Look, neutral, table
from hestia.ctl.tell import SERVICE_HEAD, machine_row, service_row
from hestia.wire import DONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, Self

ROUND_S = 1.0
ENTER = "\x1b[?1049h\x1b[?25l"
LEAVE = "\x1b[?25h\x1b[?1049l"
HOME, CLEAR_LINE, CLEAR_REST = "\x1b[H", "\x1b[K", "\x1b[J"
QUIT = b"qQ\x03\x04"
SIZE = (80, 24)


class Seen:
    """What was counted a round ago: requests per second are differences."""

    def __init__(self) -> None:
        self._requests: dict[str, int] = {}
        self._at: float | None = None

    def rates(self, metrics: dict[str, Any], now: float) -> dict[str, float]:
        counted = {id_: int(row.get("requests", 0)) for id_, row in (metrics.get("services") or {}).items()}
        passed = 0.0 if self._at is None else now - self._at
        before, self._requests, self._at = self._requests, counted, now
        if passed <= 0:
            return dict.fromkeys(counted, 0.0)
        return {id_: max(number - before.get(id_, number), 0) / passed for id_, number in counted.items()}


def top(where: Where, look: Look, *, as_json: bool) -> int:
    """Until `q`. Where there is no terminal: once."""
    with Client(where) as client:
        if as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return _once(client, look, as_json=as_json)
        seen = Seen()
        with Screen() as screen:
            while True:
                screen.draw(shown(asked(client), seen, look, time.monotonic()))
                if screen.quits(ROUND_S):
                    return DONE


def _once(client: Client, look: Look, *, as_json: bool) -> int:
    state = asked(client)
    if as_json:
        import json  # noqa: PLC0415 -- the client has it loaded

        print(json.dumps(state, indent=2))
    else:
        print("\n".join(shown(state, Seen(), look, 0.0)))
    return DONE


def asked(client: Client) -> dict[str, Any]:
    return {
        "hello": client.call("hello"),
        "services": client.call("services.list")["services"],
        "machines": client.call("machines.list")["machines"],
        "metrics": client.call("metrics"),
    }


def shown(state: dict[str, Any], seen: Seen, look: Look, now: float) -> list[str]:
    """One picture."""
    services, rates = state["services"], seen.rates(state["metrics"], now)
    hot = sum(each["state"] == "hot" for each in services)
    waiting = sum(each.get("waiters", 0) for each in services)
    leases = sum(each.get("leases", 0) for each in services)
    lines = [
        look.paint(f"hestia {neutral(state['hello']['version'])}", "head")
        + f"  {hot} of {len(services)} hot  {waiting} waiting  {leases} leases  {sum(rates.values()):.1f} requests/s",
        "",
    ]
    rows = [[*service_row(each)[:-1], f"{rates.get(each['id'], 0.0):.1f}", service_row(each)[-1]] for each in services]
    lines += table((*SERVICE_HEAD[:-1], "REQ/S", SERVICE_HEAD[-1]), rows, look)
    machines = [machine_row(each) for each in state["machines"]]
    if machines:
        lines += ["", *table(("MACHINE", "STATE", "ROOM", "KEPT AWAKE BY", "HELD UNTIL"), machines, look)]
    return lines


class Screen:
    """The terminal while we have it; it is given back however we end."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._before: list[Any] = []
        self._handlers: list[tuple[int, Callable[[int, FrameType | None], Any] | int | None]] = []

    def __enter__(self) -> Self:
        self._before = termios.tcgetattr(self._input)
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._handlers.append((number, signal.signal(number, _ended)))
        raw = termios.tcgetattr(self._input)
        # No echo, no lines, and keys instead of signals: ^Z would leave the terminal to the shell as it is now.
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
        raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
        try:
            termios.tcsetattr(self._input, termios.TCSADRAIN, raw)
            self._write(ENTER)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            termios.tcsetattr(self._input, termios.TCSADRAIN, self._before)
            self._write(LEAVE)
        except (OSError, termios.error):
            pass  # the terminal has gone
        for number, handler in self._handlers:
            signal.signal(number, handler)

    def draw(self, lines: list[str]) -> None:
        columns, rows = size()
        fitting = [cut(line, columns) + CLEAR_LINE for line in lines[: rows - 1]]
        self._write(HOME + "\r\n".join(fitting) + "\r\n" + CLEAR_REST + cut("q: quit", columns))

    def quits(self, within: float) -> bool:
        """Waits for a key. The end of the input ends the view too."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            if not select.select([self._input], [], [], left)[0]:
                return False
            keys = os.read(self._input, 64)
            if b"\x03" in keys:
                raise KeyboardInterrupt
            if not keys or set(keys) & set(QUIT):
                return True
        return False

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _ended(number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + number)


def size() -> tuple[int, int]:
    try:
        found = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return SIZE
    return (found.columns or SIZE[0], found.lines or SIZE[1])


def cut(line: str, columns: int) -> str:
    """At most so many columns; colour marks take none."""
    kept, room, coloured, left = "", columns, False, line
    while left and room > 0:
        if left.startswith("\x1b["):
            mark, _, left = left.partition("m")
            kept, coloured = f"{kept}{mark}m", mark != "\x1b[0"
        else:
            kept, left, room = kept + left[0], left[1:], room - 1
    return kept + ("\x1b[0m" if coloured else "")
