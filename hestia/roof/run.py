"""`hestia serve`: build, listen, wait for a signal, and close in order."""

import asyncio
import contextlib
import gc
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from hestia import __version__
from hestia.doors.guest import check_parser
from hestia.roof import host
from hestia.roof.build import build
from hestia.roof.choices import watch_strategies
from hestia.roof.config import Loaded
from hestia.roof.exposure import warn_of_no_auth
from hestia.roof.gateway import Gateway
from hestia.roof.listen import CannotStart
from hestia.roof.reload import try_to_reload, watch_file
from hestia.roof.systemd import Notify, inherited, show_life
from hestia.telemetry.log import Log, capture_libraries, open_log
from hestia.telemetry.writer import Writer
from hestia.wire import DONE, FAILED, USAGE

GRACE_S = 30.0
NOBODYS = (
    "the service manager opened {}, and no `listen`, `admin_listen` or service names it: nobody is answered there"
)
CUT_SHORT = 128  # a shell's way: 128 and the signal's number


def serve(
    loaded: Loaded,
    load_again: Callable[[], Loaded],
    *,
    watch: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> int:
    """Run the gateway until a signal. The exit code says how it ended. `watch`: a changed file is a reload."""
    host.hold_standard_streams()
    config = loaded.config
    refused = _cannot_serve(environ)
    if refused is not None:
        return _say_and_end(refused, USAGE)
    log, writer = open_log(config.log)
    try:
        with capture_libraries(log), asyncio.Runner(loop_factory=host.loop_factory(environ)) as runner:
            return runner.run(_serve(loaded, load_again, log, writer, watch=watch))
    except CannotStart as error:
        writer.close()
        return _say_and_end(str(error), USAGE if error.usage else FAILED)
    finally:
        writer.close()


def _cannot_serve(environ: Mapping[str, str]) -> str | None:
    try:
        check_parser(allow_slow=environ.get("HESTIA_ALLOW_SLOW_PARSER") == "1")
        host.loop_factory(environ)
    except (RuntimeError, ValueError) as error:
        return str(error)
    return None


def _say_and_end(words: str, code: int) -> int:
    print(f"hestia: {words}", file=sys.stderr)  # noqa: T201 -- the log is not open, or is closed
    return code


class End(NamedTuple):
    """What ends the gateway: a signal, or a command. The next one ends it at once."""

    name: str
    grace_s: float = GRACE_S
    number: int = signal.SIGTERM


async def _serve(loaded: Loaded, load_again: Callable[[], Loaded], log: Log, writer: Writer, *, watch: bool) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(host.LoopReports(log, loop.time))
    notify = Notify(os.environ)
    gateway = build(
        loaded.config,
        log,
        log_dropped=lambda: writer.dropped,
        descriptors=host.raise_descriptors(),
        source=loaded.source,
        load=load_again,
        notify=notify,
    )
    gateway.marks = loaded.marks
    gateway.listening.handed = inherited(os.environ)
    await gateway.open()
    notify.ready()
    if notify.watchdog_s is not None:
        gateway.shared.fence.spawn(show_life(notify))
    if watch and loaded.source is not None:
        gateway.shared.fence.spawn(watch_file(loaded.source, gateway.reload))
    if watch:
        gateway.shared.fence.spawn(watch_strategies(gateway.choices.strategies))
    with _signals(loop, gateway) as told:
        _announce(loaded, gateway, log)
        gc.collect()
        gc.freeze()  # what was built for good is not looked at in every collection
        first = await told.get()
        notify.stopping()
        grace_s = first.grace_s if math.isfinite(first.grace_s) else None  # JSON knows no infinity
        log.event("gateway.stopping", "info", signal=first.name, grace_s=grace_s, **gateway.busy())
        closing = loop.create_task(gateway.close(first.grace_s))  # awaited right here, or the process ends
        second = loop.create_task(told.get())
        await asyncio.wait({closing, second}, return_when=asyncio.FIRST_COMPLETED)
        if not closing.done():
            log.event("gateway.stopped", "warning", unfinished=gateway.busy()["leases"])
            writer.close(0.5)
            os._exit(CUT_SHORT + second.result().number)
        second.cancel()
        log.event("gateway.stopped", unfinished=closing.result())
    return DONE


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, gateway: Gateway) -> Iterator[asyncio.Queue[End]]:
    """TERM and INT end the gateway; HUP reads the configuration again. SIGPIPE is ignored by Python itself."""
    told: asyncio.Queue[End] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.put_nowait, End(number.name, GRACE_S, number))
    loop.add_signal_handler(signal.SIGHUP, lambda: gateway.shared.fence.spawn(try_to_reload(gateway.reload)))
    gateway.rooms.process.end = lambda drain: told.put_nowait(End("drain", math.inf) if drain else End("shutdown"))
    try:
        yield told
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


def _announce(loaded: Loaded, gateway: Gateway, log: Log) -> None:
    config = gateway.config
    unnamed = [NOBODYS.format(address) for address in gateway.listening.unnamed]
    for detail in (*loaded.warnings, *gateway.warnings, *unnamed):
        log.event("gateway.warning", "warning", detail=detail)
    warn_of_no_auth(config, log)
    log.event(
        "gateway.started",
        version=__version__,
        listen=gateway.addresses,
        services=sorted(config.services),
        config=loaded.source,
        loop=type(asyncio.get_running_loop()).__module__.partition(".")[0],
    )
    with contextlib.suppress(OSError, ValueError):  # nobody has to read it: stdout may be closed
        print("\n".join(greeting(gateway)), flush=True)  # noqa: T201 -- words for the person who started it


def greeting(gateway: Gateway) -> list[str]:
    """Where it listens, and one line to try."""
    lines = [f"hestia {__version__} listens on {', '.join(gateway.addresses)}"]
    url = next((address for address in gateway.addresses if address.startswith("http")), None)
    services = gateway.config.services
    id_ = "demo" if "demo" in services else next(iter(services), None)
    if url is not None and id_ is not None:
        port = url.rpartition(":")[2]
        base = f"http://localhost:{port}" if url in {f"http://127.0.0.1:{port}", f"http://0.0.0.0:{port}"} else url
        lines.append(f"try: curl {base}/services/{id_}/")
    return lines
