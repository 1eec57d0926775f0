"""From a configuration of llama-swap to ours, with a list of what could not be carried over.

llama-swap starts a program for each model, one of them at a time unless groups or a matrix say more, and finds the
model in the request. So each model is a service here, its names are the service's `models`, and who may run together is
room on a machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from hestia.rules.addresses import is_own, parse_listen
from hestia.rules.llama_swap_model import General, Model, ttl_of
from hestia.rules.llama_swap_reading import Note, Reading, mapping, several, whole
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
from hestia.rules.llama_swap_text import expanded, ours, text, without_variables
from hestia.rules.overlay import short_name
from hestia.rules.paths import Path

HEALTH_S: Final = 120
LEAST_HEALTH_S: Final = 15
FIRST_PORT, LAST_PORT = 8080, 8179
MOST_TOLD: Final = 5
PATHS: Final = ("/v1/*", "/rerank", "/reranking", "/infill", "/completion", "/completions", "/sdapi/v1/*")
"""Where llama-swap finds the model in the request."""
LEVELS: Final = {"debug": "debug", "info": "info", "warn": "warning", "error": "error"}
KINDS_OF_KEYS: Final = {
    **dict.fromkeys(("macros", "hooks", "routing", "matrix"), dict),
    **dict.fromkeys(("healthCheckTimeout", "globalTTL", "unloadTimeout"), int),
    "apiKeys": list,
}
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


class Imported(NamedTuple):
    config: dict[str, Any]
    notes: list[Note]
    origins: dict[str, Path]  # a service's id -> where it was said


def imported(said: Any) -> Imported:
    """Raises ValueError when this is no configuration of llama-swap."""
    said = mapping(said)
    if not (mapping(said.get("models")) or mapping(said.get("peers"))):
        raise ValueError("has no `models`: it is no configuration of llama-swap")
    return _Import(said).result()


class _Import:
    def __init__(self, said: dict[str, Any]) -> None:
        self._said = said
        self._reading = Reading()
        self._models = self._reading.mappings(said.get("models"), ("models",))
        self._macros = mapping(said.get("macros"))
        self._ttl = whole(said.get("globalTTL"), 0)
        self._ids: dict[str, str] = {}  # a model -> its service
        self._names: dict[str, str] = {}  # a name that a client says -> the model that has it
        self._origins: dict[str, Path] = {}
        self._services: dict[str, Any] = {}
        self._keep_warm: set[str] = set()

    def result(self) -> Imported:
        for model in self._models:
            self._ids[model] = self._service_id(model, ("models", model))
            self._names[model] = model
        general = General(self._macros, whole(self._said.get("unloadTimeout"), 0))
        for model, keys in self._models.items():
            reader = Model(self._reading, model, keys, general)
            names = self._names_of(model, reader.aliases(), ("models", model, "aliases"))
            self._services[self._ids[model]] = {"models": names, **reader.service()}
        self._peers()
        capacity = self._room()
        self._hooks()
        self._rest()
        config = {**self._top(), "services": {"ollama": None, **self._services}}
        if capacity:
            config["machines"] = {"local": {"capacity": capacity}}
        config["routes"] = [{"match": {"path": path}, "strategy": "by_model"} for path in PATHS]
        return Imported(config, self._reading.notes, self._origins)

    def _service_id(self, name: str, path: Path) -> str:
        """Ids have fewer characters than names of models, and two may not share a variable's name."""
        bare = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:60] or "model"
        taken = {short_name(each) for each in self._origins}
        id_, number = bare, 2
        while short_name(id_) in taken:
            id_, number = f"{bare}-{number}", number + 1
        self._origins[id_] = path
        return id_

    def _names_of(self, model: str, more: Iterable[str], path: Path) -> list[str]:
        """Every name is one model's; what looks like a pattern is meant as it stands."""
        mine = [model]
        for name in dict.fromkeys(more):
            owner = self._names.setdefault(name, model)
            if owner != model:
                self._reading.note(path, f"{name!r} is the name of {owner!r} already, and was left out")
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
        keys = [text(key) for key in several(self._said.get("apiKeys"))]
        if keys:
            top["auth"] = {"api_keys": [{"name": f"key-{n}", "key": ours(key)} for n, key in enumerate(keys, 1)]}
        health = max(LEAST_HEALTH_S, whole(self._said.get("healthCheckTimeout"), HEALTH_S))
        top["defaults"] = {
            "start_timeout": f"{health}s",
            "health_status": [200],
            "idle_timeout": f"{self._ttl}s",
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
        for peer, keys in self._reading.mappings(self._said.get("peers"), ("peers",)).items():
            path: Path = ("peers", peer)
            service: dict[str, Any] = {"base_url": ours(expanded(str(keys.get("proxy", "")), self._macros)).rstrip("/")}
            if not self._reading.is_url(service["base_url"], (*path, "proxy")):
                continue
            models = map(text, several(keys.get("models")))
            service["models"] = self._names_of(f"peer {peer}", models, (*path, "models"))[1:]
            service |= self._reading.timeouts(keys.get("timeouts"), (*path, "timeouts"))
            key = ours(expanded(text(keys.get("apiKey") or ""), self._macros))
            if key:
                service["headers"] = {"set": {"Authorization": f"Bearer {key}", "x-api-key": key}}
            service |= {"start_timeout": "5s", "watch_interval": "5m"}
            self._reading.filters(keys.get("filters"), (*path, "filters"))
            self._reading.unknown(keys, path, {"proxy", "models", "timeouts", "apiKey", "filters"})
            self._services[self._service_id(peer, path)] = service

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
        routing = mapping(self._said.get("routing"))
        self._reading.unknown(routing, ("routing",), {"scheduler", "router"})
        if routing.get("scheduler"):
            self._reading.note(("routing", "scheduler"), "waiters go in the order they came, whatever they wait for")
        router = mapping(routing.get("router"))
        settings = mapping(router.get("settings"))
        if not settings:
            return self._said
        used = "matrix" if router.get("use") == "matrix" else "groups"
        return {used: settings.get(used)}

    def _groups(self, said: Any) -> list[Group]:
        found = self._reading.mappings(said, ("groups",))
        for id_, each in found.items():
            for member in map(str, several(each.get("members"))):
                if member not in self._models:
                    self._reading.note(("groups", id_, "members"), f"there is no model {member!r}")
            self._reading.unknown(each, ("groups", id_), {"swap", "exclusive", "persistent", "members"})
        groups = groups_of(found, list(self._models))
        for one, other in one_sided(groups):
            words = f"a start here ended the models of {other}; room knows no such order: they may run at a time"
            self._reading.note(("groups", one), words)
        return groups

    def _matrix(self, said: dict[str, Any], path: Path) -> Pairs:
        self._reading.unknown(said, path, {"vars", "evict_costs", "sets"})
        if said.get("evict_costs"):
            self._reading.note((*path, "evict_costs"), "what was used least recently gives way first")
        names = {str(short): str(model) for short, model in mapping(said.get("vars")).items()}
        for short, model in list(names.items()):
            if model not in self._models:
                self._reading.note((*path, "vars", short), f"there is no model {model!r}")
        sets = {str(name): str(words) for name, words in mapping(said.get("sets")).items()}
        try:
            together = sets_of(sets, names)
        except ValueError as problem:
            self._reading.note((*path, "sets"), f"{problem}; every model runs alone")
            together = []
        models = list(self._models)
        for three in too_many(together, models)[:MOST_TOLD]:
            self._reading.note((*path, "sets"), f"{', '.join(three)} may run two by two, so all three may here")
        return apart_in_sets(together, models)

    def _hooks(self) -> None:
        """What is loaded at the start. Only what nothing swaps out may always be warm, else nothing else could run."""
        hooks = mapping(self._said.get("hooks"))
        startup = mapping(hooks.get("on_startup"))
        self._reading.unknown(hooks, ("hooks",), {"on_startup"})
        self._reading.unknown(startup, ("hooks", "on_startup"), {"preload"})
        for name in several(startup.get("preload")):
            path: Path = ("hooks", "on_startup", "preload")
            model = self._names.get(str(name))
            if model not in self._models:
                self._reading.note(path, f"there is no model {str(name)!r}")
            elif model in self._keep_warm and not ttl_of(self._models[model], self._ttl):
                self._services[self._ids[model]]["keep_warm"] = ["always"]
            else:
                words = f"{model} starts at its first request: `keep_warm` would keep it, and leave no room for others"
                self._reading.note(path, words)

    def _rest(self) -> None:
        self._reading.expect(self._said, (), KINDS_OF_KEYS)
        if str(self._said.get("logLevel", "info")) not in LEVELS:
            self._reading.note(("logLevel",), "is no level that llama-swap knows")
        read = {"models", "macros", "apiKeys", "groups", "matrix", "routing", "hooks", "peers", "healthCheckTimeout"}
        read |= {"globalTTL", "unloadTimeout", "logLevel"}
        for key in self._said:
            if key in NOT_OURS:
                self._reading.note((key,), NOT_OURS[key])
            elif key not in read:
                self._reading.note((key,), "is not known to this import")
