"""The configuration as rows: what is configured now, for whoever reads the database, and since when.

Launchers, headers and keys stay out: they may hold secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from hestia.words.spec import Config

Statement = tuple[str, tuple[Any, ...]]

_SERVICE = (
    "INSERT INTO services VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " idle_timeout = excluded.idle_timeout, cost_per_hour = excluded.cost_per_hour"
)
_MACHINE = (
    "INSERT INTO machines VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " capacity = excluded.capacity, cost_per_hour = excluded.cost_per_hour"
)


def statements(config: Config, now_ms: int) -> Iterator[Statement]:
    """In this order, in one transaction or in several. What runs is not touched."""
    yield "DELETE FROM services WHERE id NOT IN (SELECT value FROM json_each(?))", (json.dumps(list(config.services)),)
    yield "DELETE FROM machines WHERE id NOT IN (SELECT value FROM json_each(?))", (json.dumps(list(config.machines)),)
    yield "DELETE FROM places WHERE run_id IS NULL", ()
    yield "DELETE FROM routes", ()
    for service in config.services.values():
        yield _SERVICE, (service.id, service.idle_timeout, service.cost_per_hour, now_ms)
        for number, place in enumerate(service.places):
            yield _place("service", service.id, number, place.machine, place.base_url)
    for machine in config.machines.values():
        yield _MACHINE, (machine.id, json.dumps(machine.capacity), machine.cost_per_hour, now_ms)
    for number, route in enumerate(config.routes):
        yield "INSERT INTO routes VALUES (?, ?)", (number, msgspec.json.encode(route).decode())


def _place(of: str, owner: str, number: int, machine: str, base_url: str | None) -> Statement:
    sql = "INSERT INTO places (of, owner, number, machine, base_url) VALUES (?, ?, ?, ?, ?)"
    return sql, (of, owner, number, machine, base_url)
