"""Everything at once, from outside: whatever the order, what may never be is never seen (section 5)."""

import itertools
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile.gateway import Answer, Gateway, diary, served

SECONDS = 6.0
IDS = ("a", "b", "c", "d", "e", "f")
FLAGS: dict[str, tuple[object, ...]] = {
    "a": (),
    "b": ("--delay", 0.2),
    "c": ("--ignore-term", 1),
    "d": ("--die-after", 1.0),
    "e": ("--crash", 3, "--delay", 0.1),
    "f": ("--leave", 2, "--slow-term", 0.2),
}
SHARED = {"machine": "box", "needs": {"v": 2}, "min_hot": "100ms", "idle_timeout": "500ms"}
KEYS: dict[str, dict[str, Any]] = {
    "a": SHARED,
    "b": {**SHARED, "max_concurrency": 2},
    "c": {**SHARED, "needs": {"v": 1}, "depends_on": ["f"]},
}
MACHINES = "machines: {box: {capacity: {v: 3}}}"
CODES = {"start_failed", "held", "stopped", "wait_timeout", "no_room", "upstream_failed", "upstream_unreachable", "unknown_service", "cold", "not_found"}  # fmt: skip
STATES = {"cold", "starting", "hot", "stopping", "failed"}
BROKEN = ("{{{", "services: 5", "\0", "listen: 5", "x: y")


def services(home: Path, dice: random.Random) -> dict[str, dict[str, Any]]:
    """Now and then one is missing, or has changed."""
    chosen = [id_ for id_ in IDS if id_ == "f" or dice.random() > 0.1]
    changed = {"drain_timeout": dice.choice(("1s", "100ms", "0s")), "queue_timeout": dice.choice(("8s", "500ms"))}
    more: tuple[object, ...] = ("--health", 200) if dice.random() < 0.1 else ()
    return {id_: served(home, id_, *FLAGS[id_], *more, **KEYS.get(id_, {}), **changed) for id_ in chosen}


