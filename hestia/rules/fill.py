"""Placeholders: `{service} {machine} {request_id} {data_dir} {port} {socket}` in the texts of a launcher and in URLs.

Only these exact words in braces are replaced, in one pass: a value is never looked at again, and every other brace
(JSON, a shell's `${x}`, a template's `{{ }}`) stays as it is.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from hestia.words.launch_spec import Launch

NAMES: Final = ("service", "machine", "request_id", "data_dir", "port", "socket")
_PLACEHOLDER: Final = re.compile(r"\{(" + "|".join(NAMES) + r")\}")
Thing = TypeVar("Thing")


def fill(thing: Thing, values: Mapping[str, str]) -> Thing:
    """The same thing with every text in it filled in; a name without a value stays. Keys are names, not texts."""
    filled: Any = thing
    if isinstance(thing, str):
        filled = _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), thing)
    elif isinstance(thing, tuple | list):
        filled = type(thing)(fill(one, values) for one in thing)
    elif isinstance(thing, dict):
        filled = {key: fill(one, values) for key, one in thing.items()}
    elif isinstance(thing, Struct):
        filled = replace(thing, **{name: fill(getattr(thing, name), values) for name in thing.__struct_fields__})
    return filled  # type: ignore[no-any-return]  # of the type it was given


def wants(*things: Any) -> frozenset[str]:
    """The names that stand in these launchers and texts: whether a port or a socket must be chosen."""
    found: set[str] = set()
    for thing in things:
        if isinstance(thing, str):
            found.update(_PLACEHOLDER.findall(thing))
        elif isinstance(thing, tuple | list):
            found |= wants(*thing)
        elif isinstance(thing, dict):
            found |= wants(*thing.values())
        elif isinstance(thing, Struct):
            found |= wants(*(getattr(thing, name) for name in thing.__struct_fields__))
    return frozenset(found)


def address(base_url: str | None, launch: Launch | None, values: Mapping[str, str]) -> str | None:
    """Where the thing will answer: `base_url` filled in, else the port or the socket that its launcher was given."""
    if base_url is not None:
        return fill(base_url, values)
    named = wants(launch)
    if "port" in named and "port" in values:
        return f"http://127.0.0.1:{values['port']}"
    if "socket" in named and "socket" in values:
        return f"http+unix://{values['socket']}"
    return None
