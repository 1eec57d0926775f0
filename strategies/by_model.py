"""The service that serves the request's model: an exact name, configured or listed, beats a glob; then config order."""

from fnmatch import fnmatchcase

from hestia.rules.strategies import Registry, Request

GLOB = frozenset("*?[")


def by_model(request: Request) -> str | None:
    model = request.model
    if not model:
        return None
    for service in request.services:  # what is configured was meant, what is listed may be there by chance
        if any(name == model for name in service.models if not GLOB & set(name)):
            return service.id
    for service in request.services:
        if model in service.listed:
            return service.id
    for service in request.services:
        if any(fnmatchcase(model, name) for name in service.models):
            return service.id
    return None


def register_strategy(registry: Registry) -> None:
    registry.add("by_model", by_model, kind="route")
