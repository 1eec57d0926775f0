"""Addresses in output: which lines are heard, and how output is read bit by bit."""

import pytest

from hestia.launchers import told as told_module
from hestia.launchers.output import Output
from hestia.launchers.told import Ear, hear, hear_all
from hestia.words.run import Told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("HESTIA_BASE_URL=http://10.0.0.5:8188", Told(base_url="http://10.0.0.5:8188")),
        ("  HESTIA_BASE_URL=https://vm.example/x  ", Told(base_url="https://vm.example/x")),
        ("HESTIA_HEALTH_URL=tcp://vm:22", Told(health_url="tcp://vm:22")),
        ("HESTIA_BASE_URL=http+unix:///run/a.sock", Told(base_url="http+unix:///run/a.sock")),
        ("echo HESTIA_BASE_URL=http://x", Told()),
        ("HESTIA_BASE_URL=", Told()),
        ("HESTIA_BASE_URL=http://a http://b", Told()),
        ("HESTIA_BASE_URL=file:///etc/passwd", Told()),
        ("HESTIA_BASE_URL=http://user:word@x", Told()),
        ("HESTIA_BASE_URL=http://a\x00b", Told()),
        ("HESTIA_OTHER_URL=http://x", Told()),
        ("", Told()),
    ],
)
def test_which_lines_are_heard(line, told):
    heard = hear(line, Told())
    assert (heard.base_url, heard.health_url) == (told.base_url, told.health_url)


def test_an_address_that_is_none_is_told_to_be_so_without_what_it_may_hide():
    assert hear("HESTIA_BASE_URL=http://user:word@x", Told()).misheard == "HESTIA_BASE_URL must hold no user name or password"


def test_a_later_address_counts_and_a_bad_one_changes_nothing():
    lines = [
        "HESTIA_BASE_URL=http://a",
        "HESTIA_HEALTH_URL=http://a/h",
        "HESTIA_BASE_URL=http://b",
        "HESTIA_BASE_URL=no",
    ]
    heard = hear_all(lines)
    assert (heard.base_url, heard.health_url) == ("http://b", "http://a/h")


@pytest.fixture
def output(tmp_path):
    return Output(tmp_path / "a.log")


def test_it_listens_bit_by_bit(output, monkeypatch):
    monkeypatch.setattr(told_module, "AT_ONCE", 7)
    ear = Ear(output, 0, Told())
    output.path.write_text("noise\nHESTIA_BASE_URL=http://a\n")
    heard = [ear.listen().base_url for _ in range(10)]
    assert heard[0] is None
    assert heard[-1] == "http://a"


def test_a_line_counts_when_it_is_whole(output):
    ear = Ear(output, 0, Told())
    output.path.write_text("HESTIA_BASE_URL=http://a")
    assert ear.listen() == Told()
    with output.path.open("a") as file:
        file.write("bc\n")
    assert ear.listen() == Told(base_url="http://abc")


def test_what_was_told_before_the_adoption_stays(output):
    output.path.write_text("HESTIA_HEALTH_URL=http://a/h\n")
    assert Ear(output, 0, Told(base_url="http://kept")).listen() == Told(
        base_url="http://kept", health_url="http://a/h"
    )


def test_an_endless_line_is_not_kept(output):
    ear = Ear(output, 0, Told())
    output.path.write_text("x" * 100_000)
    ear.listen()
    assert len(ear._rest) <= told_module.LONGEST_LINE


def test_to_the_end_also_a_last_line_without_its_end_and_the_last_of_much(output, monkeypatch):
    monkeypatch.setattr(told_module, "AT_ONCE", 100)
    output.path.write_text("x\n" * 5000 + "HESTIA_BASE_URL=http://a")
    assert Ear(output, 0, Told()).listen_to_the_end(1000) == Told(base_url="http://a")
