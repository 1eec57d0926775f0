"""The description of the API says what the API does."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from hestia.doors.api_routes import ROUTES
from hestia.doors.openapi import description
from hestia.words.refusal import REFUSALS
from hestia.words.status import ServiceStatus
from tests.support.asking import get, raw
from tests.support.gateway import running


def whole():
    return json.loads(json.dumps(description("0.1.0")))


def test_it_is_a_valid_description():
    assert [error.message for error in OpenAPIV31SpecValidator(whole()).iter_errors()] == []


async def test_it_is_answered_as_it_is_made():
    async with running() as run:
        assert await get(run, "/v1/openapi.json") == (200, whole())


def test_every_endpoint_is_described_once_and_nothing_else():
    described = {(method.upper(), path) for path, item in whole()["paths"].items() for method in item}
    pages = {("POST", "/v1/requests"), ("GET", "/"), ("GET", "/__health"), ("GET", "/metrics"), ("GET", "/v1/openapi.json")}
    assert described == {(route.method, route.path) for route in ROUTES} | pages
    names = [each["operationId"] for item in whole()["paths"].values() for each in item.values()]
    assert len(names) == len(set(names))


def test_the_status_is_the_struct():
    schema = whole()["components"]["schemas"]["ServiceStatus"]
    assert list(schema["properties"]) == list(ServiceStatus.__struct_fields__)


def test_a_parameter_has_the_bounds_of_its_field():
    parameters = {each["name"]: each["schema"] for each in whole()["paths"]["/v1/activity"]["get"]["parameters"]}
    assert set(parameters) == {"service", "since", "until", "kind", "limit", "cursor"}
    assert (parameters["limit"]["minimum"], parameters["limit"]["maximum"]) == (1, 1000)


def test_every_refusal_is_a_problem():
    for item in whole()["paths"].values():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                if status != "default" and int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"]
                    codes = [code for code in REFUSALS if f"`{code}`" in answer["description"]]
                    assert codes


@pytest.mark.parametrize("route", [route for route in ROUTES if route.method == "GET"], ids=lambda route: route.path)
async def test_an_answer_has_the_type_that_is_described(route):
    async with running({"a": {"base_url": "http://127.0.0.1:1"}}) as run:
        message = await run.ask(raw("HEAD", route.path.replace("{id}", "a")))
    responses = whole()["paths"][route.path]["get"]["responses"]
    kind = message.get(b"content-type").decode().partition(";")[0]
    assert kind in responses[str(message.status)]["content"]
