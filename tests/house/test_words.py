"""What the repository says about itself is true, and nothing in it speaks of a machine that built it."""

import re
import tomllib

import pytest

import hestia
from hestia.cli.hestia import COMMANDS
from tests.house.tree import ROOT, every_file, name_of

MACHINE = re.compile(
    r"(?<![\w.<{}-])/(?:root|work|home/(?!me/)[a-z]+)/"  # folders of somebody's machine; /home/me is everybody's
    r"|index[-_]url|find[-_]links|trusted[-_]host"  # where somebody gets packages from
    r"|pythonhosted\.org|pypi\.org/simple",
    re.IGNORECASE,
)
MAY_NAME = {
    "Makefile": "`make lock` tells uv to write no address",
    "tests/house/test_words.py": "this test",
    "tests/engines/test_unit.py": "a unit of root's, in a namespace whose /root is empty",
}
MAKE = re.compile(r"\bmake ([a-z][a-z-]*)")
PROGRAM = re.compile(r"(?:^|[`$ /])hestia (?!hestia)([a-z][a-z-]*)", re.MULTILINE)
DOCS = sorted((ROOT / "hestia" / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", *DOCS]


def code_of(text: str) -> str:
    """Fenced blocks and inline code only: prose may say `make sure`."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", every_file(), ids=name_of)
def test_no_file_names_a_machine_or_a_package_mirror(path):
    if name_of(path) in MAY_NAME:
        return
    lines = enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1)
    assert [f"line {number}: {line.strip()[:100]}" for number, line in lines if MACHINE.search(line)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_make_commands_that_a_page_names_exist(page):
    assert set(MAKE.findall(code_of(page.read_text()))) <= targets()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_hestia_commands_that_a_page_names_exist(page):
    assert set(PROGRAM.findall(code_of(page.read_text()))) <= set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_make_help_names_every_command():
    described = set(re.findall(r"^([a-z][a-z-]*):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets() == described


def test_the_change_log_begins_with_this_version():
    first = re.search(r"^## \[?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == hestia.__version__


def test_the_lock_has_a_hash_for_each_package_and_no_address():
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) > 10
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "http:" not in text
    assert "https:" not in text


def test_the_lock_has_every_package_that_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(row for rows in project["optional-dependencies"].values() for row in rows)]
    names = {re.match(r"[\w.-]+", row)[0].lower() for row in asked}
    locked = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert names <= locked


def test_the_docs_are_shipped_with_the_package():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "docs/*.md" in setuptools["package-data"]["hestia"]
    assert {"index.md", "running.md"} <= {page.name for page in DOCS}


def test_the_index_of_the_docs_names_every_page():
    index = (ROOT / "hestia" / "docs" / "index.md").read_text()
    assert [page.name for page in DOCS if page.name != "index.md" and f"({page.name})" not in index] == []


def test_every_exception_of_the_linter_has_its_reason():
    lines = (ROOT / "pyproject.toml").read_text().partition("[tool.ruff.lint]")[2].splitlines()
    bare = [line.strip() for line in lines if re.match(r'\s+"[A-Z]+\d*",\s*$', line)]
    assert bare == []
