"""A real systemd with the units of `etc/`, as a user manager in namespaces that end with it.

Everything is mounted read-only or emptied before it starts, but for the folders that the gateway runs from: a manager that
sees the machine's own folders would tidy them up.
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from tests.engines.user_manager import UserManager, program

ROOT = Path(__file__).parents[2]
WITHIN_S = 30
UNITS = "/run/units"
SCRIPT = r"""
set -eu
mount --make-rprivate /
mount -o remount,bind,ro /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
number=0
for kept in "$@"; do
  number=$((number + 1))
  mkdir -p "/run/kept/$number"
  mount --bind "$kept" "/run/kept/$number"
  mount -o remount,bind,ro "/run/kept/$number"
done
for folder in /tmp /var/tmp /var/log /root; do mount -t tmpfs tmpfs "$folder"; done
if touch /etc/hestia-trial 2>/dev/null; then echo "/etc can be written to" >&2; exit 1; fi
if [ -n "$(ls -A /tmp)" ]; then echo "/tmp is not empty" >&2; exit 1; fi
number=0
for kept in "$@"; do
  number=$((number + 1))
  [ -e "$kept" ] || { mkdir -p "$kept"; mount --bind "/run/kept/$number" "$kept"; }
done
mkdir -p /run/systemd/system /run/testunits /run/units
printf '[Unit]\nDefaultDependencies=no\n' >/run/units/test.target
export HOME=/root XDG_RUNTIME_DIR=/run/testunits SYSTEMD_UNIT_PATH=/run/units
unset XDG_CONFIG_HOME XDG_STATE_HOME XDG_DATA_HOME XDG_CACHE_HOME
/lib/systemd/systemd --user --unit=test.target &
wait
"""


class UnitManager(UserManager):
    """The manager, and the files that only it and its units see."""

    def write(self, path, text):
        self.inside_run("sh", "-c", f"mkdir -p {shlex.quote(os.path.dirname(path))}; cat > {shlex.quote(path)}", said=text)

    def inside_run(self, *argv, said=""):
        nsenter = self.command("x")[:-1]
        done = subprocess.run(
            [*nsenter, *argv], input=said, env=self.environ, capture_output=True, text=True, check=False, timeout=WITHIN_S
        )
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def install(self, unit, *changes):
        """A unit of `etc/` as it is, with `changes` beside it."""
        self.write(f"{UNITS}/{unit}", (ROOT / "etc" / unit).read_text())
        self.write(f"{UNITS}/{unit}.d/trial.conf", "\n".join(["[Unit]", "DefaultDependencies=no", *changes, ""]))
        self.must("daemon-reload")

    def must(self, *words):
        done = self.ask(*words)
        assert done.returncode == 0, f"systemctl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def show(self, unit, name):
        return self.must("show", "-p", name, "--value", unit).strip()


def gateway(config, *more):
    """What makes of `hestia.service` the one under test: our interpreter, no user of its own."""
    serve = f"{sys.executable} -m hestia.cli.hestia serve --config {config}"
    return ("[Service]", "User=", "Group=", "ExecStart=", f"ExecStart={serve}", f"Environment=PYTHONPATH={ROOT}", *more)


@contextmanager
def unit_manager():
    assert os.geteuid() == 0, "namespaces need root"
    program("systemd", "systemd")
    kept = dict.fromkeys(os.path.realpath(each) for each in (ROOT, sys.prefix, sys.base_prefix))
    argv = [program("unshare", "util-linux"), "-m", "-p", "-f", "--kill-child", "/bin/sh", "-c", SCRIPT, "sh", *kept]
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
            manager = UnitManager(children[0], process)
            if manager.is_up():
                return manager
        time.sleep(0.1)
    words.seek(0)
    raise AssertionError(f"systemd did not come up: {words.read()}")
