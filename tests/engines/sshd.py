"""A real sshd on a free port of a loopback address, with keys of the test's own; it sees an empty /run."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

WITHIN_S = 20
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
CONFIG = """
ListenAddress {address}
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
"""


def program(name, package):
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is not installed: apt-get install {package}"
    return found


class Sshd:
    def __init__(self, folder, address="127.0.0.1"):
        self.folder = folder
        self.address = address
        self.process = None
        with socket.socket() as one:
            one.bind((address, 0))
            self.port = one.getsockname()[1]
        for name in ("host", "user"):
            argv = [program("ssh-keygen", "openssh-client"), "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
            subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        kind, key, *_ = (folder / "host.pub").read_text().split()
        (folder / "known").write_text(f"[{address}]:{self.port} {kind} {key}\n")
        (folder / "config").write_text(CONFIG.format(address=address, port=self.port, folder=folder))

    def command(self):
        """ssh, and what stands before the launcher's own words."""
        words = ["-F", "none", "-i", f"{self.folder}/user", "-p", str(self.port)]
        for option in ("IdentitiesOnly=yes", f"UserKnownHostsFile={self.folder}/known", "StrictHostKeyChecking=yes"):
            words += ["-o", option]
        return (program("ssh", "openssh-client"), *words)

    def open(self):
        script = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec "$0" -D -e -f "$1"'
        argv = [program("unshare", "util-linux"), "-m", "/bin/sh", "-c", script]
        argv += [program("sshd", "openssh-server"), f"{self.folder}/config"]
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + WITHIN_S
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as one:
                if one.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError(f"sshd did not come up: {(self.folder / 'log').read_text()}")

    def close(self):
        """With the connections that it has: its children serve those, and end with them."""
        pids = subprocess.run(
            [program("ps", "procps"), "-o", "pid=", "--ppid", str(self.process.pid)],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split()
        self.process.kill()
        self.process.wait()
        for pid in pids:
            subprocess.run(["/bin/kill", "-9", pid], check=False, stderr=subprocess.DEVNULL)


@contextmanager
def sshd(folder):
    assert os.geteuid() == 0, "a namespace needs root"
    one = Sshd(folder)
    one.open()
    try:
        yield one
    finally:
        one.close()
