import pytest

from hestia.roof.config import load_text
from hestia.rules.marks import ConfigError

URL = "base_url: 'http://127.0.0.1:9000'"


def mistakes(text):
    with pytest.raises(ConfigError) as caught:
        load_text(text)
    return [f"{mistake.path}: {mistake.words}" for mistake in caught.value.mistakes]


def test_what_fits_together_is_no_mistake():
    load_text(
        "machines: {desk: {capacity: {vram: 24}}}\n"
        f"services:\n  a: {{{URL}, machine: desk, needs: {{vram: 12}}, depends_on: [b], hosts: [a.lan]}}\n"
        f"  b: {{{URL}, machine: desk, needs: {{vram: 12}}, hosts: ['*.lan'], models: [m, 'x*']}}\n"
        f"  c: {{{URL}, models: ['x*'], listen: ['127.0.0.1:8081']}}\n"
        "default_service: ollama\nroutes: [{service: a}, {strategy: by_model}]\n"
    )


@pytest.mark.parametrize("size", [2, 3, 50, 2000])
def test_a_circle_of_any_size_is_told_once(size):
    names = [f"s{index:04}" for index in range(size)]
    text = "services:\n" + "".join(
        f"  {name}: {{{URL}, depends_on: [{names[(index + 1) % size]}]}}\n" for index, name in enumerate(names)
    )
    said = mistakes(text)
    assert len(said) == 1
    assert said[0].startswith("services.s0000.depends_on: goes in a circle: s0000 -> s0001")


def test_a_dependency_elsewhere_takes_no_room_here():
    load_text(
        "machines: {desk: {capacity: {vram: 24}}}\n"
        f"services:\n  a: {{{URL}, machine: desk, needs: {{vram: 20}}, depends_on: [b]}}\n"
        f"  b: {{{URL}, needs: {{vram: 20}}}}\n"
    )


def test_the_whole_closure_of_what_a_start_needs_must_fit():
    said = mistakes(
        "machines: {desk: {capacity: {vram: 24}}}\ndefaults: {machine: desk, needs: {vram: 9}}\n"
        f"services:\n  ollama: null\n  a: {{{URL}, depends_on: [b]}}\n  b: {{{URL}, depends_on: [c]}}\n  c: {{{URL}}}\n"
    )
    assert said == ["services.a.needs: needs 27 vram together with b, c; the machine desk has 24"]


def test_a_wrong_launcher_is_not_also_a_missing_one():
    assert len(mistakes("services: {a: {launch: {kind: proces}}}\n")) == 1
    assert len(mistakes("defaults: {launch: {kind: proces}}\nservices: {a: {hosts: [a.lan]}}\n")) == 1


def test_a_machine_that_nothing_can_stop_has_no_idle_timeout():
    assert mistakes("machines: {local: {idle_timeout: 5m}}\n")[0].startswith(
        "machines.local.idle_timeout: nothing can put"
    )


def test_a_name_that_is_wrong_itself_is_still_a_name():
    assert mistakes("services: {a: {base_url: x}}\ndefault_service: a\n") == [
        "services.a.base_url: the value must begin with one of http://, https://, http+unix://"
    ]


def test_a_head_has_room_for_a_request():
    assert mistakes("limits: {header_bytes: 100}\n") == [
        "limits.header_bytes: is too small for any request: at least 1KiB"
    ]


@pytest.mark.parametrize(
    ("service", "warned"),
    [
        ("launch: {kind: docker, container: a}", True),
        ("launch: {kind: systemd, unit: a.service}", True),
        ("launch: {kind: kubernetes, deployment: a}", True),
        ("base_url: 'http://127.0.0.1:1', launch: {kind: docker, container: a}", False),
        ("launch: {kind: process, command: [a]}", False),  # it may print one
        ("launch: {kind: ssh, host: h, start: a}", False),
    ],
)
def test_a_launcher_that_cannot_tell_an_address_is_warned_of_where_there_is_none(service, warned):
    words = "will not start: nothing tells its address; give it a `base_url`"
    warnings = load_text(f"services: {{a: {{{service}}}}}\n").warnings
    assert [warning.partition("services.a: ")[2] for warning in warnings] == ([words] if warned else [])


@pytest.mark.parametrize(
    ("semaphore", "missing"),
    [
        ("", "`semaphore.base_url` and `semaphore.token`"),
        ("semaphore: {base_url: 'http://127.0.0.1:3000'}\n", "`semaphore.token`"),
        ("semaphore: {base_url: 'http://127.0.0.1:3000', token: t}\n", None),
    ],
)
def test_a_launcher_that_cannot_reach_semaphore_is_warned_of(semaphore, missing):
    warnings = load_text(f"{semaphore}services: {{a: {{{URL}, launch: {{kind: semaphore}}}}}}\n").warnings
    assert [words.partition("launch: ")[2] for words in warnings] == ([f"will not start: set {missing}"] if missing else [])
