import pytest

from hestia.roof.config import load_text
from hestia.rules.marks import ConfigError
from hestia.rules.overlay import short_name

A = (
    "services:\n  a: {base_url: 'http://127.0.0.1:9000'}\n"
    "  my-app: {base_url: 'http://127.0.0.1:9001', hosts: [x.lan]}\n"
)


def config(text=A, flags=None, **environ):
    return load_text(text, environ=environ, flags=flags).config


def mistakes(text=A, **environ):
    with pytest.raises(ConfigError) as caught:
        load_text(text, environ=environ)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_any_key_can_be_set():
    assert config(HESTIA__LOG__LEVEL="debug").log.level == "debug"
    assert config(HESTIA__LISTEN='["0.0.0.0:8081"]').listen == ("0.0.0.0:8081",)
    assert config(HESTIA__SERVICES__MY_APP__IDLE_TIMEOUT="7m").services["my-app"].idle_timeout == 420
    assert config(HESTIA__MACHINES__DESK__CAPACITY__VRAM="24").machines["desk"].capacity == {"vram": 24}
    assert config(HESTIA__DEFAULTS__RESPONSE_TIMEOUT="9s").services["a"].response_timeout == 9


def test_a_long_name_makes_a_service_and_what_is_there_stays():
    services = config(HESTIA__SERVICES__NEW_ONE__BASE_URL="http://127.0.0.1:1").services
    assert services["new-one"].base_url == "http://127.0.0.1:1"
    assert services["my-app"].hosts == ("x.lan",)


def test_a_whole_service_can_be_given():
    assert config(HESTIA__SERVICES__B="{base_url: 'http://127.0.0.1:2'}").services["b"].base_url == "http://127.0.0.1:2"
    assert "ollama" not in config(HESTIA__SERVICES__OLLAMA="null").services


def test_an_id_with_two_underscores_is_found():
    text = "services:\n  a--b: {base_url: 'http://127.0.0.1:1'}\n"
    assert config(text, HESTIA__SERVICES__A__B__IDLE_TIMEOUT="3s").services["a--b"].idle_timeout == 3


def test_names_of_headers_and_of_a_programs_environment_keep_their_form():
    said = config(
        HESTIA__SERVICES__A__HEADERS__SET__X_TEAM="red",
        HESTIA__SERVICES__A__LAUNCH__KIND="process",
        HESTIA__SERVICES__A__LAUNCH__COMMAND="[x]",
        HESTIA__SERVICES__A__LAUNCH__ENV__CUDA_VISIBLE_DEVICES="0",
    ).services["a"]
    assert said.headers.set == {"x-team": "red"}
    assert said.launch.env == {"CUDA_VISIBLE_DEVICES": "0"}


def test_a_text_that_is_no_single_yaml_value_is_that_text():
    assert config(HESTIA__SERVICES__A__HEADERS__SET__X_A="[1, 2").services["a"].headers.set == {"x-a": "[1, 2"}
    assert config(HESTIA__SERVICES__A__HEADERS__SET__X_A="${B}").services["a"].headers.set == {"x-a": "${B}"}


def test_flags_come_last():
    loaded = config(
        "log: {level: error}\n", {"listen": ("127.0.0.1:0",), "log.level": "debug"}, HESTIA__LOG__LEVEL="warning"
    )
    assert loaded.listen == ("127.0.0.1:0",)
    assert loaded.log.level == "debug"
    with pytest.raises(ConfigError, match=r"^--listen: listen\[0\]: "):
        load_text("", flags={"listen": ["nowhere"]})


def test_short_names_change_services_that_exist():
    services = config(
        MY_APP_BASE_URL="http://127.0.0.1:5",
        MY_APP_HEALTH_URL="http://127.0.0.1:5/ok",
        MY_APP_WARMUP_MS="250",
        MY_APP_IDLE_TIMEOUT_MS="1500",
        OTHER_BASE_URL="http://127.0.0.1:6",
        A_BASE_URL="",
    ).services
    assert (services["my-app"].base_url, services["my-app"].health_url) == (
        "http://127.0.0.1:5",
        "http://127.0.0.1:5/ok",
    )
    assert (services["my-app"].warmup, services["my-app"].idle_timeout) == (0.25, 1.5)
    assert services["a"].base_url == "http://127.0.0.1:9000"
    assert "other" not in services


def test_semaphore_can_be_switched_on_and_makes_a_service():
    services = config(
        A_SEMAPHORE_ENABLED="true",
        A_SEMAPHORE_MACHINE_ID="gpu",
        BIG_BOX_SEMAPHORE_ENABLED="yes",
        C_SEMAPHORE_ENABLED="false",
    ).services
    assert services["a"].launch.machine_id == "gpu"
    assert services["big-box"].launch.start_template is None
    assert "c" not in services
    text = "services: {a: {base_url: 'http://127.0.0.1:1', launch: {kind: semaphore}}}\n"
    assert config(text, A_SEMAPHORE_ENABLED="false").services["a"].launch is None


def test_a_machine_for_semaphore_without_semaphore_is_a_warning():
    assert (
        "A_SEMAPHORE_MACHINE_ID: services.a: does nothing"
        in load_text(A, environ={"A_SEMAPHORE_MACHINE_ID": "x"}).warnings[0]
    )


