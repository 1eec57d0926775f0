import os
import sys

import pytest

from hestia.plugins.files import paths, stage, twice

GOOD = """
def later(places):
    return places[::-1]

def register_strategy(registry):
    registry.add({name!r}, later, kind="placement")
"""


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o755)
    return tmp_path


def put(folder, name, text=None):
    path = folder / f"{name}.py"
    path.write_text(GOOD.format(name=name) if text is None else text)
    path.chmod(0o644)
    return path


def names(found):
    return sorted(each.name for file in found.values() for each in file.offers)


def test_a_file_offers_what_it_registers_and_says_in_which_line(folder):
    path = put(folder, "later")
    found, problems = stage(folder, {})
    (offer,) = found[str(path)].offers
    assert (offer.name, offer.kind, offer.file, offer.line, offer.shipped) == (
        "later",
        "placement",
        str(path),
        6,
        False,
    )
    assert problems == []


def test_a_folder_that_is_not_there_holds_nothing(folder):
    assert stage(folder / "none", {}) == ({}, [])
    assert stage(None, {}) == ({}, [])


def test_only_python_files_in_the_open_count(folder):
    for name in ("a", "_b", ".c"):
        put(folder, name)
    (folder / "d.txt").write_text("x")
    assert [path.name for path in paths(folder)] == ["a.py"]


@pytest.mark.parametrize(
    "text, words",
    [
        ("x = (", ":1: '(' was never closed"),
        ("import nothing_here", ":1: ModuleNotFoundError"),
        ("x = 1", ": it does not define register_strategy(registry)"),
        ("def register_strategy(registry):\n  registry.add('a', 7, kind='idle')", ":2: a: a strategy is a function"),
        ("def register_strategy(registry):\n  raise SystemExit(3)", ":2: SystemExit: 3"),
        ("def register_strategy(registry):\n  registry.add('a', len, kind='idle')\n" * 2, None),
        (
            "def register_strategy(registry):\n  for _ in 'ab':\n    registry.add('a', len, kind='idle')",
            ":3: two idle strategies are called 'a': the first is added in line 3",
        ),
    ],
)
def test_a_broken_file_is_named_with_its_line_and_the_others_load(folder, text, words):
    put(folder, "good")
    path = put(folder, "odd", text)
    found, problems = stage(folder, {})
    assert "good" in names(found)
    assert [problem.startswith(f"{path}{words}") for problem in problems] == ([True] if words else [])


def test_a_broken_file_counts_as_it_was_before(folder):
    path = put(folder, "later")
    before, _ = stage(folder, {})
    put(folder, "later", "x = (")
    found, problems = stage(folder, before)
    assert found[str(path)] is before[str(path)]
    assert len(problems) == 1


def test_an_unchanged_file_is_not_run_again(folder):
    put(folder, "later")
    before, _ = stage(folder, {})
    put(folder, "later")
    found, _ = stage(folder, before)
    assert list(found.values()) == list(before.values())


def test_what_everybody_may_write_is_refused(folder):
    path = put(folder, "open")
    path.chmod(0o646)
    good = put(folder, "good")
    found, problems = stage(folder, {})
    assert (names(found), problems) == (["good"], [f"{path}: refused: everybody may write to it (chmod o-w)"])
    folder.chmod(0o777)
    found, problems = stage(folder, {})
    assert names(found) == []
    assert [problem for problem in problems if f"everybody may write in {folder.resolve()}" not in problem] == []
    folder.chmod(0o1777)
    assert stage(folder, {})[0] == {}
    assert good.exists()


def test_a_link_into_a_folder_that_everybody_may_write_is_refused(folder):
    (folder / "shared").mkdir()
    (folder / "shared").chmod(0o777)
    put(folder / "shared", "later")
    (folder / "later.py").symlink_to(folder / "shared" / "later.py")
    found, problems = stage(folder, {})
    assert (names(found), len(problems)) == ([], 1)


def test_a_pipe_a_folder_and_a_flood_are_refused_at_once(folder):
    os.mkfifo(folder / "pipe.py")
    (folder / "folder.py").mkdir()
    put(folder, "flood", "#" * (1024 * 1024 + 1))
    (folder / "gone.py").symlink_to(folder / "nowhere")
    found, problems = stage(folder, {})
    assert found == {}
    assert [problem.partition(": ")[0].rpartition("/")[2] for problem in problems] == [
        "flood.py",
        "folder.py",
        "gone.py",
        "pipe.py",
    ]


def test_structs_and_dataclasses_with_late_annotations_work(folder):
    put(
        folder,
        "typed",
        "from __future__ import annotations\nimport dataclasses, msgspec\n"
        "class Inner(msgspec.Struct):\n  n: int = 1\n"
        "class Options(msgspec.Struct):\n  inner: Inner\n"
        "@dataclasses.dataclass\nclass D:\n  x: int = 0\n"
        "OPTIONS = msgspec.convert({'inner': {'n': 2}}, Options)\n"
        "def register_strategy(registry):\n"
        "  registry.add('typed', lambda places, options: places, kind='placement', options=Options)\n",
    )
    found, problems = stage(folder, {})
    assert (names(found), problems) == (["typed"], [])


def test_a_file_that_breaks_leaves_no_module_behind(folder):
    put(folder, "odd", "1 / 0")
    before = set(sys.modules)
    stage(folder, {})
    assert {name for name in set(sys.modules) - before if name.startswith("hestia_strategy_")} == set()


def test_a_name_that_two_files_claim_is_told_with_both(folder):
    one, two = put(folder, "one", GOOD.format(name="same")), put(folder, "two", GOOD.format(name="same"))
    found, _ = stage(folder, {})
    (words,) = twice(found.values()).values()
    assert str(one) in words
    assert str(two) in words
