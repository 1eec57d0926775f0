"""Machines of a test: each a loopback address with a real sshd that runs only while the machine is awake.

A sleeping one listens for nothing but its magic packet; what puts it to sleep ends its sshd and all its connections, as
`systemctl suspend` would. Programs that the gateway starts there answer HTTP on the same address.
"""

import asyncio
import contextlib
import getpass
import os
import signal
import socket
import sys
from pathlib import Path

from hestia.launchers.wake_on_lan import magic_packet
from tests.engines.sshd import Sshd, program

BROADCAST = "127.255.255.255"
SERVER = """
import http.server, os, sys, time

address, port, words, hold = sys.argv[1:]

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        while self.path.startswith("/hold") and os.path.exists(hold):
            time.sleep(0.02)
        self.send_response(200)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words.encode())

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer((address, int(port)), Answer).serve_forever()
"""


def free_port(address):
    with socket.socket() as one:
        one.bind((address, 0))
        return one.getsockname()[1]


class Machine:
    """`dead`: it hears its packet and does not wake."""

    def __init__(self, name, folder, address, mac):
        folder.mkdir()
        self.name, self.folder, self.address, self.mac = name, folder, address, mac
        self.sshd = Sshd(folder, address)
        self.dead = False
        self.woken = 0
        self.hold = folder / "hold"
        (folder / "server.py").write_text(SERVER)

    @property
    def awake(self):
        return self.sshd.process is not None and self.sshd.process.poll() is None

    def hear(self, packet):
        if packet == magic_packet(self.mac) and not self.dead and not self.awake:
            self.woken += 1
            self.sshd.open()
            (self.folder / "sshd.pid").write_text(str(self.sshd.process.pid))

    def spec(self, port, **more):
        """As the configuration says it."""
        ps, pid = program("ps", "procps"), f"$(cat {self.folder}/sshd.pid)"
        sleep = f"kill -9 {pid} $({ps} -o pid= --ppid {pid})"
        return {
            "launch": {"kind": "wake_on_lan", "mac": self.mac, "broadcast": BROADCAST, "port": port},
            "stop_with": {"kind": "ssh", "host": self.name, "stop": sleep},
            "health": f"tcp://{self.address}:{self.sshd.port}",
            **more,
        }

    def place(self, service):
        """A program there, started and stopped through ssh."""
        port, pid = free_port(self.address), f"{self.folder}/{service}.pid"
        serve = f"{sys.executable} {self.folder}/server.py {self.address} {port} {self.name} {self.hold}"
        return {
            "machine": self.name,
            "base_url": f"http://{self.address}:{port}",
            "launch": {
                "kind": "ssh",
                "host": self.name,
                "start": f"{serve} >/dev/null 2>&1 & echo $! >{pid}",
                "stop": f"test -f {pid} && kill $(cat {pid}); rm -f {pid}",
                "status": f"test -f {pid}",
            },
        }

    def ssh_config(self):
        """What a user has in ~/.ssh/config."""
        return f"""
Host {self.name}
  HostName {self.address}
  Port {self.sshd.port}
  User {getpass.getuser()}
  IdentityFile {self.folder}/user
  IdentitiesOnly yes
  UserKnownHostsFile {self.folder}/known
"""

    def clear(self):
        if self.awake:
            self.sshd.close()
        for file in self.folder.glob("*.pid"):
            with contextlib.suppress(OSError, ValueError):
                if file.name != "sshd.pid":
                    os.kill(int(file.read_text()), signal.SIGKILL)


class Lan(asyncio.DatagramProtocol):
    """The broadcast domain: every packet reaches every machine."""

    def __init__(self, machines):
        self.machines = machines
        self.heard = []
        self.port = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, machines):
        lan = cls(machines)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: lan, ("0.0.0.0", 0), allow_broadcast=True)
        lan.port = transport.get_extra_info("sockname")[1]
        try:
            yield lan
        finally:
            transport.close()

    def datagram_received(self, data, addr):
        self.heard.append(data)
        for machine in self.machines:
            machine.hear(data)

    def send(self, packet):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            one.sendto(packet, (BROADCAST, self.port))


def ssh_with(folder, machines):
    """The user's own `ssh`, as the gateway finds it on PATH, with the config file of this user."""
    (folder / "config").write_text("".join(machine.ssh_config() for machine in machines))
    found = folder / "bin" / "ssh"
    found.parent.mkdir()
    found.write_text(f'#!/bin/sh\nexec {program("ssh", "openssh-client")} -F {folder}/config "$@"\n')
    found.chmod(0o755)
    return Path(found.parent)
