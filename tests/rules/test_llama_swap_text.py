import pytest

from hestia.rules.llama_swap_text import (
    expanded,
    mistaken,
    of_environment,
    ours,
    split,
    text,
    unknown,
    without_variables,
)


def test_a_macro_holds_those_before_it_whatever_their_kind():
    macros = {"ctx": 4096, "flash": True, "temp": 0.7, "args": "--ctx ${ctx} ${flash}", "all": "x ${args} ${temp}"}
    assert expanded("${all} ${PORT} ${unknown}", macros) == "x --ctx 4096 true 0.7 ${PORT} ${unknown}"


def test_a_macro_does_not_hold_those_behind_it():
    assert expanded("${a}", {"a": "${b}", "b": "c"}) == "${b}"


def test_what_nothing_defines_is_named_once():
    assert unknown("${a} ${a} ${PORT} ${env.HOME} ${PID}") == ["a", "PID"]
    assert unknown("${PID}", ("PID",)) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("server --port 1", ["server", "--port", "1"]),
        ("server\n  --port 1\n  -m 'a b.gguf'\n", ["server", "--port", "1", "-m", "a b.gguf"]),
        ("server \\\n  --port 1 \\\n", ["server", "--port", "1"]),
        ("# a comment\nserver\n  # it's another\n  -c 1", ["server", "-c", "1"]),
        ("docker run --gpus '\"device=2,3\"' x#y", ["docker", "run", "--gpus", '"device=2,3"', "x#y"]),
        ('sh -c "echo \\"a\\" $HOME"', ["sh", "-c", 'echo "a" $HOME']),
        ("", []),
    ],
)
def test_a_command_becomes_words_as_in_a_shell(command, words):
    assert split(command) == words


def test_an_open_quote_is_told():
    with pytest.raises(ValueError, match="No closing quotation"):
        split("server 'a")


def test_variables_ports_and_braces_are_spelt_as_ours_are():
    assert ours("${env.HOME}/m:${PORT} ${other} $$ {x}") == "${HOME}/m:{port} $${other} $$ {x}"
    assert of_environment("a=${env.B} ${PORT}") == "a=${B} $${PORT}"
    assert without_variables("http://${HOST}:1/${PATH}") == "http://x:1/x"


def test_what_only_looks_like_ours_is_found():
    assert mistaken('{"port": 1} {service} {port} {service}') == ["{service}", "{port}"]


def test_a_switch_is_written_in_small_letters():
    assert (text(True), text(1), text("True")) == ("true", "1", "True")
