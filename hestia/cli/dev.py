"""What the Makefile calls: serve, serve and restart on changes, show and stop. Standard library only.

Each holds a lock on `.make/gateway-PORT.pid` for as long as it lives, and `exec` hands the lock on: a pid alone is
no identity, but whoever holds that lock is what `make` started, and nothing else is ever stopped.
"""

import argparse
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from hestia.wire import DONE, FAILED

DEFAULT_PORT = 8080
LOOK_EVERY_S = 0.5  # how often the tree is looked at for changes; a file system event would need a package
STOP_WITHIN_S = 40.0  # running exchanges have 30 s to finish


def lock_path(port: int) -> Path:
    return Path(".make") / f"gateway-{port}.pid"


def claim(port: int) -> int | None:
    """Take the lock for this port and write our pid; the descriptor outlives an exec. None: another holds it."""
    path = lock_path(port)
    path.parent.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor


def owner(port: int) -> int | None:
    """The pid that holds the lock; None when nobody does (a file left by a crash means nothing)."""
    try:
        descriptor = os.open(lock_path(port), os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return int(os.read(descriptor, 32) or b"0") or None
    finally:
        os.close(descriptor)
    return None


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
        probe.bind(("::1", 0))
        return True
    return False


def command(port: int | None) -> list[str]:
    """Without a port the configuration decides where to listen."""
    words = [str(Path(sys.executable).with_name("hestia")), "serve"]
    if port is None:
        return words
    words += ["--listen", f"127.0.0.1:{port}"]
    return [*words, "--listen", f"[::1]:{port}"] if has_ipv6() else words


def serve(port: int | None) -> int:
    descriptor = claim(port or DEFAULT_PORT)
    if descriptor is None:
        return already(port or DEFAULT_PORT)
    os.set_inheritable(descriptor, True)
    words = command(port)
    return os.execv(words[0], words)  # noqa: S606 - no shell is wanted: the pid stays, so that `stop` finds it


def already(port: int) -> int:
    print(f"make already runs a gateway for port {port}: make stop PORT={port}, or take another PORT", file=sys.stderr)
    return FAILED


def snapshot() -> dict[str, int]:
    """Every file whose change calls for a restart, with its time."""
    found: dict[str, int] = {}
    for pattern in ("hestia/**/*.py", "hestia/pages/*", "strategies/**/*.py", "hestia_config.yml"):
        for path in Path().glob(pattern):
            with contextlib.suppress(FileNotFoundError):
                found[str(path)] = path.stat().st_mtime_ns
    return found


def watch(port: int | None) -> int:
    descriptor = claim(port or DEFAULT_PORT)
    if descriptor is None:
        return already(port or DEFAULT_PORT)
    stop_reader, stop_writer = os.pipe()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os.close(stop_writer) if not stopping(stop_reader, 0) else None)
    changed = True
    while changed:
        changed = serve_until_change(command(port), stop_reader)
    return DONE


def serve_until_change(words: list[str], stop_reader: int) -> bool:
    """Run the gateway until a file changes (True) or we are told to stop (False). One that fails waits for a change."""
    before = snapshot()
    with subprocess.Popen(words) as child:  # noqa: S603 - our own program
        while not (told := stopping(stop_reader, LOOK_EVERY_S)) and snapshot() == before:
            pass
        end(child)
    if not told:
        print("the code changed: starting again", file=sys.stderr)
    return not told


def stopping(stop_reader: int, timeout: float) -> bool:
    """The pipe's other end is closed by the signal: this is a sleep that a signal ends, and loses none."""
    return bool(select.select([stop_reader], [], [], timeout)[0])


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask twice: the second signal ends it at once; somebody who edits code does not wait for a stream to finish."""
    for patience in (2.0, 5.0):
        if child.poll() is not None:
            return
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(patience)
            return
    child.kill()


def stop(port: int | None) -> int:
    number = port or DEFAULT_PORT
    pid = owner(number)
    if pid is None:
        print(f"make runs no gateway for port {number}")
        return DONE
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN_S
    while owner(number) == pid:
        if time.monotonic() > deadline:
            print(f"the gateway (pid {pid}) was asked to stop and still runs", file=sys.stderr)
            return FAILED
        time.sleep(0.05)
    print(f"stopped the gateway of port {number} (pid {pid})")
    return DONE


def status(port: int | None) -> int:
    url = f"http://127.0.0.1:{port or DEFAULT_PORT}/v1/services"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy of the environment
    try:
        with opener.open(url, timeout=10) as answer:
            services = json.load(answer)["services"]
    except (OSError, ValueError, KeyError) as error:
        reason = getattr(error, "reason", None) or error
        print(f"no gateway answers at {url}: {reason}", file=sys.stderr)
        return FAILED
    for service in services:
        print(f"{service['id']:<20} {service['state']:<10} {service.get('reason') or ''}".rstrip())
    return DONE


VERBS = {"serve": serve, "watch": watch, "status": status, "stop": stop}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m hestia.cli.dev", description="what the Makefile calls")
    parser.add_argument("verb", choices=sorted(VERBS))
    parser.add_argument("--port", type=int)
    asked = parser.parse_args(argv)
    return VERBS[asked.verb](asked.port)


if __name__ == "__main__":
    raise SystemExit(main())
