from hestia.core.fleet import Fleet
from hestia.words.spec import Config, Place, Service


def fleet():
    place = Place(base_url="http://127.0.0.1:1")
    return Fleet(Config(services={id_: Service(id=id_, places=(place,)) for id_ in ("a", "b")}))


def test_every_configured_service_lives_under_its_id():
    assert [each.id for each in fleet()] == ["a", "b"]


def test_the_fleets_leases_are_those_of_all_services():
    whole = fleet()
    whole.services["a"].lease_nowait()
    whole.services["b"].lease_nowait()
    assert whole.leases == 2
