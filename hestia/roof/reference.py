"""The key reference of the documentation, made from the structs: `docs/configuration.md` below its MARKER.

`python -m hestia.roof.reference` writes it anew and leaves what stands above; a test compares the two.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from msgspec import Struct

from hestia.rules.shape import Hint, Key, is_struct, keys_of, kind_of, unwrap
from hestia.words import spec
from hestia.words.launch_spec import HttpCall, HttpStatus, JsonTest, Launch

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
MARKER = "<!-- From here on this page is made from hestia/words/spec.py: python -m hestia.roof.reference -->"

_SECTIONS: tuple[tuple[str, type[Struct]], ...] = (
    ("The file", spec.Document),
    ("`log`", spec.Log),
    ("`tls`", spec.Tls),
    ("`auth`", spec.Auth),
    ("`auth.api_keys`, each", spec.ApiKey),
    ("`auth.dashboard`", spec.Dashboard),
    ("`limits`", spec.Limits),
    ("`semaphore`", spec.Semaphore),
    ("A service", spec.Service),
    ("A place: one of a service's `places`", spec.Place),
    ("`headers`", spec.HeaderRules),
    ("`busy`", spec.Busy),
    ("`no_wake`, each", spec.NoWake),
    ("`no_wake`: `answer`", spec.Answer),
    ("A strategy, where it has options", spec.StrategyUse),
    ("A machine", spec.Machine),
    ("`routes`, each", spec.Route),
    ("`routes`: `match`", spec.RouteMatch),
)
_KINDS_OF_VALUE = {
    "duration": "duration",
    "positive_duration": "duration",
    "auto_duration": "duration, or auto",
    "auto_positive": "duration, or auto",
    "size": "size",
    "count": "number",
    "positive": "number",
    "amount": "number",
    "integer": "number",
    "port": "port",
    "status": "status",
    "status_range": "status or range",
    "listen": "address",
    "base_url": "URL",
    "health_url": "URL",
    "http_url": "URL",
    "origin": "origin",
    "network": "network",
    "host_glob": "host name",
    "path": "path",
    "file": "file",
    "window": "time",
    "tls_verify": "switch or file",
    "regex": "regular expression",
    "mac": "hardware address",
    "signal": "signal",
    "timezone": "time zone",
    "method": "method",
}
_PLAIN = {str: "text", bool: "switch", int: "number", float: "number", Any: "anything"}


def page(now: str) -> str:
    """The page with its tables made anew; what people wrote above the marker stays."""
    return now.partition(MARKER)[0] + MARKER + "\n\n" + reference()


def reference() -> str:
    """Every key: what it takes, its default, its sentence."""
    lines: list[str] = []
    for title, struct in _SECTIONS:
        lines += [f"## {title}", "", *_table(struct), ""]
    lines += ["## `launch`", "", "`kind` says which launcher it is, and with it which keys there are.", ""]
    for struct in get_args(Launch):
        lines += [f"### `kind: {kind_of(struct)}`", "", _sentence(struct), "", *_table(struct), ""]
    for title, struct in (
        ("A request of `kind: http`", HttpCall),
        ("Its `status`", HttpStatus),
        ("`running`", JsonTest),
    ):
        lines += [f"### {title}", "", _sentence(struct), "", *_table(struct), ""]
    return "\n".join(lines).rstrip() + "\n"


def _sentence(struct: type[Struct]) -> str:
    return (struct.__doc__ or "").split("\n", 1)[0]


def _table(struct: type[Struct]) -> Iterator[str]:
    yield "| key | value | default | |"
    yield "| --- | --- | --- | --- |"
    for name, key in keys_of(struct).items():
        says = key.hint.says.replace("|", "\\|")
        yield f"| `{name}` | {_value(key.hint)} | {_default(key)} | {says} |"


def _value(hint: Hint) -> str:
    if hint.reads is not None:
        return _KINDS_OF_VALUE.get(hint.reads.name, "text")
    return " or ".join(dict.fromkeys(_single(member) for member in hint.members))


def _single(base: Any) -> str:
    inner = unwrap(base)
    if inner.reads is not None:
        return _KINDS_OF_VALUE.get(inner.reads.name, "text")
    if get_origin(base) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(base))
    if get_origin(base) is tuple:
        return f"list of {_value(unwrap(get_args(base)[0]))}"
    if get_origin(base) is dict:
        return f"mapping of {_value(unwrap(get_args(base)[1]))}"
    if base is spec.StrategyUse:
        return "strategy"
    return "mapping" if is_struct(base) else _PLAIN[base]


def _default(key: Key) -> str:
    if key.required:
        return "*needed*"
    if key.hint.shown is not None:
        return key.hint.shown if " " in key.hint.shown else f"`{key.hint.shown}`"
    shown = _shown(key.default, key.hint)
    return f"`{shown}`" if shown else ""


def _shown(value: Any, hint: Hint) -> str:
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, spec.StrategyUse):
        return value.name
    if isinstance(value, Struct):
        return ""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_item, value)) + "]"
    if hint.reads is not None and "duration" in _KINDS_OF_VALUE.get(hint.reads.name, ""):
        return _duration(value)
    if hint.reads is not None and hint.reads.name == "size":
        return f"{value // spec.MIB}MiB" if value % spec.MIB == 0 else f"{value // spec.KIB}KiB"
    return str(value)


def _item(value: Any) -> str:
    if isinstance(value, tuple):
        low, high = value
        return str(low) if low == high else f"{low}-{high}"
    return f'"{value}"' if isinstance(value, str) and not value.isalnum() else str(value)


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length and seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:g}ms"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
