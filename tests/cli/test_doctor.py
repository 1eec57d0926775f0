"""`hestia doctor`: each finding, by a set-up in which exactly that is broken."""

import json
import os
import re
import socket
import time

import msgspec
import pytest

from hestia.cli import doctor as program
from hestia.cli.doctor import CHECKS, doctor, findings, free_bytes, reach, world_of
from hestia.roof.config import load as load_file
from hestia.roof.config import load_text
from hestia.words.spec import Auth, Dashboard

NOW = 1_795_000_000.0


@pytest.fixture
def world(tmp_path):
    """A set-up in which nothing is wrong, with changes."""

    def make(services=None, *, environ=None, machine=None, **top):
        whole = {
            "listen": ["127.0.0.1:0"],
            "data_dir": f"{tmp_path}/data",
            "control_socket": f"{tmp_path}/run/control.sock",
            "services": {"ollama": None, **(services or {})},
            **top,
        }
        loaded = load_text(json.dumps(whole), name=f"{tmp_path}/hestia_config.yml")
        usual = {"warnings": (), "now": NOW, "reach": lambda _: None, "which": lambda name: f"/bin/{name}", "free_bytes": lambda _: 1 << 40, "in_container": False, "runs": False}
        return world_of(loaded, environ or {})._replace(**{**usual, **(machine or {})})

    return make


def service(**keys):
    return {"base_url": "http://127.0.0.1:9", **keys}


def said(world):
    return [f"{finding.level}: {finding.words}" for finding in findings(world)]


def only(world, level, *words):
    """Exactly one finding, with these words."""
    found = said(world)
    assert len(found) == 1, found
    assert found[0].startswith(f"{level}: ")
    for word in words:
        assert word in found[0]


def launched(**keys):
    return {"a": service(launch={"kind": "process", "command": ["server"]}, **keys)}


def test_a_set_up_without_a_fault_has_no_finding(world):
    assert said(world(launched())) == []


def test_a_warning_of_the_configuration_is_a_finding(world):
    only(world()._replace(warnings=("hestia_config.yml: everybody may write this file: chmod o-w",)), "surprise", "chmod o-w")


def test_a_port_that_is_taken(world):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        only(world(listen=[f"127.0.0.1:{port}"]), "broken", f"127.0.0.1:{port} is taken")
        only(world({"a": service(listen=[f"127.0.0.1:{port}"])}), "broken", "is taken")
        assert said(world(listen=[f"127.0.0.1:{port}"], machine={"runs": True})) == []


