"""Output files: opened to append, rotated by copy and truncate, read backwards and followed."""

import asyncio
import os
import stat
from pathlib import Path

import pytest

from hestia.launchers import output as output_module
from hestia.launchers.output import Output, output_of
from hestia.words.run import Run
from tests.support.conformance import until


@pytest.fixture
def output(tmp_path):
    return Output(tmp_path / "logs" / "a.log")


def write(output, text):
    descriptor = output.open()
    os.write(descriptor, text if isinstance(text, bytes) else text.encode())
    os.close(descriptor)


def run(**more):
    return Run(**{"id": "1", "owner": "a", "machine": "local", "launch": None, **more})


def test_names_cannot_meet():
    runs = [run(), run(number=1), run(owner="a.1"), run(of="machine"), run(of="machine", owner="1"), run(owner="a-1")]
    assert len({output_of(Path(), each) for each in runs}) == len(runs)


def test_it_appends_and_is_private(output):
    write(output, "one\n")
    write(output, "two\n")
    assert output.tail(10) == ["one", "two"]
    assert stat.S_IMODE(output.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(output.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_plain_file_is_not_written_to(output, make):
    output.path.parent.mkdir()
    elsewhere = output.path.with_name("elsewhere")
    elsewhere.write_text("somebody's")
    make(output.path)
    write(output, "lost")
    assert elsewhere.read_text() == "somebody's"


@pytest.mark.parametrize(
    ("text", "last", "lines"),
    [
        ("", 5, []),
        ("a\nb\nc\n", 2, ["b", "c"]),
        ("a\nb\nc", 2, ["b", "c"]),
        ("a\n\n\n", 2, ["", ""]),
        ("a\r\nb\r\n", 5, ["a", "b"]),
        (b"\xff\xfe\n", 1, ["\ufffd\ufffd"]),
        ("a\n", 0, []),
        ("x" * 200_000 + "\nend\n", 2, ["x" * 65536, "end"]),
    ],
)
def test_the_last_lines(output, text, last, lines):
    write(output, text)
    assert output.tail(last) == lines


def test_the_last_lines_come_out_of_older_files_too(output):
    write(output, "three\n")
    output.older(1).write_text("two\n")
    output.older(2).write_text("one\n")
    assert output.tail(10) == ["one", "two", "three"]
    assert output.tail(2) == ["two", "three"]


def test_a_look_back_is_bounded(output, monkeypatch):
    monkeypatch.setattr(output_module, "READ_BYTES", 100_000)
    write(output, "".join(f"{number:09}\n" for number in range(50_000)))
    lines = output.tail(1_000_000)
    assert 10_000 <= len(lines) <= 20_000
    assert lines[-1] == "000049999"


def test_only_what_stands_after_a_position(output):
    write(output, "earlier\n")
    at = output.end()
    write(output, "a\nb\n")
    assert output.tail(10, since=at) == ["a", "b"]
    assert output.tail(1, since=at) == ["b"]


def test_rotation_keeps_the_file_itself_and_two_older_ones(output, monkeypatch):
    monkeypatch.setattr(output_module, "FILE_BYTES", 1000)
    descriptor = output.open()
    for number in range(5):
        os.write(descriptor, f"begin {number}\n".encode() + b"x" * 1500 + f"\nend {number}\n".encode())
        output.rotate()
    os.write(descriptor, b"after\n")
    os.close(descriptor)
    assert output.path.read_text() == "after\n"
    assert sorted(path.name for path in output.path.parent.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
    assert output.older(1).stat().st_size <= 1000
    assert output.older(1).read_text().endswith("end 4\n")
    assert output.older(2).read_text().endswith("end 3\n")
    assert stat.S_IMODE(output.older(1).stat().st_mode) == 0o600


async def test_a_file_that_is_short_enough_is_left_alone(output):
    write(output, "x\n")
    await output.tidy()
    assert not output.older(1).exists()


def test_a_position_stays_true_over_a_rotation(output, monkeypatch):
    monkeypatch.setattr(output_module, "FILE_BYTES", 10)
    write(output, "0123456789abcdef")
    output.rotate()
    write(output, "XYZ")
    assert output.end() == 19
    assert output.read(8, 100) == (b"89abcdef", 16)
    assert output.read(16, 100) == (b"XYZ", 19)
    assert output.read(0, 100) == (b"789abcdef", 16)  # what is no longer kept is passed over
    assert output.read(19, 100) == (b"", 19)
    write(output, "0" * 20)
    output.rotate()
    assert output.read(3, 100)[1] == 39


def test_what_is_written_while_a_file_is_copied_is_copied_too(output, monkeypatch):
    monkeypatch.setattr(output_module, "FILE_BYTES", 1000)
    write(output, "x" * 1500)
    # When the older file is moved away, the size is known already.
    monkeypatch.setattr(output_module.Path, "replace", lambda *_: write(output, "late\n"))
    output.rotate()
    assert output.older(1).read_text().endswith("xlate\n")
    assert output.older(1).stat().st_size <= 1000
    assert output.end() == 1505


def test_a_position_of_an_earlier_gateway(output):
    write(output, "earlier\nmine\n")
    other = Output(output.path)
    assert other.kept_from(output.offset(8)) == 8
    assert other.tail(5, since=8) == ["mine"]
    assert other.kept_from(1000) == 0  # rotated since


async def followed(output, count, got):
    async for line in output.follow():
        got.append(line)
        if len(got) == count:
            return


async def test_followers_get_lines_from_now_on_also_over_a_rotation(output, monkeypatch):
    monkeypatch.setattr(output_module, "FILE_BYTES", 10)
    monkeypatch.setattr(output_module, "LOOK_EVERY_S", 0.01)
    write(output, "earlier\n")
    got = []
    reader = asyncio.ensure_future(followed(output, 4, got))
    await asyncio.sleep(0)
    write(output, "one\ntw")
    await until(lambda: got == ["one"])
    output.rotate()
    write(output, "o\nthree\n")
    await until(lambda: got[1:] == ["two", "three"])
    write(output, "four\n")
    await asyncio.wait_for(reader, 10)


async def test_a_line_without_end_is_cut(output, monkeypatch):
    monkeypatch.setattr(output_module, "LOOK_EVERY_S", 0.01)
    got = []
    reader = asyncio.ensure_future(followed(output, 2, got))
    await asyncio.sleep(0)
    write(output, "x" * 150_000 + "\nend\n")
    await asyncio.wait_for(reader, 10)
    assert all(len(line) <= 65536 for line in got)


async def test_a_slow_follower_skips_and_is_told(output, monkeypatch):
    monkeypatch.setattr(output_module, "BEHIND_BYTES", 1000)
    monkeypatch.setattr(output_module, "LOOK_EVERY_S", 0.01)
    lines = output.follow()
    first = asyncio.ensure_future(anext(lines))
    await asyncio.sleep(0)
    write(output, "one\n")
    assert await asyncio.wait_for(first, 10) == "one"
    write(output, "x\n" * 1000)
    assert await asyncio.wait_for(anext(lines), 10) == "[2000 bytes skipped]"
    write(output, "end\n")
    assert await asyncio.wait_for(anext(lines), 10) == "end"
    await lines.aclose()


async def test_a_follower_may_come_before_the_file(output, monkeypatch):
    monkeypatch.setattr(output_module, "LOOK_EVERY_S", 0.01)
    got = []
    reader = asyncio.ensure_future(followed(output, 1, got))
    await asyncio.sleep(0)
    write(output, "first\n")
    await asyncio.wait_for(reader, 10)
    assert got == ["first"]
