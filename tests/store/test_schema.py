import sqlite3

from hestia.store.schema import MIGRATIONS, VERSION


def made() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    for statements in MIGRATIONS:
        for statement in statements:
            database.execute(statement)
    return database


def plan(sql: str) -> str:
    return " | ".join(row[3] for row in made().execute(f"EXPLAIN QUERY PLAN {sql}"))


def test_the_version_counts_the_migrations():
    assert len(MIGRATIONS) == VERSION


def test_the_tables_are_those_that_are_promised():
    names = {name for (name,) in made().execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert names == {"services", "machines", "routes", "places", "activity", "usage", "models", "holds", "keys", "gateway"}


def test_a_page_of_the_activity_is_read_along_an_index_and_never_sorted():
    page = "SELECT * FROM activity WHERE {} ORDER BY ts DESC, id DESC LIMIT 100"
    for where in ("ts < 5", "service = 'a'", "kind = 'k'", "service = 'a' AND kind = 'k'", "service = 'a' AND ts < 5"):
        found = plan(page.format(where))
        assert "USING INDEX" in found, where
        assert "TEMP B-TREE" not in found, where


def test_what_is_too_old_is_found_along_an_index():
    assert "USING COVERING INDEX activity_ts" in plan("SELECT id FROM activity WHERE ts < 5 ORDER BY ts LIMIT 9")
    assert "SEARCH usage USING PRIMARY KEY" in plan("SELECT minute FROM usage WHERE minute < 5 ORDER BY minute LIMIT 9")


def test_two_lives_at_one_place_can_both_be_known():
    database = made()
    for run in ("first", "second"):
        database.execute("INSERT INTO places VALUES ('service', 'a', 0, 'local', NULL, ?, '{}')", (run,))
    assert database.execute("SELECT count(*) FROM places WHERE owner = 'a'").fetchone() == (2,)
