import pytest

from hestia.rules.marks import compose
from hestia.rules.substitute import Substitution

ENVIRON = {"A": "one", "EMPTY": "", "YAML": "[a, b]: {c"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x${A}y${A}", "xoneyone"),
        ("${NONE:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${A:-two}", "one"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A {A}", "$A {A}"),
        ("${YAML}", "[a, b]: {c"),
    ],
)
def test_variables_are_replaced_within_values(text, value):
    substitution = Substitution(ENVIRON)
    node = substitution.node(compose(f"k: '{text}'", "f").node, ())
    assert node.entries["k"].node.text == value
    assert not substitution.mistakes


@pytest.mark.parametrize("text", ["${NONE}", "${", "${}", "${1A}", "${A-x}", "${A", "${NONE} ${A"])
def test_what_cannot_be_replaced_is_a_mistake_with_its_place(text):
    substitution = Substitution(ENVIRON)
    substitution.node(compose(f"a:\n  - '{text}'\n", "f").node, ())
    assert str(substitution.mistakes[0]).startswith("f:2:5: a[0]: ")


def test_keys_are_left_alone_and_shared_nodes_stay_shared():
    node = Substitution(ENVIRON).node(compose("${A}: &x ['${A}']\nb: *x\n", "f").node, ())
    assert node.entries["${A}"].node is node.entries["b"].node
