"""One model of llama-swap as a service: its command, its address, its check, its times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from hestia.rules.llama_swap_reading import Reading, mapping, several, whole
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
)
from hestia.rules.paths import Path

LOOPBACK: Final = re.compile(r"http://(?:localhost|127\.0\.0\.1):\$\{PORT\}/?")
MODEL_NOT_OURS: Final = {
    "name": "only ids are listed",
    "description": "only ids are listed",
    "metadata": "only ids are listed",
    "capabilities": "only ids are listed",
    "unlisted": "/v1/models lists every name",
    "sendLoadingState": "a request is held until its service is ready, and a browser is shown a page",
}
KINDS_OF_KEYS: Final = {
    **dict.fromkeys(("macros", "filters", "timeouts"), dict),
    **dict.fromkeys(("aliases", "env"), list),
    **dict.fromkeys(("ttl", "unloadTimeout", "concurrencyLimit"), int),
}


class General(NamedTuple):
    """What the file says for all models."""

    macros: Mapping[str, Any]
    unload_timeout: int


class Model:
    """One model on its way to a service."""

    READ: Final = frozenset(
        {
            *("macros", "cmd", "cmdStop", "env", "proxy", "checkEndpoint", "ttl", "unloadTimeout", "useModelName"),
            *("filters", "aliases", "concurrencyLimit", "timeouts"),
        }
    )

    def __init__(self, reading: Reading, model: str, keys: dict[str, Any], general: General) -> None:
        self._reading = reading
        self._model = model
        self._keys = keys
        self._general = general
        self._path: Path = ("models", model)
        self._macros = {"MODEL_ID": model, **general.macros, **mapping(keys.get("macros"))}

    def _note(self, key: str, words: str) -> None:
        self._reading.note((*self._path, key), words)

    def service(self) -> dict[str, Any]:
        self._reading.expect(self._keys, self._path, KINDS_OF_KEYS)
        service = self._addresses()
        service["launch"] = self._launch()
        if "ttl" in self._keys and whole(self._keys["ttl"], -1) >= 0:
            service["idle_timeout"] = f"{whole(self._keys['ttl'], 0)}s"
        if whole(self._keys.get("concurrencyLimit"), 0):
            service["max_concurrency"] = whole(self._keys["concurrencyLimit"], 0)
            self._note("concurrencyLimit", "further requests wait in the line, where llama-swap answers 429")
        service |= self._reading.timeouts(self._keys.get("timeouts"), (*self._path, "timeouts"))
        self._not_ours()
        return service

    def aliases(self) -> list[str]:
        """Written as texts or as {id, ...}; a name with parameters of its own is one too."""
        found = [each.get("id", "") if isinstance(each, dict) else each for each in several(self._keys.get("aliases"))]
        by_id = mapping(mapping(self._keys.get("filters")).get("setParamsByID"))
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
        env = dict(text(each).partition("=")[::2] for each in several(self._keys.get("env")))
        if env:
            launch["env"] = {name: of_environment(value) for name, value in env.items()}
        grace = whole(self._keys.get("unloadTimeout"), 0) or self._general.unload_timeout
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
            if not self._reading.is_url(ours(root), (*self._path, "proxy")):
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
        self._reading.filters(self._keys.get("filters"), (*self._path, "filters"))
        for key in self._keys:
            if key in MODEL_NOT_OURS:
                self._note(key, MODEL_NOT_OURS[key])
        self._reading.unknown(self._keys, self._path, {*self.READ, *MODEL_NOT_OURS})


def ttl_of(keys: Mapping[str, Any], general: int) -> int:
    own = whole(keys.get("ttl"), -1)
    return own if own >= 0 else general
