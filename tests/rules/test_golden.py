"""What is said about wrong configurations, word for word.

Each `golden/NAME.yml` (with variables as `# env: NAME=value`) has its words in `golden/NAME.txt`.
`HESTIA_REWRITE_GOLDEN=1 pytest tests/rules/test_golden.py` writes them anew: read the difference.
"""

import os
import re
from pathlib import Path

import pytest

from hestia.roof.config import load_text
from hestia.rules.marks import ConfigError

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(GOLDEN.glob("*.yml"))


def said_about(text):
    environ = dict(line.split("=", 1) for line in re.findall(r"^# env: (.*=.*)$", text, re.MULTILINE))
    environ |= {"HESTIA__": "x"} if "# env: HESTIA__\n" in text else {}
    try:
        loaded = load_text(text, name="config.yml", environ=environ)
    except ConfigError as error:
        return f"{error}\n"
    return "".join(f"warning: {warning}\n" for warning in loaded.warnings) or "no mistake\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_every_mistake_is_said_at_once_in_these_words(case):
    expected = case.with_suffix(".txt")
    said = said_about(case.read_text())
    if os.environ.get("HESTIA_REWRITE_GOLDEN"):
        expected.write_text(said)
    assert said == expected.read_text()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_no_secret_is_quoted(case):
    assert "SECRET" not in said_about(case.read_text())


def test_there_are_enough_cases_and_no_words_without_one():
    assert len(CASES) >= 40
    assert {path.stem for path in GOLDEN.glob("*.txt")} == {path.stem for path in CASES}
