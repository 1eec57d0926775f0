from itertools import combinations

import pytest

from hestia.rules.llama_swap_room import (
    Group,
    apart_in_groups,
    apart_in_sets,
    groups_of,
    one_sided,
    resources,
    sets_of,
    too_many,
)


def pairs(*texts):
    return {frozenset(text.split()) for text in texts}


def set_of(*texts):
    return [frozenset(text.split()) for text in texts]


class TestGroups:
    def test_what_stands_in_no_group_is_llama_swaps_own_which_swaps(self):
        said = {"forever": {"persistent": True, "swap": False, "exclusive": False, "members": ["e", "nobody"]}}
        assert groups_of(said, ["a", "b", "e"]) == [
            Group("forever", ("e",), swap=False, exclusive=False, persistent=True),
            Group("(default)", ("a", "b")),
        ]
        assert groups_of({}, ["a"]) == [Group("(default)", ("a",))]

    def test_those_of_a_group_that_swaps_never_run_at_a_time(self):
        assert apart_in_groups([Group("g", ("a", "b", "c"))]) == pairs("a b", "a c", "b c")

    def test_those_of_a_group_that_does_not_do(self):
        assert apart_in_groups([Group("g", ("a", "b"), swap=False)]) == set()

    def test_two_exclusive_groups_never_run_at_a_time(self):
        groups = [Group("g", ("a", "b"), swap=False), Group("h", ("c",))]
        assert apart_in_groups(groups) == pairs("a c", "b c")
        assert one_sided(groups) == []

    @pytest.mark.parametrize("keys", [{"persistent": True}, {"exclusive": False}])
    def test_where_only_one_ends_the_others_they_run_at_a_time_in_one_order(self, keys):
        groups = [Group("g", ("a",)), Group("h", ("b",), **keys)]
        assert apart_in_groups(groups) == set()
        assert len(one_sided(groups)) == 1

    def test_a_persistent_group_that_ends_nobody_is_no_matter_of_order(self):
        groups = [Group("g", ("a",)), Group("forever", ("e",), exclusive=False, persistent=True)]
        assert (apart_in_groups(groups), one_sided(groups)) == (set(), [])


NAMES = {short: f"model-{short}" for short in "abcdeL"}


class TestSets:
    def expand(self, **sets):
        found = sets_of(sets, NAMES)
        return {"".join(sorted(name.removeprefix("model-") for name in each)) for each in found}

    def test_the_language_of_sets(self):
        assert self.expand(one="L") == {"L"}
        assert self.expand(one="a & b") == {"ab"}
        assert self.expand(one="a | b") == {"a", "b"}
        assert self.expand(one="(a | b) & (c | d)") == {"ac", "ad", "bc", "bd"}
        assert self.expand(one="a | b & c") == {"a", "bc"}
        assert self.expand(two="+one & c", one="a | b") == {"a", "b", "ac", "bc"}

    @pytest.mark.parametrize(
        ("sets", "words"),
        [
            ({"one": "a &"}, "one: a model is missing"),
            ({"one": ""}, "a model is missing"),
            ({"one": "(a | b"}, "a bracket is left open"),
            ({"one": "a b"}, "`b` stands where nothing can"),
            ({"one": "a ? b"}, r"`\?` stands where nothing can"),
            ({"one": "x"}, "`x` is none of `vars`"),
            ({"one": "+two"}, "there is no set 'two'"),
            ({"one": "+two", "two": "+one"}, "goes in a circle"),
            ({"one": "(" * 200 + "a" + ")" * 200}, "is none of `vars`"),
        ],
    )
    def test_what_is_wrong_with_a_set_is_told(self, sets, words):
        with pytest.raises(ValueError, match=words):
            sets_of(sets, NAMES)

    def test_sets_that_grow_without_end_are_refused(self):
        many = {f"m{n}": f"m{n}" for n in range(40)}
        words = " & ".join(f"(m{n} | m{n + 1})" for n in range(0, 40, 2))
        with pytest.raises(ValueError, match="more than 1000 combinations"):
            sets_of({"one": words}, many)
        twice = {f"s{n}": f"+s{n - 1} | +s{n - 1}" for n in range(1, 40)} | {"s0": "m0"}
        assert sets_of(twice, many) == [frozenset({"m0"})]

    def test_two_that_no_set_holds_both_of_never_run_at_a_time(self):
        together = set_of("a b", "b c")
        assert apart_in_sets(together, ["a", "b", "c", "alone"]) == pairs("a c", "a alone", "b alone", "c alone")

    def test_what_pairs_cannot_tell_is_found(self):
        together = set_of("a b", "b c", "a c")
        assert too_many(together, ["a", "b", "c", "d"]) == [("a", "b", "c")]
        assert too_many([*together, frozenset("abc")], ["a", "b", "c"]) == []


class TestResources:
    def test_ten_that_swap_need_one_resource(self):
        models = [f"m{n}" for n in range(10)]
        assert resources({frozenset(pair) for pair in combinations(models, 2)}) == {"slots": sorted(models)}

    def test_every_pair_is_covered_and_no_other(self):
        apart = pairs("a b", "b c", "c d", "d a", "a c", "x y")
        found = resources(apart)
        covered = {frozenset(pair) for models in found.values() for pair in combinations(models, 2)}
        assert covered == apart
        assert list(found) == ["slots", "slots-2", "slots-3"]

    def test_a_resource_that_is_a_groups_is_called_as_the_group(self):
        groups = [Group("big", ("a", "b")), Group("the others", ("c", "d"))]
        assert resources(pairs("a b", "c d"), groups) == {"big": ["a", "b"], "slots": ["c", "d"]}

    def test_without_pairs_there_is_none(self):
        assert resources(set()) == {}
