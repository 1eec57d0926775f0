import asyncio
import sys
import time
from importlib.resources import files
from pathlib import Path

import pytest

from hestia.plugins.strategies import Strategies
from hestia.plugins.strategy import BUILT_IN
from hestia.words.spec import StrategyUse
from tests.strategies.places import P, R, numbers

PLACES = [P(0), P(1), P(2)]
SHIPPED = {"in_order", "prefer_hot", "cheapest", "least_busy", "round_robin", "by_model"}
REVERSED = """
def turned(places):
    return places[::-1]

def register_strategy(registry):
    registry.add("turned", turned, kind="placement")
"""


class House:
    """A folder of strategies, and what was told."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o755)
        self.notes = []
        self.strategies = Strategies(folder, self.notes.append)

    def put(self, name, text):
        path = self.folder / f"{name}.py"
        path.write_text(text)
        path.chmod(0o644)
        return str(path)

    def use(self, name="turned", kind="placement", **options):
        return self.strategies.use(kind, StrategyUse(name=name, options=options), "services.a.placement")

    def told(self, kind):
        return [note.more for note in self.notes if note.kind == kind]


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "strategies")


def test_the_shipped_ones_are_always_there(house):
    assert house.strategies.load() == ()
    assert {info.name for info in house.strategies.infos()} == SHIPPED
    assert all(info.file is None for info in house.strategies.infos())
    assert numbers(house.use("in_order").call(PLACES[::-1])) == [0, 1, 2]
    assert house.use("cheapest", unpriced=2).call(PLACES) == PLACES
    balance = house.strategies.use("balance", StrategyUse(name="round_robin"), "services.a.balance")
    assert [balance.call(R(), PLACES).number for _ in range(4)] == [0, 1, 2, 0]


def test_without_a_folder_there_are_the_shipped_ones():
    strategies = Strategies(None, print)
    assert strategies.load() == ()
    assert strategies.stamp() == ()


def test_an_operators_file_adds_its_own(house):
    house.put("turned", REVERSED)
    assert house.strategies.load() == ()
    assert numbers(house.use().call(PLACES)) == [2, 1, 0]


def test_an_operators_one_replaces_a_shipped_one_and_the_log_says_so(house):
    path = house.put("mine", REVERSED.replace('"turned"', '"in_order"'))
    house.strategies.load()
    assert numbers(house.use("in_order").call(PLACES)) == [2, 1, 0]
    assert house.told("strategy.replaced") == [{"strategy": "in_order", "strategy_kind": "placement", "file": path}]


@pytest.mark.parametrize(
    "kind, name, options, words",
    [
        ("placement", "in_oder", {}, "no placement strategy is called 'in_oder': do you mean 'in_order'"),
        ("placement", "zzz", {}, "there is cheapest, in_order, prefer_hot"),
        ("idle", "in_order", {}, "'in_order' is for placement, not for idle"),
        ("idle", "zzz", {}, "there is none"),
        ("placement", "in_order", {"a": 1}, "takes no options"),
        ("placement", "cheapest", {"unprized": 1}, "do you mean 'unpriced'"),
    ],
)
def test_a_use_that_cannot_be_is_told(house, kind, name, options, words):
    house.strategies.load()
    with pytest.raises(ValueError, match=words):
        house.use(name, kind, **options)


def test_a_class_that_cannot_be_built_is_told(house):
    house.put("c", "class C:\n  def __init__(self): 1/0\n  def __call__(self, places): ...\n"
              "def register_strategy(r): r.add('c', C, kind='placement')")  # fmt: skip
    house.strategies.load()
    with pytest.raises(ValueError, match=r"'c' cannot be built: ZeroDivisionError: division by zero \(line 2\)"):
        house.use("c")


def test_a_broken_file_and_one_name_in_two_files_are_told_and_the_others_load(house):
    house.put("a", "x = (")
    one, two = house.put("one", REVERSED), house.put("two", REVERSED)
    house.put("good", REVERSED.replace('"turned"', '"good"'))
    problems = house.strategies.load()
    assert len(problems) == len(house.told("strategy.broken")) == 2
    assert one in problems[1]
    assert two in problems[1]
    assert numbers(house.use("good").call(PLACES)) == [2, 1, 0]
    with pytest.raises(ValueError, match="turned"):
        house.use("turned")


# --- reload


async def test_a_changed_file_is_taken_up_by_those_who_use_it(house):
    path = house.put("turned", REVERSED)
    house.strategies.load()
    use = house.use()
    house.put("turned", REVERSED.replace("places[::-1]", "places[1:]"))
    done = await house.strategies.reload()
    assert (done.loaded, done.removed, done.problems) == ((path,), (), ())
    assert numbers(use.call(PLACES)) == [1, 2]
    assert house.told("strategies.reloaded") == [{"loaded": (path,), "removed": ()}]


async def test_a_file_may_come_break_be_repaired_and_go(house):
    house.strategies.load()
    path = house.put("turned", REVERSED)
    assert (await house.strategies.reload()).loaded == (path,)
    use = house.use()
    house.put("turned", "def (")
    done = await house.strategies.reload()
    assert done.problems[0].startswith(f"{path}:1: ")
    assert numbers(use.call(PLACES)) == [2, 1, 0]
    house.put("turned", REVERSED.replace("places[::-1]", "places[:1]"))
    assert (await house.strategies.reload()).problems == ()
    assert numbers(use.call(PLACES)) == [0]
    del use
    (house.folder / "turned.py").unlink()
    assert (await house.strategies.reload()).removed == (path,)
    with pytest.raises(ValueError, match="turned"):
        house.use()


async def test_a_file_that_is_still_used_cannot_be_removed(house):
    path = house.put("turned", REVERSED)
    house.strategies.load()
    use = house.use()
    (house.folder / "turned.py").unlink()
    done = await house.strategies.reload()
    assert done.removed == ()
    assert done.problems == (
        f"{path}: services.a.placement still uses its placement strategy 'turned'; the last version stays",
    )
    assert numbers(use.call(PLACES)) == [2, 1, 0]
    assert numbers(house.use().call(PLACES)) == [2, 1, 0]


async def test_a_version_without_a_used_name_does_not_count(house):
    house.put("turned", REVERSED)
    house.strategies.load()
    use = house.use()
    house.put("turned", REVERSED.replace('"turned"', '"other"'))
    done = await house.strategies.reload()
    assert len(done.problems) == 1
    assert numbers(use.call(PLACES)) == [2, 1, 0]
    with pytest.raises(ValueError, match="other"):
        house.use("other")


async def test_a_version_that_does_not_take_the_options_in_use_does_not_count(house):
    with_options = REVERSED.replace("(places)", "(places, options)")
    path = house.put("turned", with_options)
    house.strategies.load()
    use = house.use(top=1)
    house.put("turned", REVERSED.replace("[::-1]", "[1:]"))
    done = await house.strategies.reload()
    assert done.problems == (f"{path}: the strategy 'turned' takes no options; the last version stays",)
    assert numbers(use.call(PLACES)) == [2, 1, 0]


async def test_a_replacement_that_does_not_fit_who_uses_the_shipped_one_does_not_count(house):
    house.strategies.load()
    use = house.use("cheapest", unpriced=1)
    house.put("mine", REVERSED.replace('"turned"', '"cheapest"'))
    assert len((await house.strategies.reload()).problems) == 1
    assert numbers(use.call(PLACES)) == [0, 1, 2]
    assert house.use("cheapest", unpriced=1).offer is use.offer


async def test_when_a_replacement_goes_the_shipped_one_is_back(house):
    house.put("mine", REVERSED.replace('"turned"', '"in_order"'))
    house.strategies.load()
    use = house.use("in_order")
    (house.folder / "mine.py").unlink()
    assert (await house.strategies.reload()).problems == ()
    assert numbers(use.call(PLACES[::-1])) == [0, 1, 2]


async def test_a_strategy_may_move_to_another_file(house):
    house.put("turned", REVERSED)
    house.strategies.load()
    use = house.use()
    (house.folder / "turned.py").rename(house.folder / "moved.py")
    assert (await house.strategies.reload()).problems == ()
    assert use.offer.file.endswith("moved.py")


async def test_a_name_that_comes_twice_changes_nothing(house):
    house.put("turned", REVERSED)
    house.strategies.load()
    use = house.use()
    house.put("turned", REVERSED.replace("[::-1]", "[1:]"))
    house.put("copy", REVERSED)
    done = await house.strategies.reload()
    assert (done.loaded, done.removed, len(done.problems)) == ((), (), 1)
    assert numbers(use.call(PLACES)) == [2, 1, 0]


async def test_what_did_not_change_keeps_what_it_remembers(house):
    house.strategies.load()
    use = house.strategies.use("balance", StrategyUse(name="round_robin"), "services.a.balance")
    first = use.call(R(), PLACES).number
    house.put("turned", REVERSED)
    await house.strategies.reload()
    assert (first, use.call(R(), PLACES).number) == (0, 1)


async def test_a_reload_tries_again_what_was_switched_off(house):
    house.strategies.load()
    use = house.use("in_order")
    use.off = True
    assert use.call(PLACES) is BUILT_IN
    await house.strategies.reload()
    assert numbers(use.call(PLACES)) == [0, 1, 2]


async def test_reloads_leave_no_modules_behind(house):
    house.strategies.load()
    before = {name for name in sys.modules if name.startswith("hestia_strategy_")}
    for number in range(5):
        house.put("turned", REVERSED + f"# {number}\n")
        await house.strategies.reload()
    after = {name for name in sys.modules if name.startswith("hestia_strategy_")}
    assert len(after - before) == 1


async def test_the_loop_runs_while_a_file_loads(house):
    house.strategies.load()
    house.put("turned", "import time\ntime.sleep(0.3)\n" + REVERSED)
    reloading = asyncio.ensure_future(house.strategies.reload())
    begun = time.monotonic()
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert time.monotonic() - begun < 0.25
    assert not reloading.done()
    assert (await reloading).loaded


def test_a_change_in_the_folder_is_seen_by_who_watches(house):
    house.strategies.load()
    before = house.strategies.stamp()
    house.put("turned", REVERSED)
    after = house.strategies.stamp()
    assert before != after
    assert house.strategies.stamp() == after


def test_what_there_is_can_be_told(house):
    path = house.put("turned", REVERSED)
    house.strategies.load()
    use = house.use()
    use.call(None)
    info = next(info for info in house.strategies.infos() if info.name == "turned")
    assert (info.kind, info.file, info.used_by, info.failures) == ("placement", path, ("services.a.placement",), 1)
    assert "TypeError" in info.last_error
    assert next(info for info in house.strategies.infos() if info.name == "cheapest").options == ("unpriced",)


def test_a_guarded_balance_costs_a_few_microseconds(house):
    house.strategies.load()
    use = house.strategies.use("balance", StrategyUse(name="least_busy"), "services.a.balance")
    request, places = R(), [P(number) for number in range(4)]

    def seconds(rounds=2000):
        begun = time.perf_counter()
        for _ in range(rounds):
            use.call(request, places)
        return (time.perf_counter() - begun) / rounds

    best = min(seconds() for _ in range(10))
    print(f"guarded least_busy of four places: {best * 1e6:.2f} us")
    assert best < 20e-6


def test_a_copy_of_a_shipped_file_replaces_nothing(house):
    house.put("in_order", Path(str(files("hestia")), "strategies", "in_order.py").read_text())
    assert house.strategies.load() == ()
    assert house.told("strategy.replaced") == []
    assert house.use("in_order").offer.shipped
