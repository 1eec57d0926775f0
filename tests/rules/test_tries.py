from hestia.rules.tries import ALL_AT_ONCE, AT_ONCE, EVERY_S, MOST, Tries, group


def used_up(tries, address, now=0.0):
    count = 0
    while not tries.take(address, now):
        count += 1
    return count


def test_an_address_has_a_few_tries_and_then_waits():
    tries = Tries()
    assert used_up(tries, "192.0.2.1") == AT_ONCE
    assert tries.take("192.0.2.1", 0.0) == EVERY_S
    assert tries.take("192.0.2.1", EVERY_S / 2) == EVERY_S / 2


def test_tries_come_back_one_by_one():
    tries = Tries()
    used_up(tries, "a")
    assert tries.take("a", EVERY_S) == 0
    assert tries.take("a", EVERY_S) > 0
    assert used_up(tries, "a", 1e6) == AT_ONCE


def test_another_address_is_not_held_back():
    tries = Tries()
    used_up(tries, "192.0.2.1")
    assert tries.take("192.0.2.2", 0.0) == 0


def test_all_together_are_limited_too():
    tries = Tries()
    let_in = sum(not tries.take(f"192.0.2.{number}", 0.0) for number in range(250))
    assert let_in == ALL_AT_ONCE
    assert 0 < tries.take("198.51.100.1", 0.0) < 10


def test_this_machine_itself_is_not_held_back_by_strangers_but_by_its_own_tries():
    tries = Tries()
    for number in range(60):
        tries.take(f"192.0.2.{number}", 0.0)
    assert tries.take("198.51.100.1", 0.0)
    for here in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert not tries.take(here, 0.0)
    used_up(tries, "127.0.0.1")
    assert tries.take("127.0.0.1", 0.0)


def test_tries_of_this_machine_hold_nobody_else_back():
    tries = Tries()
    for second in range(0, 6000, 30):
        assert not tries.take("127.0.0.1", float(second))
        assert not tries.take("192.0.2.1", float(second))


def test_a_right_one_is_not_counted():
    tries = Tries()
    for _ in range(10 * ALL_AT_ONCE):
        assert tries.take("a", 0.0) == 0
        tries.give_back("a")


def test_a_thousand_at_once_are_counted_before_the_first_has_failed():
    tries = Tries()
    assert sum(not tries.take("a", 0.0) for _ in range(1000)) == AT_ONCE


def test_the_table_is_bounded():
    tries = Tries()
    for number in range(3 * MOST):
        tries.take(f"a{number}", 1000.0 * number)
    assert len(tries._by) == MOST


def test_what_is_refused_takes_no_place():
    tries = Tries()
    used_up(tries, "a")
    before = dict(tries._by)
    assert tries.take("a", 0.0) > 0
    assert tries._by == before


def test_an_address_stands_for_all_that_one_customer_has():
    assert group("2001:db8:1:2::1") == group("2001:db8:1:2:ffff::9") != group("2001:db8:1:3::1")
    assert group("::ffff:192.0.2.1") == group("192.0.2.1") == "192.0.2.1"
    assert group("") == ""
    assert group("unknown") == "unknown"
