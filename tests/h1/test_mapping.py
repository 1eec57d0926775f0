import pytest
from hypothesis import given
from hypothesis import strategies as st

from hestia.h1.mapping import Origins

HOST = b"localhost:8080"
PREFIX = b"/services/comfy"


def origins(upstream=b"http://127.0.0.1:8188", **keys):
    scheme, _, rest = upstream.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    return Origins(upstream_scheme=scheme, upstream_authority=authority, base_path=slash + path, **keys)


def origin(value, *, scheme=b"http", host=HOST, **keys):
    return origins(**keys).to_upstream_origin(value, scheme, host)


def referer(value, *, scheme=b"http", host=HOST, **keys):
    return origins(**keys).to_upstream_referer(value, scheme, host)


def location(value, *, scheme=b"http", host=HOST, prefix=PREFIX, **keys):
    return origins(**keys).to_client_location(value, scheme, host, prefix)


def cookie(value, *, prefix=PREFIX, host=HOST, **keys):
    return origins(**keys).to_client_cookie(value, prefix, host)


# Inward: Origin and Referer


@pytest.mark.parametrize(
    ("value", "scheme", "host"),
    [
        (b"http://localhost:8080", b"http", HOST),
        (b"HTTP://LocalHost:8080", b"http", b"LOCALHOST:8080"),
        (b"http://chat.lan", b"http", b"chat.lan:80"),
        (b"http://chat.lan:80", b"http", b"chat.lan"),
        (b"http://chat.lan", b"http", b"chat.lan:"),
        (b"https://chat.lan", b"https", b"chat.lan:443"),
        (b"https://chat.lan", b"http", b"chat.lan"),  # a TLS terminator that is no trusted proxy
        (b"http://[::1]:8080", b"http", b"[::1]:8080"),
        (b"http://[::1]", b"http", b"[::1]:80"),
    ],
)
def test_the_requests_own_origin_becomes_the_upstreams(value, scheme, host):
    assert origin(value, scheme=scheme, host=host) == b"http://127.0.0.1:8188"
    assert origin(value, scheme=scheme, host=host, upstream=b"https://app.lan") == b"https://app.lan"


@pytest.mark.parametrize(
    "value",
    [
        b"https://evil.example",
        b"http://localhost",
        b"http://localhost:80801",
        b"http://localhost:8080.evil.example",
        b"http://xlocalhost:8080",
        b"http://localhost:8080@evil.example",
        b"http://user@localhost:8080",
        b"http://localhost:8080 http://evil.example",
        b"http://localhost:8080/",  # no origin has a path
        b"http://localhost:8080\\",
        b"chrome-extension://localhost:8080",
        b"//localhost:8080",
        b"localhost:8080",
        b"null",
        b"",
        b"\xff\x00",
    ],
)
def test_a_foreign_or_strange_origin_stays_as_it_is(value):
    assert origin(value) == value


def test_of_a_referer_only_scheme_and_authority_change():
    for rest in (b"", b"/", b"/services/comfy/a?b=http://localhost:8080/#c", b"?x", b"/\xff%2F"):
        assert referer(b"http://localhost:8080" + rest, upstream=b"https://app.lan/base") == b"https://app.lan" + rest


@pytest.mark.parametrize(
    "value",
    [
        b"https://evil.example/http://localhost:8080/",
        b"http://localhost:8080@evil.example/",
        b"http://localhost:8080\\@evil.example/",
        b"http://localhost:80/",
        b"/services/comfy/",
        b"about:blank",
        b"",
    ],
)
def test_a_foreign_or_strange_referer_stays_as_it_is(value):
    assert referer(value) == value


@pytest.mark.parametrize("keys", [{"rewrite": False}, {"preserve_host": True}])
def test_rewrite_off_and_preserve_host_leave_the_request_alone(keys):
    assert origin(b"http://localhost:8080", **keys) == b"http://localhost:8080"
    assert referer(b"http://localhost:8080/x", **keys) == b"http://localhost:8080/x"


def test_a_request_without_a_host_has_no_own_origin():
    assert origin(b"http://localhost:8080", host=b"") == b"http://localhost:8080"


