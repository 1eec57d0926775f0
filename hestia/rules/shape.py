"""What the structs of `words.spec` say about a key: read once from their annotations."""

import functools
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Struct

from hestia.words.reads import OneOrMany, Reads, Shown

DURATIONS = frozenset({"duration", "positive_duration", "auto_duration", "auto_positive"})
FREE_TEXTS = frozenset({"text", "secret", "free_secret", "header_value", "password_hash", "regex"})


class Hint(Struct, frozen=True):
    """An annotation, taken apart."""

    base: Any
    reads: Reads | None = None
    one_or_many: bool = False
    shown: str | None = None
    says: str = ""

    @property
    def members(self) -> tuple[Any, ...]:
        """The alternatives of a union (the thing itself if it is none), without None."""
        if get_origin(self.base) in (Union, UnionType):
            return tuple(member for member in get_args(self.base) if member is not NoneType)
        return (self.base,)

    @property
    def optional(self) -> bool:
        return get_origin(self.base) in (Union, UnionType) and NoneType in get_args(self.base)


class Key(Struct, frozen=True):
    """One key of the file: the field it fills and what it accepts."""

    field: str
    hint: Hint
    required: bool
    default: Any

    @property
    def duration(self) -> bool:
        """Whether `X_ms` is another spelling of it."""
        reads = self.hint.reads
        return reads is not None and reads.name in DURATIONS


def unwrap(annotation: Any) -> Hint:
    if get_origin(annotation) is not Annotated:
        return Hint(annotation)
    base, *notes = get_args(annotation)
    metas = [note for note in notes if isinstance(note, msgspec.Meta)]
    return Hint(
        base,
        reads=next((note for note in notes if isinstance(note, Reads)), None),
        one_or_many=any(isinstance(note, OneOrMany) for note in notes),
        shown=next((note.text for note in notes if isinstance(note, Shown)), None),
        says=next((meta.description or "" for meta in metas), ""),
    )


@functools.cache
def keys_of(struct: type[Struct]) -> Mapping[str, Key]:
    """The keys of a mapping in the file; a field without a sentence is none (such as a service's own id)."""
    hints = get_type_hints(struct, include_extras=True)
    keys = {}
    for field in msgspec.structs.fields(struct):
        hint = unwrap(hints[field.name])
        if hint.says:
            keys[field.encode_name] = Key(field.name, hint, field.required, _default(field))
    return keys


def _default(field: Any) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    return None if field.default is NODEFAULT else field.default


def is_struct(base: Any) -> bool:
    return isinstance(base, type) and issubclass(base, Struct)


def kind_of(struct: type[Struct]) -> str | None:
    """The value of `kind` that chooses this struct among several."""
    tag = struct.__struct_config__.tag
    return tag if isinstance(tag, str) else None


def hint_at(struct: type[Struct], path: tuple[str, ...]) -> Hint | None:
    """What the key at a path accepts; None where there is no such key."""
    if not path:
        return None
    key = keys_of(struct).get(path[0])
    return _within(key.hint, path[1:]) if key else None


def _within(hint: Hint, rest: tuple[str, ...]) -> Hint | None:
    if not rest:
        return hint
    for member in hint.members:
        if is_struct(member):
            found = hint_at(member, rest)
        else:
            arguments = get_args(member) if get_origin(member) is dict else ()
            found = _within(unwrap(arguments[1]), rest[1:]) if arguments else None
        if found is not None:
            return found
    return None


def wants_text(hint: Hint | None) -> bool:
    """Whether a text is wanted here, and any text will do."""
    if hint is None:
        return False
    inner = [hint, *map(unwrap, hint.members)]
    return any(one.base is str and (one.reads is None or one.reads.name in FREE_TEXTS) for one in inner)
