import sqlite3

import pytest

from hestia.rules.report import Moment
from hestia.store.history import history
from hestia.store.store import Store
from tests.store.doubles import Lines, entry

NOW = 1_700_000_000.0


async def test_the_history_has_the_time_itself_and_what_was_known_before(tmp_path):
    store = Store(tmp_path / "hestia.db", Lines(), wall=lambda: NOW)
    await store.open()
    store.add(entry(1, service="a", state="cold"), NOW - 5)
    store.add(entry(2, service="a", machine="m", state="hot", cause="request", more={"x": 1}), NOW - 4)
    store.add(entry(3, "place.retry", service="a", state="failed"), NOW - 3)
    store.add(entry(4, "machine.waking", machine="m", state="starting"), NOW - 3)
    store.add(entry(5, "gateway.stopped"), NOW - 2)
    store.add(entry(6, service="a", state="cold"), NOW)
    store.add(entry(7, service="b"), NOW + 1)
    store.add(entry(8, service="b"), NOW + 2)
    await store.close()
    found = history(store.path, NOW, NOW + 2, [("service", "a"), ("service", "b"), ("machine", "m")])
    life = int(NOW * 1000)
    assert found[0] == Moment(
        at=NOW - 4, life=life, kind="service.ready", service="a", machine="m", state="hot", cause="request", more={"x": 1}
    )
    assert [(each.at - NOW, each.kind) for each in found] == [
        (-4, "service.ready"),
        (-3, "machine.waking"),
        (-2, "gateway.stopped"),
        (0, "service.ready"),
        (1, "service.ready"),
    ]


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(sqlite3.OperationalError):
        history(tmp_path / "absent.db", 0, 1, [])
    assert list(tmp_path.iterdir()) == []
