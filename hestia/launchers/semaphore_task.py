"""What Hestia asks of Semaphore, and Semaphore's tasks as Hestia reads them: names, variables, order, last words."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from hestia.launchers.json_api import NoAnswer
from hestia.launchers.told import hear_all
from hestia.words.launch_spec import SemaphoreLaunch
from hestia.words.run import Run, Told

Action = Literal["start", "stop"]
# `rejected` belongs to terraform tasks of newer versions; an unknown word counts as still running.
FINISHED = frozenset({"success", "error", "stopped", "rejected"})
LAST_LINES = 12  # Ansible's reason stands some lines before its recap and Semaphore's own words
CHARACTERS = 1500

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")
_RULER = re.compile(r"\*{5,}")  # behind each of Ansible's headings
# Ansible prints a message as `"msg": "HESTIA_BASE_URL=http://..."`, two lines of one as `...\nHESTIA_...`.
_TOLD = re.compile(r"HESTIA_(?:BASE|HEALTH)_URL=[^\s\"'\\<>,{}]+")


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task of Semaphore, as far as it matters here."""

    id: int
    status: str
    message: str = ""
    created: float = 0.0
    template: str = ""
    variables: dict[str, Any] = {}

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    def __str__(self) -> str:
        return f"Semaphore's task {self.id}" + (f" ({self.template})" if self.template else "")


def read_task(said: Any) -> Task:
    """From an answer of 2.10 to 2.20: what is missing or unknown is no failure, a wrong shape is no answer."""
    row = said if isinstance(said, dict) else {}
    if not (isinstance(row.get("id"), int) and isinstance(row.get("status"), str)):
        raise NoAnswer("its answer is no task")
    return Task(
        id=row["id"],
        status=row["status"],
        message=str(row.get("message") or ""),
        created=_moment(row.get("created")),
        template=str(row.get("tpl_alias") or ""),
        variables=_object(row.get("environment")),
    )


def _moment(text: Any) -> float:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _object(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def newest_first(tasks: Iterable[Task]) -> list[Task]:
    """By their time: ids count down on BoltDB and up elsewhere."""
    return sorted(tasks, key=lambda task: task.created, reverse=True)


class Errand:
    """One action for one run: what its task is called, is told and is found again by."""

    def __init__(self, run: Run, launch: SemaphoreLaunch, action: Action) -> None:
        self.run, self.launch, self.action = run, launch, action
        self.name = run.owner
        self.machine = launch.machine_id or run.machine
        self.nonce = hashlib.blake2s(run.id.encode(), digest_size=8).hexdigest()
        self.message = f"hestia:{self.name}:{action}:{self.nonce}"

    @property
    def configured(self) -> str | None:
        return self.launch.start_template if self.action == "start" else self.launch.stop_template

    @property
    def templates(self) -> tuple[str, ...]:
        return (f"{self.name}-{self.action}", f"hestia-{self.action}")

    @property
    def variables(self) -> dict[str, Any]:
        """Texts, for `bash` templates get a number as `%!s(float64=3)`; only Ansible can read a list or a table."""
        return {name: _text(value) for name, value in self.launch.vars.items()} | {
            "hestia_service": self.name,
            "hestia_machine": self.machine,
            "hestia_action": self.action,
            "hestia_base_url": self.run.base_url or "",
        }

    def mine(self, task: Task, action: Action) -> bool:
        return task.message == f"hestia:{self.name}:{action}:{self.nonce}"

    def of_this_place(self, task: Task, action: Action) -> bool:
        """Begun by whichever gateway for the same place, or machine: a service has several, with one name."""
        return (
            task.message.startswith(f"hestia:{self.name}:{action}:")
            and task.variables.get("hestia_machine") == self.machine
            and task.variables.get("hestia_base_url") == (self.run.base_url or "")
        )


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return value
    return "" if value is None else str(value)


def plain(text: str) -> str:
    """A line of output without colours and control characters; a progress line as it stood at last."""
    return _ANSI.sub("", text.rstrip("\r\n").rpartition("\r")[2])


def heard(lines: Iterable[str]) -> Told:
    """The addresses that stand in an output, also within a line. What is none (a shown command, say) tells nothing."""
    return hear_all(found for line in lines if "HESTIA_" in line for found in _TOLD.findall(line))


def last_words(lines: Sequence[str]) -> str:
    """The end of an output as one line, for a failure's text."""
    kept = [words for line in lines if (words := _RULER.sub("", line).strip())][-LAST_LINES:]
    text = " | ".join(kept)
    return text if len(text) <= CHARACTERS else f"...{text[-CHARACTERS:]}"
