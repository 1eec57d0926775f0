from hestia.core.service import Service
from hestia.words.spec import Place
from hestia.words.spec import Service as Spec


def service(**keys):
    place = Place(base_url="http://127.0.0.1:11434")
    return Service(Spec(id="ollama", base_url=place.base_url, places=(place,), **keys), wall=lambda: 1_700_000_000.0)


def test_a_service_begins_cold_without_a_lease():
    assert repr(service()) == "<Service ollama cold leases=0>"


def test_every_lease_is_counted_until_its_release():
    one = service()
    assert one.lease_nowait()
    assert one.lease_nowait()
    one.release(10.0)
    assert one.leases == 1
    one.release(12.0)
    assert (one.leases, one.last_used) == (0, 12.0)


def test_an_answer_makes_it_hot_and_the_moment_stays_the_first():
    one = service()
    one.answered()
    one.wall = lambda: 1_800_000_000.0
    one.answered()
    status = one.status(0.0, 1_800_000_000.0)
    assert (status.state, status.readiness, status.hot_since) == ("hot", "ready", "2023-11-14T22:13:20.000Z")


def test_an_upstream_out_of_reach_makes_it_cold_with_the_reason():
    one = service()
    one.answered()
    one.unreachable("connection refused")
    status = one.status(0.0, 0.0)
    assert (status.state, status.readiness, status.reason) == ("cold", "not_ready", "connection refused")
    assert status.last_error == "connection refused"
    assert status.hot_since is None


def test_the_last_error_stays_readable_when_it_answers_again():
    one = service()
    one.unreachable("connection refused")
    one.answered()
    assert (one.reason, one.last_error) == (None, "connection refused")


def test_idle_time_counts_from_the_last_release_and_not_while_leased():
    one = service(idle_timeout=600.0)
    one.answered()
    one.lease_nowait()
    assert one.status(5.0, 100.0).idle_for_s is None
    one.release(10.0)
    status = one.status(12.5, 1000.0)
    assert (status.idle_for_s, status.idle_timeout_s) == (2.5, 600.0)
    assert status.last_used == "1970-01-01T00:16:37.500Z"


def test_the_status_names_every_place_and_the_first_has_the_leases():
    places = (Place(base_url="http://a:1", machine="desk"), Place(base_url="http://b:1", machine="local"))
    one = Service(Spec(id="two", places=places))
    one.lease_nowait()
    one.answered()
    status = one.status(0.0, 0.0)
    assert [(each.machine, each.state, each.leases) for each in status.places] == [
        ("desk", "hot", 1),
        ("local", "cold", 0),
    ]
    assert (status.machine, status.base_url) == ("desk", "http://a:1")
