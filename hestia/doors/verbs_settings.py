"""The configuration in force as one list of settings, secrets masked: what `hestiactl config show` prints."""

from collections.abc import Callable, Iterator
from typing import Any, Final, get_args, get_origin
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from hestia.doors.verbs_answers import Setting
from hestia.rules.paths import Path, shown_path
from hestia.rules.shape import Hint, keys_of, kind_of, unwrap
from hestia.words.spec import Config, Service

MASK: Final = "(secret)"
URLS: Final = frozenset({"base_url", "health_url", "http_url"})


def effective(config: Config, source_of: Callable[[Path], str]) -> Iterator[Setting]:
    """Every setting. `source_of` says where a key came from: FILE:LINE:COLUMN, $NAME, a flag, or `default`."""
    for path, value in _struct(config, ()):
        yield Setting(key=shown_path(path), value=value, source=source_of(path))


def _struct(struct: Struct, path: Path) -> Iterator[tuple[Path, Any]]:
    kind = kind_of(type(struct))
    if kind is not None:
        yield (*path, "kind"), kind
    for name, key in keys_of(type(struct)).items():
        if isinstance(struct, Service) and name == "places" and len(struct.places) == 1:
            continue  # its one place is made of its own keys
        yield from _value(getattr(struct, key.field), key.hint, (*path, name))


def _value(value: Any, hint: Hint, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Struct):
        yield from _struct(value, path)
    elif isinstance(value, dict) and value:
        inner = _inner(hint, dict, 1)
        for name, each in value.items():
            yield from _value(each, inner, (*path, str(name)))
    elif isinstance(value, tuple) and any(isinstance(each, Struct) for each in value):
        for number, each in enumerate(value):
            yield from _value(each, Hint(type(each)), (*path, number))
    elif isinstance(value, tuple):
        inner = _inner(hint, tuple, 0)
        yield path, [_shown(each, inner) for each in value]
    else:
        yield path, _shown(value, hint)


def _inner(hint: Hint, of: type, number: int) -> Hint:
    """What the values of a mapping, or the items of a list, are."""
    for member in hint.members:
        if get_origin(member) is of:
            return unwrap(get_args(member)[number])
    return Hint(Any)


def _shown(value: Any, hint: Hint) -> Any:
    if value is not None and any(each.reads is not None and each.reads.secret for each in _hints(hint)):
        names = {each.reads.name for each in _hints(hint) if each.reads is not None}
        return _url(value) if names <= URLS and isinstance(value, str) else MASK
    return msgspec.to_builtins(value)


def _hints(hint: Hint) -> list[Hint]:
    """The hint itself, and those of its alternatives: `Secret | None` is a secret too."""
    return [hint, *map(unwrap, hint.members)]


def _url(text: str) -> str:
    """An address is no secret, but what stands before its `@` and after its `?` may be one."""
    parts = urlsplit(text)
    if "@" not in parts.netloc and not parts.query:
        return text
    authority = f"{MASK}@{parts.netloc.rpartition('@')[2]}" if "@" in parts.netloc else parts.netloc
    return f"{parts.scheme}://{authority}{parts.path}" + (f"?{MASK}" if parts.query else "")
