import pytest

from hestia.rules.shape import hint_at, keys_of, kind_of, wants_text
from hestia.words.launch_spec import ProcessLaunch
from hestia.words.spec import Config, NoWake, Service


def test_a_key_is_called_as_the_file_calls_it():
    assert keys_of(NoWake)["from"].field == "from_"
    assert "id" not in keys_of(Service)


def test_durations_are_known_for_their_milliseconds():
    durations = {name for name, key in keys_of(Service).items() if key.duration}
    assert {"idle_timeout", "start_timeout", "queue_timeout", "warmup", "connect_timeout"} <= durations
    assert not {"queue_size", "cost_per_hour", "strip_prefix"} & durations


def test_the_kind_of_a_launcher_is_its_tag():
    assert kind_of(ProcessLaunch) == "process"
    assert kind_of(Service) is None


@pytest.mark.parametrize(
    ("struct", "path", "texty"),
    [
        (Config, ("semaphore", "token"), True),
        (Config, ("log", "level"), False),
        (Config, ("control_group",), True),
        (Service, ("headers", "set", "x-team"), True),
        (Service, ("launch", "env", "MODE"), True),
        (Service, ("launch", "unit"), True),
        (Service, ("idle_timeout",), False),
        (Service, ("no", "such", "key"), False),
        (Service, (), False),
    ],
)
def test_any_text_will_do_where_a_text_is_wanted(struct, path, texty):
    assert wants_text(hint_at(struct, path)) is texty