# Outward: Location and Content-Location


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"/", b"/services/comfy/"),
        (b"/login?next=/x#y", b"/services/comfy/login?next=/x#y"),
        (b"/%2F%252F;a", b"/services/comfy/%2F%252F;a"),
        (b"/caf\xc3\xa9", b"/services/comfy/caf\xc3\xa9"),
        (b"/services/comfyui/x", b"/services/comfy/services/comfyui/x"),
        (b"http://127.0.0.1:8188/x?y#z", b"http://localhost:8080/services/comfy/x?y#z"),
        (b"HTTP://127.0.0.1:8188/x", b"http://localhost:8080/services/comfy/x"),
        (b"https://127.0.0.1:8188/x", b"http://localhost:8080/services/comfy/x"),
        (b"//127.0.0.1:8188/x", b"http://localhost:8080/services/comfy/x"),
        (b"http://127.0.0.1:8188", b"http://localhost:8080/services/comfy/"),
        (b"http://127.0.0.1:8188?x", b"http://localhost:8080/services/comfy/?x"),
        (b"http://127.0.0.1:8188#x", b"http://localhost:8080/services/comfy/#x"),
    ],
)
def test_what_points_at_the_upstream_points_at_what_the_client_sees(value, seen):
    assert location(value) == seen


@pytest.mark.parametrize(
    "value",
    [
        b"/services/comfy",
        b"/services/comfy/",
        b"/services/comfy/x?y",
        b"/services/comfy?x",
        b"/services/comfy#x",
    ],
)
def test_what_begins_with_the_prefix_already_stays(value):
    assert location(value) == value
    assert location(b"http://127.0.0.1:8188" + value) == b"http://localhost:8080" + value


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"login",
        b"../x",
        b"./",
        b"?x",
        b"#x",
        b"//evil.example/x",
        b"//",
        b"///x",
        b"//user@127.0.0.1:8188/x",
        b"https://evil.example/x",
        b"http://127.0.0.1:8188.evil.example/",
        b"http://127.0.0.1:8188@evil.example/",
        b"http://127.0.0.1:8188\\@evil.example/",
        b"http://user@127.0.0.1:8188/",
        b"http://127.0.0.1:81880/",
        b"http://127.0.0.1/",
        b"http://localhost:8188/",
        b"http:/x",
        b"http:x",
        b"http://",
        b"ftp://127.0.0.1:8188/",
        b"mailto:a@b",
        b"\xff\xfe\x00",
    ],
)
def test_what_points_elsewhere_or_is_relative_passes_untouched(value):
    assert location(value) == value
    assert location(value, upstream=b"http://127.0.0.1:8188/base") == value


@pytest.mark.parametrize(
    ("upstream", "value", "own"),
    [
        (b"http://app.lan", b"http://app.lan:80/x", True),
        (b"http://app.lan:80", b"http://app.lan/x", True),
        (b"http://app.lan:80", b"http://APP.LAN:/x", True),
        (b"https://app.lan", b"https://app.lan:443/x", True),
        (b"https://app.lan:443", b"https://app.lan/x", True),
        (b"https://app.lan", b"http://app.lan/x", True),  # believes to speak http behind its own TLS
        (b"https://app.lan:8443", b"http://app.lan:8443/x", True),
        (b"http://app.lan", b"https://app.lan/x", False),  # to map it would be a loop: http is asked again
        (b"http://app.lan", b"http://app.lan:8080/x", False),
        (b"https://app.lan", b"https://app.lan:8443/x", False),
        (b"http://[::1]", b"http://[::1]:80/x", True),
        (b"http://[::1]:8188", b"http://[::1]:8188/x", True),
        (b"http://[::1]:8188", b"http://[::1]/x", False),
    ],
)
def test_a_default_port_counts_whether_it_is_written_or_not(upstream, value, own):
    assert location(value, upstream=upstream) == (b"http://localhost:8080/services/comfy/x" if own else value)


def test_without_a_stripped_prefix_a_path_stays_and_a_url_of_the_upstream_is_mapped():
    assert location(b"/login", prefix=b"") == b"/login"
    assert location(b"http://127.0.0.1:8188/login", prefix=b"") == b"http://localhost:8080/login"
    assert location(b"http://127.0.0.1:8188/x", prefix=b"", scheme=b"https", host=b"chat.lan") == b"https://chat.lan/x"


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"/app/x", b"/services/comfy/x"),
        (b"/app/", b"/services/comfy/"),
        (b"/app", b"/services/comfy/"),
        (b"/app?x", b"/services/comfy/?x"),
        (b"/apple", b"/services/comfy/apple"),
        (b"/other", b"/services/comfy/other"),
        (b"/app//x", b"/services/comfy//x"),
        (b"/app/services/comfy/x", b"/services/comfy/x"),
        (b"/services/comfy/x", b"/services/comfy/x"),
        (b"http://127.0.0.1:8188/app/x", b"http://localhost:8080/services/comfy/x"),
        (b"http://127.0.0.1:8188/app", b"http://localhost:8080/services/comfy/"),
    ],
)
@pytest.mark.parametrize("upstream", [b"http://127.0.0.1:8188/app", b"http://127.0.0.1:8188/app/"])
def test_the_path_of_base_url_is_taken_off_first(value, seen, upstream):
    assert location(value, upstream=upstream) == seen


