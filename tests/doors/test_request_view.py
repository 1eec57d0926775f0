"""A request as strategies see it."""

from types import SimpleNamespace

from hestia.doors.request_view import RequestView, ServedView
from hestia.h1.request import read_request_head

BLOCK = b"Host: Box:80\r\nX-A: 1\r\nx-a: 2\r\nCookie: c\r\nAuthorization: Bearer b\r\nX-API-Key: k\r\nOrigin: http://o\r\n\r\n"


def test_it_has_what_the_protocol_promises_and_no_credentials():
    head = read_request_head(BLOCK, b"1")
    head.name, head.client = b"box", "10.0.0.1"
    view = RequestView(b"POST", b"/p%2f?q=1", head, lambda: "m", lambda: ("s",))
    assert (view.method, view.host, view.path, view.query, view.client) == ("POST", "box", "/p%2f", "q=1", "10.0.0.1")
    assert view.headers["x-a"] == "1, 2"
    assert view.headers["origin"] == "http://o"
    assert not {"authorization", "cookie", "x-api-key"} & set(view.headers)
    assert (view.model, view.services) == ("m", ("s",))


def test_a_service_is_seen_as_it_is_now():
    service = SimpleNamespace(id="a", spec=SimpleNamespace(models=("m*",)), state="cold")
    lists: dict[str, tuple[str, ...]] = {}
    view = ServedView(service, lists)
    assert (view.id, view.models, view.state, view.listed) == ("a", ("m*",), "cold", ())
    service.state, lists["a"] = "hot", ("x",)
    assert (view.state, view.listed) == ("hot", ("x",))
