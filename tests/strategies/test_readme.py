import re
from typing import get_args

import yaml

from hestia.plugins.strategies import Strategies
from hestia.rules.strategies import ARGUMENTS, Kind
from hestia.words.spec import StrategyUse
from tests.house.tree import ROOT
from tests.strategies.places import P, numbers

README = (ROOT / "strategies" / "README.md").read_text()


def example(language):
    return re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)[1]


def test_the_example_works_as_it_stands(tmp_path):
    folder = tmp_path / "strategies"
    folder.mkdir(mode=0o755)
    (folder / "at_home.py").write_text(example("python"))
    (folder / "at_home.py").chmod(0o644)
    strategies = Strategies(folder, print)
    assert strategies.load() == ()
    wanted = yaml.safe_load(example("yaml"))["services"]["ollama"]["placement"]
    use = strategies.use("placement", StrategyUse(**wanted), "services.ollama.placement")
    assert numbers(use.call([P(0, machine="desk"), P(1, machine="den")])) == [1, 0]


def test_the_example_is_about_ten_lines():
    assert len([line for line in example("python").splitlines() if line.strip()]) <= 10


def test_the_table_has_every_kind_with_what_it_gets_and_what_is_shipped():
    rows = dict(re.findall(r"^\| `(\w+)` \| `([\w, ]+)` \|", README, re.MULTILINE))
    assert rows == {kind: ", ".join(ARGUMENTS[kind]) for kind in get_args(Kind)}
    strategies = Strategies(None, print)
    strategies.load()
    for info in strategies.infos():
        row = re.search(rf"^\| `{info.kind}` .*$", README, re.MULTILINE)[0]
        assert f"`{info.name}`" in row
