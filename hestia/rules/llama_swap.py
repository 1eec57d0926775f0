"""From a configuration of llama-swap to ours, with a list of what could not be carried over.

llama-swap starts a program for each model, one of them at a time unless groups or a matrix say more, and finds the model
in the request. So each model is a service here, its names are the service's `models`, and who may run together is room.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from hestia.rules.addresses import base_url, is_own, parse_listen
from hestia.rules.llama_swap_room import (
    Group,
    Pairs,
    apart_in_groups,
    apart_in_sets,
    groups_of,
    one_sided,
    resources,
    sets_of,
    too_many,
)
from hestia.rules.llama_swap_text import (
    PORT,
    expanded,
    mistaken,
    of_environment,
    ours,
    split,
    text,
    unknown,
    without_comments,
    without_variables,
)
from hestia.rules.overlay import short_name
from hestia.rules.paths import Path

HEALTH_S: Final = 120
LEAST_HEALTH_S: Final = 15
LOOPBACK: Final = re.compile(r"http://(?:localhost|127\.0\.0\.1):\$\{PORT\}/?")
FIRST_PORT, LAST_PORT = 8080, 8179
PATHS: Final = ("/v1/*", "/rerank", "/reranking", "/infill", "/completion", "/completions", "/sdapi/v1/*")
"""Where llama-swap finds the model in the request."""
LEVELS: Final = {"debug": "debug", "info": "info", "warn": "warning", "error": "error"}
NOT_OURS: Final = {
    "startPort": "a free port is chosen at each start",
    "logTimeFormat": "times in the log are RFC 3339",
    "logToStdout": "the log goes to standard error; `hestiactl logs ID` shows a service's own output",
    "metricsMaxInMemory": "figures are kept in the database, and at /metrics",
    "captureBuffer": "requests and answers are not kept",
    "sendLoadingState": "a request is held until its service is ready, and a browser is shown a page",
    "includeAliasesInList": "/v1/models lists every name",
    "profiles": "names cannot be rewritten while it runs",
    "store": "activity is kept in `data_dir`",
    "ui": "the dashboard needs no settings",
    "performance": "the machine itself is not measured",
    "upstream": "rules for requests that wake nothing are `no_wake` of a service",
}
MODEL_NOT_OURS: Final = {
    "name": "only ids are listed",
    "description": "only ids are listed",
    "metadata": "only ids are listed",
    "capabilities": "only ids are listed",
    "unlisted": "/v1/models lists every name",
    "sendLoadingState": "a request is held until its service is ready, and a browser is shown a page",
}
TIMEOUTS: Final = {"connect": "connect_timeout", "responseHeader": "response_timeout"}
FILTERS: Final = "bodies are passed as they are: the clients, or the program's own flags, must say it"


class Note(NamedTuple):
    """Something that could not be carried over, where it was said, and why or what to do."""

    path: Path
    words: str


class Imported(NamedTuple):
    config: dict[str, Any]
    notes: list[Note]
    origins: dict[str, Path]  # a service's id -> where it was said


def imported(said: Any) -> Imported:
    """Raises ValueError when this is no configuration of llama-swap."""
    if not isinstance(said, dict) or not (isinstance(said.get("models"), dict) or isinstance(said.get("peers"), dict)):
        raise ValueError("has no `models`: it is no configuration of llama-swap")
    return _Import(said).result()


class _Import:
    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self._notes: list[Note] = []
        self._models = self._mappings("models")
        self._ids: dict[str, str] = {}  # a model -> its service
        self._names: dict[str, str] = {}  # a name that a client says -> the model that has it
        self._origins: dict[str, Path] = {}
        self._services: dict[str, Any] = {}
        self._keep_warm: set[str] = set()

    def result(self) -> Imported:
        for model in self._models:
            self._ids[model] = self._service_id(model, ("models", model))
            self._names[model] = model
        for model, keys in self._models.items():
            self._services[self._ids[model]] = _Model(self, model, keys).service()
        self._peers()
        capacity = self._room()
        self._hooks()
        self._rest()
        config = {**self._top(), "services": {"ollama": None, **self._services}}
        if capacity:
            config["machines"] = {"local": {"capacity": capacity}}
        config["routes"] = [{"match": {"path": path}, "strategy": "by_model"} for path in PATHS]
        return Imported(config, self._notes, self._origins)

    def note(self, path: Path, words: str) -> None:
        self._notes.append(Note(path, words))

    def _mappings(self, key: str) -> dict[str, dict[str, Any]]:
        return self.mappings(self._said.get(key), (key,))

    def mappings(self, found: Any, path: Path) -> dict[str, dict[str, Any]]:
        """What must be a mapping of mappings; what is none of it is said."""
        if found is not None and not isinstance(found, dict):
            self.note(path, "is no mapping, and was left out")
        entries = found if isinstance(found, dict) else {}
        for name, each in entries.items():
            if not isinstance(each, dict):
                self.note((*path, name), "is no mapping, and was left out")
        return {str(name): each for name, each in entries.items() if isinstance(each, dict)}

    @property
    def macros(self) -> dict[str, Any]:
        found = self._said.get("macros")
        return found if isinstance(found, dict) else {}

    @property
    def ttl(self) -> int:
        return whole(self._said.get("globalTTL"), 0)

    @property
    def unload_timeout(self) -> int:
        return whole(self._said.get("unloadTimeout"), 0)

    def _service_id(self, name: str, path: Path) -> str:
        """Ids have fewer characters than names of models, and two may not share a variable's name."""
        bare = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:60] or "model"
        taken = {short_name(each) for each in self._origins}
        id_, number = bare, 2
        while short_name(id_) in taken:
            id_, number = f"{bare}-{number}", number + 1
        self._origins[id_] = path
        return id_

    def names(self, model: str, more: Iterable[str], path: Path) -> list[str]:
        """Every name is one model's; what looks like a pattern is meant as it stands."""
        mine = [model]
        for name in dict.fromkeys(more):
            owner = self._names.setdefault(name, model)
            if owner != model:
                self.note(path, f"{name!r} is the name of {owner!r} already, and was left out")
            elif name != model:
                mine.append(name)
        return [re.sub(r"([*?\[])", r"[\1]", name) for name in mine]

    def _top(self) -> dict[str, Any]:
        top: dict[str, Any] = {}
        listen = self._listen()
        if listen is not None:
            top["listen"] = [listen]
        level = LEVELS.get(str(self._said.get("logLevel", "info")), "info")
        if level != "info":
            top["log"] = {"level": level}
        keys = [text(key) for key in self._said.get("apiKeys") or ()]
        if keys:
            top["auth"] = {"api_keys": [{"name": f"key-{n}", "key": ours(key)} for n, key in enumerate(keys, 1)]}
        health = max(LEAST_HEALTH_S, whole(self._said.get("healthCheckTimeout"), HEALTH_S))
        top["defaults"] = {
            "start_timeout": f"{health}s",
            "health_status": [200],
            "idle_timeout": f"{self.ttl}s",
        }
        return top

    def _listen(self) -> str | None:
        """llama-swap's address stands in no file. Ours must be none of the models'."""
        urls = [without_variables(each["base_url"]) for each in self._services.values() if "base_url" in each]
        for port in range(FIRST_PORT, LAST_PORT + 1):
            address = f"127.0.0.1:{port}"
            if not any(is_own(url, (parse_listen(address),), frozenset()) for url in urls):
                return None if port == FIRST_PORT else address
        return None

    def _peers(self) -> None:
        for peer, keys in self._mappings("peers").items():
            path: Path = ("peers", peer)
            service: dict[str, Any] = {"base_url": ours(expanded(str(keys.get("proxy", "")), self.macros)).rstrip("/")}
            if not self.is_url(service["base_url"], (*path, "proxy")):
                continue
            service["models"] = self.names(f"peer {peer}", map(text, keys.get("models") or ()), (*path, "models"))[1:]
            service |= self.timeouts(keys.get("timeouts"), (*path, "timeouts"))
            key = ours(expanded(text(keys.get("apiKey") or ""), self.macros))
            if key:
                service["headers"] = {"set": {"Authorization": f"Bearer {key}", "x-api-key": key}}
            service |= {"start_timeout": "5s", "watch_interval": "5m"}
            self.filters(keys.get("filters"), (*path, "filters"))
            self.unknown(keys, path, {"proxy", "models", "timeouts", "apiKey", "filters"})
            self._services[self._service_id(peer, path)] = service

    def is_url(self, url: str, path: Path) -> bool:
        try:
            base_url(without_variables(url))
        except ValueError as problem:
            self.note(path, f"{problem}; it was left out")
            return False
        return True

    def timeouts(self, said: Any, path: Path) -> dict[str, str]:
        found = {}
        for key, value in (said if isinstance(said, dict) else {}).items():
            seconds = whole(value, 0)
            if key not in TIMEOUTS:
                self.note((*path, key), "has no counterpart")
            elif seconds or key == "responseHeader":
                found[TIMEOUTS[key]] = f"{seconds}s"
            else:
                self.note((*path, key), "a connection must stand within some time: the default of 5s holds")
        return found

    def filters(self, said: Any, path: Path) -> None:
        for key in said if isinstance(said, dict) else ():
            self.note((*path, key), FILTERS)

    def unknown(self, keys: Mapping[str, Any], path: Path, known: set[str]) -> None:
        for key in keys:
            if key not in known:
                self.note((*path, key), "is not known to this import")

    def _room(self) -> dict[str, int]:
        """Who may run at a time: by a matrix, else by groups, else one at a time."""
        router = self._router()
        groups: list[Group] = []
        matrix = router.get("matrix")
        if isinstance(matrix, dict):
            apart = self._matrix(matrix, ("matrix",))
        else:
            groups = self._groups(router.get("groups"))
            apart = apart_in_groups(groups)
        self._keep_warm = set(self._models) - {model for pair in apart for model in pair}
        found = resources(apart, groups)
        for name, members in found.items():
            for model in members:
                self._services[self._ids[model]].setdefault("needs", {})[name] = 1
        return dict.fromkeys(found, 1)

    def _router(self) -> dict[str, Any]:
        """The two spellings there are."""
        routing = self._said.get("routing")
        routing = routing if isinstance(routing, dict) else {}
        if routing.get("scheduler"):
            self.note(("routing", "scheduler"), "waiters go in the order they came, whatever they wait for")
        router = routing.get("router")
        settings = (router.get("settings") if isinstance(router, dict) else None) or {}
        if not isinstance(router, dict) or not isinstance(settings, dict):
            return self._said
        if router.get("use", "group") == "matrix":
            return {"matrix": settings.get("matrix")}
        return {"groups": settings.get("groups") or self._said.get("groups")}

    def _groups(self, said: Any) -> list[Group]:
        found = self.mappings(said, ("groups",))
        for id_, each in found.items():
            for member in map(str, each.get("members") or ()):
                if member not in self._models:
                    self.note(("groups", id_, "members"), f"there is no model {member!r}")
            self.unknown(each, ("groups", id_), {"swap", "exclusive", "persistent", "members"})
        groups = groups_of(found, list(self._models))
        for one, other in one_sided(groups):
            words = f"a start here ended the models of {other}; room knows no such order: they may run at a time"
            self.note(("groups", one), words)
        return groups

    def _matrix(self, said: dict[str, Any], path: Path) -> Pairs:
        if said.get("evict_costs"):
            self.note((*path, "evict_costs"), "what was used least recently gives way first")
        names = {str(short): str(model) for short, model in (said.get("vars") or {}).items()}
        for short, model in list(names.items()):
            if model not in self._models:
                self.note((*path, "vars", short), f"there is no model {model!r}")
        sets = {str(name): str(words) for name, words in (said.get("sets") or {}).items()}
        try:
            together = sets_of(sets, names)
        except ValueError as problem:
            self.note((*path, "sets"), f"{problem}; every model runs alone")
            together = []
        models = list(self._models)
        for three in too_many(together, models):
            self.note((*path, "sets"), f"{', '.join(three)} may run two by two, so all three may here")
        return apart_in_sets(together, models)

    def _hooks(self) -> None:
        """What is loaded at the start. Only what nothing swaps out may always be warm, else nothing else could run."""
        hooks = self._said.get("hooks")
        startup = hooks.get("on_startup") if isinstance(hooks, dict) else None
        for name in (startup.get("preload") if isinstance(startup, dict) else None) or ():
            path: Path = ("hooks", "on_startup", "preload")
            model = self._names.get(str(name))
            if model not in self._models:
                self.note(path, f"there is no model {str(name)!r}")
            elif model in self._keep_warm and not self._ttl_of(model):
                self._services[self._ids[model]]["keep_warm"] = ["always"]
            else:
                words = f"{model} starts at its first request: `keep_warm` would keep it, and leave no room for others"
                self.note(path, words)

    def _ttl_of(self, model: str) -> int:
        return ttl_of(self._models[model], self.ttl)

    def _rest(self) -> None:
        read = {"models", "macros", "apiKeys", "groups", "matrix", "routing", "hooks", "peers", "healthCheckTimeout"}
        read |= {"globalTTL", "unloadTimeout", "logLevel"}
        for key in self._said:
            if key in NOT_OURS:
                self.note((key,), NOT_OURS[key])
            elif key not in read:
                self.note((key,), "is not known to this import")


