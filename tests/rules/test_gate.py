import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.rules.gate import Gate, auth_is_on, split_host
from hestia.rules.routing import MEMO_SIZE
from hestia.words.spec import ApiKey, Auth, Config, Dashboard, Route, RouteMatch, Service


def gate(*, own_names=("box.example.net",), **keys):
    return Gate(Config(**keys), own_names)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"localhost", b"localhost"),
        (b"LocalHost:8080", b"localhost"),
        (b"chat.home.arpa.", b"chat.home.arpa"),
        (b"chat.home.arpa.:443", b"chat.home.arpa"),
        (b"127.0.0.1:1", b"127.0.0.1"),
        (b"127.0.0.1:65535", b"127.0.0.1"),
        (b"box:", b"box"),  # RFC 9110 lets the port be empty
        (b"my_container:80", b"my_container"),
        (b"[::1]", b"::1"),
        (b"[::1]:8080", b"::1"),
        (b"[0:0:0:0:0:0:0:1]:", b"::1"),
        (b"[FE80::A]", b"fe80::a"),
        (b"a" * 253, b"a" * 253),
    ],
)
def test_a_host_is_split_into_its_name_alone(value, name):
    assert split_host(value) == name


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b".",
        b"..",
        b".a",
        b"a..b",
        b"a..",
        b" a",
        b"a ",
        b"a b",
        b"a\tb",
        b"a\n",
        b"a/b",
        b"a\\b",
        b"a,b",
        b"a;b",
        b"a?b",
        b"a#b",
        b"user@x",
        b"user:pw@x",
        b"http://x",
        b"*.x",
        b"x%41",
        b"x:0",
        b"x:00",
        b"x:65536",
        b"x:99999",
        b"x:000080",
        b"x:80a",
        b"x:-1",
        b"x:+80",
        b"x: 80",
        b"x:80:80",
        b":80",
        b"::1",
        b"[::1",
        b"::1]",
        b"[]",
        b"[:::]",
        b"[1.2.3.4]",
        b"[::1]x",
        b"[::1]:x",
        b"[::1].",
        b"[fe80::1%25eth0]",
        b"[v1.x]",
        b"caf\xc3\xa9.home",
        b"a\x00",
        b"a" * 254,
        b"a" * 100_000,
    ],
)
def test_a_malformed_host_is_none(value):
    assert split_host(value) is None


@given(st.binary(max_size=40))
def test_whatever_comes_a_name_has_only_bytes_of_names(value):
    name = split_host(value)
    if name is not None:
        assert name == name.lower()
        assert 0 < len(name) <= 253
        assert not set(name) - set(b"abcdefghijklmnopqrstuvwxyz0123456789-._:")


@given(st.from_regex(r"[A-Za-z0-9-]{1,20}(\.[A-Za-z0-9-]{1,20}){0,4}", fullmatch=True), st.integers(1, 65535))
def test_every_ordinary_name_passes_with_and_without_port_and_final_dot(name, port):
    for value in (name, f"{name}:{port}", f"{name}.", f"{name}.:{port}"):
        assert split_host(value.encode()) == name.lower().encode()


@pytest.mark.parametrize(
    "host",
    [
        b"",  # HTTP/1.0
        b"localhost",
        b"app.localhost",
        b"a.b.localhost",
        b"127.0.0.1",
        b"192.168.1.5",
        b"8.8.8.8",
        b"::1",
        b"fe80::1",
        b"box",
        b"my-box2",
        b"box.example.net",  # the machine's own name
        b"box.local",
        b"chat.box.lan",
        b"x.internal",
        b"x.home.arpa",
    ],
)
def test_names_that_no_stranger_can_own_are_let_in(host):
    assert gate().host_allowed(host)
    assert gate().host_allowed(host)


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example.net",
        b"xbox.example.net",
        b"localhost.evil.example",
        b"127.0.0.1.evil.example",
        b"notlocal.example",
        b"evillocalhost.com",
        b"evil-lan.com",
        b"home.arpa",
        b"under_score",
        b"1.2.3.999",
        b"1.2.3",
    ],
)
def test_every_other_name_is_not(host):
    assert not gate().host_allowed(host)


def test_configured_names_are_let_in():
    services = {"chat": Service(id="chat", hosts=("chat.example.org", "*.chat.example.org"))}
    routes = (Route(match=RouteMatch(host="ai.example.org"), service="chat"), Route(service="chat"))
    one = gate(services=services, routes=routes, allowed_hosts=("Gate.Example.ORG.", "*.gate.example.org"))
    for host in (b"chat.example.org", b"a.chat.example.org", b"ai.example.org", b"gate.example.org"):
        assert one.host_allowed(host), host
    for host in (b"a.b.chat.example.org", b"example.org", b"a.ai.example.org", b"a.b.gate.example.org", b".x"):
        assert not one.host_allowed(host), host


def test_a_star_in_allowed_hosts_allows_every_name_but_as_a_route_only_one_label():
    assert gate(allowed_hosts=("*",)).host_allowed(b"evil.example")
    assert not gate(routes=(Route(match=RouteMatch(host="*"), service="x"),)).host_allowed(b"evil.example")


AUTH_ON = [Auth(required=True), Auth(api_keys=(ApiKey(name="a", key="k"),)), Auth(dashboard=Dashboard(password="p"))]


@pytest.mark.parametrize("auth", AUTH_ON)
def test_while_auth_is_on_every_well_formed_name_is_let_in(auth):
    assert auth_is_on(auth)
    assert gate(auth=auth).host_allowed(b"evil.example")


def test_auth_is_off_by_default_and_origins_do_not_switch_it_on():
    assert not auth_is_on(Auth(allowed_origins=("https://a.example",), cors_origins=("https://a.example",)))


def test_the_detail_names_the_host_and_the_key_to_add_it_to():
    words = gate().host_detail(b"evil.example")
    assert "'evil.example'" in words
    assert "`allowed_hosts`" in words


def test_its_memory_does_not_grow_with_the_hosts():
    one = gate(allowed_hosts=("*.a.example",))
    for number in range(3 * MEMO_SIZE):
        assert one.host_allowed(f"h{number}.a.example".encode())
        assert not one.host_allowed(f"h{number}.b.example".encode())
    assert len(one._memo) <= MEMO_SIZE
    assert len(one._names._memo) <= MEMO_SIZE
