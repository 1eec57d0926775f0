"""From the configuration in force to the one on disk: all of it, or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

from hestia.doors.verbs_answers import Reloaded
from hestia.keeper.uses import UnknownStrategies
from hestia.roof.exposure import beyond_loopback, warn_of_no_auth
from hestia.roof.in_force import put_in_force, relayed_of
from hestia.roof.listen import CannotStart
from hestia.roof.ways import Ways
from hestia.rules.marks import ConfigError, Mark, Mistake, mark_at
from hestia.rules.paths import shown_path
from hestia.words.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from hestia.keeper.uses import Made
    from hestia.roof.config import Loaded
    from hestia.roof.gateway import Gateway
    from hestia.roof.systemd import Notify
    from hestia.telemetry.log import Log
    from hestia.words.spec import Config

LOOK_EVERY, SETTLED_AFTER = 1.0, 0.2
EXPOSING = frozenset({"auth", "listen", "admin_listen"})
NEED_RESTART = ("data_dir", "control_socket", "control_group")


class Around(NamedTuple):
    """The process that it happens in. `step` is told where a crash would be worst."""

    descriptors: int
    notify: Notify
    step: Callable[[str], None]


class Reload:
    """One at a time. What is wrong is said, and then nothing has changed."""

    def __init__(self, gateway: Gateway, load: Callable[[], Loaded], log: Log, around: Around) -> None:
        self._gateway = gateway
        self._load = load
        self._log = log
        self._around = around
        self._turn = asyncio.Lock()

    async def __call__(self) -> Reloaded:
        """Raises ConfigError, and Refusal for an address that cannot be listened on."""
        async with self._turn:
            self._around.notify.reloading()
            try:
                loaded = await asyncio.to_thread(self._load)
                self._must_not_be_empty(loaded)
                return await self._follow(loaded)
            except ConfigError as error:
                self._reject("; ".join(map(str, error.mistakes)))
                raise
            except CannotStart as error:
                self._reject(str(error))
                raise Refusal("bad_request", f"{error}; nothing has changed") from error
            finally:
                self._around.notify.ready()

    def _must_not_be_empty(self, loaded: Loaded) -> None:
        """At a start an empty file is no configuration. Here it is being written, and would end everything."""
        source = self._gateway.rooms.house.settings.source
        if source is not None and loaded.source is None:
            raise ConfigError([Mistake(Mark(source), "", "is empty: nothing has changed")])

    def _reject(self, detail: str) -> None:
        self._log.event("config.rejected", "error", detail=detail)

    async def _made(self, loaded: Loaded, config: Config, before: Config) -> Made:
        """By the strategies of this gateway: of a file that is broken now the last good version counts."""
        try:
            return await self._gateway.choices.prepare(config, before)
        except UnknownStrategies as problem:
            said = [Mistake(mark_at(loaded.marks, path), shown_path(path), words) for path, words in problem.mistakes]
            raise ConfigError(said) from problem

    async def _follow(self, loaded: Loaded) -> Reloaded:
        gateway, before = self._gateway, self._gateway.config
        config, stuck = _without(before, loaded.config)
        ways = Ways(config)
        ways.loop_tag = gateway.shared.loop_tag
        made = await self._made(loaded, config, before)
        self._around.step("reload.read")
        try:
            following = gateway.listening.prepare(config)
        except CannotStart:
            await gateway.choices.stay(before)
            raise
        self._around.step("reload.bound")
        # From here on nothing can go wrong, and until the last line nothing waits.
        settings = _changed(before, config)
        gateway.config = config
        gateway.marks = loaded.marks
        gateway.ways.follow(ways)
        changes = gateway.keeper.adopt(config)
        gateway.relayed = relayed_of(config, gateway.keeper, gateway.relayed)
        gateway.choices.made = made
        gateway.shared.chooser = gateway.choices.chooser(config, gateway.keeper, gateway.relayed)
        put_in_force(config, gateway.keeper, gateway.shared, gateway.relayed, self._around.descriptors)
        gateway.keys.settle()
        gateway.remember(config)
        self._log.follow(config.log)
        gateway.shared.tally.listen(self._log.access if self._log.access_wanted else None)
        self._around.step("reload.adopted")
        await gateway.listening.follow(following)
        self._log.event(
            "config.reloaded",
            added=changes.added,
            removed=changes.removed,
            changed=changes.changed,
            settings=settings,
            needs_restart=stuck,
        )
        if EXPOSING.intersection(settings) or beyond_loopback(config) > beyond_loopback(before):
            warn_of_no_auth(config, self._log)
        return Reloaded(
            file=loaded.source,
            added=changes.added,
            removed=changes.removed,
            changed=changes.changed,
            settings=settings,
            needs_restart=stuck,
            warnings=loaded.warnings,
        )


async def try_to_reload(reload: Reload) -> None:
    """For a signal: what is wrong was said in the log, and there is nobody else to tell."""
    with contextlib.suppress(ConfigError, Refusal):
        await reload()


def watch_file(source: str, reload: Reload) -> Coroutine[None, None, None]:
    """Until cancelled: the file is looked at by its name, so one that is replaced or linked anew is seen too.

    What stands there at the call counts as read: a change before the task's first step is seen.
    """
    return _watch(source, reload, _stamp(source))


async def _watch(source: str, reload: Reload, seen: tuple[int, ...] | None) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = _stamp(source)
        if now is None or now == seen:
            continue
        await asyncio.sleep(SETTLED_AFTER)  # an editor may still be writing
        if _stamp(source) == now:
            seen = now
            await try_to_reload(reload)


def _stamp(source: str) -> tuple[int, ...] | None:
    try:
        found = os.stat(source)  # noqa: PTH116 - links are followed either way; this runs every second
    except OSError:
        return None  # between the two steps of a replacement
    return (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)


def _changed(before: Config, after: Config) -> tuple[str, ...]:
    """The keys beside `services` and `machines`, which are told one by one."""
    keys = (key for key in after.__struct_fields__ if key not in {"services", "machines"})
    return tuple(key for key in keys if getattr(before, key) != getattr(after, key))


def _without(before: Config, after: Config) -> tuple[Config, tuple[str, ...]]:
    """What only a restart can change stays as it is, and is said."""
    stuck = tuple(key for key in NEED_RESTART if getattr(before, key) != getattr(after, key))
    fields = {key: getattr(after, key) for key in after.__struct_fields__}
    return type(after)(**{**fields, **{key: getattr(before, key) for key in stuck}}), stuck
