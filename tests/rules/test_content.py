"""Routes as they are compiled, and what they need to know of a body."""

import pytest

from hestia.rules.content import Reading, Rules, model_of_query
from hestia.words.spec import Route, RouteMatch, StrategyUse


class Head:
    def __init__(self, name: bytes = b"localhost", length: int = 100, **headers: bytes) -> None:
        self.name = name
        self.length = length
        self.headers = {key.replace("_", "-").encode(): value for key, value in headers.items()}

    def header(self, name: bytes) -> bytes | None:
        return self.headers.get(name)


def rules(*routes: Route) -> Rules:
    return Rules(routes)


def to(service: str = "a", **match: object) -> Route:
    return Route(match=RouteMatch(**match), service=service)  # type: ignore[arg-type]


BY_MODEL = Route(strategy=StrategyUse(name="by_model"))
BIG, SMALL = to(json={"model": "big*"}), to("b", json={"model": "small*", "x.y": "1"})


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"path": "/v1/*"}, True),
        ({"path": "/v1"}, False),
        ({"path": "*/chat"}, True),
        ({"method": ("GET", "POST")}, True),
        ({"method": ("GET",)}, False),
        ({"host": "*.lan"}, True),
        ({"host": "X.LAN"}, True),
        ({"host": "*"}, False),
        ({"header": {"X-Team": "a*"}}, True),
        ({"header": {"x-team": "b"}}, False),
        ({"header": {"x-none": "*"}}, False),
        ({"path": "/v1/*", "method": ("GET",)}, False),
    ],
)
def test_all_that_a_route_names_must_fit(match, fits):
    found = rules(to(**match)).fitting(b"POST", b"/v1/x/chat", Head(b"x.lan", x_team=b"ab"))
    assert bool(found) == fits


def test_what_stands_behind_a_route_that_always_fits_is_not_looked_at():
    found = rules(BIG, to("b"), SMALL, to("c")).fitting(b"POST", b"/", Head())
    assert [rule.number for rule in found] == [0, 1]


def reading(*routes: Route, head: Head | None = None, target: bytes = b"/") -> tuple[Reading, list[object]]:
    compiled = Rules(routes).all
    return Reading(compiled, head or Head(), target), compiled  # type: ignore[return-value]


def test_a_route_is_known_as_soon_as_one_field_misses_or_all_are_there():
    read, (big, small) = reading(BIG, SMALL)
    assert not read.known(big)
    read.feed(b'{"model": "smaller", ')
    assert read.known(big)
    assert not read.fits(big)
    assert not read.known(small)
    read.feed(b'"x": {"y": 1}')
    assert read.known(small)
    assert read.fits(small)


def test_without_a_body_everything_is_known():
    read, (big, by_model) = reading(BIG, BY_MODEL, head=Head(length=0))
    assert read.known(big)
    assert not read.fits(big)
    assert read.known(by_model)
    assert read.model is None


def test_what_is_broken_off_does_not_fit():
    read, (big, by_model) = reading(BIG, BY_MODEL)
    read.feed(b'{"x": "')
    read.break_off()
    assert (read.known(big), read.fits(big), read.known(by_model), read.broken_off) == (True, False, True, True)


def test_a_body_that_has_ended_is_not_broken_off():
    read, _ = reading(BIG)
    read.end()
    read.break_off()
    assert not read.broken_off


def test_a_strategy_waits_for_the_model():
    read, (by_model,) = reading(BY_MODEL)
    assert not read.known(by_model)
    read.feed(b'{"model": "a"')
    assert (read.known(by_model), read.model) == (True, "a")


def test_a_form_has_a_model_and_no_json():
    head = Head(content_type=b"multipart/form-data; boundary=x")
    read, (big, by_model) = reading(BIG, BY_MODEL, head=head)
    assert read.known(big)
    assert not read.fits(big)
    assert not read.known(by_model)
    read.feed(b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nbig\r\n--x')
    assert (read.known(by_model), read.model) == (True, "big")


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (b"/x?a=1&model=m%3A1", "m:1"),
        (b"/x?model=", None),
        (b"/x?models=a", None),
        (b"/model", None),
        (b"/x?model=a&model=b", "a"),
    ],
)
def test_the_query_names_a_model(target, model):
    assert model_of_query(target) == model


def test_the_model_of_the_body_goes_before_that_of_the_query():
    read, _ = reading(BY_MODEL, target=b"/?model=q")
    assert read.model == "q"
    read.feed(b'{"model": "b"')
    assert read.model == "b"


def test_a_route_says_what_it_asks_for():
    (rule,) = rules(to(host="h", path="/p", method=("GET",), header={"a": "b"}, json={"c": "d"})).all
    assert rule.why == "host h; path /p; method GET; header a: b; json c: d"
    assert rules(to()).all[0].why == "everything"
