import pytest
from msgspec.structs import fields

from hestia.doors.api_routes import ROUTES, find
from hestia.doors.verbs import VERBS
from hestia.words.refusal import REFUSALS, Refusal


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_an_endpoint_only_takes_what_its_use_case_takes(route):
    known = {field.name for field in fields(VERBS[route.verb].params)}
    assert set(route.query) <= known
    assert route.names in known or "{" not in route.path
    assert set(route.refusals) <= set(REFUSALS)
    assert route.streams in {None, "always", *route.query}


@pytest.mark.parametrize(
    ("path", "verb", "subject"),
    [
        ("/v1/services", "services.list", None),
        ("/v1/services/a/status", "services.status", "a"),
        ("/v1/services/a%2Fb/start", "services.start", "a/b"),
        ("/v1/inflight/%ff/cancel", "inflight.cancel", "\ufffd"),
        ("/v1/services/metrics/metrics", "metrics", "metrics"),
    ],
)
def test_a_path_is_found_with_what_it_names(path, verb, subject):
    found = find(path)
    assert (found.route.verb, found.subject) == (verb, subject)


@pytest.mark.parametrize("path", ["/v1/services/", "/v1/services//status", "/v1/services/a/b/status", "/v1", "/v1/services/{id}/x"])
def test_another_path_is_not_found(path):
    with pytest.raises(Refusal) as refused:
        find(path)
    assert refused.value.code == "not_found"
