from hestia.rules.shape import keys_of
from hestia.words import spec
from hestia.words.renamed import RENAMED

KEYS = {
    *keys_of(spec.Config),
    *(f"auth.{key}" for key in keys_of(spec.Auth)),
    *(f"limits.{key}" for key in keys_of(spec.Limits)),
    *(f"services.*.{key}" for key in keys_of(spec.Service)),
    *(f"machines.*.{key}" for key in keys_of(spec.Machine)),
}


def test_an_old_name_leads_to_a_key_that_exists_in_the_same_place():
    assert {f"{old.rpartition('.')[0]}.{new}".lstrip(".") for old, new in RENAMED.items()} <= KEYS


def test_no_name_of_today_is_an_old_one():
    assert not KEYS & RENAMED.keys()

