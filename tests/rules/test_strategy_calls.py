from functools import partial

import pytest
from msgspec import Struct

from hestia.rules.strategy_calls import MAKES_SENSE, Misfit, build, offer
from tests.strategies.places import P, R, S


class Options(Struct, rename="kebab"):
    top_most: int = 1


def made(thing, kind="idle", options=None, name="x"):
    return offer(name, thing, kind, options, file="f.py", line=3, shipped=False)


def said(thing, kind="idle", options=None, given=None, arguments=(1,)):
    return build(made(thing, kind, options), given or {})(*arguments)


class Built:
    def __init__(self, options):
        self.options = options

    def __call__(self, place):
        return self.options.top_most


class Bare:
    def __call__(self, request, places):
        return places


async def waits(place):
    return True


class Waits:
    async def __call__(self, place):
        return True


def test_a_function_gets_the_arguments_of_its_kind():
    assert said(lambda place: place, arguments=(7,)) == 7
    assert said(lambda request, places: places, "balance", arguments=(1, 2)) == 2


def test_one_that_takes_one_argument_more_gets_its_options_last():
    assert said(lambda place, options: options.top_most, options=Options, given={"top-most": 4}) == 4
    assert said(lambda place, options: options.top_most, options=Options) == 1
    assert dict(said(lambda place, options: options, given={"a": [1]})) == {"a": [1]}
    assert said(lambda place, options=None: options.top_most, options=Options) == 1
    assert said(lambda place, more="default": more) == "default"


def test_a_class_is_built_once_with_its_options_and_then_called():
    call = build(made(Built, options=Options), {"top-most": 3})
    assert (call(1), call(2)) == (3, 3)
    assert said(Bare, "balance", arguments=(1, 2)) == 2


def test_options_that_come_as_text_are_read():
    assert said(lambda place, options: options.top_most, options=Options, given={"top-most": "4"}) == 4


def test_callables_of_every_make_will_do():
    assert said(partial(lambda a, place: a + place, 1), arguments=(2,)) == 3
    assert said(Bare(), "balance", arguments=(1, 2)) == 2
    assert said(max, "placement", arguments=([1, 2],)) == 2


@pytest.mark.parametrize("thing", [waits, Waits, Waits()])
def test_what_must_be_awaited_is_known(thing):
    assert made(thing).waits
    assert not made(lambda place: True).waits


@pytest.mark.parametrize(
    "thing, kind, options, words",
    [
        (lambda: 1, "idle", None, r"x must take \(place\)"),
        (lambda a, b, c: 1, "idle", None, r"x must take \(place\)"),
        (lambda a: 1, "balance", None, r"must take \(request, places\)"),
        (lambda a: 1, "idle", Options, "no argument for them"),
        (lambda a, b: 1, "idle", dict, "subclass of msgspec.Struct"),
        (lambda a: 1, "root", None, "kind is one of route, placement, balance, readiness, idle, not 'root'"),
        (7, "idle", None, "a function or a class"),
        (object, "idle", None, "must be called with"),
        (type("C", (), {"__init__": lambda s, a, b: None, "__call__": lambda s, p: 1}), "idle", None, "must take"),
        (type("C", (), {"__call__": lambda s: 1}), "idle", None, r"must be called with \(place\)"),
    ],
)
def test_what_cannot_be_called_is_told_when_it_is_added(thing, kind, options, words):
    with pytest.raises(ValueError, match=words):
        made(thing, kind, options)


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_strategy_needs_a_name(name):
    with pytest.raises(ValueError, match="name"):
        made(lambda place: 1, name=name)


@pytest.mark.parametrize(
    "thing, options, given, words",
    [
        (lambda place: 1, None, {"a": 1}, "takes no options"),
        (lambda place, options: 1, Options, {"top-mots": 1}, "no option 'top-mots': do you mean 'top-most'"),
        (lambda place, options: 1, Options, {"zzz": 1}, "it knows top-most"),
        (lambda place, options: 1, Options, {"top-most": "many"}, r"'x': Expected `int`"),
    ],
)
def test_options_that_do_not_fit_are_told_with_the_name(thing, options, given, words):
    with pytest.raises(Misfit, match=words):
        said(thing, options=options, given=given)


A, B, OTHER = P(0), P(1), P(0)


@pytest.mark.parametrize(
    "kind, arguments, result, sense",
    [
        ("route", (R(services=(S("a"),)),), "a", True),
        ("route", (R(services=(S("a"),)),), None, True),
        ("route", (R(services=(S("a"),)),), "b", False),
        ("route", (R(services=(S("a"),)),), 1, False),
        ("placement", ([A, B],), [B, A], True),
        ("placement", ([A, B],), (B,), True),
        ("placement", ([A, B],), [], False),
        ("placement", ([A, B],), [A, A], False),
        ("placement", ([A, B],), [OTHER], False),
        ("placement", ([A, B],), None, False),
        ("balance", (R(), [A, B]), B, True),
        ("balance", (R(), [A, B]), OTHER, False),
        ("balance", (R(), [A, B]), None, False),
        ("readiness", (A,), True, True),
        ("idle", (A,), False, True),
        ("idle", (A,), 1, False),
        ("idle", (A,), None, False),
    ],
)
def test_what_makes_sense_for_each_kind(kind, arguments, result, sense):
    assert MAKES_SENSE[kind](arguments, result) is sense
