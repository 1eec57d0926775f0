"""How something ended, in one line for the operator: its exit code, and the last lines it printed, made harmless."""

import os
import re
import signal
from collections.abc import Iterable, Mapping
from typing import Final

LINES: Final = 5
CHARACTERS: Final = 500
GATE: Final = "hestia-gate"  # the name under which the gate's shell complains
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_SECRET_NAME: Final = re.compile(r"TOKEN|SECRET|PASS|KEY|CREDENTIAL|AUTH", re.IGNORECASE)
_SHORTEST_SECRET: Final = 4
_GATE_SAYS: Final = re.compile(rf"^{GATE}: .*?exec: (?P<words>.*)$")


def ended(code: int | None, lines: Iterable[str], env: Mapping[str, str]) -> str:
    """`exited with code 3: last lines`. A negative code is a signal; None: it was not ours to wait for."""
    last = list(lines)
    refused = next((found["words"] for line in last if (found := _GATE_SAYS.match(line))), None)
    if code in {126, 127} and refused is not None:
        return harmless([refused], env)
    said = harmless(last, env)
    return f"{_how(code)}: {said}" if said else _how(code)


def _how(code: int | None) -> str:
    if code is None:
        return "ended (its exit code went to an earlier gateway)"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def harmless(lines: Iterable[str], env: Mapping[str, str]) -> str:
    """The last few lines as one: no colours, no control characters, no value of a variable that is called a secret."""
    secrets = [value for name, value in env.items() if _SECRET_NAME.search(name) and len(value) >= _SHORTEST_SECRET]
    shown = [words for line in lines if (words := _plain(line))]
    text = " | ".join(shown[-LINES:])
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text if len(text) <= CHARACTERS else f"...{text[-CHARACTERS:]}"


def _plain(line: str) -> str:
    text = _ESCAPES.sub("", line[-4 * CHARACTERS :]).replace("\t", " ").strip()
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def why_not(error: OSError) -> str:
    """An error of the system in its own words, without the numbers and paths that Python adds."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
