from hestia.telemetry.users import MOST_NAMES, OTHERS, TOLD, Users


def test_those_who_used_it_longest_are_told_once():
    users = Users()
    for who, seconds in (("anna", 2.0), ("ben", 5.0), ("anna", 4.5)):
        users.used("a", who, seconds)
    assert list(users.take("a").items()) == [("anna", 6.5), ("ben", 5.0)]
    assert users.take("a") == {}


def test_services_are_apart_and_only_the_first_few_are_told():
    users = Users()
    for number in range(TOLD + 3):
        users.used("a", f"w{number}", number + 1.0)
    users.used("b", "x", 1.0)
    assert users.now()["b"] == {"x": 1.0}
    taken = users.take("a")
    assert list(taken) == [*(f"w{number}" for number in range(TOLD + 2, 2, -1)), OTHERS]
    assert (taken[OTHERS], users.take("b"), users.now()) == (1.0 + 2.0 + 3.0, {"x": 1.0}, {})


def test_many_names_share_one():
    users = Users()
    for number in range(MOST_NAMES + 100):
        users.used("a", f"w{number}", 1.0)
    assert users.take("a")[OTHERS] == 100.0 + MOST_NAMES - TOLD
