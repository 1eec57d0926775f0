import pytest

from hestia.ports import Launcher, LaunchFailed
from hestia.roof.launching import Launchers, NotThere
from hestia.words import launch_spec as kinds
from hestia.words.run import Run
from hestia.words.spec import Config

PROCESS = kinds.ProcessLaunch(command=("true",))
COMMAND = kinds.CommandLaunch(start=("true",))


@pytest.fixture
def launchers(tmp_path):
    return Launchers(Config(data_dir=str(tmp_path)), str(tmp_path), {})


@pytest.mark.parametrize("launch", [PROCESS, COMMAND])
def test_every_kind_has_a_launcher_with_the_three_verbs(launchers, launch):
    assert all(callable(getattr(launchers(launch), verb)) for verb in ("start", "stop", "state"))


def test_one_launcher_serves_every_place_of_its_kind(launchers):
    assert launchers(PROCESS) is launchers(kinds.ProcessLaunch(command=("false",)))
    assert launchers(PROCESS) is not launchers(COMMAND)


def test_making_a_launcher_starts_and_writes_nothing(launchers, tmp_path):
    launchers(PROCESS)
    launchers(COMMAND)
    assert list(tmp_path.iterdir()) == []


async def test_a_kind_that_this_version_cannot_launch_says_so_and_knows_nothing():
    launcher: Launcher = NotThere()
    run = Run(id="1", owner="a", machine="local", launch=None)

    async def record(_):
        raise AssertionError

    with pytest.raises(LaunchFailed, match="cannot launch this kind of thing yet"):
        await launcher.start(run, record)
    assert await launcher.state(run) == "unknown"
    await launcher.stop(run)
