import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.rules import keys
from hestia.rules.keys import Key, KeyRing, digest_of, key_of
from hestia.words.spec import ApiKey

ALL = frozenset({"*"})


def ring(*pairs):
    return KeyRing(Key(name, digest_of(key), ALL) for name, key in pairs)


ONE = ring(("me", "k-me"), ("you", "k-you"))


def test_a_key_of_the_configuration_is_kept_as_its_digest():
    plain = key_of(ApiKey(name="a", key="secret", services=("x",)))
    hashed = key_of(ApiKey(name="a", key_sha256=digest_of("secret").hex(), services=("x",)))
    assert plain == hashed
    assert "secret" not in repr(plain)


def test_a_star_opens_everything_and_another_key_its_services():
    assert Key("a", b"", ALL).opens("anything")
    assert Key("a", b"", ALL).everything
    some = Key("a", b"", frozenset({"x"}))
    assert (some.opens("x"), some.opens("y"), some.opens("*"), some.everything) == (True, False, False, False)


@pytest.mark.parametrize(
    ("named", "name", "header"),
    [
        ({b"authorization": b"Bearer k-me"}, "me", b"authorization"),
        ({b"authorization": b"bearer k-you"}, "you", b"authorization"),
        ({b"authorization": b"BEARER   k-you"}, "you", b"authorization"),
        ({b"x-api-key": b"k-me"}, "me", b"x-api-key"),
        ({b"authorization": b"Bearer theirs", b"x-api-key": b"k-me"}, "me", b"x-api-key"),
        ({b"authorization": b"Basic bWU6ay1tZQ==", b"x-api-key": b"k-me"}, "me", b"x-api-key"),
        ({b"authorization": b"Bearer k-me", b"x-api-key": b"theirs"}, "me", b"authorization"),
        ({b"authorization": b"Bearer k-me", b"x-api-key": b"k-you"}, "me", b"authorization"),
    ],
)
def test_the_first_that_is_one_of_ours_says_who_it_is(named, name, header):
    key, said = ONE.identify(named)
    assert (key.name, said) == (name, header)


@pytest.mark.parametrize(
    "named",
    [
        {},
        {b"authorization": b""},
        {b"authorization": b"Bearer"},
        {b"authorization": b"Bearer "},
        {b"authorization": b"k-me"},
        {b"authorization": b"Bearerk-me"},
        {b"authorization": b"Bearer k-m"},
        {b"authorization": b"Bearer k-me1"},
        {b"authorization": b"Bearer K-ME"},
        {b"authorization": b"Bearer k-me k-me"},
        {b"authorization": b"Bearer k-me, Bearer k-me"},  # sent twice
        {b"authorization": b"Basic k-me"},
        {b"authorization": b"Basic bWU6ay1tZQ=="},
        {b"authorization": b"Token k-me"},
        {b"x-api-key": b""},
        {b"x-api-key": b"Bearer k-me"},
        {b"x-api-key": b"k-me, k-me"},
        {b"x-api-key": b"k-me\xc3\xa9"},
        {b"x-api-key": b"\xff\xfe"},
        {b"authorization": b"Bearer \xff"},
    ],
)
def test_everything_else_is_no_key(named):
    assert ONE.identify(named) == (None, b"")


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_whatever_comes_is_a_key_or_none(one, other):
    key, header = ONE.identify({b"authorization": one, b"x-api-key": other})
    assert (key is None) == (header == b"")


def test_a_key_that_is_not_ascii_can_never_be_sent():
    assert ring(("me", "schlüssel")).find("schlüssel".encode()) is None


def test_every_key_is_compared_in_constant_time_to_the_end(monkeypatch):
    compared = []
    monkeypatch.setattr(keys, "compare_digest", lambda a, b: compared.append(b) or a == b)
    assert ONE.find(b"k-me").name == "me"
    assert compared == [key.digest for key in ONE.keys]


def test_keys_come_and_go_at_run_time_and_the_old_ring_stays_as_it_was():
    more = ONE.adding(Key("new", digest_of("k-new"), ALL))
    assert more.find(b"k-new").name == "new"
    assert ONE.find(b"k-new") is None
    assert more.removing("new").find(b"k-new") is None


def test_names_are_unique():
    more = ONE.adding(Key("new", digest_of("k-new"), ALL))
    for name in ("me", "new"):
        with pytest.raises(ValueError, match="already"):
            more.adding(Key(name, b"", ALL))


@pytest.mark.parametrize("name", ["", " ", "a b", "a\n", "-a", "a" * 65, "ä"])
def test_a_name_is_plain(name):
    with pytest.raises(ValueError, match="name"):
        ONE.adding(Key(name, b"", ALL))


def test_a_configured_key_is_not_revoked_and_an_unknown_one_is_said():
    with pytest.raises(ValueError, match="configuration"):
        ONE.removing("me")
    with pytest.raises(KeyError):
        ONE.removing("nobody")


def test_of_one_name_the_configured_key_counts_and_the_kept_one_is_told():
    both = KeyRing([Key("a", digest_of("c"), ALL)], [Key("a", digest_of("d"), ALL), Key("b", digest_of("e"), ALL)])
    assert both.find(b"d") is None
    assert both.find(b"c").name == "a"
    assert both.hidden == ("a",)
    assert both.removing("a").hidden == ()
