"""The words that scripts rely on."""

from hestia import wire


def test_the_exit_codes_are_those_that_scripts_know():
    codes = {name: value for name, value in vars(wire).items() if name.isupper()}
    assert codes == {"DONE": 0, "FAILED": 1, "USAGE": 2, "UNREACHABLE": 7, "INTERRUPTED": 130}
