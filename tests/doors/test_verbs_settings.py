"""The settings in force, with nothing secret in them."""

import json

import msgspec

from hestia.doors.verbs_settings import MASK, effective
from hestia.roof.config import load_text
from hestia.words.spec import ApiKey, Auth, Dashboard

CONFIG = """
semaphore: {base_url: "http://sem:3000", token: hunter2-token, project_id: 1}
services:
  ollama: null
  a:
    base_url: http://127.0.0.1:9
    health_url: http://127.0.0.1:9/health?key=hunter2
    headers: {set: {x-key: hunter2}, remove: [cookie]}
    launch: {kind: process, command: [server, --port, "1"], env: {TOKEN: hunter2}}
    keep_warm: ["Mon-Fri 08:00-18:00"]
  b:
    places:
      - {base_url: "http://127.0.0.1:7"}
      - {base_url: "http://127.0.0.1:8", launch: {kind: http, start: {url: "http://u/?t=hunter2", headers: {a: hunter2}}}}
"""


def rows(config, source_of=lambda path: "default"):
    return {each.key: each.value for each in effective(config, source_of)}


def test_every_setting_stands_under_its_key():
    shown = rows(load_text(CONFIG).config)
    assert shown["log.level"] == "info"
    assert shown["services.a.base_url"] == "http://127.0.0.1:9"
    assert shown["services.a.launch.kind"] == "process"
    assert shown["services.a.launch.command"] == ["server", "--port", "1"]
    assert shown["services.a.idle_timeout"] == 600.0
    assert shown["services.b.places[1].base_url"] == "http://127.0.0.1:8"
    assert shown["semaphore.project_id"] == 1
    assert shown["services.a.headers.remove"] == ["cookie"]
    assert not any(key.startswith("services.a.places") for key in shown)
    json.dumps(shown)


def test_secrets_are_masked_wherever_they_stand():
    config = load_text(CONFIG).config
    auth = Auth(api_keys=(ApiKey(name="me", key="hunter2hunter2"),), dashboard=Dashboard(password="hunter2hunter2"))
    shown = rows(msgspec.structs.replace(config, auth=auth))
    assert "hunter2" not in json.dumps(shown)
    for key in ("semaphore.token", "services.a.headers.set.x-key", "services.a.launch.env.TOKEN", "auth.api_keys[0].key", "auth.dashboard.password"):
        assert shown[key] == MASK
    assert shown["services.a.health_url"] == f"http://127.0.0.1:9/health?{MASK}"
    assert shown["services.b.places[1].launch.start.url"] == f"http://u/?{MASK}"
    assert shown["auth.api_keys[0].name"] == "me"
    assert shown["auth.dashboard.password_hash"] is None


def test_each_says_where_it_came_from():
    told = list(effective(load_text(CONFIG).config, lambda path: "$X" if path == ("log", "level") else "default"))
    assert {each.key: each.source for each in told}["log.level"] == "$X"
    assert {each.source for each in told} == {"$X", "default"}
