import pytest

from hestia.rules.addresses import (
    TcpAddress,
    UnixAddress,
    base_url,
    collide,
    health_url,
    host_glob,
    is_own,
    network,
    origin,
    parse_base_url,
    parse_listen,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", TcpAddress("127.0.0.1", 8080)),
        ("[::1]:0", TcpAddress("::1", 0)),
        ("localhost:80", TcpAddress("localhost", 80)),
        ("0.0.0.0:65535", TcpAddress("0.0.0.0", 65535)),
        ("unix:/run/hestia.sock", UnixAddress("/run/hestia.sock")),
    ],
)
def test_an_address_to_listen_on(text, address):
    assert parse_listen(text) == address


@pytest.mark.parametrize(
    "text", ["", "8080", ":80", "::1:80", "[::1]", "a b:80", "h:99999", "h:x", "unix:", "unix:/" + "a" * 107]
)
def test_what_cannot_be_listened_on(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_listen(text)


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:11434",
        "https://nas.lan/app/",
        "http://[::1]:8080/x",
        "http+unix:///run/app.sock",
        "http://127.0.0.1:{port}",
        "http+unix://{socket}",
        "http://{machine}:9000/{service}",
        "http://my_app:9000",
        "HTTP://NAS.lan",
    ],
)
def test_a_good_base_url_stays_as_it_is(text):
    assert base_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "nas.lan", "nas.lan:80", "ftp://nas", "file:///x", "unix:/x", "http://", "http:///x", "http://:80"),
        *(
            "http://a:b@c",
            "http://a@c",
            "http://a/?b",
            "http://a/#b",
            "http://a?b",
            "http://a:0",
            "http://a:",
            "http://a:x",
        ),
        *(
            "http://a b",
            "http://a/\n",
            "http://a/%2",
            "http://a/é",
            "http://é/",
            "http://a/../b",
            "http://a/%2e%2e",
            "http://a\\b",
        ),
        *("http://[::1", "http://[1.2.3.4]", "http://1.2.3.4.5", "http+unix://", "http+unix://x", "http+unix:///x?y"),
        *("http://-a", "http://a..b", 'http://a/"', "http://a/<b>"),
    ],
)
def test_a_bad_base_url_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        base_url(text)


def test_a_base_url_is_taken_apart():
    assert parse_base_url("https://nas.lan/app") == ("https", "nas.lan", 443, "/app")
    assert parse_base_url("http+unix:///run/app.sock") == ("http+unix", "", 0, "/run/app.sock")


@pytest.mark.parametrize(
    "text", ["tcp://desk:22", "tcp://[::1]:22", "http://a/api/tags?x=1", "http+unix:///run/a.sock", "tcp://a:{port}"]
)
def test_a_check_may_be_a_url_or_a_port(text):
    assert health_url(text) == text


@pytest.mark.parametrize("text", ["tcp://desk", "tcp://desk:22/x", "/health", "udp://a:1", "http://a:b@c/"])
def test_no_other_check_is_known(text):
    with pytest.raises(ValueError, match=r".+"):
        health_url(text)


def test_origins_networks_and_hosts_are_checked():
    assert origin("HTTPS://Chat.Example:8443/") == "https://chat.example:8443"
    assert origin("chrome-extension://abc") == "chrome-extension://abc"
    assert network("fd00::/8") == "fd00::/8"
    assert host_glob("*.Media.LAN.") == "*.media.lan"
    assert host_glob("[::1]") == "::1"
    for reader, text in [
        (origin, "null"),
        (origin, "*"),
        (network, "10.0.0.1/8"),
        (host_glob, "a:80"),
        (host_glob, "a*b"),
    ]:
        with pytest.raises(ValueError, match=r".+"):
            reader(text)


LOCAL = (TcpAddress("127.0.0.1", 8080), UnixAddress("/run/h.sock"))
EVERYWHERE = (TcpAddress("0.0.0.0", 8080),)
NAMES = frozenset({"box"})


@pytest.mark.parametrize(
    ("url", "listening", "own"),
    [
        ("http://127.0.0.1:8080", LOCAL, True),
        ("http://localhost:8080/services/a", LOCAL, True),
        ("http://x.localhost:8080", LOCAL, True),
        ("http://[::1]:8080", LOCAL, True),
        ("http://0.0.0.0:8080", LOCAL, True),
        ("http+unix:///run/h.sock", LOCAL, True),
        ("http+unix:///run/other.sock", LOCAL, False),
        ("http://localhost:8081", LOCAL, False),
        ("http://box:8080", EVERYWHERE, True),
        ("http://nas.lan:8080", EVERYWHERE, False),
        ("http://127.0.0.1:{port}", LOCAL, False),
    ],
)
def test_our_own_addresses_are_known(url, listening, own):
    assert is_own(url, listening, NAMES) is own


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "[::]:80", False),
        ("[::]:80", "[::1]:80", True),
        ("localhost:80", "127.0.0.1:80", True),
        ("[0:0::1]:80", "[::1]:80", True),
        ("unix:/a", "unix:/a", True),
        ("unix:/a", "unix:/b", False),
        ("unix:/a", "127.0.0.1:80", False),
    ],
)
def test_addresses_that_cannot_be_bound_together(one, other, both):
    assert collide(parse_listen(one), parse_listen(other)) is both
