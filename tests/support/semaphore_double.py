"""A stand-in for Ansible Semaphore with the traps of the real one, as 2.10 and as a newer version.

Each was seen at the real server: errors with a JSON type and no body; task ids that count down; a queue that takes one
task a turn and runs one of a template at a time; `success` before `end` is set; a stop that needs a body, rewrites a
finished task and ends a running one as `error`; tasks that stay `running` for ever when the server is killed; 500 and a
task in `error` for a template without an environment; 400 for a task that is not there.
"""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

TOKEN = "hjsewboacnia2botfjt28dree2nd2ksqsarb0kovcgi="
HIGHEST_ID = 2147483646
UNFINISHED = ("waiting", "starting", "running", "stopping")


@dataclass
class Play:
    """What a template's playbook does."""

    lines: tuple[str, ...] = ("PLAY [hestia] ***", "\x1b[0;32mok: [box]\x1b[0m")
    fails: bool = False
    lasts: float = 0.0
    up_after: float = 0.0  # of its time; the rest goes on when the service is up
    ticks: float = 0.0  # a further line so often, while it lasts
    effect: str | None = None  # start or stop; else what hestia_action says
    stubborn: bool = False  # ends by force only


@dataclass
class Row:
    """A task with what the API shows of it, and its output."""

    said: dict
    output: list[str] = field(default_factory=list)
    work: asyncio.Task | None = None


