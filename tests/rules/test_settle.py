import pytest

from hestia.roof.config import load_text

MACHINES = "machines:\n  desk: {launch: {kind: wake_on_lan, mac: 'aa:bb:cc:dd:ee:ff'}}\n"


def service(body, top=""):
    return load_text(f"{top}services: {{a: {body}}}\n").config.services["a"]


def test_a_services_own_keys_form_its_one_place():
    place = service("{base_url: 'http://127.0.0.1:9000', warmup: 2s}").places[0]
    assert (place.base_url, place.warmup, place.machine) == ("http://127.0.0.1:9000", 2, "local")


def test_a_place_takes_from_the_service_what_it_lacks():
    body = (
        "{base_url: 'http://127.0.0.1:1', warmup: 2s, headers: {set: {X-A: '1', X-B: '1'}, remove: [x-r]},"
        " places: [{warmup: 3s}, {base_url: 'http://127.0.0.1:2', headers: {set: {x-b: '2'}, remove: [x-s]}}]}"
    )
    first, second = service(body).places
    assert (first.base_url, first.warmup, second.base_url, second.warmup) == (
        "http://127.0.0.1:1",
        3,
        "http://127.0.0.1:2",
        2,
    )
    assert first.headers.set == {"X-A": "1", "X-B": "1"}
    assert second.headers.set == {"X-A": "1", "x-b": "2"}
    assert second.headers.remove == ("x-r", "x-s")


def test_a_key_of_its_own_replaces_the_default_whole():
    top = "defaults: {idle_timeout: 5m, headers: {set: {x-a: '1'}}}\n"
    said = service("{base_url: 'http://127.0.0.1:1', headers: {remove: [x]}}", top)
    assert said.idle_timeout == 300
    assert said.headers.set == {}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ("{base_url: 'http://127.0.0.1:1'}", 5),
        ("{base_url: 'http://127.0.0.1:1', machine: desk}", 60),
        ("{launch: {kind: process, command: [x]}}", 60),
        ("{launch: {kind: ssh, host: x}}", 180),
        ("{launch: {kind: http, start: {url: 'http://x/'}}}", 180),
        ("{launch: {kind: kubernetes, deployment: x}}", 180),
        ("{launch: {kind: ssh, host: x}, start_timeout: 7s}", 7),
        ("{launch: {kind: ssh, host: x}, start_timeout: auto}", 180),
    ],
)
def test_an_automatic_start_takes_as_long_as_its_launcher_may(body, seconds):
    said = service(body, MACHINES)
    assert said.places[0].start_timeout == said.start_timeout == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ("{base_url: 'http://127.0.0.1:1'}", 120),
        ("{launch: {kind: ssh, host: x}, retry_delay: 0s}", 360),
        ("{launch: {kind: ssh, host: x}, retry_delay: 4s}", 365),
        ("{launch: {kind: ssh, host: x}, machine: desk, retry_delay: 0s}", 720),
        ("{launch: {kind: ssh, host: x}, queue_timeout: 3s}", 3),
        ("{launch: {kind: ssh, host: x}, queue_timeout: 0s}", 0),
    ],
)
def test_an_automatic_wait_covers_all_attempts_and_the_machine(body, seconds):
    assert service(body, MACHINES).queue_timeout == seconds


def test_local_is_always_there():
    assert list(load_text("machines: {desk: }\n").config.machines) == ["desk", "local"]
    assert load_text(MACHINES).config.machines["desk"].start_timeout == 180
