import pytest

from hestia.roof.config import load_text

URL = "http://127.0.0.1:11434"


def services(text):
    return load_text(text).config.services


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n"])
def test_without_a_configuration_there_are_ollama_and_demo(text):
    loaded = load_text(text)
    assert loaded.source is None
    assert list(loaded.config.services) == ["ollama", "demo"]
    demo = loaded.config.services["demo"]
    assert demo.base_url is None
    assert demo.launch.command == ("hestia", "demo", "--port", "{port}")
    assert demo.idle_timeout == 60
    assert loaded.warnings == ()


def test_with_a_configuration_there_is_ollama_but_no_demo():
    assert list(services("log: {level: info}\n")) == ["ollama"]
    assert services("log: {level: info}\n")["ollama"].base_url == URL


def test_null_takes_ollama_away():
    assert services("services: {ollama: null}\n") == {}


def test_ollama_keeps_its_address_unless_it_says_where_it_is():
    assert services("services: {ollama: {idle_timeout: 5m}}\n")["ollama"].base_url == URL
    assert services("services: {ollama: {base_url: 'http://desk:1'}}\n")["ollama"].base_url == "http://desk:1"
    own_port = "services: {ollama: {launch: {kind: process, command: [x, '{port}']}}}\n"
    assert services(own_port)["ollama"].base_url is None


def test_the_defaults_hold_for_ollama_too():
    assert services("defaults: {connect_timeout: 1s}\n")["ollama"].connect_timeout == 1
