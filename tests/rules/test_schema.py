import json
import re

import yaml

from hestia.rules.schema import json_schema
from hestia.rules.shape import keys_of
from hestia.words.spec import Document, Service
from tests.house.tree import ROOT

TYPES = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "array": list,
    "object": dict,
    "null": type(None),
}


def fits(schema, value, definitions):
    """As much of JSON Schema as this one uses."""
    if "$ref" in schema and not fits(definitions[schema["$ref"].rpartition("/")[2]], value, definitions):
        return False
    if "anyOf" in schema and not any(fits(one, value, definitions) for one in schema["anyOf"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(
        isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds
    ):
        return False
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if isinstance(value, dict):
        return all(key in value for key in schema.get("required", [])) and all(
            fits(one, value[key], definitions) if (one := inner(schema, key)) is not None else False for key in value
        )
    return not isinstance(value, list) or all(fits(schema.get("items", {}), one, definitions) for one in value)


def inner(schema, key):
    found = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
    return None if found is False else found


def valid(value):
    schema = json_schema()
    return fits(schema, value, schema["$defs"])


def test_it_is_json_and_every_reference_leads_somewhere():
    text = json.dumps(json_schema())
    names = set(re.findall(r'"#/\$defs/(\w+)"', text))
    assert names == json_schema()["$defs"].keys()
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_every_key_is_in_it_with_its_sentence():
    schema = json_schema()
    assert set(keys_of(Document)) <= schema["properties"].keys()
    service = schema["$defs"]["Service"]["properties"]
    assert all(service[name]["description"] == key.hint.says for name, key in keys_of(Service).items())
    assert service["idle_timeout_ms"]["type"] == "integer"


def test_the_example_fits():
    assert valid(yaml.safe_load((ROOT / "etc" / "hestia_config.yml").read_text()))


def test_what_the_loader_takes_fits_and_what_an_editor_should_mark_does_not():
    url = {"base_url": "http://127.0.0.1:1"}
    assert valid({"services": {"ollama": None, "a": {**url, "idle_timeout": "5m", "balance": "round_robin"}}})
    assert valid({"services": {"a": {"launch": {"kind": "process", "command": ["x", 1]}, "idle_timeout": "${T}"}}})
    assert valid(
        {
            "services": {
                "a": {**url, "no_wake": [{"method": "GET", "answer": "last"}], "health_status": [200, "300-399"]}
            }
        }
    )
    assert not valid({"services": {"a": {**url, "idle_timout": "5m"}}})
    assert not valid({"services": {"a": {"launch": {"kind": "proces", "command": ["x"]}}}})
    assert not valid({"services": {"a": {"launch": {"kind": "process"}}}})
    assert not valid({"log": {"level": "loud"}})
    assert not valid({"lissten": []})
