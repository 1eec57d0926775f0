#!/usr/bin/env python3
"""Makes a project in Semaphore that Hestia can use: key, repository, inventory, variable group, templates, a token.

It can be run again at any time: what is there is kept, and what differs from what was asked for is changed. It needs
nothing but Python. Secrets come from the environment (each name also with _FILE), never from the command line:

    SEMAPHORE_ADMIN, SEMAPHORE_ADMIN_PASSWORD    to log in; or instead
    SEMAPHORE_API_TOKEN                          an administrator's token
"""

import argparse
import http.client
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KINDS = ("systemd", "docker", "ec2")
OK, MULTIPLE = 200, 300
LOCAL = "localhost ansible_connection=local"


class Failed(Exception):
    """It cannot go on; the text says why."""


class Api:
    """Semaphore's API, as the user who logged in or whose token it is."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Failed(f"{base_url} is no address such as http://localhost:3000")
        self.parts = parts
        self.root = parts.path.rstrip("/").removesuffix("/api") + "/api"
        self.headers = {"Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        kind = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(self.parts.hostname or "", self.parts.port, timeout=30)
        try:
            connection.request(method, self.root + path, None if body is None else json.dumps(body), self.headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as problem:
            raise Failed(f"{self.parts.netloc}: {problem}") from problem
        finally:
            connection.close()
        if not OK <= answer.status < MULTIPLE:
            raise Failed(f"{method} {path} was answered {answer.status}: {text.strip()[:300] or 'without a word'}")
        if cookie := answer.getheader("Set-Cookie"):
            self.headers["Cookie"] = cookie.partition(";")[0]
        return json.loads(text) if text.strip() else None

    def log_in(self, environ: Mapping[str, str]) -> None:
        token = secret(environ, "SEMAPHORE_API_TOKEN")
        if token:
            self.headers["Authorization"] = f"Bearer {token}"
            return
        name, password = secret(environ, "SEMAPHORE_ADMIN"), secret(environ, "SEMAPHORE_ADMIN_PASSWORD")
        if not name or not password:
            raise Failed("set SEMAPHORE_ADMIN and SEMAPHORE_ADMIN_PASSWORD, or SEMAPHORE_API_TOKEN")
        self.call("POST", "/auth/login", {"auth": name, "password": password})


def secret(environ: Mapping[str, str], name: str) -> str:
    file = environ.get(f"{name}_FILE")
    return Path(file).read_text(encoding="utf-8").rstrip("\r\n") if file else environ.get(name, "")


class Project:
    """Rows are known by their names: a create may answer nothing, so they are listed again."""

    def __init__(self, api: Api, name: str) -> None:
        self.api = api
        self.id = self._row("/projects", name, {"name": name})["id"]

    def _row(self, path: str, name: str, wanted: Mapping[str, Any]) -> Any:
        row = self._find(path, name)
        if row is None:
            self.api.call("POST", path, dict(wanted))
            say(f"made {path.rpartition('/')[2]} {name}")
            row = self._find(path, name)
        if row is None:
            raise Failed(f"{path} has no {name}, though it was just made")
        return row

    def _find(self, path: str, name: str) -> Any:
        return next((row for row in self.api.call("GET", path) or [] if row.get("name") == name), None)

    def row(self, kind: str, name: str, wanted: Mapping[str, Any], *, keep: bool = False) -> int:
        """The id of the row of this name; made if it is missing, changed where it differs, unless it is to be kept."""
        path = f"/project/{self.id}/{kind}"
        wanted = {"name": name, "project_id": self.id, **wanted}
        row = self._row(path, name, wanted)
        # What an older version does not know it leaves out: only what it shows can differ.
        if not keep and any(row[key] != value for key, value in wanted.items() if key in row):
            self.api.call("PUT", f"{path}/{row['id']}", {**row, **wanted})
            say(f"changed {kind} {name}")
        return int(row["id"])


def build(api: Api, asked: argparse.Namespace) -> None:
    project = Project(api, asked.project)
    none = project.row("keys", "None", {"type": "none"}, keep=True)
    key = none
    if asked.ssh_key:
        private = {"login": asked.ssh_user, "passphrase": "", "private_key": asked.ssh_key.read_text(encoding="utf-8")}
        key = project.row("keys", "hestia-ssh", {"type": "ssh", "ssh": private}, keep=True)
    place = {"git_url": asked.playbooks, "git_branch": asked.branch, "ssh_key_id": none}
    machines = {"type": "static", "inventory": "\n".join(asked.machine or [LOCAL]), "ssh_key_id": key}
    ids = {
        "repository_id": project.row("repositories", "hestia-playbooks", place),
        "inventory_id": project.row("inventory", "hestia", machines, keep=not asked.machine),
        # Without one, a task that brings variables along is answered 500.
        "environment_id": project.row("environment", "hestia", {"json": "{}", "env": "{}"}, keep=True),
    }
    for name, kind in [("hestia", asked.general), *asked.service]:
        for action in ("start", "stop"):
            # Where it is known, tasks of one template then run side by side.
            wanted = {**ids, "playbook": f"{kind}-{action}.yml", "app": "ansible", "allow_parallel_tasks": True}
            project.row("templates", f"{name}-{action}", wanted)


def make_token(api: Api, file: Path) -> None:
    """Once: newer versions show a token only in the answer that made it."""
    if file.exists():
        return
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(api.call("POST", "/user/tokens", {"name": "hestia"})["id"] + "\n")
    say(f"wrote a token to {file}")


def say(words: str) -> None:
    sys.stdout.write(words + "\n")


def service(text: str) -> tuple[str, str]:
    name, equals, kind = text.partition("=")
    if not equals or kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{text}: NAME=KIND, and KIND is one of {', '.join(KINDS)}")
    return name, kind


def parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="Makes a project in Semaphore that Hestia can use. Can be run again.")
    made.add_argument("--base-url", default=environ.get("SEMAPHORE_BASE_URL", "http://127.0.0.1:3000"))
    made.add_argument("--project", default="hestia", help="its name (default: hestia)")
    made.add_argument("--playbooks", default="/srv/playbooks", help="a folder that Semaphore sees, or a git address")
    made.add_argument("--branch", default="", help="of the git address")
    made.add_argument("--machine", action="append", metavar="LINE", help="a line of the inventory; may be repeated")
    made.add_argument("--ssh-key", type=Path, help="a private key's file, for the machines")
    made.add_argument("--ssh-user", default="root", help="who logs in there (default: root)")
    made.add_argument("--general", choices=KINDS, default="systemd", help="what hestia-start and hestia-stop run")
    made.add_argument("--service", action="append", type=service, default=[], metavar="NAME=KIND")
    made.add_argument("--token-file", type=Path, help="a new token for Hestia is written here, unless the file exists")
    return made


def main(words: Sequence[str], environ: Mapping[str, str]) -> int:
    asked = parser(environ).parse_args(words)
    try:
        api = Api(asked.base_url)
        api.log_in(environ)
        build(api, asked)
        if asked.token_file:
            make_token(api, asked.token_file)
    except (Failed, OSError, ValueError) as problem:
        sys.stderr.write(f"bootstrap: {problem}\n")
        return 1
    say("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
