"""Daemons on another machine, each with a pid file there: what the `ssh` kind is tried with, on a double and on sshd."""

import contextlib
import itertools
import os
import shutil
import signal
from pathlib import Path

from hestia.words.launch_spec import SshLaunch
from hestia.words.run import Run

# One that has ended may be left as a zombie for a while: it has no environment.
LIVES = "test -f {pid} && grep -q . /proc/$(cat {pid})/environ 2>/dev/null"
START = LIVES + " || {{ sleep 1000 >/dev/null 2>&1 & echo $! >{pid}; }}"
STOP = "test -f {pid} || exit 0; kill $(cat {pid}) 2>/dev/null; while " + LIVES + "; do sleep 0.01; done; rm -f {pid}"
STATUS = LIVES
TOLD = "echo HESTIA_BASE_URL=http://127.0.0.1:4567; echo HESTIA_HEALTH_URL=http://127.0.0.1:4567/healthz; "


class SshRig:
    crash_says = "exited with code 3: no model here"
    failure_says = "exited with code 3: no model here"
    with_status = True

    def __init__(self, folder, host="box"):
        self.folder, self.host = Path(folder), host
        self.numbers = itertools.count(1)
        self.launcher = self.new_gateway()

    def new_gateway(self):
        raise NotImplementedError

    def make(self, start, **more):
        owner = f"s{next(self.numbers)}"
        pid = self.folder / f"{owner}.pid"
        keys = {"start": start, "stop": STOP, "status": STATUS if self.with_status else None} | more
        filled = {key: words.format(pid=pid) if words else None for key, words in keys.items()}
        return Run(id=f"run-{owner}", owner=owner, machine="box", launch=SshLaunch(host=self.host, **filled))

    def make_run(self):
        return self.make(START)

    def make_slow(self):
        return self.make("sleep 0.5; " + START)

    def make_failing(self):
        return self.make("echo no model here >&2; exit 3")

    make_crashing = make_failing

    def make_telling(self):
        return self.make(TOLD + START)

    async def running_really(self, run):
        try:
            pid = int((self.folder / f"{run.owner}.pid").read_text())
            return int(bool(Path(f"/proc/{pid}/environ").read_bytes()))
        except (OSError, ValueError):
            return 0

    def clear(self):
        for file in self.folder.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)
