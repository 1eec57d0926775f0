from typing import get_args

import pytest

from hestia.rules.shape import keys_of, kind_of
from hestia.words import launch_spec
from hestia.words.launch_spec import can_stop


def test_all_kinds_of_launchers_are_there():
    assert {kind_of(struct) for struct in get_args(launch_spec.Launch)} == {
        *("process", "command", "docker", "systemd", "ssh", "semaphore", "http", "wake_on_lan", "swarm", "kubernetes")
    }


@pytest.mark.parametrize("struct", get_args(launch_spec.Launch), ids=kind_of)
def test_every_key_of_a_launcher_has_its_sentence(struct):
    assert len(keys_of(struct)) == len(struct.__struct_fields__)


def test_only_what_has_a_way_to_stop_can_stop():
    assert not can_stop(None)
    assert not can_stop(launch_spec.WakeOnLanLaunch(mac="aa:bb:cc:dd:ee:ff"))
    assert not can_stop(launch_spec.SshLaunch(host="desk", start="x"))
    assert can_stop(launch_spec.SshLaunch(host="desk", stop="systemctl suspend"))
    assert not can_stop(launch_spec.CommandLaunch(start=("x",)))
    assert can_stop(launch_spec.ProcessLaunch(command=("x",)))
