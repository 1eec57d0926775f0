from pathlib import Path
from typing import get_args

import pytest

from hestia.ports import Check, Seen
from hestia.roof.launching import LONGEST_SSH_FOLDER, Launchers, _ssh_folder
from hestia.words import launch_spec as kinds
from hestia.words.run import Run, Told
from hestia.words.spec import Config, Place, Service

CALL = kinds.HttpCall(url="http://127.0.0.1:1/")
EXAMPLES = {
    kinds.ProcessLaunch: {"command": ("true",)},
    kinds.CommandLaunch: {"start": ("true",)},
    kinds.DockerLaunch: {"container": "a"},
    kinds.SystemdLaunch: {"unit": "a.service"},
    kinds.SshLaunch: {"host": "desk", "start": "true"},
    kinds.SemaphoreLaunch: {},
    kinds.HttpLaunch: {"start": CALL},
    kinds.WakeOnLanLaunch: {"mac": "aa:bb:cc:dd:ee:ff"},
    kinds.SwarmLaunch: {"service": "a"},
    kinds.KubernetesLaunch: {"deployment": "a"},
}
LAUNCHES = [kind(**keys) for kind, keys in EXAMPLES.items()]


def run_of(**more):
    return Run(**{"id": "1", "owner": "a", "machine": "local", "launch": None, **more})


@pytest.fixture
def config():
    return Config()


@pytest.fixture
def launchers(tmp_path, config):
    return Launchers(lambda: config, tmp_path, tmp_path, {})


def test_every_kind_of_the_configuration_is_tried_here():
    assert set(EXAMPLES) == set(get_args(kinds.Launch))


@pytest.mark.parametrize("launch", LAUNCHES, ids=lambda launch: type(launch).__name__)
def test_every_kind_has_a_launcher_with_the_three_verbs(launchers, launch):
    launcher = launchers(launch)
    assert all(callable(getattr(launcher, verb)) for verb in ("start", "stop", "state"))


@pytest.mark.parametrize("launch", LAUNCHES, ids=lambda launch: type(launch).__name__)
def test_making_a_launcher_starts_and_writes_nothing(launchers, launch, tmp_path):
    launchers(launch)
    assert list(tmp_path.iterdir()) == []


def test_one_launcher_serves_every_place_of_its_kind(launchers):
    one, other = kinds.ProcessLaunch(command=("true",)), kinds.ProcessLaunch(command=("false",))
    assert launchers(one) is launchers(other)
    assert launchers(one) is not launchers(kinds.CommandLaunch(start=("true",)))


# --- whether what is being started answers already


@pytest.fixture
def asked(monkeypatch):
    """The checks that are asked; each passes."""
    seen = []

    async def probe(check):
        seen.append(check)
        return Seen()

    monkeypatch.setattr("hestia.roof.launching.probe", probe)
    return seen


def ready_of(launchers):
    return launchers._make[kinds.WakeOnLanLaunch]()._ready


async def test_an_address_that_was_told_goes_before_that_of_the_configuration(launchers, asked):
    run = run_of(base_url="http://127.0.0.1:1", told=Told(base_url="http://127.0.0.1:2"))
    assert await ready_of(launchers)(run)
    assert asked == [Check("http://127.0.0.1:2")]


async def test_a_check_counts_by_the_statuses_of_its_service(tmp_path, asked):
    place = Place(health_url="http://127.0.0.1:3/up", health_status=((204, 204),))
    config = Config(services={"a": Service(id="a", places=(place,), tls_verify=False)})
    ready = ready_of(Launchers(lambda: config, tmp_path, tmp_path, {}))
    assert await ready(run_of(health_url="http://127.0.0.1:3/up"))
    assert asked == [Check("http://127.0.0.1:3/up", ((204, 204),), tls_verify=False)]


async def test_without_an_address_nothing_is_asked(launchers, asked):
    assert not await ready_of(launchers)(run_of())
    assert asked == []


async def test_a_service_that_is_gone_from_the_configuration_is_asked_plainly(launchers, asked):
    assert await ready_of(launchers)(run_of(health_url="tcp://127.0.0.1:3", number=4))
    assert asked == [Check("tcp://127.0.0.1:3", ((200, 399),))]


def test_a_folder_whose_path_is_too_long_for_a_socket_shares_no_connections():
    assert _ssh_folder(Path("/var/lib/hestia"), None) == Path("/var/lib/hestia/ssh")
    assert _ssh_folder(Path("/var/lib/hestia"), "/run/user/1000") == Path("/run/user/1000/hestia/ssh")
    assert _ssh_folder(Path("/x" * LONGEST_SSH_FOLDER), None) is None
