import pytest

from hestia.h1.address import read_address


@pytest.mark.parametrize(
    ("url", "scheme", "authority", "base_path", "host", "port", "path"),
    [
        ("http://127.0.0.1:11434", b"http", b"127.0.0.1:11434", b"", "127.0.0.1", 11434, None),
        ("http://box/", b"http", b"box", b"", "box", 80, None),
        ("https://box/app/", b"https", b"box", b"/app", "box", 443, None),
        ("http://[::1]:8000/a/b", b"http", b"[::1]:8000", b"/a/b", "::1", 8000, None),
        ("http+unix:///run/app.sock", b"http", b"localhost", b"", "", 0, "/run/app.sock"),
        ("http+unix:///run/my%20app.sock", b"http", b"localhost", b"", "", 0, "/run/my app.sock"),
    ],
)
def test_an_address_is_read_from_a_base_url(url, scheme, authority, base_path, host, port, path):
    address = read_address(url)
    found = (address.scheme, address.authority, address.base_path, address.host, address.port, address.path)
    assert found == (scheme, authority, base_path, host, port, path)


def test_an_address_says_itself_in_errors():
    assert str(read_address("http://box:81/x")) == "box:81"
    assert str(read_address("http+unix:///run/app.sock")) == "unix:/run/app.sock"
