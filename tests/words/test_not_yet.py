import pytest

from hestia.rules.shape import keys_of
from hestia.words import spec
from hestia.words.not_yet import NOT_YET, RENAMED

KEYS = {
    *keys_of(spec.Config),
    *(f"auth.{key}" for key in keys_of(spec.Auth)),
    *(f"limits.{key}" for key in keys_of(spec.Limits)),
    *(f"services.*.{key}" for key in keys_of(spec.Service)),
}


@pytest.mark.parametrize("key", sorted(NOT_YET))
def test_only_keys_that_exist_are_not_built_yet(key):
    assert key in KEYS


def test_no_key_that_works_is_called_unbuilt():
    built = {key for key in KEYS if key.startswith("auth.")} | {"listen", "tls", "control_socket", "machines", "retention"}
    built |= {f"services.*.{key}" for key in ("base_url", "hosts", "launch", "idle_timeout", "keep_warm", "no_wake", "needs")}
    assert built <= KEYS
    assert not NOT_YET.intersection(built)


def test_an_old_name_leads_to_a_key_that_exists():
    assert all(new in {key.rpartition(".")[2] for key in KEYS} for new in RENAMED.values())
