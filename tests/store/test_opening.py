import contextlib
import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hestia.store.opening import Damaged, NewerSchema, Opening, code_of
from hestia.store.schema import MIGRATIONS, VERSION
from tests.house.tree import ROOT
from tests.store.doubles import folder_of_nobody, rows, run, whole

LATER = (*MIGRATIONS, ("ALTER TABLE gateway ADD COLUMN extra TEXT", "CREATE TABLE further (id INTEGER)"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "hestia.db"


def opened(path, **options) -> Opening:
    opening = Opening(path, **options)
    opening().close()
    return opening


def beside(path: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.parent.iterdir())}


def with_run(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        import msgspec

        text = msgspec.json.encode(run()).decode()
        database.execute("INSERT INTO places VALUES ('service', 'a', 0, 'local', NULL, 'run-1', ?)", (text,))


def test_a_new_database_is_made_in_a_new_folder_and_is_nobody_elses_to_read(path):
    database = Opening(path)()
    assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"hestia.db": 0o600, "hestia.db-wal": 0o600, "hestia.db-shm": 0o600}
    database.close()
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_one_that_others_could_read_is_closed_to_them(path):
    opened(path)
    path.chmod(0o644)
    opened(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_is_a_new_database(path):
    path.parent.mkdir()
    path.touch()
    assert opened(path).said == []
    assert version_of(path) == VERSION


def test_a_second_opening_changes_nothing_and_says_nothing(path):
    opened(path)
    assert opened(path).said == []
    assert [name for name in beside(path) if name != "hestia.db"] == []


@pytest.mark.parametrize("unclean", (False, True))
def test_a_newer_schema_is_refused_and_not_a_byte_is_touched(path, unclean):
    database = Opening(path, LATER)()
    if unclean:  # the newer program was killed: what tells its version may stand in the -wal alone
        for end in ("", "-wal"):
            (path.parent / f"copy.db{end}").write_bytes(Path(f"{path}{end}").read_bytes())
        path = path.parent / "copy.db"
        assert int.from_bytes(path.read_bytes()[60:64], "big") == 0
    database.close()
    (path.parent / "hestia.db").unlink() if unclean else None
    before = beside(path)
    with pytest.raises(NewerSchema, match=r"newer Hestia \(its schema is 2, this one knows 1\)"):
        Opening(path)()
    after = beside(path)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"copy.db-shm"}  # a reader's own, beside a -wal that was there


def test_an_older_schema_is_brought_forward_and_a_copy_is_kept(path):
    opened(path)
    with_run(path)
    opening = opened(path, migrations=LATER)
    kept = path.with_name("hestia.db.v1.bak")
    assert opening.said == [("store.migrated", "info", {"was": 1, "now": 2, "kept": str(kept)})]
    assert list(opening.state.runs) == ["run-1"]
    assert rows(path, "SELECT count(*) FROM further") == [(0,)]
    assert version_of(kept) == 1
    assert kept.stat().st_mode & 0o777 == 0o600
    assert rows(kept, "SELECT run_id FROM places") == [("run-1",)]
    assert whole(kept)


def version_of(path) -> int:
    return rows(path, "PRAGMA user_version")[0][0]


KILLED = """
import os, signal, sys
from pathlib import Path
from hestia.store.opening import Opening
from tests.store.test_opening import LATER

path, name, which = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
steps = []

def step(now):
    steps.append(now)
    if steps.count(name) == which:
        os.kill(os.getpid(), signal.SIGKILL)

Opening(path, LATER, step)()
"""


def kill_at(path, step: str, which: int = 1) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), step, str(which)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("step", "which", "version"),
    (
        ("migration.copied", 1, 1),
        ("migration.statement", 1, 1),
        ("migration.statement", 2, 1),
        ("migration.committing", 1, 1),
        ("migration.committed", 1, 2),
    ),
)
def test_a_kill_in_a_migration_leaves_the_old_or_the_new_and_the_next_start_ends_it(path, step, which, version):
    opened(path)
    with_run(path)
    kill_at(path, step, which)
    assert version_of(path) == version
    assert version_of(path.with_name("hestia.db.v1.bak")) == 1
    assert list(opened(path, migrations=LATER).state.runs) == ["run-1"]
    assert version_of(path) == 2
    assert whole(path)


def test_a_kill_while_a_damaged_database_is_set_aside_leaves_all_of_it(path):
    opened(path)
    damaged_header(path)
    Path(f"{path}-wal").write_bytes(b"what was not yet in it")
    kill_at(path, "damaged.moved")
    opened(path)
    kept = sorted(path.parent.glob("hestia.db.damaged-*"))
    assert b"what was not yet in it" in [file.read_bytes() for file in kept]
    assert any(file.read_bytes().startswith(b"this is no database") for file in kept)


