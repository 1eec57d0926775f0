import msgspec
import pytest

from hestia.words import activity
from hestia.words.activity import Activity, Entry, entry_of, rfc3339
from hestia.words.notes import Note


def test_an_entry_says_all_that_its_note_says():
    note = Note(
        kind="service.ready",
        service="a",
        place=1,
        machine="m",
        state="hot",
        cause="request",
        request_id="r",
        took_s=1.5,
        more={"x": 1},
    )
    said = msgspec.to_builtins(entry_of(note, 7, "2026-01-02T03:04:05.000Z"))
    assert said == {"id": 7, "ts": "2026-01-02T03:04:05.000Z", **msgspec.to_builtins(note)}


def test_every_field_of_a_note_is_one_of_an_entry():
    assert set(Note.__struct_fields__) | {"id", "ts"} == set(Entry.__struct_fields__)


def test_what_is_not_known_is_said_as_null():
    page = msgspec.json.decode(msgspec.json.encode(Activity(activity=(Entry(id=1, ts="t", kind="k"),))))
    assert page["next"] is None
    assert page["activity"][0]["service"] is None


@pytest.mark.parametrize("name", ("Entry", "Usage", "ServiceReport", "MachineReport", "Report"))
def test_an_answer_is_never_changed_after_it_was_made(name):
    assert getattr(activity, name).__struct_config__.frozen


@pytest.mark.parametrize("ms", (0, 1, 123, 999, 1_700_000_000_001, 1_699_999_999_999))
def test_times_are_said_to_the_millisecond_and_can_be_read_back(ms):
    from datetime import datetime

    said = rfc3339(ms / 1000)
    assert said.endswith("Z")
    assert round(datetime.fromisoformat(said).timestamp() * 1000) == ms
