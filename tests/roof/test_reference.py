import pytest

from hestia.roof import reference


def test_the_page_is_made_from_the_structs():
    """If this fails: python -m hestia.roof.reference"""
    now = reference.PAGE.read_text()
    assert reference.page(now) == now


def test_what_people_wrote_above_the_marker_stays():
    assert reference.page("Mine.\n\n" + reference.MARKER + "\nold\n").startswith(
        "Mine.\n\n" + reference.MARKER + "\n\n## The file\n"
    )


@pytest.mark.parametrize(
    "row",
    [
        "| `idle_timeout` | duration | `10m` | Stopped after so long without a request; 0: never.",
        "| `header_bytes` | size | `64KiB` |",
        "| `health_status` | list of status or range | `[200-399]` |",
        "| `start_timeout` | duration, or auto | `auto` |",
        "| `command` | list of text | *needed* |",
        "| `api_keys` | list of mapping |  | The keys that open services, and the API. |",
    ],
)
def test_a_row_says_value_default_and_sentence(row):
    assert row in reference.reference()
