import contextlib
import os
import sqlite3

import pytest

from hestia.store.copying import copy_to_new, keep_copy
from tests.store.doubles import rows, whole


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE t (x)")
        database.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(5000)])
    return path


def listing(folder) -> list[str]:
    """But for what a reader needs beside the source."""
    return sorted(set(os.listdir(folder)) - {"source.db-wal", "source.db-shm"})


def test_a_copy_is_whole_one_file_and_nobody_elses_to_read(source, tmp_path):
    target = tmp_path / "copy.db"
    copy_to_new(source, target)
    assert rows(target, "SELECT count(*) FROM t") == [(5000,)]
    assert whole(target)
    assert target.stat().st_mode & 0o777 == 0o600
    assert listing(tmp_path) == ["copy.db", "source.db"]


def test_a_copy_has_what_was_committed_and_nothing_of_an_open_transaction(source, tmp_path):
    with contextlib.closing(sqlite3.connect(source, isolation_level=None)) as writer:
        writer.execute("INSERT INTO t VALUES ('in the -wal')")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM t")
        copy_to_new(source, tmp_path / "copy.db")
        writer.execute("ROLLBACK")
    assert rows(tmp_path / "copy.db", "SELECT count(*) FROM t") == [(5001,)]


def test_a_copy_never_takes_another_files_place(source, tmp_path):
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(FileExistsError, match="give a name that is not taken"):
        copy_to_new(source, tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"
    assert listing(tmp_path) == ["copy.db", "source.db"]


def test_a_name_that_is_taken_while_it_copies_is_left_alone_too(source, tmp_path, monkeypatch):
    target = tmp_path / "copy.db"
    monkeypatch.setattr(type(target), "exists", lambda self: False)
    target.write_text("precious")
    with pytest.raises(FileExistsError):
        copy_to_new(source, target)
    assert target.read_text() == "precious"


def test_a_file_system_without_links_gets_its_copy_too(source, tmp_path, monkeypatch):
    def no_links(*_):
        raise OSError(1, "not permitted")

    monkeypatch.setattr(os, "link", no_links)
    copy_to_new(source, tmp_path / "copy.db")
    assert whole(tmp_path / "copy.db")
    assert listing(tmp_path) == ["copy.db", "source.db"]


@pytest.mark.parametrize("where", ("absent/copy.db", "source.db/copy.db"))
def test_a_copy_that_cannot_be_made_leaves_nothing(source, tmp_path, where):
    with pytest.raises(OSError, match="directory"):
        copy_to_new(source, tmp_path / where)
    assert listing(tmp_path) == ["source.db"]


def test_a_kept_copy_replaces_that_of_an_earlier_try(source, tmp_path):
    kept = tmp_path / "kept.bak"
    kept.write_text("half of it")
    with contextlib.closing(sqlite3.connect(source)) as database:
        keep_copy(database, kept)
    assert rows(kept, "SELECT count(*) FROM t") == [(5000,)]
