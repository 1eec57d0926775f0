"""What a configured place or machine means for its life."""

from __future__ import annotations

from hestia.core.life import Settings
from hestia.words.launch_spec import can_stop
from hestia.words.spec import Machine, Place, Service

CHOSEN_AT_START = ("{port}", "{socket}")


def settings_of_place(service: Service, place: Place, machine: Machine, *, dies_by_exit: bool) -> Settings:
    """Without any launcher Hestia only watches; with a `warmup` alone it lives the whole life all the same."""
    launched = place.launch is not None or machine.launch is not None
    checked = place.health_url is not None or not place.warmup
    return Settings(
        launches=launched or not checked,
        own_launch=place.launch is not None,
        stops=can_stop(place.stop_with) or can_stop(place.launch),
        known=_known(place.base_url) or _known(place.health_url),
        checked=checked,
        start_timeout=place.start_timeout,
        attempts=service.start_attempts if launched else 1,
        retry_delay=service.retry_delay,
        warmup=place.warmup,
        idle_timeout=service.idle_timeout,
        dies_by_exit=dies_by_exit,
    )


def settings_of_machine(machine: Machine) -> Settings:
    """The same life, without a machine below it. One that nothing wakes and nothing checks is always awake."""
    return Settings(
        launches=machine.launch is not None,
        own_launch=machine.launch is not None,
        stops=can_stop(machine.stop_with) or can_stop(machine.launch),
        machine=True,
        start_timeout=machine.start_timeout,
        attempts=machine.start_attempts if machine.launch is not None else 1,
        idle_timeout=machine.idle_timeout,
    )


def always_awake(machine: Machine) -> bool:
    return machine.launch is None and machine.health is None


def _known(url: str | None) -> bool:
    return url is not None and not any(name in url for name in CHOSEN_AT_START)
