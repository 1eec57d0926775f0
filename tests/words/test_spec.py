import msgspec
import pytest

from hestia.rules.shape import keys_of
from hestia.words import spec

STRUCTS = [
    thing
    for thing in vars(spec).values()
    if isinstance(thing, type) and issubclass(thing, msgspec.Struct) and thing not in (msgspec.Struct, spec.Window)
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_key_has_its_sentence(struct):
    unsaid = {field.name for field in msgspec.structs.fields(struct)} - {key.field for key in keys_of(struct).values()}
    assert unsaid <= {"id"}
    assert all(key.hint.says[0].isupper() or key.hint.says[0] in "`h" for key in keys_of(struct).values())


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_what_was_read_never_changes(struct):
    assert struct.__struct_config__.frozen


def test_a_place_has_no_key_that_a_service_lacks():
    assert set(spec.PLACE_KEYS) <= set(keys_of(spec.Service))


def test_a_configuration_is_complete_without_a_word():
    assert spec.Config().listen == ("127.0.0.1:8080", "[::1]:8080")
    assert spec.Config().limits.header_bytes == 65536
