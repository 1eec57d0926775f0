"""The configuration as a JSON Schema (2020-12), for editors that complete and check while one types.

It says less than the loader: what crosses from one key to another, only the loader knows.
"""

from typing import Any, Literal, get_args, get_origin

from msgspec import Struct, to_builtins

from hestia.rules.scalars import READERS
from hestia.rules.shape import Hint, Key, is_struct, keys_of, kind_of, unwrap
from hestia.words.spec import Document, Machine, Place, Service, StrategyUse

Schema = dict[str, Any]
_READER_OF = {str: "text", bool: "switch", int: "integer", float: "number"}
_REFERENCE = {"type": "string", "pattern": r"\$\{"}


def json_schema() -> Schema:
    definitions: dict[str, Schema] = {}
    root = _mapping(Document, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Hestia configuration",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def _mapping(struct: type[Struct], definitions: dict[str, Schema]) -> Schema:
    properties: dict[str, Schema] = {}
    for name, key in keys_of(struct).items():
        properties[name] = _key(name, key, definitions)
        if key.duration:
            says = f"{name} in whole milliseconds."
            properties[f"{name}_ms"] = {"description": says, "type": "integer", "minimum": 0}
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [name for name, key in keys_of(struct).items() if key.required]
    kind = kind_of(struct)
    if kind is not None:
        schema["properties"] = {"kind": {"const": kind}, **properties}
        required.insert(0, "kind")
    if required and struct not in (Service, Place, Machine):
        schema["required"] = required
    if struct.__doc__:
        schema["description"] = struct.__doc__.split("\n", 1)[0]
    return schema


def _key(name: str, key: Key, definitions: dict[str, Schema]) -> Schema:
    if name in ("services", "machines"):
        inner = _hint(Hint(Service if name == "services" else Machine), definitions)
        schema: Schema = {"type": ["object", "null"], "additionalProperties": _or_null(inner)}
    elif name == "defaults":
        schema = _or_null(_hint(Hint(Service), definitions))
    else:
        schema = _hint(key.hint, definitions)
    told = {"description": key.hint.says} if key.hint.says else {}
    return {**schema, **told, **_default(key)}


def _default(key: Key) -> Schema:
    """Only where the file would say it the same way."""
    value = key.default
    if key.hint.shown is not None or key.required or not isinstance(value, bool | int | float | str):
        return {}
    return {"default": int(value) if isinstance(value, float) and value == int(value) else to_builtins(value)}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _hint(hint: Hint, definitions: dict[str, Schema]) -> Schema:
    if hint.reads is not None:
        return _scalar(hint.reads.name)
    schemas = [_single(member, hint, definitions) for member in hint.members]
    if hint.optional:
        schemas.append({"type": "null"})
    return schemas[0] if len(schemas) == 1 else {"anyOf": schemas}


def _scalar(reader: str) -> Schema:
    """What the reader takes, or a `${NAME}` in its place."""
    schema = dict(READERS[reader].schema)
    return schema if schema == {"type": "string"} else {"anyOf": [schema, dict(_REFERENCE)]}


def _single(base: Any, hint: Hint, definitions: dict[str, Schema]) -> Schema:
    inner = unwrap(base)
    if inner.reads is not None:
        return _scalar(inner.reads.name)
    if base in _READER_OF:
        return _scalar(_READER_OF[base])
    origin = get_origin(base)
    if origin is Literal:
        return {"enum": list(get_args(base))}
    if origin is tuple:
        return _list(_hint(unwrap(get_args(base)[0]), definitions), one=hint.one_or_many)
    if origin is dict:
        return {"type": ["object", "null"], "additionalProperties": _hint(unwrap(get_args(base)[1]), definitions)}
    return _reference(base, definitions) if is_struct(base) else {}


def _list(item: Schema, *, one: bool) -> Schema:
    listed: Schema = {"type": ["array", "null"], "items": item}
    return {"anyOf": [listed, item]} if one else listed


def _reference(struct: type[Struct], definitions: dict[str, Schema]) -> Schema:
    name = struct.__name__
    if name not in definitions:
        definitions[name] = {}
        definitions[name] = _mapping(struct, definitions)
    reference: Schema = {"$ref": f"#/$defs/{name}"}
    return {"anyOf": [{"type": "string"}, reference]} if struct is StrategyUse else reference
