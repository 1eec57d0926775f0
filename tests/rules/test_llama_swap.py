import pytest

from hestia.rules.llama_swap import imported

CMD = "s --port ${PORT}"


def models(*names, **keys):
    return {name: {"cmd": CMD, **keys} for name in names}


def notes(made):
    return {".".join(map(str, note.path)): note.words for note in made.notes}


def needs(made):
    return {id_: service.get("needs", {}) for id_, service in made.config["services"].items() if service is not None}


@pytest.mark.parametrize("said", [None, [], "text", {}, {"models": {}}, {"models": [1]}, {"services": {"a": {}}}])
def test_what_is_no_configuration_of_llama_swap_is_refused(said):
    with pytest.raises(ValueError, match="has no `models`"):
        imported(said)


def test_each_model_is_a_service_and_one_runs_at_a_time():
    made = imported({"models": models("a", "b")})
    assert made.config["machines"] == {"local": {"capacity": {"slots": 1}}}
    assert needs(made) == {"a": {"slots": 1}, "b": {"slots": 1}}
    assert made.config["services"]["ollama"] is None
    assert made.notes == []


def test_one_model_alone_needs_no_room():
    made = imported({"models": models("a")})
    assert "machines" not in made.config
    assert needs(made) == {"a": {}}


def test_what_llama_swap_does_by_default_is_a_default():
    assert imported({"models": models("a")}).config["defaults"] == {
        "start_timeout": "120s",
        "health_status": [200],
        "idle_timeout": "0s",
    }
    said = {"models": models("a"), "healthCheckTimeout": 5, "globalTTL": 600}
    assert imported(said).config["defaults"] == {
        "start_timeout": "15s",
        "health_status": [200],
        "idle_timeout": "600s",
    }


def test_names_of_models_become_ids_that_no_two_share():
    made = imported({"models": models("Org/Qwen 7B:q4", "org.qwen-7b-q4", "...", "x" * 100)})
    assert list(made.config["services"]) == ["ollama", "Org-Qwen-7B-q4", "org.qwen-7b-q4-2", "model", "x" * 60]
    assert made.config["services"]["Org-Qwen-7B-q4"]["models"] == ["Org/Qwen 7B:q4"]
    assert made.origins["org.qwen-7b-q4-2"] == ("models", "org.qwen-7b-q4")


def test_a_model_may_be_called_as_the_service_that_is_always_there():
    assert imported({"models": models("ollama")}).config["services"]["ollama"]["models"] == ["ollama"]


def test_aliases_are_names_and_each_is_one_models():
    said = {"models": {"a": {"cmd": CMD, "aliases": ["gpt-4o", "b", "x"]}, "b": {"cmd": CMD, "aliases": ["x", "[1]*"]}}}
    made = imported(said)
    assert made.config["services"]["a"]["models"] == ["a", "gpt-4o", "x"]
    assert made.config["services"]["b"]["models"] == ["b", "[[]1][*]"]
    assert notes(made)["models.a.aliases"] == "'b' is the name of 'b' already, and was left out"
    assert notes(made)["models.b.aliases"] == "'x' is the name of 'a' already, and was left out"


def test_groups_are_room():
    said = {
        "models": models("a", "b", "small", "tiny", "embed"),
        "groups": {
            "big": {"members": ["a", "b", "gone"]},
            "little": {"swap": False, "members": ["small", "tiny"]},
            "forever": {"persistent": True, "swap": False, "exclusive": False, "members": ["embed"]},
        },
    }
    made = imported(said)
    room = needs(made)
    assert room["embed"] == {}
    together = [{"a", "b"}, {"a", "small"}, {"a", "tiny"}, {"b", "small"}, {"b", "tiny"}]
    for pair in together:
        one, other = pair
        assert set(room[one]) & set(room[other]), f"{pair} may run at a time"
    assert not set(room["small"]) & set(room["tiny"])
    assert notes(made) == {"groups.big.members": "there is no model 'gone'"}
    assert set(made.config["machines"]["local"]["capacity"].values()) == {1}


def test_a_group_that_swaps_beside_others_has_a_resource_of_its_name():
    said = {
        "models": models("a", "b", "c", "d"),
        "groups": {"gpu0": {"exclusive": False, "members": ["a", "b"]}, "gpu1": {"exclusive": False, "members": ["c", "d"]}},
    }
    made = imported(said)
    assert needs(made) == {"a": {"gpu0": 1}, "b": {"gpu0": 1}, "c": {"gpu1": 1}, "d": {"gpu1": 1}}
    assert made.notes == []


def test_an_order_that_room_does_not_know_is_said():
    said = {"models": models("a", "b"), "groups": {"one": {"exclusive": False, "members": ["a"]}}}
    made = imported(said)
    assert needs(made) == {"a": {}, "b": {}}
    assert "ended the models of one" in notes(made)["groups.(default)"]


@pytest.mark.parametrize("style", ["top", "routing"])
def test_a_matrix_is_room(style):
    matrix = {
        "vars": {"g": "gemma", "q": "qwen", "v": "voice", "L": "large"},
        "evict_costs": {"v": 50},
        "sets": {"standard": "(g | q) & v", "full": "L"},
    }
    said = {"models": models("gemma", "qwen", "voice", "large")}
    said |= {"matrix": matrix} if style == "top" else {"routing": {"router": {"use": "matrix", "settings": {"matrix": matrix}}}}
    made = imported(said)
    room = needs(made)
    assert not set(room["voice"]) & (set(room["gemma"]) | set(room["qwen"]))
    assert set(room["gemma"]) & set(room["qwen"])
    assert all(set(room["large"]) & set(room[other]) for other in ("gemma", "qwen", "voice"))
    assert notes(made) == {"matrix.evict_costs": "what was used least recently gives way first"}