class SemaphoreDouble:
    """`plays` by template name; `up` counts what runs, by hestia_service."""

    def __init__(self, version="2.10", tick=0.005):
        self.old = version == "2.10"
        self.tick = tick
        self.roles = {TOKEN: "task_runner"}
        self.passwords = {"admin": "secret-of-admin"}
        self.cookies = {}
        self.projects = {}
        self.lists = {}  # (project, kind) -> rows
        self.tasks: dict[int, Row] = {}
        self.plays: dict[str, Play] = {}
        self.up: dict[str, int] = {}
        self.extra_vars: list[dict] = []
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[dict] = []
        self.faults = []  # callables (request) -> response | None
        self.queue = None
        self.runner = None
        self.port = 0
        self.now = datetime.now(UTC)

    # A server that comes and goes

    async def open(self):
        app = web.Application(middlewares=[self._gate])
        routes = [
            ("GET", "/api/ping", lambda request: web.Response(text="pong")),
            ("POST", "/api/auth/login", self._login),
            ("GET", "/api/user", self._user),
            ("POST", "/api/user/tokens", self._new_token),
            ("GET", "/api/projects", self._list_projects),
            ("POST", "/api/projects", self._new_project),
            ("GET", "/api/project/{p}/tasks/last", self._last_tasks),
            ("POST", "/api/project/{p}/tasks", self._new_task),
            ("GET", "/api/project/{p}/tasks/{t}", self._task),
            ("GET", "/api/project/{p}/tasks/{t}/output", self._output),
            ("POST", "/api/project/{p}/tasks/{t}/stop", self._stop_task),
            ("GET", "/api/project/{p}/{kind}", self._rows),
            ("POST", "/api/project/{p}/{kind}", self._new_row),
            ("PUT", "/api/project/{p}/{kind}/{id}", self._changed_row),
        ]
        for method, path, handler in routes:
            app.router.add_route(method, path, _async(handler))
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        self.queue = asyncio.ensure_future(self._work_off())
        return self

    async def close(self):
        """As a kill: what runs stays `running`, and what waits stays `waiting`."""
        if self.runner is None:
            return
        ended = [self.queue, *(row.work for row in self.tasks.values() if row.work is not None)]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        for row in self.tasks.values():
            row.work = None
        self.zombies = {number for number, row in self.tasks.items() if row.said["status"] in UNFINISHED}
        await self.runner.cleanup()
        self.runner = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    # Material

    def project(self, name="hestia"):
        number = len(self.projects) + 1
        self.projects[number] = {"id": number, "name": name, "alert": False, "max_parallel_tasks": 0}
        for kind in ("keys", "repositories", "inventory", "environment", "templates"):
            self.lists[number, kind] = []
        self.lists[number, "keys"].append({"id": 1, "name": "None", "type": "none", "project_id": number})
        self.lists[number, "environment"].append({"id": 1, "name": "Empty", "json": "{}", "project_id": number})
        return number

    def template(self, name, play=None, *, project=1, environment=1):
        rows = self.lists[project, "templates"]
        row = {"id": len(rows) + 1, "name": name, "project_id": project, "environment_id": environment}
        rows.append(row)
        self.plays[name] = play or Play()
        return row["id"]

    def began(self, action=None):
        """The messages of all tasks, in their order; of one action."""
        messages = [row.said["message"] for row in sorted(self.tasks.values(), key=lambda row: row.said["created"])]
        return [message for message in messages if action is None or message.split(":")[2:3] == [action]]

    # Who asks

    @web.middleware
    async def _gate(self, request, handler):
        self.asked.append((request.method, request.path))
        for fault in list(self.faults):
            answer = fault(request)
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer is not None:
                return answer
        if request.path in {"/api/ping", "/api/auth/login"}:
            return await handler(request)
        role = self._role(request)
        if role is None:
            return empty(401)
        project = request.match_info.get("p")
        if project is not None and (not project.isdigit() or int(project) not in self.projects or role == "stranger"):
            return empty(404)
        running = request.path.endswith(("/tasks", "/stop"))
        changes = request.method != "GET"
        if changes and (role == "guest" or (role == "task_runner" and not running)):
            return empty(403)
        return await handler(request)

    def _role(self, request):
        header = request.headers.get("Authorization", "").lower()
        if "bearer" in header:
            return self.roles.get(header.replace("bearer", "").strip())
        return self.cookies.get(request.cookies.get("semaphore"))

    def _login(self, request, body):
        if not isinstance(body, dict):
            return empty(400)
        if self.passwords.get(str(body.get("auth")).lower()) != body.get("password"):
            return empty(401)
        cookie = f"cookie{len(self.cookies)}"
        self.cookies[cookie] = "admin"
        answer = empty(204)
        answer.set_cookie("semaphore", cookie, path="/")
        return answer

    def _user(self, request, body):
        return shown({"id": 1, "username": "admin", "admin": self._role(request) == "admin"})

    def _new_token(self, request, body):
        token = f"made-by-the-double-{len(self.roles)}="
        self.roles[token] = self._role(request)
        return shown({"id": token, "created": "0001-01-01T00:00:00Z", "expired": False, "user_id": 1}, 201)

    # Projects and what is in them

    def _list_projects(self, request, body):
        return shown([] if self._role(request) == "stranger" else list(self.projects.values()))

    def _new_project(self, request, body):
        if not isinstance(body, dict) or not body.get("name"):
            return empty(400)
        return shown(self.projects[self.project(body["name"])], 201)

    def _rows(self, request, body):
        rows = self.lists.get(_key(request))
        return empty(404) if rows is None else shown(rows)

    def _new_row(self, request, body):
        project, kind = key = _key(request)
        if key not in self.lists:
            return empty(404)
        if not isinstance(body, dict) or body.get("project_id") != project:
            return shown({"error": "Project ID in body and URL must be the same"}, 400)
        missing = _missing(kind, body)
        if missing:
            return shown({"error": f"template {missing} can not be empty"}, 400)
        row = body | {"id": len(self.lists[key]) + 1}
        self.lists[key].append(row)
        if kind == "templates":
            self.plays.setdefault(row["name"], Play())
        silent = kind in {"keys", "repositories"} or (kind == "environment" and self.old)
        return empty(204) if silent else shown(row, 201)

    def _changed_row(self, request, body):
        rows = self.lists[_key(request)]
        number = int(request.match_info["id"])
        if not isinstance(body, dict) or body.get("id") != number:
            return empty(400)
        for place, row in enumerate(rows):
            if row["id"] == number:
                rows[place] = body
                return empty(204)
        return empty(404)

    # Tasks

    def _last_tasks(self, request, body):
        limit = min(int(request.query.get("limit", "200")), 200)
        rows = sorted(self._of(request), key=lambda row: row.said["created"], reverse=True)
        return shown([row.said | {"tpl_alias": self._template_name(row.said)} for row in rows[:limit]])

    def _of(self, request):
        return [row for row in self.tasks.values() if row.said["project_id"] == int(request.match_info["p"])]

    def _template(self, project, number):
        return next((row for row in self.lists[project, "templates"] if row["id"] == number), None)

    def _template_name(self, said):
        return (self._template(said["project_id"], said["template_id"]) or {}).get("name", "")

    def _new_task(self, request, body):
        if not isinstance(body, dict) or not isinstance(body.get("template_id"), int):
            return empty(400)
        if any(not isinstance(body.get(key, ""), str) for key in ("environment", "secret", "arguments", "message")):
            return empty(400)
        self.bodies.append(body)
        project = int(request.match_info["p"])
        template = self._template(project, body["template_id"])
        if template is None:
            return empty(500 if self.old else 404)
        row = self._row(project, body)
        variables = _object(body.get("environment", "{}"))
        if variables is None or (body.get("environment") and template["environment_id"] is None):
            row.said["status"] = "error"
            return empty(500)
        return shown(row.said, 201)

    def _row(self, project, body):
        number = HIGHEST_ID - len(self.tasks) if self.old else len(self.tasks) + 1
        self.now = max(self.now + timedelta(microseconds=10), datetime.now(UTC))
        said = {
            "id": number,
            "template_id": body["template_id"],
            "project_id": project,
            "status": "waiting",
            "environment": body.get("environment", ""),
            "secret": "{}",
            "message": body.get("message", ""),
            "created": self.now.isoformat().replace("+00:00", "345Z"),
            "start": None,
            "end": None,
        }
        self.tasks[number] = Row(said)
        return self.tasks[number]

    def _found(self, request):
        number = request.match_info["t"]
        row = self.tasks.get(int(number)) if number.isdigit() else None
        return row if row is not None and row.said["project_id"] == int(request.match_info["p"]) else None

    def _task(self, request, body):
        row = self._found(request)
        return empty(400) if row is None else shown(row.said | {"secret": ""})

    def _output(self, request, body):
        row = self._found(request)
        if row is None:
            return empty(400)
        return shown([{"task_id": row.said["id"], "time": self.now.isoformat(), "output": line} for line in row.output])

    def _stop_task(self, request, body):
        row = self._found(request)
        if row is None or not isinstance(body, dict):
            return empty(400)
        if row.said["status"] == "waiting" and row.said["id"] not in getattr(self, "zombies", ()):
            row.said["status"] = "stopping"  # until the queue comes to it
        elif row.work is None or row.work.done() or body.get("force"):
            row.said["status"] = "stopped"  # also what had ended well
            if row.work is not None:
                row.work.cancel()
        else:
            row.said["status"] = "stopping"
            if not self.plays[self._template_name(row.said)].stubborn:
                row.work.cancel()
        return empty(204)

    async def _work_off(self):
        """One task a turn; of each template one at a time."""
        while True:
            await asyncio.sleep(self.tick)
            busy = {row.said["template_id"] for row in self.tasks.values() if row.work and not row.work.done()}
            rows = sorted(self.tasks.values(), key=lambda row: row.said["created"])
            for row in rows:
                if row.said["id"] in getattr(self, "zombies", ()) or row.work is not None:
                    continue
                if row.said["status"] == "stopping":
                    row.said["status"] = "stopped"
                    break
                if row.said["status"] == "waiting" and row.said["template_id"] not in busy:
                    row.work = asyncio.ensure_future(self._run(row))
                    break

    async def _run(self, row):
        said, play = row.said, self.plays[self._template_name(row.said)]
        own = _object(self._environment(said).get("json", "{}")) or {}
        variables = _object(said["environment"]) or {}
        variables = variables | own if self.old else own | variables
        self.extra_vars.append(variables)
        try:
            said["status"] = "starting"
            await asyncio.sleep(0)
            said["status"] = "running"
            row.output += play.lines
            await asyncio.sleep(play.lasts * play.up_after)
            self._take_effect(play, variables)
            await self._go_on(row, play)
            said["status"] = "error" if play.fails else "success"
            await asyncio.sleep(self.tick)
            said["end"] = datetime.now(UTC).isoformat()
        except asyncio.CancelledError:
            if said["status"] == "stopping":
                row.output.append("Running app failed: signal: killed")
                said["status"] = "error" if self.old else "stopped"
            raise

    def _environment(self, said):
        template = self._template(said["project_id"], said["template_id"])
        rows = self.lists[said["project_id"], "environment"]
        return next((row for row in rows if row["id"] == template["environment_id"]), {})

    def _take_effect(self, play, variables):
        name = variables.get("hestia_service", "")
        if play.fails:
            return
        if (play.effect or variables.get("hestia_action")) == "start":
            self.up[name] = self.up.get(name, 0) + 1
        else:
            self.up[name] = 0

    async def _go_on(self, row, play):
        left = play.lasts * (1 - play.up_after)
        number = 0
        while left > 0:
            pause = min(left, play.ticks or left)
            await asyncio.sleep(pause)
            left -= pause
            if play.ticks:
                number += 1
                row.output.append(f"tick {number}")


def _async(handler):
    async def call(request):
        text = await request.text() if request.can_read_body else ""
        try:
            body = json.loads(text) if text else None
        except ValueError:
            return empty(400)
        return handler(request, body) if request.path != "/api/ping" else handler(request)

    return call


def _key(request):
    return int(request.match_info["p"]), request.match_info["kind"]


def _missing(kind, body):
    if kind != "templates":
        return None
    return next((key for key in ("inventory", "repository", "environment") if not body.get(f"{key}_id")), None)


def _object(text):
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def empty(status):
    return web.Response(status=status, body=b"", content_type="application/json")


def shown(data, status=200):
    return web.Response(status=status, text=json.dumps(data), content_type="application/json")