def test_a_base_path_that_is_the_prefix_itself_is_no_obstacle():
    upstream = b"http://127.0.0.1:8888/services/comfy"
    assert location(b"/services/comfy/tree", upstream=upstream) == b"/services/comfy/tree"
    assert cookie(b"a=b; Path=/services/comfy/", upstream=upstream) == b"a=b; Path=/services/comfy/"


def test_a_base_path_is_taken_off_without_a_stripped_prefix_too():
    upstream = b"http://127.0.0.1:8188/app"
    assert location(b"/app/x", upstream=upstream, prefix=b"") == b"/x"
    assert location(b"/app", upstream=upstream, prefix=b"") == b"/"
    assert location(b"/other", upstream=upstream, prefix=b"") == b"/other"
    assert cookie(b"a=b; Path=/app", upstream=upstream, prefix=b"") == b"a=b; Path=/"


@pytest.mark.parametrize("value", [b"/app//evil.example", b"/app/\\evil.example"])
def test_taking_the_base_off_never_makes_a_path_another_host(value):
    assert location(value, upstream=b"http://127.0.0.1:8188/app", prefix=b"") == value


def test_a_client_without_host_gets_a_path_and_never_another_host():
    assert location(b"http://127.0.0.1:8188/x", host=b"") == b"/services/comfy/x"
    assert (
        location(b"http://127.0.0.1:8188//evil.example", host=b"", prefix=b"") == b"http://127.0.0.1:8188//evil.example"
    )


def test_rewrite_off_passes_the_answer_untouched():
    for value in (b"/x", b"http://127.0.0.1:8188/x"):
        assert location(value, rewrite=False) == value
    assert cookie(b"a=b; Path=/; Domain=127.0.0.1", rewrite=False) == b"a=b; Path=/; Domain=127.0.0.1"


def test_with_preserve_host_the_requests_own_authority_counts_as_the_upstreams():
    seen = b"http://localhost:8080/services/comfy/x"
    assert location(b"http://localhost:8080/x", preserve_host=True) == seen
    assert location(b"http://127.0.0.1:8188/x", preserve_host=True) == seen
    assert location(b"/x", preserve_host=True) == b"/services/comfy/x"
    assert location(b"http://chat.lan/x", preserve_host=True, scheme=b"https", host=b"chat.lan") == (
        b"https://chat.lan/services/comfy/x"
    )
    assert location(b"http://localhost:8080/x") == b"http://localhost:8080/x"  # but not without it


# Outward: Set-Cookie


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (b"a=b; Path=/", b"a=b; Path=/services/comfy/"),
        (b"a=b;path=/x;HttpOnly", b"a=b;path=/services/comfy/x;HttpOnly"),
        (b"a=b; PATH = /x ; Secure", b"a=b; PATH =/services/comfy/x; Secure"),
        (b"a=b; Path=/services/comfy/x", b"a=b; Path=/services/comfy/x"),
        (b"a=b; Path=/services/comfyui", b"a=b; Path=/services/comfy/services/comfyui"),
        (b"a=b; Path=/x; Path=/y", b"a=b; Path=/services/comfy/x; Path=/services/comfy/y"),
        (b"a=; Path=/; SameSite=None; Secure", b"a=; Path=/services/comfy/; SameSite=None; Secure"),
        (b"__Secure-a=b; Path=/; Secure", b"__Secure-a=b; Path=/services/comfy/; Secure"),
        (b"a=Path=/x; Path=/y", b"a=Path=/x; Path=/services/comfy/y"),
    ],
)
def test_a_cookies_path_gets_the_prefix(value, seen):
    assert cookie(value) == seen


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a=b",
        b"a=b; HttpOnly; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        b"a=b; Path=",
        b"a=b; Path",
        b"a=b; Path=x",
        b'a=b; Path="/"',
        b"path=/x",
        b"domain=127.0.0.1",
        b"a=b;; ;Path",
        b"a=b; Domain=evil.example",
        b"a=b; Domain=127.0.0.10",
        b"a=b; Domain=",
        b"a=b; Domain",
        b"__Host-a=b; Secure; Path=/",
        b" __host-a=b; Secure; Path=/; HttpOnly",
        b"\xff\x00;\xfe=",
    ],
)
def test_any_other_cookie_passes_byte_for_byte(value):
    assert cookie(value) == value


