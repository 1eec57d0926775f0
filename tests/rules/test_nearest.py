from hestia.rules.nearest import nearest


def test_the_nearest_known_name_is_found_in_any_case():
    assert nearest("idle_timout", ["idle_timeout", "min_hot"]) == "idle_timeout"
    assert nearest("Olama", ["ollama", "demo"]) == "ollama"


def test_what_is_like_nothing_has_no_nearest():
    assert nearest("zebra", ["idle_timeout"]) is None
    assert nearest("", ["a"]) is None
    assert nearest("a" * 10_000, ["a" * 10_000]) is None
