import json
import math
import sqlite3

import msgspec
import pytest

from hestia.store.schema import MIGRATIONS
from hestia.store.state import State, read_state
from hestia.words.run import Told
from tests.store.doubles import run


@pytest.fixture
def database():
    made = sqlite3.connect(":memory:")
    for statement in MIGRATIONS[0]:
        made.execute(statement)
    return made


def test_an_empty_database_knows_nothing(database):
    assert read_state(database) == State()


def test_all_that_was_kept_is_read(database):
    one = run("r1", handle={"pid": 1, "start": 2}, told=Told(base_url="http://x"), port=4, since=5.5)
    database.execute(
        "INSERT INTO places VALUES ('service', 'a', 0, 'local', NULL, 'r1', ?)", (msgspec.json.encode(one).decode(),)
    )
    database.execute("INSERT INTO places VALUES ('service', 'a', 0, 'local', NULL, NULL, NULL)")
    database.execute("INSERT INTO holds VALUES ('service', 'a', NULL), ('all', '', 99.5)")
    database.execute("INSERT INTO models VALUES ('a', ?)", (json.dumps(["m1", "m2"]),))
    database.execute("INSERT INTO keys VALUES ('k', 'abc', '[\"a\"]', 1.5)")
    database.execute("INSERT INTO gateway VALUES ('id', 'me'), ('opened', '1')")
    database.execute("INSERT INTO services VALUES ('a', 1.0, NULL, 2500)")
    database.execute("INSERT INTO machines VALUES ('m', '{}', NULL, 3500)")
    state = read_state(database)
    assert state.runs == {"r1": one}
    assert state.holds == {("service", "a"): math.inf, ("all", ""): 99.5}
    assert state.models == {"a": ("m1", "m2")}
    assert (state.keys["k"].sha256, state.keys["k"].services) == ("abc", ("a",))
    assert state.gateway_id == "me"
    assert state.first_seen == {("service", "a"): 2.5, ("machine", "m"): 3.5}


@pytest.mark.parametrize("text", ("{", '{"id": 5}', '{"version": 9, "shape": "another"}'))
def test_a_run_that_cannot_be_read_is_named_and_hides_no_other(database, text):
    database.execute("INSERT INTO places VALUES ('service', 'a', 0, 'local', NULL, 'bad', ?)", (text,))
    good = msgspec.json.encode(run("good")).decode()
    database.execute("INSERT INTO places VALUES ('service', 'b', 0, 'local', NULL, 'good', ?)", (good,))
    state = read_state(database)
    assert list(state.runs) == ["good"]
    assert state.unreadable == ["bad"]


def test_a_start_is_expected_to_take_what_the_last_ten_took_in_the_middle(database):
    database.execute("INSERT INTO services VALUES ('a', 1.0, NULL, 0)")
    for number in range(1, 31):
        row = (number, "service.ready", "request", 100.0 if number <= 20 else float(number))
        database.execute("INSERT INTO activity (ts, life, kind, cause, took_s, service) VALUES (?, 1, ?, ?, ?, 'a')", row)
    for cause in ("adoption", "found"):
        row = (99, "service.ready", cause, 0.001)
        database.execute("INSERT INTO activity (ts, life, kind, cause, took_s, service) VALUES (?, 1, ?, ?, ?, 'a')", row)
    state = read_state(database)
    assert state.expected_start("a") == 25.5
    assert state.last_entry == 32


def test_a_start_that_was_never_seen_is_not_guessed():
    state = State()
    assert state.expected_start("a") is None
    state.started("a", 3.0)
    assert state.expected_start("a") == 3.0
