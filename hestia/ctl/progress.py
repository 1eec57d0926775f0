"""`start --wait`: the wait, with a line that says how long it usually takes."""

from __future__ import annotations

import sys
import time

from hestia.ctl.client import ANSWER_S, Client, Failed, Slow, Where
from hestia.ctl.show import bar, look_of, neutral, span
from hestia.ctl.tell import phase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROUND_S = 0.2
STATUS_S = 2.0
CLEAR = "\r\x1b[K"
NOT_YET_FULL = 0.97


def start(where: Where, params: dict[str, Any]) -> Any:
    """The status when it is ready. On a terminal a line on standard error shows how far it is."""
    with Client(where) as client:
        if not sys.stderr.isatty():
            return client.call("services.start", params, within=None)
        client.send("services.start", params)
        began = time.monotonic()
        try:
            while True:
                try:
                    return client.answer(ROUND_S)
                except Slow:
                    if not client.answered and time.monotonic() - began > ANSWER_S:
                        raise
                    _say(line(params["id"], time.monotonic() - began, _status(where, params["id"])))
        finally:
            _say("")


def _say(text: str) -> None:
    sys.stderr.write(CLEAR + text)
    sys.stderr.flush()


def _status(where: Where, id_: str) -> dict[str, Any]:
    """How it stands, asked on a second connection; not knowing is no failure."""
    try:
        with Client(where, answer_s=STATUS_S) as client:
            status: dict[str, Any] = client.call("services.status", {"id": id_}, within=STATUS_S)
            return status
    except Failed:
        return {}


def line(id_: str, passed: float, status: dict[str, Any]) -> str:
    """`demo: launching ████░░░░ 2.1s of about 4.0s`; nothing for one that is ready: the answer is on its way."""
    if status.get("state") == "hot":
        return ""
    what = neutral(phase(status) or status.get("state") or "starting")
    expected = status.get("expected_start_s")
    if not expected:
        return f"{neutral(id_)}: {what}, {span(passed)}"
    look = look_of(sys.stderr, {"NO_COLOR": "1"})
    part = bar(min(passed / expected, NOT_YET_FULL), look)
    return f"{neutral(id_)}: {what} {part} {span(passed)} of about {span(expected)}"