def test_a_control_socket_that_is_a_file(world, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/control.sock").touch()
    only(world(), "broken", "is there and is no socket")


def test_a_control_socket_whose_path_is_too_long(world):
    made = world()  # as it lies by default; one that the file names is a mistake of the file
    config = msgspec.structs.replace(made.config, control_socket=f"/tmp/{'x' * 120}")
    only(made._replace(config=config), "broken", "107 bytes")


def test_a_control_socket_in_something_that_is_no_folder(world, tmp_path):
    (tmp_path / "run").touch()
    only(world(), "broken", "control_socket", f"{tmp_path}/run is no folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_control_socket_where_we_may_not_write(world):
    only(world(control_socket="/usr/x.sock"), "broken", "no permission to write in /usr")


def test_a_control_socket_that_others_could_replace(world, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/other").touch()
    (tmp_path / "run").chmod(0o777)
    only(world(), "surprise", "others may write in", "chmod go-w")
    (tmp_path / "run/other").unlink()
    assert said(world()) == []  # it holds nothing but our files: the gateway tightens it


def test_a_control_group_that_cannot_enter_the_folder(world, tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    (tmp_path / "run/other").touch()
    only(world(control_group=str(os.getegid())), "surprise", "the control_group cannot enter")


def test_a_control_group_that_we_are_in_is_right(world):
    assert said(world(control_group=str(os.getegid()))) == []


def test_a_data_folder_that_cannot_be_written(world, tmp_path):
    (tmp_path / "data").touch()
    only(world(), "broken", "data_dir", "is no folder", "nothing would be remembered")


def test_a_data_folder_that_everybody_may_write(world, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    only(world(), "surprise", "chmod o-w")


def test_files_that_are_read_later(world, tmp_path):
    (tmp_path / "page.html").touch()
    made = world(launched(waiting_page=f"{tmp_path}/page.html"))
    (tmp_path / "page.html").unlink()
    only(made, "broken", "services.a.waiting_page", "cannot be read")
    only(world({"a": service(launch={"kind": "process", "command": ["server"], "cwd": f"{tmp_path}/gone"})}), "broken", "cannot be entered")


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("def register_strategy(registry):\n    pass\n", 0o644, None),
        ("def register_strategy(registry)\n    pass\n", 0o644, "expected ':'"),
        ("x = 1\n", 0o644, "defines no register_strategy"),
        ("def register_strategy(registry):\n    pass\n", 0o646, "everybody may write it"),
        ("\0", 0o644, "null byte"),
    ],
)
def test_strategies_that_do_not_load(world, tmp_path, text, mode, words):
    folder = tmp_path / "strategies"
    folder.mkdir()
    (folder / "mine.py").write_text(text)
    (folder / "mine.py").chmod(mode)
    made = world(strategies_dir=str(folder))
    if words is None:
        assert said(made) == []
    else:
        only(made, "broken", "mine.py does not load", words)


def test_a_strategy_that_fails_when_it_is_run(world, tmp_path):
    folder = tmp_path / "strategies"
    folder.mkdir()
    (folder / "mine.py").write_text("import no_such_package_here\n\n\ndef register_strategy(registry):\n    pass\n")
    only(world(strategies_dir=str(folder)), "broken", "a strategy does not load: ", "mine.py", "no_such_package_here")


def test_a_strategies_folder_that_everybody_may_write(world, tmp_path):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies").chmod(0o777)
    only(world(strategies_dir=f"{tmp_path}/strategies"), "broken", "everybody may write there")


@pytest.mark.parametrize("now", (0.0, 1e10))
def test_a_clock_that_is_wrong(world, now):
    only(world(machine={"now": now}), "broken", "the clock says")


def test_a_disk_that_is_full_or_nearly(world):
    only(world(machine={"free_bytes": lambda _: 1 << 20}), "broken", "is full (1 MiB left)")
    only(world(machine={"free_bytes": lambda _: 100 << 20}), "surprise", "only 100 MiB left")
    assert said(world(machine={"free_bytes": lambda _: None})) == []


def test_auth_off_beyond_loopback(world):
    only(world(listen=["0.0.0.0:0"]), "surprise", "auth is off and an address beyond loopback")


def test_a_dashboard_that_shares_its_origin_with_services(world):
    made = world(launched())
    auth = Auth(dashboard=Dashboard(username="admin", password="hunter2hunter2"))
    config = msgspec.structs.replace(made.config, auth=auth)
    only(made._replace(config=config), "surprise", "share one origin", "admin_listen")
    assert said(made._replace(config=msgspec.structs.replace(config, admin_listen=("127.0.0.1:0",)))) == []


def test_a_base_url_that_leads_back_here(world, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = world({"a": service(base_url=f"http://box.example:{port}")}, listen=[f"127.0.0.1:{port}"])
    before = socket.getaddrinfo

    def getaddrinfo(host, *more, **kw):
        return before("127.0.0.1" if host == "box.example" else host, *more, **kw)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    only(made, "broken", "services.a", f"box.example:{port} leads back to this gateway")
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **kw: before("127.0.0.2" if host == "box.example" else host, *more, **kw))
    assert said(made) == []


def test_a_base_url_that_leads_back_to_a_gateway_on_all_addresses(world, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *more, **kw: before("127.0.0.5" if host == "box.example" else host, *more, **kw))
    found = said(world({"a": service(base_url=f"http://box.example:{port}")}, listen=[f"0.0.0.0:{port}"]))
    assert any("leads back to this gateway" in words for words in found)


def test_a_watched_service_that_cannot_be_reached(world):
    refused = {"reach": lambda _: "connection refused"}
    only(world({"a": service()}, machine=refused), "surprise", "services.a: 127.0.0.1:9: connection refused", "It has no `launch`")
    only(world({"a": service(base_url="http+unix:///run/a.sock")}, machine=refused), "surprise", "unix:/run/a.sock")
    assert said(world(launched(), machine=refused)) == []


def test_a_service_on_a_machine_that_sleeps_need_not_answer(world):
    machines = {"desk": {"launch": {"kind": "wake_on_lan", "mac": "aa:bb:cc:dd:ee:ff"}}}
    assert said(world({"a": service(machine="desk")}, machines=machines, machine={"reach": lambda _: "no answer"})) == []


def test_loopback_inside_a_container(world):
    only(world({"a": service()}, machine={"reach": lambda _: "connection refused", "in_container": True}), "surprise", "host.docker.internal", "is the container itself")


def test_a_service_that_listens_on_loopback_only_and_is_asked_through_the_bridge(world):
    def reached(spot):
        return None if spot[0] == "127.0.0.1" else "connection refused"

    only(world({"a": service(base_url="http://172.17.0.1:11434")}, machine={"reach": reached}), "surprise", "listens on 127.0.0.1:11434 only", "let it listen on 172.17.0.1 too")


@pytest.mark.parametrize(
    ("launch", "machine", "words"),
    [
        ({"kind": "process", "command": ["llama-server"]}, {"which": lambda _: None}, "`llama-server`, which is not in the PATH"),
        ({"kind": "process", "command": ["/opt/x"]}, {"which": lambda _: None}, "`/opt/x`, which is no program"),
        ({"kind": "command", "start": ["up"], "stop": ["down"]}, {"which": lambda _: None}, "`up`"),
        ({"kind": "systemd", "unit": "a.service"}, {"which": lambda _: None}, "`systemctl`"),
        ({"kind": "ssh", "host": "desk", "start": "x", "stop": "y"}, {"which": lambda _: None}, "`ssh`"),
        ({"kind": "docker", "container": "a"}, {"reach": lambda _: "permission denied"}, "group docker"),
        ({"kind": "docker", "container": "a", "host": "unix:///run/p.sock"}, {"reach": lambda _: "no such file or directory"}, "at /run/p.sock cannot be reached"),
        ({"kind": "docker", "container": "a", "host": "tcp://box:2375"}, {"reach": lambda spot: None if spot != ("box", 2375) else "no answer"}, "at box:2375 cannot be reached: no answer"),
        ({"kind": "kubernetes", "deployment": "a"}, {}, "no kubeconfig"),
    ],
)
def test_an_engine_that_is_not_there(world, launch, machine, words):
    only(world({"a": service(launch=launch)}, machine=machine, environ={"HOME": "/nowhere"}), "broken", "services.a: ", words)


def test_a_machine_s_engine_counts_too(world):
    machines = {"desk": {"launch": {"kind": "ssh", "host": "desk", "start": "x", "stop": "y"}, "health": "tcp://desk:22"}}
    only(world(launched(), machines=machines, machine={"which": lambda name: None if name == "ssh" else name}), "broken", "machines.desk: ", "`ssh`")


def test_semaphore_that_is_not_set_or_cannot_be_reached(world):
    launch = {"kind": "semaphore"}
    only(world({"a": service(launch=launch)}, semaphore={"base_url": "http://sem:3000", "token": "x" * 20}, machine={"reach": lambda _: "no answer"}), "broken", "Semaphore at sem:3000")


@pytest.mark.parametrize("command", (["docker", "run", "--rm", "img"], ["/usr/bin/podman", "run", "img"], ["sudo", "docker", "compose", "up"]))
def test_docker_run_as_a_process(world, command):
    only(world({"a": service(launch={"kind": "process", "command": command})}), "surprise", "may leave the container running", "kind: docker")


def test_docker_logs_is_no_container_run(world):
    assert said(world({"a": service(launch={"kind": "process", "command": ["docker", "logs", "-f", "x"]})})) == []


def test_an_idle_time_that_is_shorter_than_the_start(world):
    only(world(launched(idle_timeout="5s")), "surprise", "idle_timeout 5s is shorter than the 60s")
    assert said(world(launched(idle_timeout=0))) == []


def test_a_start_that_takes_longer_than_requests_wait(world):
    only(world(launched(queue_timeout="10s")), "surprise", "may take 60s and a request waits only 10s")


def test_a_file_and_a_printed_report(tmp_path, capsys):
    (tmp_path / "c.yml").write_text(json.dumps({"listen": ["127.0.0.1:0"], "data_dir": f"{tmp_path}/d", "control_socket": f"{tmp_path}/c.sock", "services": {"ollama": None}}))
    loaded = load_file(f"{tmp_path}/c.yml", {})._replace(warnings=())
    assert doctor(loaded, {}) == 0
    assert capsys.readouterr().out == "all is well\n"
    (tmp_path / "d").touch()
    assert doctor(loaded, {}) == 1
    said = capsys.readouterr().out
    assert re.search(r"^broken: data_dir .*", said)
    assert said.endswith("1 broken, 0 worth knowing\n")


def test_it_looks_at_this_machine_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        assert reach(("127.0.0.1", port)) is None
    assert reach(("127.0.0.1", port)) == "connection refused"
    assert reach(("no-such-name.invalid", 1)) is not None
    assert reach("gone.sock") == "no such file or directory"
    with socket.socket(socket.AF_UNIX) as there:
        there.bind("c.sock")
        there.listen()
        assert reach("c.sock") is None
        assert program._answers("c.sock")
    assert not program._answers("c.sock")
    assert not program._answers(str(tmp_path))
    assert free_bytes(f"{tmp_path}/not/yet") > 0


def test_every_check_stands_once_in_the_table():
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert abs(world_of(load_text(""), {}).now - time.time()) < 5
