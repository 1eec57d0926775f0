from hestia.rules.marks import compose
from hestia.rules.plain import plain_value
from hestia.rules.substitute import Substitution


def test_plain_scalars_read_as_yaml_1_2():
    text = "[on, yes, true, 22:30, 012, 0o17, 0x1F, 1.5, 1e3, null, ~, '1', -3, .5, 1_000, 2024-01-01, .inf]"
    assert plain_value(compose(text, "f").node) == [
        *("on", "yes", True, "22:30", 12, 15, 31, 1.5, 1000.0, None, None, "1", -3, 0.5, "1_000", "2024-01-01", ".inf")
    ]


def test_mappings_keep_their_keys_as_text():
    assert plain_value(compose("{1: {yes: 2}}", "f").node) == {"1": {"yes": 2}}


def test_what_came_from_a_variable_stays_text():
    node = Substitution({"X": "12"}).node(compose("${X}", "f").node, ())
    assert plain_value(node) == "12"
