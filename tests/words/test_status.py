import msgspec

from hestia.words.status import STATES, Addresses, Health, ServiceStatus

# Scripts read these: a field may come, none may go or change its name.
FIELDS = (
    "id state readiness phase reason machine base_url managed places waiters leases idle_for_s idle_timeout_s "
    "hot_since last_used starts last_start_s expected_start_s last_error cooldown_s held_until kept_by"
)


def test_a_status_has_every_field_of_the_api_in_its_order():
    status = ServiceStatus(id="a", state="cold", readiness="not_ready")
    assert " ".join(msgspec.to_builtins(status)) == FIELDS


def test_what_is_not_known_is_null_or_zero():
    answer = msgspec.json.decode(msgspec.json.encode(ServiceStatus(id="a", state="cold", readiness="not_ready")))
    assert (answer["phase"], answer["held_until"], answer["waiters"], answer["places"]) == (None, None, 0, [])


def test_the_states_are_those_of_a_life():
    assert STATES == ("cold", "starting", "hot", "stopping", "failed")


def test_health_is_ok_and_a_version():
    assert msgspec.json.encode(Health(version="1")) == b'{"status":"ok","version":"1"}'


def test_the_root_names_only_addresses_that_exist():
    assert set(msgspec.to_builtins(Addresses(version="1", services={}))) == {
        "version", "health", "dashboard", "metrics", "services_status", "services",
    }  # fmt: skip