class Storm:
    """Workers who do whatever comes to their mind, and what they saw that may not be."""

    def __init__(self, gateway: Gateway, seed: int) -> None:
        self.gateway = gateway
        self.seed = seed
        self.wrong: list[object] = []
        self.answered = 0
        self.end = time.monotonic() + SECONDS
        self.serial = itertools.count()

    def judge(self, answer: Answer) -> None:
        self.answered += 1
        page = "html" in answer.fields.get("content-type", "")
        if answer.status == 0 or (answer.status >= 400 and not page and answer.code not in CODES):
            self.wrong.append(answer.data[-400:])

    def work(self, number: int) -> None:
        dice = random.Random(self.seed * 100 + number)
        deeds: list[Callable[[str, random.Random], None]] = [self.get, self.get, self.post, self.leave, self.command, self.command, self.page, self.look, self.kill, self.reload]  # fmt: skip
        while time.monotonic() < self.end:
            try:
                dice.choice(deeds)(dice.choice(IDS), dice)
            except (OSError, AssertionError, ValueError, KeyError) as problem:
                self.wrong.append(repr(problem))

    def get(self, id_: str, dice: random.Random) -> None:
        self.judge(self.gateway.ask("GET", f"/services/{id_}/x", limit=20))

    def post(self, id_: str, dice: random.Random) -> None:
        self.judge(self.gateway.ask("POST", f"/services/{id_}/x", b"z" * dice.choice((3, 70_000)), limit=20))

    def leave(self, id_: str, dice: random.Random) -> None:
        with socket.create_connection(("127.0.0.1", self.gateway.port)) as client:
            client.sendall(f"GET /services/{id_}/x HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            client.settimeout(dice.random() * 0.2)
            try:
                client.recv(10)
            except TimeoutError:
                return

    def command(self, id_: str, dice: random.Random) -> None:
        deed = dice.choice(("start", "start?wait=true&timeout=200ms", "stop", "stop?wait=true", "stop?hold=200ms"))
        self.judge(self.gateway.ask("POST", f"/v1/services/{id_}/{deed}", limit=20))
        if dice.random() < 0.2:
            self.gateway.verb("services.restart", id=id_)

    def page(self, id_: str, dice: random.Random) -> None:
        self.judge(self.gateway.ask("GET", f"/services/{id_}/x", Sec_Fetch_Mode="navigate"))
        wish = dice.choice(("retry", "cancel"))
        self.judge(self.gateway.ask("POST", f"/services/{id_}/x", b"", Hestia_Wait=wish))

    def look(self, id_: str, dice: random.Random) -> None:
        self.judge(self.gateway.ask("GET", dice.choice(("/v1/services", "/v1/machines", "/metrics", "/v1/report"))))
        found = self.gateway.ask("GET", "/v1/inflight").json()["inflight"]
        if found and dice.random() < 0.3:
            self.judge(self.gateway.ask("POST", f"/v1/inflight/{dice.choice(found)['request_id']}/cancel"))

    def kill(self, id_: str, dice: random.Random) -> None:
        begun = diary(self.gateway.home, id_, "start")
        if begun and dice.random() < 0.3 and _is_ours(int(begun[-1].split()[1]), self.gateway.home):
            os.kill(int(begun[-1].split()[1]), dice.choice((signal.SIGKILL, signal.SIGTERM)))

    def reload(self, id_: str, dice: random.Random) -> None:
        if dice.random() > 0.3:
            return
        text = dice.choice(BROKEN)
        if dice.random() < 0.7:
            other = Gateway(self.gateway.home, services(self.gateway.home, dice), MACHINES)
            text = other.program.text.replace("@PORT@", str(self.gateway.port))
        new = self.gateway.home / f"new-{next(self.serial)}"
        new.write_text(text)
        new.replace(self.gateway.program.file)
        self.gateway.verb("config.reload")

    def watch(self) -> None:
        while time.monotonic() < self.end:
            for id_, count in _leaders(self.gateway.home).items():
                if count > 1:
                    self.wrong.append(f"{count} of {id_}")
            for each in self.gateway.ask("GET", "/v1/services").json()["services"]:
                if each["state"] not in STATES or each["leases"] < 0 or each["waiters"] < 0:
                    self.wrong.append(each)
            for each in self.gateway.ask("GET", "/v1/machines").json()["machines"]:
                if each["used"].get("v", 0) > 3:
                    self.wrong.append(each)
            time.sleep(0.03)


def _is_ours(pid: int, home: Path) -> bool:
    try:
        return str(home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _leaders(home: Path) -> dict[str, int]:
    """How many lives of each service there are: each leads a session."""
    found: dict[str, int] = {}
    for entry in os.listdir("/proc"):
        try:
            line = Path(f"/proc/{entry}/cmdline").read_bytes().decode()
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except (OSError, IndexError):
            continue
        if f"{home}/diary-" in line and fields[0] not in "ZX" and fields[3] == entry:
            id_ = line.partition("diary-")[2].partition("\0")[0]
            found[id_] = found.get(id_, 0) + 1
    return found


def test_whatever_the_order_nothing_runs_twice_and_every_answer_is_one_of_the_contract(serve, tmp_path):
    seed = random.randrange(1 << 30)
    gateway = serve(services(tmp_path, random.Random(seed)), MACHINES)
    files = gateway.files
    storm = Storm(gateway, seed)
    workers = [threading.Thread(target=storm.work, args=(number,)) for number in range(6)]
    workers.append(threading.Thread(target=storm.watch))
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not storm.wrong, (seed, len(storm.wrong), storm.wrong[:5])
    assert storm.answered > 50
    gateway.verb("services.stop", all=True, hold=True, wait=True)
    gateway.until(lambda: not gateway.left_over(), what=gateway.left_over)
    rest = gateway.verb("services.list")["result"]["services"]
    assert {each["state"] for each in rest} == {"cold"}, (seed, json.dumps(rest))
    assert not any(each["leases"] for each in rest)
    gateway.until(lambda: gateway.files <= files + 6, what="descriptors")


def test_a_gateway_that_was_frozen_answers_all_who_came_meanwhile_and_stops_nobody_at_work(serve, tmp_path):
    gateway = serve({"a": served(tmp_path, "a", idle_timeout="500ms"), "busy": served(tmp_path, "busy", idle_timeout="500ms")})
    assert gateway.ask("GET", "/services/a/x").status == 200
    working = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
    working.sendall(b"POST /services/busy/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello")
    gateway.until(lambda: gateway.status("busy")["leases"] == 1)
    gateway.program.signal(signal.SIGSTOP)
    clients = [socket.create_connection(("127.0.0.1", gateway.port), timeout=10) for _ in range(30)]
    for client in clients:
        client.sendall(b"GET /services/a/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for client in clients[::2]:
        client.close()
    time.sleep(1.5)  # longer than the idle time
    gateway.program.signal(signal.SIGCONT)
    for client in clients[1::2]:
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.close()
    working.sendall(b"world")
    assert working.recv(100).startswith(b"HTTP/1.1 200")
    working.close()
    assert len(diary(tmp_path, "busy", "start")) == 1
    assert len(diary(tmp_path, "a", "start")) <= 2
