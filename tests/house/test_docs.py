"""What the docs show works: examples are configurations without a mistake, lists are made from the code."""

import ast
import os
import re
from typing import get_args

import pytest

from hestia.cli.hestia import command_parser
from hestia.ctl.reference import as_markdown
from hestia.roof.config import load_text
from hestia.rules.marks import ConfigError
from hestia.words import launch_spec, refusal, spec
from hestia.words.events import EVENTS
from tests.house.tree import ROOT, name_of, sources

DOCS = ROOT / "hestia" / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
EXAMPLES = [
    (f"{page.name}:{number}", text)
    for page in PAGES
    for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
]
TOP = set(spec.Document.__struct_fields__)


HASH = "scrypt.15.8.3.gDAzz8f5RiMQi03HZ0gCVA.B5pOMv9w2eImxCOsSWipJsfwDZTaNqTktTF8jj-PMfE"


def mistakes(text, folder):
    """The variables that it names are set."""
    environ = {name: HASH if "HASH" in name else "some-secret-of-yours" for name in re.findall(r"\$\{([A-Z_]+)", text)}
    try:
        return list(load_text(text, name=str(folder / "hestia_config.yml"), environ=environ).warnings)
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]


@pytest.mark.parametrize("text", [text for _, text in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_every_example_of_a_configuration_has_no_mistake(text, tmp_path):
    """A piece of one may name services that stand elsewhere."""
    (tmp_path / "strategies").mkdir()
    if text.split(":", 1)[0] not in TOP:
        return
    assert [words for words in mistakes(text, tmp_path) if "there is no service" not in words] == []


def test_there_are_examples():
    assert len(EXAMPLES) > 12


def test_the_page_of_hestiactl_is_made_from_its_commands():
    page = DOCS / "hestiactl.md"
    head, marker, _ = page.read_text().partition(" pytest tests/house/test_docs.py -->\n\n")
    made = head + marker + as_markdown()
    if os.environ.get("HESTIA_REWRITE_DOCS"):
        page.write_text(made)
    assert page.read_text() == made


def test_every_launcher_has_its_section_and_its_row():
    text = (DOCS / "launchers.md").read_text()
    kinds = [struct.__struct_config__.tag for struct in get_args(launch_spec.Launch)]
    assert sorted(re.findall(r"^## ([a-z_]+)$", text, re.MULTILINE)) == sorted(kinds)
    assert sorted(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)) == sorted(kinds)


def flags_of(command):
    rows = next(action for action in command_parser()._actions if hasattr(action, "choices") and action.choices)
    return {flag for action in rows.choices[command]._actions for flag in action.option_strings if flag.startswith("--")}


def test_running_names_every_command_and_every_flag_of_serve():
    text = (DOCS / "running.md").read_text()
    rows = next(action for action in command_parser()._actions if hasattr(action, "choices") and action.choices)
    assert [name for name in rows.choices if f"hestia {name}" not in text] == []
    assert [flag for flag in flags_of("serve") - {"--help"} if flag not in text] == []


def test_every_code_of_an_error_that_a_page_names_exists():
    named = {code for page in PAGES for code in re.findall(r"\b[45]\d\d `([a-z_]+)`", page.read_text())}
    assert named
    assert named <= set(refusal.REFUSALS)


def test_every_event_that_a_page_names_exists():
    """Of the rooms whose names no key of the configuration and no method has."""
    words = re.compile(r"`((?:service|place|machine|store|gateway|strategy|log|route)\.[a-z_]+)`")
    named = {name for page in PAGES for name in words.findall(page.read_text())}
    keys = {"log.level", "log.format", "log.access", "gateway.drain", "gateway.shutdown"}
    assert named - set(EVENTS) - keys == set()


# --- no option that is read and ignored

READS_ONLY = ("words/", "rules/decode", "rules/shape", "rules/schema", "rules/overlay", "rules/settle", "rules/builtin", "rules/checks")
STRUCTS = [
    *(spec.Config, spec.Log, spec.Tls, spec.Auth, spec.ApiKey, spec.Dashboard, spec.Limits, spec.Semaphore, spec.Service, spec.Place),
    *(spec.HeaderRules, spec.Busy, spec.NoWake, spec.Answer, spec.StrategyUse, spec.Machine, spec.Route, spec.RouteMatch),
    *get_args(launch_spec.Launch),
    *(launch_spec.HttpCall, launch_spec.HttpStatus, launch_spec.JsonTest),
]


def used():
    """Every attribute that anything but the reading of the configuration looks at."""
    found = set()
    for path in sources():
        if not name_of(path).removeprefix("hestia/").startswith(READS_ONLY):
            tree = ast.parse(path.read_text())
            found |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return found


def test_every_key_of_the_configuration_is_used():
    words = used()
    assert [f"{struct.__name__}.{key}" for struct in STRUCTS for key in struct.__struct_fields__ if key not in words] == []