def test_a_migration_that_fails_changes_nothing(path):
    opened(path)
    with_run(path)
    with pytest.raises(sqlite3.Error):
        Opening(path, (*MIGRATIONS, ("CREATE TABLE one (id)", "INSERT INTO one VALUES (1, 2, 3)")))._open()
    assert version_of(path) == 1
    assert rows(path, "SELECT count(*) FROM sqlite_master WHERE name = 'one'") == [(0,)]


def damaged_header(path):
    path.write_bytes(b"this is no database, and it is longer than a header is".ljust(4096, b"!"))


def damaged_page(path):
    whole_file = bytearray(path.read_bytes())
    whole_file[4096 : 4096 * 3] = os.urandom(4096 * 2)
    path.write_bytes(whole_file)


def damaged_index(path):
    """Only who looks for it sees it."""
    (root,) = rows(path, "SELECT rootpage FROM sqlite_master WHERE name = 'activity_kind'")[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 200)


def cut_short(path):
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def without_a_table(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE holds")


def somebody_elses(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE services (something TEXT)")


def nonsense_inside(path):
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO models VALUES ('a', 'no JSON')")


@pytest.mark.parametrize(
    "harm", (damaged_header, damaged_page, cut_short, without_a_table, somebody_elses, nonsense_inside)
)
def test_a_damaged_database_is_set_aside_whole_and_a_new_one_is_begun(path, harm):
    opened(path)
    with_run(path)
    harm(path)
    lost = path.read_bytes()
    opening = opened(path)
    said = [row for row in opening.said if row[0] == "store.damaged"]
    [(_, level, fields)] = said
    assert level == "error"
    assert fields["reason"]
    kept = Path(fields["kept"])
    assert kept.name.startswith("hestia.db.damaged-")
    assert kept.read_bytes() == lost
    assert opening.state.runs == {}
    assert whole(path)


def test_what_stood_beside_a_damaged_database_goes_with_it(path):
    opened(path)
    damaged_header(path)
    Path(f"{path}-wal").write_bytes(b"what was not yet in it")
    opening = opened(path)
    kept = opening.said[0][2]["kept"]
    assert Path(f"{kept}-wal").read_bytes() == b"what was not yet in it"
    assert Path(kept).exists()


def test_two_damaged_ones_within_a_second_are_both_kept(path):
    opened(path)
    for _ in range(3):
        damaged_header(path)
        opened(path)
    assert len(list(path.parent.glob("hestia.db.damaged-*"))) == 3


def test_damage_that_shows_later_has_the_whole_file_read(path, monkeypatch):
    opened(path)
    monkeypatch.setattr("hestia.store.opening.CHECKED_WHOLE", 0)
    damaged_index(path)
    opening = opened(path)
    assert opening.said == []
    problem = sqlite3.DatabaseError("database disk image is malformed")
    problem.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    opening.doubt(problem)
    opening().close()
    assert [name for name, _, _ in opening.said] == ["store.damaged"]


def test_a_folder_that_cannot_be_written_is_no_damage_and_what_runs_is_still_read():
    with folder_of_nobody() as folder:
        path = folder / "hestia.db"
        opened(path)
        with_run(path)
        folder.chmod(0o500)
        opening = Opening(path)
        try:
            with pytest.raises((sqlite3.Error, OSError)) as raised:
                opening()
            assert not isinstance(raised.value, Damaged)
            assert list(opening.state.runs) == ["run-1"]
            assert sorted(file.name for file in folder.iterdir()) == ["hestia.db"]
        finally:
            folder.chmod(0o700)


def test_a_file_that_cannot_be_written_is_no_damage_either():
    with folder_of_nobody() as folder:
        path = folder / "hestia.db"
        opened(path)
        with_run(path)
        path.chmod(0o400)
        opening = Opening(path)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            opening()
        assert list(opening.state.runs) == ["run-1"]
        assert not list(folder.glob("*damaged*"))


def test_a_lock_of_somebody_elses_is_no_damage_and_what_runs_is_still_read(path):
    opened(path)
    with_run(path)
    opening = Opening(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked") as raised:
            opening()
        assert code_of(raised.value) == sqlite3.SQLITE_BUSY
    assert list(opening.state.runs) == ["run-1"]


def test_a_place_where_no_folder_can_be_is_a_failing_disk(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="directory|exists"):
        Opening(tmp_path / "file" / "hestia.db")()
