"""A disk that is taken away, damaged or locked while services come and go (section 12)."""

import contextlib
import shutil
import sqlite3

from tests.hostile.gateway import Gateway, diary, served


def next_gateway(serve, gateway: Gateway, services) -> Gateway:
    """The one before is killed, so what it did not write down is lost."""
    gateway.program.kill()
    again: Gateway = serve(services)
    return again


def pid_of(gateway: Gateway, service: str) -> int:
    answer = gateway.ask("GET", f"/services/{service}/x")
    assert answer.status == 200
    return int(answer.body)


def test_what_the_next_gateway_must_know_survives_the_loss_of_the_whole_folder(serve, tmp_path):
    services = {name: served(tmp_path, name) for name in ("a", "b", "held")}
    gateway = serve(services)
    pid = pid_of(gateway, "a")
    assert gateway.verb("services.stop", id="held", hold=True)["result"]
    key = gateway.verb("keys.create", name="mine")["result"]["key"]
    shutil.rmtree(tmp_path / "data")
    pid_of(gateway, "b")  # whatever is to be written next notices
    gateway.until(lambda: gateway.ask("GET", "/v1/activity").status == 200)
    gateway.until(lambda: "store.recovered" in gateway.program.stderr)
    assert gateway.verb("keys.list")["result"]["keys"]
    again = next_gateway(serve, gateway, services)
    assert again.status("held")["held_until"] == "forever"
    assert pid_of(again, "a") == pid
    assert len(diary(tmp_path, "a", "start")) == len(diary(tmp_path, "b", "start")) == 1
    assert [each["name"] for each in again.verb("keys.list")["result"]["keys"]] == ["mine"]
    assert key not in again.program.stderr
    for name in ("a", "b"):
        again.verb("services.stop", id=name, wait=True)
    assert not again.left_over()


def test_what_it_must_know_is_written_again_when_a_database_takes_the_place_of_a_damaged_one(serve, tmp_path):
    services = {"a": served(tmp_path, "a"), "b": served(tmp_path, "b")}
    gateway = serve(services)
    pid = pid_of(gateway, "a")
    for end in ("-wal", "-shm"):
        (tmp_path / f"data/hestia.db{end}").unlink()
    (tmp_path / "data/hestia.db").rename(tmp_path / "data/elsewhere")
    (tmp_path / "data/hestia.db").write_bytes(b"no database" * 1000)
    pid_of(gateway, "b")
    gateway.until(lambda: "store.recovered" in gateway.program.stderr)
    assert "store.damaged" in gateway.program.stderr
    again = next_gateway(serve, gateway, services)
    assert pid_of(again, "a") == pid
    assert len(diary(tmp_path, "b", "start")) == 1
    for name in services:
        again.verb("services.stop", id=name, wait=True)


def test_services_start_and_stop_while_somebody_locks_the_database(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a"), "b": served(tmp_path, "b")})
    pid_of(gateway, "a")
    with contextlib.closing(sqlite3.connect(tmp_path / "data/hestia.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert gateway.ask("POST", "/v1/services/a/stop?wait=true").status == 200
        pid_of(gateway, "b")
        for target in ("/v1/activity", "/v1/report", "/metrics", "/__health", "/v1/services"):
            assert gateway.ask("GET", target).status == 200
        refused = gateway.verb("keys.create", name="mine")["error"]
        assert "the database cannot be used" in refused["message"]
        assert b"hestia_activity_pending 0\n" not in gateway.ask("GET", "/metrics").body
        other.execute("ROLLBACK")
    gateway.until(lambda: b"hestia_activity_pending 0\n" in gateway.ask("GET", "/metrics").body, within=10)
    kinds = [each["kind"] for each in gateway.ask("GET", "/v1/activity?service=b").json()["activity"]]
    assert kinds == ["service.ready", "service.starting"]