def test_semaphores_own_variables():
    said = config(SEMAPHORE_BASE_URL="http://semaphore:3000", SEMAPHORE_API_TOKEN="12").semaphore
    assert (said.base_url, said.token) == ("http://semaphore:3000", "12")


@pytest.mark.parametrize("url", ["http://localhost:8080/services/a", "http://127.0.0.1:8080", "http://[::1]:8080/"])
def test_a_clients_variable_is_ignored_with_a_warning(url):
    loaded = load_text(A, environ={"A_BASE_URL": url})
    assert loaded.config.services["a"].base_url == "http://127.0.0.1:9000"
    assert loaded.warnings == (
        "A_BASE_URL: services.a.base_url: is one of Hestia's own addresses, so it is meant for a client: ignored",
    )


def test_a_clients_variable_is_known_by_the_addresses_that_flags_and_variables_set():
    environ = {"A_BASE_URL": "http://localhost:9999", "HESTIA__LISTEN": "['127.0.0.1:9999']"}
    assert load_text(A, environ=environ).config.services["a"].base_url == "http://127.0.0.1:9000"
    environ = {"A_BASE_URL": "http://localhost:9998"}
    assert load_text(A, environ=environ, flags={"listen": ["0.0.0.0:9998"]}).warnings


def test_a_file_holds_the_value_without_its_line_end(tmp_path):
    (tmp_path / "token").write_text("a: #b\n")
    (tmp_path / "level").write_text("debug\r\n")
    said = config(SEMAPHORE_API_TOKEN_FILE=str(tmp_path / "token"), HESTIA__LOG__LEVEL_FILE=str(tmp_path / "level"))
    assert said.semaphore.token == "a: #b"
    assert said.log.level == "debug"
    assert config(HESTIA__SEMAPHORE__TOKEN_FILE=str(tmp_path / "token")).semaphore.token == "a: #b"


def test_a_file_that_cannot_be_read_is_a_mistake_that_names_the_variable(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b"a" * 2**21)
    for path in (tmp_path, tmp_path / "none", tmp_path / "binary", tmp_path / "large", "a\0b"):
        assert mistakes(SEMAPHORE_API_TOKEN_FILE=str(path))[0].startswith(
            "SEMAPHORE_API_TOKEN_FILE: its file cannot be read"
        )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HESTIA__LOG__LEVLE", "debug", "HESTIA__LOG__LEVLE: log.levle: unknown key; did you mean level?"),
        ("HESTIA__LISTEN__0", "x", "HESTIA__LISTEN__0: listen: must be a list"),
        ("HESTIA__LOG__LEVEL__X", "x", "HESTIA__LOG__LEVEL__X: log.level: must be one of"),
        ("HESTIA__LIMITS__CONNECTIONS", "many", 'HESTIA__LIMITS__CONNECTIONS: limits.connections: "many" is not'),
        ("HESTIA__LIMITS", "[a", "HESTIA__LIMITS: limits: is not YAML"),
        ("HESTIA__", "x", "HESTIA__: is no key"),
        ("HESTIA__SERVICES__", "x", "HESTIA__SERVICES__: is no key"),
        ("HESTIA__SERVICES__A__", "x", "HESTIA__SERVICES__A__: is no key"),
        (
            "HESTIA__SERVICES__-X__BASE_URL",
            "http://127.0.0.1:1",
            "HESTIA__SERVICES__-X__BASE_URL: services.-x: is not an id",
        ),
        ("HESTIA__LOG__LEVEL", "\udcff", "HESTIA__LOG__LEVEL: log.level: holds characters that are no text"),
        ("A_BASE_URL", "nonsense", "A_BASE_URL: services.a.base_url: the value must begin"),
        ("A_IDLE_TIMEOUT_MS", "5s", 'A_IDLE_TIMEOUT_MS: services.a.idle_timeout_ms: "5s" is not a whole number'),
        ("A_SEMAPHORE_ENABLED", "perhaps", "A_SEMAPHORE_ENABLED: is not true or false"),
        ("HESTIA_API_KEYS", "TOPSECRET", "HESTIA_API_KEYS: auth.api_keys: must be name=key"),
        ("HESTIA_API_KEYS", "me=TOPSECRET,me=TOPSECRETS", "HESTIA_API_KEYS: auth.api_keys[1].name: is the name of another"),
        ("HESTIA__AUTH__DASHBOARD__PASSWORD_HASH", "TOPSECRET", "HESTIA__AUTH__DASHBOARD__PASSWORD_HASH: auth.dashboard.password_hash: the value is not"),
    ],
)
def test_a_mistake_in_a_variable_names_it_and_keeps_its_secret(name, value, words):
    said = mistakes(**{name: value})
    assert said[0].startswith(words)
    assert "TOPSECRET" not in "".join(said)


def test_a_variable_never_changes_what_an_alias_shares():
    text = "services:\n  a: &a {base_url: 'http://127.0.0.1:1', headers: {set: {x: '1'}}}\n  b: *a\n"
    services = config(text, HESTIA__SERVICES__A__HEADERS__SET__X="2").services
    assert services["a"].headers.set == {"x": "2"}
    assert services["b"].headers.set == {"x": "1"}


def test_a_variable_for_the_demo_replaces_what_is_built_in():
    assert config("", DEMO_IDLE_TIMEOUT_MS="1000").services["demo"].idle_timeout == 1


def test_the_short_name_of_an_id():
    assert short_name("my-app.v2") == "MY_APP_V2"
