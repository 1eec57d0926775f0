from hestia.words.states import Enter, Phase
from tests.core.test_table import RUN, life_in


class Fleet:
    """Counts who hears of a lease's end."""

    crowded = False

    def __init__(self):
        self.heard = []

    def released(self, life):
        self.heard.append((life.leases, life.slots))


def life():
    one = life_in(Phase.HOT)
    one.owner = Fleet()
    one.leases = one.slots = 2
    return one


def test_idle_time_counts_from_the_last_release_only():
    one = life()
    one.release(10.0)
    assert one.idle_since == 0.0
    one.release(12.0)
    assert (one.leases, one.slots, one.idle_since) == (0, 0, 12.0)


def test_nobody_hears_of_a_lease_unless_somebody_listens():
    one = life()
    one.release(1.0)
    assert one.owner.heard == []
    one.listen(to_its_end=True)
    one.release(2.0)
    assert one.owner.heard == [(0, 0)]


def test_a_line_a_waiting_start_and_itself_may_listen():
    one = life()
    for name, owner in (("yields", one), ("crowded", one.owner)):
        one.listen(to_its_end=False)
        assert not one.hears
        setattr(owner, name, True)
        one.listen()
        assert one.hears
        setattr(owner, name, False)


def test_a_tunnel_gives_back_its_slot_at_once_and_its_lease_at_its_end():
    one = life()
    one.tunnel_begins()
    assert (one.leases, one.slots) == (2, 1)
    one.tunnel_ended(5.0)
    assert (one.leases, one.slots) == (1, 1)


def test_a_silent_tunnel_keeps_nobody_awake_and_may_speak_again_while_it_is_hot():
    one = life()
    one.tunnel_begins()
    one.quieten(5.0)
    assert (one.leases, one.slots, one.quiet) == (1, 1, 1)
    assert one.waken()
    assert (one.leases, one.slots, one.quiet) == (2, 1, 0)
    one.quieten(6.0)
    one.phase = Phase.STOPPING
    assert not one.waken()
    one.release_quiet(7.0)
    assert (one.leases, one.quiet) == (1, 0)


def test_its_last_use_is_the_end_of_a_lease_and_not_what_merely_counts_like_one():
    one = life()
    assert one.last_use is None
    one.count_idle(1.0)
    assert one.last_use is None
    one.release(5.0)
    one.release(6.0)
    one.count_idle(50.0)
    assert (one.last_use, one.idle_since) == (6.0, 50.0)


def test_only_what_we_or_its_launcher_know_is_managed_and_only_if_it_can_be_stopped():
    assert life_in(Phase.HOT).managed
    assert not life_in(Phase.HOT, stops=False).managed
    found = life_in(Phase.HOT)
    found.run = None
    assert not found.managed


def test_each_phase_has_its_number_and_its_time():
    one = life()
    assert one.enter(Phase.PROBING, 30.0) == [Enter(one, 1)]
    assert (one.phase, one.due, one.epoch, one.hot) == (Phase.PROBING, 30.0, 1, False)
    assert one.run is RUN


def test_it_shows_itself():
    assert repr(life()) == "<Life a/0 hot leases=2 attempt=1>"
