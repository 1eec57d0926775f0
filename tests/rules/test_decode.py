import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hestia.roof.config import load_text
from hestia.rules.decode import Decoder
from hestia.rules.marks import ConfigError, compose
from hestia.rules.shape import keys_of
from hestia.words.spec import Document, Service

A = "services:\n  a:\n    base_url: http://127.0.0.1:9000\n"


def decoded(text, **kw):
    decoder = Decoder(lambda _: "/etc/hestia", home="/users/me", **kw)
    return decoder.document(compose(text, "f").node), decoder


def service(text, **environ):
    return load_text(A + text, environ=environ).config.services["a"]


def test_every_mistake_is_told_at_once():
    _, decoder = decoded("lissten: []\nlog: {level: loud}\nservices: {a: {idle_timeout: soon}}\n")
    assert [mistake.path for mistake in decoder.mistakes] == ["lissten", "log.level", "services.a.idle_timeout"]


def test_a_wrong_value_is_left_out_and_remembered():
    given, decoder = decoded("retention: soon\nlog: {level: debug}\n")
    assert "retention" not in given
    assert ("retention",) in decoder.spoilt
    assert given["log"].level == "debug"


@pytest.mark.parametrize("written", ["1500ms", "1.5s", "1.5", "'1.5s'"])
def test_a_duration_is_seconds_however_it_is_written(written):
    assert service(f"    idle_timeout: {written}\n").idle_timeout == 1.5


def test_milliseconds_are_another_spelling():
    assert service("    idle_timeout_ms: 1500\n").idle_timeout == 1.5
    assert load_text("limits: {head_timeout_ms: 250}").config.limits.head_timeout == 0.25


def test_a_variable_in_one_spelling_replaces_the_file_in_the_other():
    assert service("    idle_timeout: 5m\n", A_IDLE_TIMEOUT_MS="1500").idle_timeout == 1.5
    assert service("    idle_timeout_ms: 5\n", HESTIA__SERVICES__A__IDLE_TIMEOUT="2s").idle_timeout == 2


@pytest.mark.parametrize(
    ("written", "read"), [("on", True), ("off", False), ("yes", True), ("No", False), ("TRUE", True)]
)
def test_a_switch_takes_what_people_write(written, read):
    assert service(f"    preserve_host: {written}\n").preserve_host is read


def test_a_plain_scalar_where_text_is_wanted_is_that_text():
    read = service("    models: [012, on, 22:30, null, 1.50, ~]\n    headers: {set: {X-A: 0017}}\n")
    assert read.models == ("012", "on", "22:30", "null", "1.50", "~")
    assert read.headers.set == {"X-A": "0017"}


def test_ids_keep_their_spelling():
    names = ["123", "null", "yes", "1e3", "0x1"]
    text = "services:\n" + "".join(f"  {name}: {{base_url: 'http://127.0.0.1:9000'}}\n" for name in names)
    assert [name for name in load_text(text).config.services if name != "ollama"] == names


def test_an_old_name_works_and_warns():
    loaded = load_text(A + "    sleep_after: 5m\n", renamed={"services.*.sleep_after": "idle_timeout"})
    assert loaded.config.services["a"].idle_timeout == 300
    assert loaded.warnings[0] == (
        "hestia_config.yml:4:5: services.a.sleep_after: is now called idle_timeout; "
        "the old name works until the next minor version"
    )


def test_an_old_name_beside_the_new_one_is_a_mistake():
    with pytest.raises(ConfigError, match="is given beside idle_timeout"):
        load_text(A + "    idle_timeout: 1s\n    old: 5m\n", renamed={"services.*.old": "idle_timeout"})


def test_one_may_stand_for_a_list_of_one_where_it_says_so():
    rule = service("    no_wake: [{method: GET, from: 10.0.0.0/8, answer: {status: 204}}]\n").no_wake[0]
    assert (rule.method, rule.from_, rule.answer.status) == (("GET",), ("10.0.0.0/8",), 204)
    assert service("    no_wake: [{path: /x, answer: last}]\n").no_wake[0].answer == "last"


def test_a_strategy_is_a_name_or_a_name_with_options():
    assert service("    balance: round_robin\n").balance.name == "round_robin"
    given, _ = decoded(A + "    balance: {name: mine, options: {a: [1, on]}}\n")
    assert given["services"]["a"]["balance"].options == {"a": [1, "on"]}


def test_launchers_are_told_apart_by_their_kind():
    launch = service(
        "    launch: {kind: process, command: [x, '{port}', 012], env: {A: 1, B: null}, stop_grace: 5s}\n"
    ).launch
    assert launch.command == ("x", "{port}", "012")
    assert launch.env == {"A": "1", "B": "null"}
    assert launch.stop_grace == 5


def test_relative_paths_are_relative_to_the_file_and_home_is_home():
    given, decoder = decoded(
        "data_dir: ../data\ncontrol_socket: ~/c.sock\nlisten: ['unix:run/h.sock']\ntls: {certificate: a, key: /b}\n"
    )
    assert given["data_dir"] == "/etc/data"
    assert given["control_socket"] == "/users/me/c.sock"
    assert given["listen"] == ("unix:/etc/hestia/run/h.sock",)
    assert [(named.kind, named.text) for named in decoder.named] == [("file", "/etc/hestia/a"), ("file", "/b")]


def test_null_is_none_where_nothing_is_possible_and_else_the_default():
    config = load_text(
        "default_service: null\nlog:\nlisten:\nservices:\n  a: {base_url: 'http://127.0.0.1:9000', hosts: }\n"
    ).config
    assert config.default_service is None
    assert config.log.level == "info"
    assert len(config.listen) == 2


@pytest.mark.parametrize("key", sorted({*keys_of(Document)} - {"services", "machines", "defaults"}))
@pytest.mark.parametrize(
    "value", ["{x: [1]}", "[[[]]]", "[{}, null, 1]", "'\\0'", "9e999", "{kind: x}", "''", "[null]"]
)
def test_no_value_of_any_key_makes_it_raise_anything_else(key, value):
    check_text(f"{key}: {value}\n")


@pytest.mark.parametrize("key", sorted(keys_of(Service)))
@pytest.mark.parametrize(
    "value", ["{x: [1]}", "[[[]]]", "[{}, null, 1]", "9e999", "{kind: x}", "{kind: [x]}", "''", "null", "[null]"]
)
def test_no_value_of_a_service_makes_it_raise_anything_else(key, value):
    check_text(
        f"defaults: {{{key}: {value}}}\nservices:\n  a:\n    {key}: {value}\n  b: {{places: [{{{key}: {value}}}]}}\n"
    )


def check_text(text):
    try:
        mistakes = load_text(text).warnings
    except ConfigError as error:
        mistakes = list(map(str, error.mistakes))
    assert all(": " in mistake for mistake in mistakes)


KEYS = st.sampled_from([*keys_of(Document), *keys_of(Service), "kind", "process", "a", "name", "match", "set", "<<"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | KEYS
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(KEYS, VALUES, max_size=4),
    st.dictionaries(st.sampled_from(["a", "b", "ollama"]), VALUES, max_size=3),
)
def test_whatever_the_file_holds_it_is_a_configuration_or_a_list_of_mistakes(top, services):
    check_text(json.dumps({**top, "services": services}))
