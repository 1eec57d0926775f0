"""Which service serves a model: what the configuration says, and what services listed themselves when they were hot.

An exact name goes before a glob, and globs go by the order of the configuration. Of exact names what is configured was
meant, what is listed may be there by chance.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hestia.rules.strategies import Served

LIST_PATHS: Final = ("/v1/models", "/api/tags")
"""Where services list their models: as OpenAI's API does, and as Ollama's."""
MODELS_PATH: Final = b"/v1/models"
GLOB: Final = frozenset("*?[")
LATEST: Final = ":latest"
"""Ollama lists `llama3:latest`, and everybody says `llama3`."""
MOST_LISTED: Final = 10_000
LONGEST_NAME: Final = 512
MOST_TOLD = 50
NONE_KNOWN: Final = "no models are known yet: name them in the `models` of a service"


def is_glob(name: str) -> bool:
    return not GLOB.isdisjoint(name)


def serving(model: str | None, services: Sequence[Served]) -> str | None:
    """The id of the service that serves this model."""
    if not model:
        return None
    for service in services:
        if model in service.models and not is_glob(model):
            return service.id
    for service in services:
        if model in service.listed or model + LATEST in service.listed:
            return service.id
    for service in services:
        if any(fnmatchcase(model, name) for name in service.models if is_glob(name)):
            return service.id
    return None


def known(services: Sequence[Served]) -> Iterator[tuple[str, Served]]:
    """Every name that is known, once, with the service that serves it; those of the configuration first."""
    by_id = {service.id: service for service in services}
    names: dict[str, None] = {}
    for service in services:
        names.update(dict.fromkeys(name for name in service.models if not is_glob(name)))
    for service in services:
        names.update(dict.fromkeys(service.listed))
    for name in names:
        id_ = serving(name, services)
        if id_ is not None:
            yield name, by_id[id_]


def listing(services: Sequence[Served]) -> bytes:
    """The answer to `GET /v1/models`."""
    data = [_entry(name, service) for name, service in known(services)]
    return json.dumps({"object": "list", "data": data}).encode()


def entry(name: str, services: Sequence[Served]) -> bytes | None:
    """The answer to `GET /v1/models/<name>`; None: nobody serves it."""
    id_ = serving(name, services)
    service = next((each for each in services if each.id == id_), None)
    return json.dumps(_entry(name, service)).encode() if service is not None else None


def _entry(name: str, service: Served) -> dict[str, str]:
    return {"id": name, "object": "model", "service": service.id, "status": service.state}


def unknown(model: str | None, services: Sequence[Served]) -> str:
    """What a 404 says: the model that was asked for, and the known ones."""
    globs = [name for service in services for name in service.models if is_glob(name)]
    names = list(dict.fromkeys([*(name for name, _ in known(services)), *globs]))
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    known_ones = f"known models: {', '.join(names[:MOST_TOLD])}{more}"
    told = f"; {known_ones if names else NONE_KNOWN}"
    if not model:
        return f"the request names no model (a JSON field, a form's field or a query parameter `model`){told}"
    shown = ascii(model[:64]) + ("..." if len(model) > 64 else "")  # noqa: PLR2004
    return f"no service serves the model {shown}{told}"


def names_in(body: bytes) -> tuple[str, ...] | None:
    """The names in a service's list of models, of either kind; None: it is no such list."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    for key, names in (("data", ("id",)), ("models", ("name", "model", "id"))):
        entries = said.get(key)
        if isinstance(entries, list):
            return tuple(dict.fromkeys(_names(entries, names)))[:MOST_LISTED]
    return None


def _names(entries: Iterable[Any], keys: tuple[str, ...]) -> Iterator[str]:
    for each in entries:
        if not isinstance(each, dict):
            continue
        name = next((each[key] for key in keys if isinstance(each.get(key), str)), "")
        if 0 < len(name) <= LONGEST_NAME and name.isprintable():
            yield name
