"""Which service serves a model, and what is told of models."""

import json

import pytest

from hestia.rules import models
from hestia.rules.models import entry, known, listing, names_in, serving, unknown
from tests.strategies.places import S

SERVICES = (
    S("any", models=("llama*", "gemma[23]"), listed=("both",)),
    S("exact", models=("llama3:8b", "both"), listed=("qwen:latest", "phi"), state="hot"),
)


@pytest.mark.parametrize(
    ("model", "service"),
    [
        ("llama3:8b", "exact"),
        ("llama2", "any"),
        ("gemma2", "any"),
        ("gemma[23]", None),
        ("both", "exact"),
        ("qwen", "exact"),
        ("qwen:latest", "exact"),
        ("qwen:7b", None),
        ("", None),
        (None, None),
    ],
)
def test_an_exact_name_goes_before_a_listed_one_and_that_before_a_glob(model, service):
    assert serving(model, SERVICES) == service


def test_each_name_is_listed_once_with_the_service_that_serves_it():
    assert [(name, service.id) for name, service in known(SERVICES)] == [
        ("llama3:8b", "exact"),
        ("both", "exact"),
        ("qwen:latest", "exact"),
        ("phi", "exact"),
    ]
    assert json.loads(listing(SERVICES))["data"][0] == {"id": "llama3:8b", "object": "model", "service": "exact", "status": "hot"}
    assert json.loads(entry("gemma3", SERVICES) or b"null") == {"id": "gemma3", "object": "model", "service": "any", "status": "cold"}
    assert entry("none", SERVICES) is None


def test_an_unknown_model_is_told_with_the_known_ones_and_their_globs(monkeypatch):
    assert unknown("x" * 100, SERVICES) == (
        f"no service serves the model '{'x' * 64}'...; known models: llama3:8b, both, qwen:latest, phi, llama*, gemma[23]"
    )
    assert unknown(None, ()) == (
        "the request names no model (a JSON field, a form's field or a query parameter `model`); "
        "no models are known yet: name them in the `models` of a service"
    )
    monkeypatch.setattr(models, "MOST_TOLD", 2)
    assert unknown("\n", SERVICES).endswith("'\\n'; known models: llama3:8b, both and 4 more")


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b'{"object": "list", "data": [{"id": "a"}, {"id": "b", "x": 1}, {"id": "a"}]}', ("a", "b")),
        (b'{"models": [{"name": "a:latest", "model": "a:latest"}, {"model": "c"}]}', ("a:latest", "c")),
        (b'{"data": [], "models": [{"name": "a"}]}', ()),
        (b'{"data": [{"id": 5}, "x", {"id": ""}, {"id": "a\\nb"}, {}]}', ()),
        (b'{"error": "no"}', None),
        (b"<html>", None),
        (b"[]", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_lists_of_both_kinds_are_read(body, names):
    assert names_in(body) == names
