"""What the docs show works: examples are configurations without a mistake, lists are made from the code."""

import ast
import itertools
import os
import re
import shlex
import textwrap
from typing import get_args

import pytest
import yaml

from hestia.cli.hestia import command_parser
from hestia.ctl.parse import Usage, parse
from hestia.ctl.reference import as_markdown
from hestia.roof.config import load_text
from hestia.rules.marks import ConfigError
from hestia.words import launch_spec, refusal, spec
from hestia.words.events import EVENTS
from tests.house.test_floors import FLOORS
from tests.house.tree import ROOT, name_of, sources

DOCS = ROOT / "hestia" / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
BESIDE = [ROOT / name for name in ("CHANGELOG.md", "bench/README.md", "etc/semaphore/README.md", "etc/strategies/README.md", "strategies/README.md")]
FENCES = re.compile(r"^( *)```([a-z]*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
EXAMPLES = [
    (f"{page.name}:{number}", textwrap.dedent(text))
    for page in PAGES
    for number, (_, kind, text) in enumerate(FENCES.findall(page.read_text()))
    if kind == "yaml"
]
TOP = set(spec.Document.__struct_fields__)


HASH = "scrypt.15.8.3.gDAzz8f5RiMQi03HZ0gCVA.B5pOMv9w2eImxCOsSWipJsfwDZTaNqTktTF8jj-PMfE"


def mistakes(text, folder):
    """The variables that it names are set."""
    environ = {name: HASH if "HASH" in name else f"some-secret-of-yours-{name}" for name in re.findall(r"\$\{([A-Z_]+)", text)}
    try:
        return list(load_text(text, name=str(folder / "hestia_config.yml"), environ=environ).warnings)
    except ConfigError as error:
        return [str(mistake) for mistake in error.mistakes]


@pytest.mark.parametrize("text", [text for _, text in EXAMPLES], ids=[name for name, _ in EXAMPLES])
def test_every_example_of_a_configuration_has_no_mistake(text, tmp_path):
    """A piece of one may name services that stand elsewhere."""
    (tmp_path / "strategies").mkdir()
    if not whole(text):
        return
    assert [words for words in mistakes(text, tmp_path) if "there is no service" not in words] == []


def whole(text):
    """A configuration of ours, and no piece of one nor another program's."""
    return set(yaml.load(text, yaml.BaseLoader)) <= TOP


def test_there_are_examples():
    assert len([text for _, text in EXAMPLES if whole(text)]) > 30


COOKBOOK = {text for page in ("cookbook.md", "quickstart.md") for _, kind, text in FENCES.findall((DOCS / page).read_text()) if kind == "yaml"}


@pytest.mark.parametrize("text", sorted(COOKBOOK))
def test_a_block_of_the_cookbook_is_a_whole_configuration(text, tmp_path):
    """Nothing in it names what stands elsewhere: it can be copied as it is."""
    (tmp_path / "strategies").mkdir()
    assert whole(text)
    assert mistakes(text, tmp_path) == []


# --- commands

INLINE = re.compile(r"`((?:hestia|hestiactl)(?: [^`]*)?)`")
LINE = re.compile(r"^\s*(?:\$ |docker compose exec hestia |(?:sudo )?(?:-u hestia )?(?:\S*/bin/)?)?((?:hestia|hestiactl)(?: .*)?)$")
CUT = re.compile(r"\s(?:>|<|\||&&|;|#).*|\s*\)$| \.\.\.$")


def command_lines(text):
    """What is typed, without what the shell does with it; `wake|sleep ID` is two, `[WORD]` may be left out."""
    fenced = [line for _, kind, body in FENCES.findall(text) if kind == "sh" for line in body.splitlines()]
    found = [match[1] for line in fenced if (match := LINE.match(line))]
    found += [match for match in INLINE.findall(FENCES.sub("", text)) if " " in match]
    for line in found:
        plain = re.sub(r" \[[^\]]*\]", "", CUT.sub("", line))
        words = [word.split("|") for word in shlex.split(plain.replace("...", ""))]
        yield from (list(each) for each in itertools.product(*words))


def wrong_command(words):
    """Why the program would not take it. Prose may leave a command's last word out: `hestiactl start`."""
    said = []
    for more in ([], ["WORD"]):
        try:
            if words[0] == "hestia":
                command_parser().parse_args([*words[1:], *more])
            else:
                parse([*words[1:], *more])
        except (Usage, SystemExit) as error:
            said.append(str(error))
        else:
            return None
    return None if words[1:] in ([], ["--json"]) else f"{' '.join(words)}: {said[0]}"


@pytest.mark.parametrize("page", [*PAGES, *BESIDE], ids=name_of)
def test_every_command_line_of_a_page_is_one_that_the_program_takes(page, capsys):
    assert [wrong for words in command_lines(page.read_text()) if (wrong := wrong_command(words))] == []


@pytest.mark.parametrize(
    ("text", "wrong"),
    (
        ("`hestiactl stop ID --hold 2h`", False),
        ("`hestiactl machines wake|sleep|hold ID`", False),
        ("`hestiactl start`", False),
        ("`hestia import llama-swap FILE`", False),
        ("```sh\nhestia import llama-swap config.yaml >hestia_config.yml\n```\n", False),
        ("`hestiactl stopp ID`", True),
        ("`hestiactl machines wake|lull ID`", True),
        ("`hestiactl start ID --patiently`", True),
        ("```sh\nhestia serve --loud\n```\n", True),
        ("```sh\nsudo -u hestia /opt/hestia/bin/hestiactl --socket /run/hestia/control.sock sttus\n```\n", True),
    ),
)
def test_a_wrong_command_line_would_be_seen(text, wrong, capsys):
    assert bool([words for words in command_lines(text) if wrong_command(words)]) is wrong


# --- links


def anchors(text):
    """As GitHub makes them from the headings of a page."""
    headings = re.findall(r"^#+ +(.*?) *$", FENCES.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, *BESIDE], ids=name_of)
def test_every_anchor_that_a_page_links_to_is_a_heading_there(page):
    links = re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text())
    there = {name: anchors(((page.parent / name) if name else page).read_text()) for name, _ in links if "://" not in name}
    assert [f"{name}#{anchor}" for name, anchor in links if name in there and anchor not in there[name]] == []


@pytest.mark.parametrize("page", BESIDE, ids=name_of)
def test_every_link_of_a_page_beside_the_docs_leads_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)#]+)", page.read_text()) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_leads_to_the_docs_and_shows_pictures():
    text = (ROOT / "README.md").read_text()
    assert "(hestia/docs/index.md)" in text
    assert re.search(r"!\[[^\]]+\]\(hestia/docs/pictures/\w+\.png\)", text)
    assert len(re.findall(r"^\*\*[1-9]\. ", text, re.MULTILINE)) == 5


def test_the_picture_of_the_house_shows_the_floors_as_they_are():
    text = (DOCS / "architecture.md").read_text().partition("## The house")[2]
    drawn: dict[str, int] = {}
    floor = -1
    for line in re.search(r"```text\n(.*?)```", text, re.DOTALL)[1].splitlines():
        names = line[:38].split()
        if names[0].isdecimal():
            floor = int(names.pop(0))
        drawn |= dict.fromkeys(names, floor)
    assert drawn == FLOORS


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
