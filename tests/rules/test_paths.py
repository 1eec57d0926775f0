from hestia.rules.paths import pattern_of, quoted, shown_path


def test_a_path_reads_as_it_is_written():
    assert shown_path(("services", "a", "listen", 0)) == "services.a.listen[0]"
    assert shown_path(("services", "a.b", "")) == 'services."a.b".""'


def test_what_is_quoted_is_short_and_harmless():
    assert quoted("\x1b[31m\n") == '"�[31m�"'
    assert len(quoted("a" * 1000)) < 50


def test_a_pattern_holds_for_every_id_and_for_the_defaults():
    assert pattern_of(("services", "a", "idle_timeout")) == "services.*.idle_timeout"
    assert pattern_of(("defaults", "idle_timeout")) == "services.*.idle_timeout"
    assert pattern_of(("auth", "api_keys")) == "auth.api_keys"
