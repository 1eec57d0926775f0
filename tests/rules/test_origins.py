import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.rules.origins import allowed, configured, elsewhere, foreign, read_origin, relayed_page, shown


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"http://box.lan", (b"http", b"box.lan", b"box.lan")),
        (b"HTTP://Box.LAN:8080", (b"http", b"box.lan:8080", b"box.lan")),
        (b"http://box.lan:80", (b"http", b"box.lan", b"box.lan")),
        (b"https://box.lan:443", (b"https", b"box.lan", b"box.lan")),
        (b"https://box.lan:80", (b"https", b"box.lan:80", b"box.lan")),
        (b"http://[::1]:3000", (b"http", b"[::1]:3000", b"::1")),
        (b"chrome-extension://abcdef", (b"chrome-extension", b"abcdef", b"abcdef")),
    ],
)
def test_an_origin_is_a_scheme_and_an_authority(value, parts):
    assert read_origin(value) == parts


@pytest.mark.parametrize(
    "value",
    [b"", b"null", b"box.lan", b"//box.lan", b"http://", b"http://a/", b"http://a/b", b"http://u@a", b"http://a, http://a", b"http://a http://b", b"file://", b"http://a:0", b"http://a:99999", b"http://a\\b", b"http://\xff"],
)
def test_what_is_no_origin_is_none(value):
    assert read_origin(value) is None
    assert foreign(value, None, b"a")
    assert elsewhere(value, b"http", b"a")


@pytest.mark.parametrize(
    ("origin", "site", "is_foreign"),
    [
        (None, None, False),
        (None, b"none", False),
        (None, b"same-origin", False),
        (None, b"same-site", False),
        (None, b"cross-site", True),
        (b"http://box", None, False),
        (b"https://BOX:8443", None, False),
        (b"http://box:3000", b"same-site", False),
        (b"http://box", b"cross-site", True),
        (b"null", None, True),
        (b"http://boxy", None, True),
        (b"http://box.evil.example", None, True),
        (b"tauri://box", None, True),  # a program of its own, not a page of this host
    ],
)
def test_own_is_a_page_at_the_requests_host_name(origin, site, is_foreign):
    assert foreign(origin, site, b"box") is is_foreign


def test_a_request_without_a_host_has_no_own_pages():
    assert foreign(b"http://box", None, b"")


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "is_elsewhere"),
    [
        (None, b"http", b"box:9090", False),
        (b"http://box:9090", b"http", b"BOX:9090", False),
        (b"http://box:8080", b"http", b"box:9090", True),
        (b"http://box", b"http", b"box:80", False),
        (b"https://box", b"http", b"box", False),  # behind a TLS terminator that is not trusted
        (b"https://box:443", b"https", b"box", False),
        (b"tauri://box", b"http", b"box", True),
    ],
)
def test_by_authority_the_port_counts(origin, scheme, host, is_elsewhere):
    assert elsewhere(origin, scheme, host) is is_elsewhere


def test_configured_origins_are_found_in_any_spelling():
    among = configured(("https://chat.example", "http://localhost:3000", "chrome-extension://abc"))
    for origin in (b"https://chat.example", b"https://CHAT.example:443", b"http://localhost:3000", b"chrome-extension://abc"):
        assert allowed(origin, among), origin
    for origin in (None, b"", b"null", b"http://chat.example", b"http://localhost", b"https://chat.example.evil", b"*"):
        assert not allowed(origin, among), origin


@pytest.mark.parametrize(
    ("referer", "is_relayed"),
    [
        (None, False),
        (b"", False),
        (b"http://box/services/a/", True),
        (b"http://box:8080/services/a/x?y", True),
        (b"https://user@box/services/a", True),
        (b"http://box/services", False),
        (b"http://box/servicesx/", False),
        (b"http://box/dashboard/?/services/", False),
        (b"http://box/#/services/", False),
        (b"/services/a/", False),
    ],
)
def test_a_relayed_page_lies_under_services(referer, is_relayed):
    assert relayed_page(referer) is is_relayed


@given(st.binary(max_size=200))
def test_what_is_shown_of_an_origin_is_short_and_plain(value):
    assert shown(value).isascii()
    assert shown(value).isprintable()
    assert len(shown(value)) <= 402