def test_a_matrix_that_makes_no_sense_lets_every_model_run_alone():
    said = {"models": models("a", "b"), "matrix": {"vars": {"a": "a", "x": "gone"}, "sets": {"one": "a & ("}}}
    made = imported(said)
    assert made.config["machines"] == {"local": {"capacity": {"slots": 1}}}
    assert notes(made) == {
        "matrix.vars.x": "there is no model 'gone'",
        "matrix.sets": "one: a model is missing; every model runs alone",
    }


def test_three_that_may_only_run_two_by_two_are_said():
    said = {"models": models("a", "b", "c"), "matrix": {"vars": {x: x for x in "abc"}, "sets": {"s": "a & b | b & c | a & c"}}}
    assert notes(imported(said)) == {"matrix.sets": "a, b, c may run two by two, so all three may here"}


def test_groups_of_the_newer_spelling():
    groups = {"all": {"swap": False, "members": ["a", "b"]}}
    said = {"models": models("a", "b"), "routing": {"router": {"settings": {"groups": groups}}, "scheduler": {"use": "fifo"}}}
    made = imported(said)
    assert needs(made) == {"a": {}, "b": {}}
    assert list(notes(made)) == ["routing.scheduler"]


def test_what_is_preloaded_and_never_swapped_out_is_kept_warm():
    said = {
        "models": {**models("embed", "a", "b"), **models("rests", ttl=60)},
        "groups": {"forever": {"persistent": True, "swap": False, "exclusive": False, "members": ["embed", "rests"]}},
        "hooks": {"on_startup": {"preload": ["embed", "a", "rests", "gone"]}},
    }
    made = imported(said)
    services = made.config["services"]
    assert [id_ for id_ in ("embed", "a", "rests") if "keep_warm" in services[id_]] == ["embed"]
    assert [note.words.split()[0] for note in made.notes] == ["a", "rests", "there"]


def test_keys_become_keys_and_stay_variables():
    made = imported({"models": models("a"), "apiKeys": ["sk-1", "${env.API_KEY}"]})
    assert made.config["auth"] == {"api_keys": [{"name": "key-1", "key": "sk-1"}, {"name": "key-2", "key": "${API_KEY}"}]}


def test_peers_are_services_that_are_only_watched():
    said = {
        "macros": {"key": "${env.ROUTER_KEY}"},
        "peers": {
            "box": {"proxy": "http://192.168.1.23/", "models": ["m1", "org/m2"]},
            "far": {
                "proxy": "https://far.example/api",
                "apiKey": "${key}",
                "models": ["m1"],
                "timeouts": {"connect": 3},
                "filters": {"stripParams": "top_p"},
                "odd": 1,
            },
            "bad": {"proxy": "nowhere", "models": []},
        },
    }
    made = imported(said)
    assert made.config["services"]["box"] == {
        "base_url": "http://192.168.1.23",
        "models": ["m1", "org/m2"],
        "start_timeout": "5s",
        "watch_interval": "5m",
    }
    far = made.config["services"]["far"]
    assert far["headers"] == {"set": {"Authorization": "Bearer ${ROUTER_KEY}", "x-api-key": "${ROUTER_KEY}"}}
    assert (far["models"], far["connect_timeout"]) == ([], "3s")
    assert set(made.config["services"]) == {"ollama", "box", "far"}
    assert set(notes(made)) == {"peers.far.models", "peers.far.filters.stripParams", "peers.far.odd", "peers.bad.proxy"}


def test_we_listen_where_no_model_does():
    said = {"models": {"a": {"cmd": "s", "proxy": "http://localhost:8080"}, "b": {"cmd": "s", "proxy": "http://${env.B}:8081"}}}
    assert imported(said).config["listen"] == ["127.0.0.1:8081"]
    assert "listen" not in imported({"models": models("a")}).config


def test_the_level_of_the_log():
    assert imported({"models": models("a"), "logLevel": "warn"}).config["log"] == {"level": "warning"}
    assert "log" not in imported({"models": models("a"), "logLevel": "info"}).config


def test_what_has_no_counterpart_is_said():
    more = ("startPort", "logTimeFormat", "logToStdout", "metricsMaxInMemory", "captureBuffer", "sendLoadingState")
    more += ("includeAliasesInList", "profiles", "store", "ui", "performance", "upstream", "strange")
    made = imported({"models": models("a"), **dict.fromkeys(more, 1)})
    assert set(notes(made)) == set(more)
    assert notes(made)["strange"] == "is not known to this import"


def test_what_is_said_in_a_wrong_way_is_said():
    more = {"apiKeys": "sk", "hooks": {"on_startup": {"other": 1}, "on_end": 1}, "globalTTL": "5m", "logLevel": "loud"}
    made = imported({"models": models("a", ttl="5m"), **more, "routing": {"other": 1}})
    paths = {"apiKeys", "hooks.on_startup.other", "hooks.on_end", "globalTTL", "logLevel", "routing.other", "models.a.ttl"}
    assert set(notes(made)) == paths


def test_a_model_that_is_no_mapping_is_left_out():
    made = imported({"models": {**models("a"), "b": None}})
    assert notes(made) == {"models.b": "is no mapping, and was left out"}


def test_every_address_at_which_a_model_is_named_is_a_route():
    paths = [route["match"]["path"] for route in imported({"models": models("a")}).config["routes"]]
    assert paths[0] == "/v1/*"
    assert {"/infill", "/completion", "/rerank", "/sdapi/v1/*"} <= set(paths)
