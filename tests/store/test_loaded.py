import sqlite3

from hestia.store.loaded import statements
from hestia.store.schema import MIGRATIONS
from hestia.words.spec import Config, HeaderRules, Machine, Place, Route, RouteMatch, Service


def service(id_: str, *places: Place, **fields) -> Service:
    return Service(id=id_, places=places or (Place(base_url="http://127.0.0.1:1"),), **fields)


def config(*services: Service, machines: tuple[Machine, ...] = (), routes=()) -> Config:
    return Config(
        services={each.id: each for each in services}, machines={each.id: each for each in machines}, routes=routes
    )


class Base:
    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:")
        for statement in MIGRATIONS[0]:
            self.database.execute(statement)

    def load(self, config: Config, now: int) -> None:
        for sql, row in statements(config, now):
            self.database.execute(sql, row)

    def rows(self, sql: str) -> list[tuple]:
        return self.database.execute(sql).fetchall()


def test_what_is_configured_stands_in_the_tables():
    base = Base()
    two = service("a", Place(base_url="http://x"), Place(machine="desk"), idle_timeout=60.0, cost_per_hour=0.5)
    desk = Machine(id="desk", capacity={"vram": 24.0}, cost_per_hour=0.12)
    base.load(config(two, machines=(desk,), routes=(Route(match=RouteMatch(path="/v1/*"), service="a"),)), 5)
    assert base.rows("SELECT * FROM services") == [("a", 60.0, 0.5, 5)]
    assert base.rows("SELECT * FROM machines") == [("desk", '{"vram": 24.0}', 0.12, 5)]
    assert base.rows("SELECT of, owner, number, machine, base_url FROM places") == [
        ("service", "a", 0, "local", "http://x"),
        ("service", "a", 1, "desk", None),
    ]
    [(number, rule)] = base.rows("SELECT * FROM routes")
    assert number == 0
    assert '"path":"/v1/*"' in rule


def test_the_next_configuration_replaces_it_but_keeps_when_a_service_was_first_seen():
    base = Base()
    base.load(config(service("a"), service("b")), 5)
    base.load(config(service("b", idle_timeout=1.0), service("c")), 9)
    assert base.rows("SELECT id, idle_timeout, first_seen FROM services") == [("b", 1.0, 5), ("c", 600.0, 9)]
    assert base.rows("SELECT owner FROM places") == [("b",), ("c",)]


def test_what_runs_is_not_touched_by_a_new_configuration():
    base = Base()
    base.database.execute("INSERT INTO places VALUES ('service', 'gone', 0, 'local', NULL, 'r', '{}')")
    base.load(config(service("a")), 5)
    assert base.rows("SELECT owner, run_id FROM places ORDER BY owner") == [("a", None), ("gone", "r")]


def test_no_header_and_no_launcher_reaches_the_database():
    base = Base()
    secret = HeaderRules(set={"authorization": "very secret"})
    base.load(config(service("a", Place(base_url="http://x", headers=secret), headers=secret)), 5)
    assert "very secret" not in "\n".join(base.database.iterdump())
