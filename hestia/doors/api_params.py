"""What a request says, as the parameters of a use-case: by its path, its query and its body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec
from msgspec.structs import fields

from hestia.doors.api_routes import Found
from hestia.doors.guest import Asked
from hestia.doors.verbs import VERBS
from hestia.doors.verbs_params import BadParams


async def params_of(request: Asked, found: Found) -> dict[str, Any]:
    """Raises Refusal. The query counts before the body; what it says beyond the endpoint's parameters is ignored."""
    given = await _of_body(request, found)
    given |= of_query(request.rel_url.query, found)
    if found.subject is not None:
        given[found.route.names] = found.subject
    return given


def of_query(query: Mapping[str, str], found: Found) -> dict[str, Any]:
    """Text, read as the parameter's type: an address has no numbers and no switches."""
    types = _types(found)
    return {name: _read(name, query[name], wanted) for name, wanted in types.items() if name in query}


def _types(found: Found) -> dict[str, Any]:
    """Of what may be said beside the path."""
    known = {field.name: field.type for field in fields(VERBS[found.route.verb].params)}
    return {name: known[name] for name in found.route.query}


def _read(name: str, text: str, wanted: Any) -> Any:
    if not text and (wanted is bool or bool in get_args(wanted)):
        return True  # `?wait`, `?hold`
    try:
        return msgspec.convert(text, wanted)
    except msgspec.ValidationError:
        pass
    try:
        return msgspec.convert(text, wanted, strict=False)
    except msgspec.ValidationError as error:
        raise BadParams(f"{name}: {error}") from None


async def _of_body(request: Asked, found: Found) -> dict[str, Any]:
    """A body is JSON or a mistake, also where none is needed: a form of another page's cannot send JSON."""
    if not request.body_exists:
        return {}
    if request.content_type != "application/json":
        raise BadParams("the body is no JSON: send it with Content-Type: application/json")
    data = await request.body()
    if not data or request.method != "POST":
        return {}
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadParams(f"the body is no JSON: {error}") from None
    if not isinstance(said, dict):
        raise BadParams("the body is no JSON object")
    types = _types(found)
    for name, value in said.items():  # each by itself: the query may say something else, and must not hide a mistake
        if name not in types:
            takes = f"; there are: {', '.join(types)}" if types else "; this takes none"
            raise BadParams(f"the body has the unknown field {name[:64]!a}{takes}")
        try:
            msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            raise BadParams(f"the body's {name}: {error}") from None
    return said
