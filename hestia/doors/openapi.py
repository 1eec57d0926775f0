"""The description of the HTTP API: OpenAPI 3.1, made from the table of endpoints and the structs of the use-cases."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from hestia.doors import sse
from hestia.doors.api_pages import Addresses
from hestia.doors.api_routes import ROUTES, Route
from hestia.doors.verbs import VERBS
from hestia.rules import dispatch
from hestia.telemetry import prometheus
from hestia.telemetry.figures import Metrics, ServiceMetrics
from hestia.words.refusal import REFUSALS
from hestia.words.status import Health, ServiceStatus

REF: Final = "#/components/schemas/{name}"
EVERYWHERE: Final = ("bad_request", "unauthorized", "forbidden", "method_not_allowed", "host_not_allowed", "internal")
"""The refusals that any endpoint may answer."""
JSON: Final = "application/json"
TOO_MUCH: Final = ("payload_too_large",)
ONE_OF: Final[dict[tuple[str, bool], Any]] = {
    ("services.stop", True): ServiceStatus,
    ("metrics", True): ServiceMetrics,
    ("metrics", False): Metrics,
}
"""(use-case, whether the path names something) -> the one of its answers that is given there."""


class OpenAiError(Struct, frozen=True, kw_only=True):
    """What clients made for OpenAI show."""

    message: str
    type: str
    code: str


class Problem(Struct, frozen=True, kw_only=True):
    """A refusal of Hestia's own (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    service: str | None
    request_id: str
    error: OpenAiError


def description(version: str) -> dict[str, Any]:
    """The whole document."""
    types = [Problem, Addresses, Health, dispatch.Asked, *dict.fromkeys(_types())]
    schemas, components = msgspec.json.schema_components(types, ref_template=REF)
    named = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = _pages(named)
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, named)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hestia",
            "version": version,
            "description": "A personal on-demand service gateway: services, machines and what happened to them.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    }


def _types() -> list[Any]:
    """Every type that an endpoint takes or answers."""
    found: list[Any] = []
    for route in ROUTES:
        found += [field.type for field in fields(VERBS[route.verb].params)]
        found.append(_result(route))
    return found


def _result(route: Route) -> Any:
    """What the use-case answers here. Some answer another struct about one thing than about all."""
    result = VERBS[route.verb].result
    return ONE_OF.get((route.verb, "{" in route.path), result)


def _operation(route: Route, named: dict[Any, Any]) -> dict[str, Any]:
    verb = VERBS[route.verb]
    kept = {field.name: field for field in fields(verb.params)}
    in_path = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in in_path
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": named[kept[name].type]} for name in route.query
    ]
    if route.streams == "always":
        parameters.append({"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}})
    operation: dict[str, Any] = {
        "operationId": route.verb + (".one" if in_path and route.verb == "metrics" else ""),
        "summary": verb.says,
        "parameters": parameters,
        "responses": _responses(route, named),
    }
    if route.method == "POST":
        properties = {name: named[kept[name].type] for name in route.query}
        schema = {"type": "object", "properties": properties, "additionalProperties": False}
        operation["requestBody"] = {"required": False, "content": {JSON: {"schema": schema}}}
    return operation


def _responses(route: Route, named: dict[Any, Any]) -> dict[str, Any]:
    events = {sse.HEADERS["Content-Type"]: {"schema": {"type": "string"}}}
    json = {JSON: {"schema": named[_result(route)]}}
    content = events if route.streams == "always" else {**json, **(events if route.streams else {})}
    done = {"description": "Done, and this is how it is now.", "content": content}
    found: dict[str, Any] = {}
    if route.method == "POST":
        found["202"] = {"description": "Begun; this is how it is now.", "content": content}
        if "wait" in route.query:
            found["200"] = done
    else:
        found["200"] = {"description": "The answer.", "content": content}
    more = TOO_MUCH if route.method == "POST" else ()
    return found | _refusals(dict.fromkeys((*route.refusals, *EVERYWHERE, *more)))


def _refusals(codes: dict[str, None]) -> dict[str, Any]:
    """By status: several refusals may share one."""
    found: dict[str, Any] = {}
    for code in codes:
        kind = REFUSALS[code]
        known = found.get(str(kind.status))
        words = f"`{code}`: {kind.when}"
        found[str(kind.status)] = {
            "description": words if known is None else f"{known['description']} {words}",
            "content": {"application/problem+json": {"schema": {"$ref": REF.format(name=Problem.__name__)}}},
        }
    return dict(sorted(found.items()))


def _pages(named: dict[Any, Any]) -> dict[str, Any]:
    """What is no use-case."""
    text = {prometheus.CONTENT_TYPE.partition(";")[0]: {"schema": {"type": "string"}}}
    found: dict[str, Any] = {
        "/": {"get": _page("addresses", "The addresses that exist.", {JSON: {"schema": named[Addresses]}})},
        "/__health": {"get": _page("health", "Whether it lives.", {JSON: {"schema": named[Health]}})},
    }
    found["/metrics"] = {"get": _page("metrics.text", "Counters and latencies as Prometheus text.", text)}
    found["/v1/openapi.json"] = {
        "get": _page("openapi", "This description.", {JSON: {"schema": {"type": "object"}}}),
    }
    found["/v1/requests"] = {"post": _dispatcher(named[dispatch.Asked])}
    return found


def _dispatcher(body: dict[str, Any]) -> dict[str, Any]:
    says = "The answer of the service, as it came; or a refusal, as the service's own address would give it."
    return {
        "operationId": "requests",
        "summary": "Send a request to a service, by its name or by the routes.",
        "requestBody": {"required": True, "content": {JSON: {"schema": body}}},
        "responses": {"default": {"description": says, "content": {"*/*": {}}}},
    }


def _page(name: str, says: str, content: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": says,
        "responses": {"200": {"description": says, "content": content}, **_refusals(dict.fromkeys(EVERYWHERE))},
    }
