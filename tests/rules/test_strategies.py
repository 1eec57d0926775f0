import doctest
import inspect
from typing import get_args

import pytest

from hestia.rules import strategies
from hestia.rules.strategies import ARGUMENTS, Kind, Place, Request, Served
from tests.strategies.places import P, R, S


@pytest.mark.parametrize("protocol, double", [(Place, P()), (Request, R()), (Served, S("a"))])
def test_every_field_is_documented_and_the_doubles_of_the_tests_have_it(protocol, double):
    fields = {name: each for name, each in vars(protocol).items() if isinstance(each, property)}
    assert fields
    assert [name for name, each in fields.items() if not inspect.getdoc(each)] == []
    assert [name for name in fields if not hasattr(double, name)] == []


def test_every_kind_says_what_it_gets():
    assert set(ARGUMENTS) == set(get_args(Kind))


def test_the_example_runs():
    found = doctest.DocTestFinder().find(strategies, "strategies")[0]
    exec("".join(example.source for example in found.examples), scope := {})
    added = []
    scope["register_strategy"](type("R", (), {"add": lambda self, *a, **k: added.append((a, k))})())
    (_, order), kind = added[0]
    assert kind == {"kind": "placement"}
    assert [place.machine for place in order([P(0, machine="away"), P(1, machine="home")])] == ["home", "away"]
