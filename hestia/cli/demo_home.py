"""The gateway of `hestia demo`: its configuration, its folder, and the gateway itself. All of it goes at the end."""

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import hestia
from hestia.cli.demo_servers import MODEL
from hestia.roof import host
from hestia.roof.build import build
from hestia.roof.config import Loaded, load
from hestia.telemetry.log import Log, capture_libraries, open_log
from hestia.wire import MAX_SOCKET_PATH

GRACE_S: Final = 1.0  # for what somebody still reads at the end
SETTLE_S: Final = 0.05  # Python 3.13.0 writes a trace when a server closes as it takes a connection
PACKAGE: Final = Path(hestia.__file__).parents[1]
ANY_PORT: Final = "127.0.0.1:0"

CONFIG: Final = """\
# What `hestia demo` runs. It may be changed while it runs: `hestiactl reload`.
listen: [@LISTEN@]
data_dir: @FOLDER@/data
control_socket: @FOLDER@/control.sock

machines:
  local: {capacity: {vram: 24}}       # what services of this machine share
  desk: {}

defaults:
  health_url: "http://127.0.0.1:{port}/health"
  start_attempts: 1
  idle_timeout: 1h
  min_hot: 0s                         # may give way at once: there is no time to lose in a demo

services:
  ollama: null                        # exists by itself; not here

  slow:                               # takes two seconds to start, falls asleep after four
    launch: {kind: process, cwd: @CWD@, command: [@SERVER@, --as, slow, --start-delay, 2]}
    idle_timeout: 4s
    waiting_logs: true

  chat:                               # found by its model
    launch: {kind: process, cwd: @CWD@, command: [@SERVER@, --as, chat, --start-delay, 0.3]}
    models: [@MODEL@]
    needs: {vram: 8}

  flaky:                              # fails on `desk`, and then runs here
    places:
      - machine: desk
        launch: {kind: process, cwd: @CWD@, command: [@SERVER@, --as, flaky, --start-delay, 0.2]}
      - machine: local
        launch: {kind: process, cwd: @CWD@, command: [@SERVER@, --as, slow, --start-delay, 0.2]}

  big:                                # one request at a time, two may wait; does not fit beside `chat`
    launch: {kind: process, cwd: @CWD@, command: [@SERVER@, --as, big, --start-delay, 1]}
    needs: {vram: 20}
    max_concurrency: 1
    queue_size: 2
"""


class Home(NamedTuple):
    """Where the demo's gateway answers, and where its files lie."""

    url: str
    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "hestia_config.yml"

    @property
    def control_socket(self) -> Path:
        return self.folder / "control.sock"

    @property
    def log(self) -> Path:
        return self.folder / "gateway.log"


@contextlib.asynccontextmanager
async def demo_home(listen: str, end: Callable[[], None]) -> AsyncIterator[Home]:
    """An open gateway. `end` is called when `hestiactl` asks it to end. Raises CannotStart."""
    with tempfile.TemporaryDirectory(prefix="hestia-demo-", dir=_short(), ignore_cleanup_errors=True) as folder:
        home = Home("", Path(folder))
        home.config.write_text(config_text(listen, folder), encoding="utf-8")
        with _log(home, load(str(home.config), {})) as (loaded, log, dropped):
            async with _gateway(home, loaded, log, dropped, end) as url:
                yield home._replace(url=url)


def config_text(listen: str, folder: str) -> str:
    """The configuration, with this program and this folder in it."""
    server = [sys.executable, "-m", "hestia.cli.hestia", "demo", "--port", "{port}", "--while", str(os.getpid())]
    said = {
        "@LISTEN@": _quoted(listen),
        "@FOLDER@/data": _quoted(f"{folder}/data"),
        "@FOLDER@/control.sock": _quoted(f"{folder}/control.sock"),
        "@CWD@": _quoted(str(PACKAGE)),  # so that it is this Hestia that is found, also in a clone
        "@SERVER@": ", ".join(map(_quoted, server)),
        "@MODEL@": MODEL,
    }
    text = CONFIG
    for name, value in said.items():
        text = text.replace(name, value)
    return text


def _quoted(text: str) -> str:
    return json.dumps(text.replace("${", "$${"))


def _short() -> str | None:
    """A folder in which a control socket's path fits; None: the usual one for temporary files is."""
    inside = len("/hestia-demo-12345678/control.sock")
    return "/tmp" if len(os.fsencode(tempfile.gettempdir())) + inside > MAX_SOCKET_PATH else None  # noqa: S108


@contextlib.contextmanager
def _log(home: Home, loaded: Loaded) -> Iterator[tuple[Loaded, Log, Callable[[], int]]]:
    """The log goes to a file: the terminal is for the walk."""
    with home.log.open("ab", buffering=0) as file:
        log, writer = open_log(loaded.config.log, file.fileno())
        try:
            with capture_libraries(log):
                yield loaded, log, lambda: writer.dropped
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def _gateway(
    home: Home, loaded: Loaded, log: Log, dropped: Callable[[], int], end: Callable[[], None]
) -> AsyncIterator[str]:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(host.LoopReports(log, loop.time))
    again = lambda: load(str(home.config), {})  # noqa: E731 -- said once, used in one call
    gateway = build(loaded.config, log, log_dropped=dropped, source=loaded.source, load=again)
    gateway.marks = loaded.marks
    gateway.rooms.process.end = lambda _drain: end()
    await gateway.open()
    try:
        yield gateway.addresses[0]
    finally:
        await asyncio.sleep(SETTLE_S)
        await gateway.close(GRACE_S)
