import json

import yaml

from hestia.rules.llama_swap import imported
from hestia.rules.llama_swap_file import as_file, as_mistakes
from hestia.rules.marks import compose
from hestia.rules.plain import plain_value

TEXT = """\
startPort: 9000
models:
  qwen:
    cmd: s --port ${PORT}
    useModelName: q
    aliases: [x]
  "bad\\nname":
    cmd: s --port ${PORT}
    name: n
"""


def made_of(text):
    node = compose(text, "config.yaml").node
    return imported(plain_value(node)), node


def test_what_was_left_out_stands_where_it_is_missing():
    made, _ = made_of(TEXT)
    lines = as_file(made, "config.yaml").splitlines()
    assert lines[0].startswith("# Hestia's configuration, made from config.yaml")
    assert "#   startPort: a free port is chosen at each start" in lines
    at = lines.index("  qwen:")
    assert lines[at - 1].startswith("  # useModelName: the request's `model` is passed as it is")
    assert "startPort" not in "\n".join(lines[at:])


def test_a_name_with_a_line_end_ends_no_comment():
    made, _ = made_of('models: {a: {cmd: "s --port ${PORT}", aliases: ["b"]}, b: {cmd: "s --port ${PORT}", "x\\nlisten: [evil]": 1}}')
    text = as_file(made, "a\nlisten: [evil]")
    assert [line for line in text.splitlines() if line.startswith("listen")] == []


def test_it_is_the_same_list_with_the_places_in_the_file():
    made, node = made_of(TEXT)
    found = [str(mistake) for mistake in as_mistakes(made, node, "config.yaml")]
    assert found[0].startswith("config.yaml:5:5: models.qwen.useModelName: the request's")
    assert any(line.startswith("config.yaml:1:1: startPort: ") for line in found)
    assert len(found) == len(made.notes)


def test_a_place_in_a_list_is_found_too():
    made, node = made_of("models: {a: {cmd: 's --port ${PORT}'}}\nhooks:\n  on_startup:\n    preload: [b]\n")
    found = [str(mistake) for mistake in as_mistakes(made, node, "config.yaml")]
    assert found == ["config.yaml:4:5: hooks.on_startup.preload: there is no model 'b'"]


def test_a_text_of_several_lines_stays_itself():
    words = 'a\n\nb  c \u2028 "quoted" # no comment'
    text = json.dumps({"models": {"m": {"cmd": "s --port ${PORT}", "env": [f"A={words}"]}}})
    made, _ = made_of(text)
    assert yaml.safe_load(as_file(made, "c"))["services"]["m"]["launch"]["env"] == {"A": words}
