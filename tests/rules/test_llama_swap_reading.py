import pytest

from hestia.rules.llama_swap_reading import Reading, mapping, several, whole


@pytest.fixture
def reading():
    return Reading()


def said(reading):
    return [(".".join(map(str, note.path)), note.words) for note in reading.notes]


def test_what_is_no_mapping_is_left_out_and_said(reading):
    assert reading.mappings({"a": {"b": 1}, "c": 2}, ("models",)) == {"a": {"b": 1}}
    assert reading.mappings([1], ("groups",)) == {}
    assert reading.mappings(None, ("peers",)) == {}
    words = "is no mapping, and was left out"
    assert said(reading) == [("models.c", words), ("groups", words)]


def test_an_address_is_checked_with_its_variables(reading):
    assert reading.is_url("http://${HOST}:80/api", ("a",))
    assert not reading.is_url("ftp://x", ("proxy",))
    assert [path for path, _ in said(reading)] == ["proxy"]


def test_timeouts_that_have_a_counterpart_are_carried_over(reading):
    found = {"connect": 30, "responseHeader": 0, "keepalive": 5}
    assert reading.timeouts(found, ("timeouts",)) == {"connect_timeout": "30s", "response_timeout": "0s"}
    assert reading.timeouts({"connect": 0}, ("timeouts",)) == {}
    assert [path for path, _ in said(reading)] == ["timeouts.keepalive", "timeouts.connect"]
    assert reading.timeouts("x", ()) == {}


def test_filters_are_said_one_by_one(reading):
    reading.filters({"stripParams": "a", "setParams": {}}, ("filters",))
    assert [path for path, _ in said(reading)] == ["filters.stripParams", "filters.setParams"]


def test_keys_that_nobody_knows_are_said(reading):
    reading.unknown({"a": 1, "b": 2}, ("models", "m"), {"a"})
    assert said(reading) == [("models.m.b", "is not known to this import")]


def test_what_is_of_another_kind_is_said(reading):
    kinds = {"a": list, "b": int, "c": dict, "d": str}
    reading.expect({"a": "x", "b": "5m", "c": None, "d": "y"}, ("models", "m"), kinds)
    assert said(reading) == [
        ("models.m.a", "is no list, and was left out"),
        ("models.m.b", "is no whole number, and was left out"),
    ]


def test_what_is_of_another_kind_is_nothing():
    assert (mapping([1]), mapping({"a": 1}), several("a"), several([1])) == ({}, {"a": 1}, [], [1])
    assert [whole(value, 7) for value in (3, True, "3", None, 1.5)] == [3, 7, 7, 7, 7]