@pytest.mark.parametrize(
    ("upstream", "value", "seen"),
    [
        (b"http://127.0.0.1:8188", b"a=b; Domain=127.0.0.1; Secure", b"a=b; Secure"),
        (b"http://app.lan", b"a=b; domain=.App.LAN", b"a=b"),
        (b"http://app.lan", b"a=b;Domain= app.lan ;Path=/", b"a=b;Path=/services/comfy/"),
        (b"http://app.lan:9", b"a=b; Domain=app.lan; Domain=.app.lan", b"a=b"),
        (b"http://app.lan", b"a=b; Domain=lan", b"a=b; Domain=lan"),
        (b"http://app.lan", b"a=b; Domain=x.app.lan", b"a=b; Domain=x.app.lan"),
    ],
)
def test_a_cookies_domain_goes_if_it_names_the_upstream(upstream, value, seen):
    assert cookie(value, upstream=upstream) == seen


def test_with_preserve_host_a_cookies_domain_may_name_the_request_instead():
    assert cookie(b"a=b; Domain=chat.lan", host=b"chat.lan:8080", preserve_host=True) == b"a=b"
    assert cookie(b"a=b; Domain=chat.lan", host=b"chat.lan:8080") == b"a=b; Domain=chat.lan"


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        (b"/app/v1", b"/services/comfy/"),
        (b"/app/v1/", b"/services/comfy/"),
        (b"/app/v1/x", b"/services/comfy/x"),
        (b"/app", b"/services/comfy/"),  # above base_url: it covers all that the client can see
        (b"/", b"/services/comfy/"),
        (b"/ap", b"/services/comfy/ap"),
    ],
)
def test_a_cookies_path_loses_the_base_path_first(path, seen):
    assert cookie(b"a=b; Path=" + path, upstream=b"http://127.0.0.1:8188/app/v1") == b"a=b; Path=" + seen


def test_without_a_stripped_prefix_a_cookies_path_stays():
    assert cookie(b"a=b; Path=/x", prefix=b"") == b"a=b; Path=/x"


# Whatever comes

anything = st.binary(max_size=60) | st.lists(
    st.sampled_from(
        [b"http:", b"https:", b"//", b"/", b"\\", b"@", b"?", b"#", b":", b";", b"=", b" ", b"Path", b"Domain"]
    )
    | st.sampled_from([b"127.0.0.1:8188", b"127.0.0.1", b"localhost:8080", b"app", b"services/comfy", b"evil.example"]),
    max_size=8,
).map(b"".join)
settings = st.fixed_dictionaries(
    {
        "upstream": st.sampled_from([b"http://127.0.0.1:8188", b"http://127.0.0.1:8188/app", b"https://app.lan"]),
        "rewrite": st.booleans(),
        "preserve_host": st.booleans(),
    }
)


@given(anything, settings, st.sampled_from([HOST, b"", b"[::1]", b"\xff"]), st.sampled_from([PREFIX, b""]))
def test_nothing_ever_raises_and_rewrite_off_changes_nothing(value, keys, host, prefix):
    seen = [
        origin(value, host=host, **keys),
        referer(value, host=host, **keys),
        location(value, host=host, prefix=prefix, **keys),
        cookie(value, host=host, prefix=prefix, **keys),
    ]
    assert all(type(each) is bytes for each in seen)
    if not keys["rewrite"]:
        assert set(seen) == {value}


@given(anything, settings, st.sampled_from([PREFIX, b""]))
def test_a_mapped_location_leads_to_this_gateway_and_is_mapped_once(value, keys, prefix):
    seen = location(value, prefix=prefix, **keys)
    if seen == value:
        return
    absolute = b"http://" + HOST
    path = seen.removeprefix(absolute)
    assert path.startswith(b"/")
    assert path.startswith(prefix + b"/") or path[len(prefix) : len(prefix) + 1] in {b"", b"?", b"#"}
    if not seen.startswith(absolute):
        assert not seen.startswith((b"//", b"/\\"))
    if prefix and not keys["upstream"].endswith(b"/app"):
        assert location(seen, prefix=prefix, **keys) == seen


@given(anything, settings)
def test_a_mapped_origin_or_referer_was_the_requests_own(value, keys):
    for mapped in (origin(value, **keys), referer(value, **keys)):
        if mapped != value:
            assert value.lower().startswith((b"http://" + HOST, b"https://" + HOST))


@given(anything, settings)
def test_a_cookies_name_and_value_never_change(value, keys):
    assert cookie(value, **keys).partition(b";")[0] == value.partition(b";")[0]