class _Model:
    """One model on its way to a service."""

    READ: Final = frozenset(
        {
            *("macros", "cmd", "cmdStop", "env", "proxy", "checkEndpoint", "ttl", "unloadTimeout", "useModelName"),
            *("filters", "aliases", "concurrencyLimit", "timeouts"),
        }
    )

    def __init__(self, whole_: _Import, model: str, keys: dict[str, Any]) -> None:
        self._import = whole_
        self._model = model
        self._keys = keys
        self._path: Path = ("models", model)
        own = keys.get("macros")
        self._macros = {"MODEL_ID": model, **whole_.macros, **(own if isinstance(own, dict) else {})}

    def _note(self, key: str, words: str) -> None:
        self._import.note((*self._path, key), words)

    def service(self) -> dict[str, Any]:
        service: dict[str, Any] = {"models": self._import.names(self._model, self._aliases(), (*self._path, "aliases"))}
        service |= self._addresses()
        service["launch"] = self._launch()
        if "ttl" in self._keys and whole(self._keys["ttl"], -1) >= 0:
            service["idle_timeout"] = f"{whole(self._keys['ttl'], 0)}s"
        if whole(self._keys.get("concurrencyLimit"), 0):
            service["max_concurrency"] = whole(self._keys["concurrencyLimit"], 0)
            self._note("concurrencyLimit", "further requests wait in the line, where llama-swap answers 429")
        service |= self._import.timeouts(self._keys.get("timeouts"), (*self._path, "timeouts"))
        self._not_ours()
        return service

    def _aliases(self) -> list[str]:
        """Written as texts or as {id, ...}; a name with parameters of its own is one too."""
        found = [each.get("id", "") if isinstance(each, dict) else each for each in self._keys.get("aliases") or ()]
        filters = self._keys.get("filters")
        by_id = (filters.get("setParamsByID") if isinstance(filters, dict) else None) or {}
        names = [expanded(text(name), self._macros) for name in (*found, *by_id)]
        return [name for name in names if name]

    def _text(self, key: str, default: str = "") -> str:
        """With its macros; those that nothing defines are said."""
        words = expanded(without_comments(text(self._keys.get(key) or default)), self._macros)
        for name in unknown(words, ("PORT", "PID") if key == "cmdStop" else ("PORT",)):
            self._note(key, f"${{{name}}} is no macro that is defined")
        for name in mistaken(words):
            self._note(key, f"{name} in it means something here: it will be replaced at each start")
        return words

    def _command(self, key: str) -> list[str]:
        try:
            return [ours(word) for word in split(self._text(key))]
        except ValueError as problem:
            self._note(key, f"cannot be split into words ({problem}), and was left out")
            return []

    def _launch(self) -> dict[str, Any]:
        launch: dict[str, Any] = {"kind": "process", "command": self._command("cmd")}
        if not launch["command"]:
            self._note("cmd", "is missing: say how it is started")
        env = dict(text(each).partition("=")[::2] for each in self._keys.get("env") or ())
        if env:
            launch["env"] = {name: of_environment(value) for name, value in env.items()}
        grace = whole(self._keys.get("unloadTimeout"), 0) or self._import.unload_timeout
        if grace:
            launch["stop_grace"] = f"{grace}s"
        if self._keys.get("cmdStop"):
            if "${PID}" in self._text("cmdStop"):
                self._note("cmdStop", "no command knows the process id; Hestia itself sends `stop_signal` (SIGTERM)")
            else:
                launch["stop_command"] = self._command("cmdStop")
        return launch

    def _addresses(self) -> dict[str, Any]:
        """`{port}` in the command is address enough; its check is said where it is asked for."""
        proxy, has_port = self._text("proxy", f"http://localhost:{PORT}").strip(), PORT in self._text_of_command()
        found: dict[str, Any] = {}
        root = f"http://127.0.0.1:{PORT}" if LOOPBACK.fullmatch(proxy) else proxy.rstrip("/")
        if PORT in root and not has_port:
            self._note("proxy", "cmd has no ${PORT}, so nothing says where it answers: set `base_url`")
            return found
        if root != f"http://127.0.0.1:{PORT}":
            if not self._import.is_url(ours(root), (*self._path, "proxy")):
                return found
            found["base_url"] = ours(root)
        check = self._text("checkEndpoint", "/health")
        if check == "none":
            self._note("checkEndpoint", "it is ready when it answers anything; llama-swap did not ask")
        else:
            found["health_url"] = ours(root + ("" if check.startswith("/") else "/") + check)
        return found

    def _text_of_command(self) -> str:
        return expanded(without_comments(text(self._keys.get("cmd") or "")), self._macros)

    def _not_ours(self) -> None:
        if self._keys.get("useModelName"):
            words = "the request's `model` is passed as it is: let the program know it by this name too (--alias)"
            self._note("useModelName", words)
        self._import.filters(self._keys.get("filters"), (*self._path, "filters"))
        for key in self._keys:
            if key in MODEL_NOT_OURS:
                self._note(key, MODEL_NOT_OURS[key])
        self._import.unknown(self._keys, self._path, {*self.READ, *MODEL_NOT_OURS})


def whole(value: Any, default: int) -> int:
    """A number of seconds or of requests; what is none is the default."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def ttl_of(keys: Mapping[str, Any], general: int) -> int:
    own = whole(keys.get("ttl"), -1)
    return own if own >= 0 else general
