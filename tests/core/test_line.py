from hestia.core.line import Line, Waiter


def waiter(name, deadline=10.0):
    one = Waiter(name, name)
    one.deadline = deadline
    return one


def line_of(*waiters):
    line = Line()
    for each in waiters:
        line.join(each)
    return line


def test_first_come_first_served():
    a, b, c = (waiter(name) for name in "abc")
    line = line_of(a, b, c)
    assert (list(line), line.first(), len(line)) == ([a, b, c], a, 3)


def test_whoever_leaves_is_out_wherever_it_stands_and_only_once():
    a, b, c = (waiter(name) for name in "abc")
    line = line_of(a, b, c)
    assert line.leave(b)
    assert not line.leave(b)
    assert list(line) == [a, c]


def test_the_next_deadline_is_that_of_somebody_who_still_waits():
    a, b = waiter("a", 5.0), waiter("b", 7.0)
    line = line_of(a, b)
    assert line.due == 5.0
    line.leave(a)
    assert line.due == 7.0
    line.leave(b)
    assert line.due is None


def test_the_overdue_are_out_in_the_order_of_their_deadlines():
    late, later, fine = waiter("late", 2.0), waiter("later", 3.0), waiter("fine", 9.0)
    line = line_of(fine, later, late)
    assert line.overdue(3.0) == [late, later]
    assert list(line) == [fine]
    assert line.overdue(3.0) == []


def test_an_empty_line_is_false_and_has_nobody_first():
    line = line_of()
    assert not line
    assert line.first() is None
    assert line.due is None


def test_everybody_leaves_in_order():
    a, b = waiter("a"), waiter("b")
    line = line_of(a, b)
    assert line.clear() == [a, b]
    assert (len(line), line.due) == (0, None)


def test_clients_that_come_and_leave_leave_no_deadlines_behind():
    line = line_of()
    for number in range(10_000):
        one = waiter(str(number))
        line.join(one)
        line.leave(one)
    assert len(line._deadlines) <= 66
