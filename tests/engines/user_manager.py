"""A real systemd, as a user manager that knows only the units of the test, in namespaces that end with it.

Everything is mounted read-only or emptied before it starts, and it does not start unless that holds: a manager that sees
the machine's own folders would tidy them up.
"""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

WITHIN_S = 30
RUNTIME = "/run/testunits"
SCRIPT = r"""
set -eu
mount --make-rprivate /
mount -o remount,bind,ro /
mount -t proc proc /proc
for folder in /tmp /var/tmp /run /var/log /root; do mount -t tmpfs tmpfs "$folder"; done
if touch /etc/hestia-trial 2>/dev/null; then echo "/etc can be written to" >&2; exit 1; fi
if [ -n "$(ls -A /tmp)" ]; then echo "/tmp is not empty" >&2; exit 1; fi
mkdir -p /run/systemd/system /run/testunits /run/units
printf '[Unit]\nDefaultDependencies=no\n' >/run/units/test.target
unit() { printf '[Unit]\nDefaultDependencies=no\nStartLimitBurst=3\n[Service]\n%b\n' "$2" >"/run/units/$1@.service"; }
unit plain 'ExecStart=/bin/sleep 1000'
unit slow 'Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 0.5'
unit failing 'Type=oneshot\nExecStart=/bin/sh -c "exit 3"'
unit crashing 'ExecStart=/bin/sh -c "sleep 0.05; exit 3"'
unit missing 'ExecStart=/no/such/program'
unit stubborn 'TimeoutStopSec=1\nExecStart=/bin/sh -c "trap : TERM; while :; do sleep 0.1; done"'
XDG_RUNTIME_DIR=/run/testunits SYSTEMD_UNIT_PATH=/run/units /lib/systemd/systemd --user --unit=test.target &
wait
"""


def program(name, package):
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin:/lib/systemd")
    assert found, f"{name} is not installed: apt-get install {package}"
    return found


class UserManager:
    def __init__(self, inside, process):
        self.inside = inside
        self.process = process
        self.environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": RUNTIME}

    def command(self, name):
        """What stands before the words of systemctl: it is run where the manager is."""
        return (program("nsenter", "util-linux"), "-t", str(self.inside), "-m", "-p", "--", name)

    def ask(self, *words):
        argv = [*self.command("systemctl"), "--user", *words]
        return subprocess.run(argv, env=self.environ, capture_output=True, text=True, check=False, timeout=WITHIN_S)

    def is_up(self):
        return self.ask("show", "-p", "Version").returncode == 0


@contextmanager
def user_manager():
    assert os.geteuid() == 0, "namespaces need root"
    program("systemd", "systemd")
    argv = [program("unshare", "util-linux"), "-m", "-p", "-f", "--kill-child", "/bin/sh", "-c", SCRIPT]
    with tempfile.TemporaryFile("w+") as words:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True)
        try:
            yield _when_up(process, words)
        finally:
            process.kill()
            process.wait()


def _when_up(process, words):
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if children:
            manager = UserManager(children[0], process)
            if manager.is_up():
                return manager
        time.sleep(0.1)
    words.seek(0)
    raise AssertionError(f"systemd did not come up: {words.read()}")
