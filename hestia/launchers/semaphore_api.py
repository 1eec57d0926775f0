"""Semaphore's API, 2.10 to 2.20, as far as it takes to run tasks and to see how they end."""

import json
from typing import Any
from urllib.parse import urlsplit

from hestia.launchers.json_api import Answer, NoAnswer, ask, said, settled, without
from hestia.launchers.semaphore_task import Errand, Task, newest_first, plain, read_task
from hestia.words.spec import Semaphore

LIST_LENGTH = 200  # the most that Semaphore gives
OK, MULTIPLE, SERVER_ERROR = 200, 300, 500

_WORDS = {
    301: "it redirects, which is not followed: set semaphore.base_url to the address it answers at",
    401: "the token is not accepted",
    403: "the token may not do this: it needs the role task_runner in the project",
    404: "there is no such thing, or the token does not see it",
}
_WORDS |= dict.fromkeys((302, 303, 307, 308), _WORDS[301])


def refused(problem: NoAnswer) -> bool:
    """It answered, and will answer the same again; with a 5xx nobody knows what was done."""
    return problem.status is not None and problem.status < SERVER_ERROR


class SemaphoreApi:
    """One Semaphore, by one token. Every failure is a NoAnswer that says where and why, without the token."""

    def __init__(self, settings: Semaphore, limit: float) -> None:
        self._root = (settings.base_url or "").rstrip("/").removesuffix("/api") + "/api"
        self._token = (settings.token or "").strip()
        self._project = settings.project_id
        self._limit = limit
        self._where = f"Semaphore at {urlsplit(self._root).netloc}"

    async def project(self) -> int:
        """The configured one, else the only one that the token sees."""
        if self._project is not None:
            return self._project
        found = {row["id"]: str(row.get("name")) for row in await self._rows("/projects") if "id" in row}
        if len(found) == 1:
            return int(next(iter(found)))
        shown = ", ".join(f"{number} ({name})" for number, name in sorted(found.items()))
        raise NoAnswer(
            f"{self._where}: the token sees "
            + (f"the projects {shown}: say which in semaphore.project_id" if found else "no project")
        )

    async def template(self, project: int, errand: Errand) -> int:
        """By the configured name or id, else by the names that need no configuration."""
        rows = [row for row in await self._rows(f"/project/{project}/templates") if isinstance(row.get("id"), int)]
        named = {str(row.get("name")): int(row["id"]) for row in reversed(rows)}
        numbers = {str(row["id"]): int(row["id"]) for row in rows}
        wanted = errand.configured
        by_name = [named.get(name) for name in errand.templates]
        for number in by_name if wanted is None else (named.get(wanted), numbers.get(wanted)):
            if number is not None:
                return number
        names = " nor ".join(errand.templates) if wanted is None else wanted
        key = f"launch.{errand.action}_template"
        raise NoAnswer(f"{self._where}: project {project} has no template {names}: make it, or set {key}")

    async def tasks(self, project: int) -> list[Task]:
        """The last ones of the whole project, newest first."""
        rows = await self._rows(f"/project/{project}/tasks/last?limit={LIST_LENGTH}")
        return newest_first(self._task(row) for row in rows)

    async def task(self, project: int, number: int) -> Task | None:
        """None: it is not there (any more). Semaphore says 400 of that, newer ones may say 404."""
        answer = await self._asked("GET", f"/project/{project}/tasks/{number}")
        if answer.status in {400, 404}:
            return None
        return self._task(self._json(answer))

    async def output(self, project: int, number: int) -> list[str]:
        rows = await self._rows(f"/project/{project}/tasks/{number}/output")
        texts = (row.get("output") for row in rows)
        return [without(plain(line), (self._token,)) for text in texts for line in str(text or "").splitlines() or [""]]

    async def run(self, project: int, template: int, errand: Errand) -> Task:
        """A new task. It is not repeated here: a lost answer may have begun one."""
        body = {"template_id": template, "environment": json.dumps(errand.variables), "message": errand.message}
        answer = await settled(self._asked("POST", f"/project/{project}/tasks", body))
        return self._task(self._json(answer))

    async def end(self, project: int, number: int, *, force: bool) -> None:
        """Only for a task that is not finished: of a finished one Semaphore would rewrite the result."""
        body = {"force": True} if force else {}  # without a body it answers 400
        self._checked(await self._asked("POST", f"/project/{project}/tasks/{number}/stop", body))

    async def _rows(self, path: str) -> list[dict[str, Any]]:
        found = self._json(await self._asked("GET", path))
        if not isinstance(found, list):
            raise NoAnswer(f"{self._where}: its answer is no list; is it Semaphore?")
        return [row for row in found if isinstance(row, dict)]

    def _task(self, row: Any) -> Task:
        try:
            return read_task(row)
        except NoAnswer as problem:
            raise NoAnswer(f"{self._where}: {problem}; is it Semaphore?") from None

    def _json(self, answer: Answer) -> Any:
        self._checked(answer)
        try:
            return answer.json()
        except NoAnswer as problem:
            raise NoAnswer(f"{self._where}: {problem}; is it Semaphore?") from None

    def _checked(self, answer: Answer) -> None:
        if OK <= answer.status < MULTIPLE:
            return
        words = ": ".join(filter(None, (_WORDS.get(answer.status), said(answer)))) or "without a word"
        if answer.status == SERVER_ERROR and not answer.body:
            words += "; it does so when a template has no environment (variable group), or is gone"
        raise NoAnswer(without(f"{self._where} answered {answer.status}: {words}", (self._token,)), answer.status)

    async def _asked(self, method: str, path: str, body: Any = None) -> Answer:
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body).encode()
        try:
            return await ask(method, self._root + path, headers=headers, body=data, limit=self._limit)
        except NoAnswer as problem:
            raise NoAnswer(f"{self._where}: {problem}", problem.status) from None
