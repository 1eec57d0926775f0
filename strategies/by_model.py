"""The service that serves the request's model: an exact name, configured or listed, beats a glob; then config order."""

from hestia.rules.models import serving
from hestia.rules.strategies import Registry, Request


def by_model(request: Request) -> str | None:
    return serving(request.model, request.services)


def register_strategy(registry: Registry) -> None:
    registry.add("by_model", by_model, kind="route")
