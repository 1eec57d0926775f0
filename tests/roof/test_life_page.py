import pytest

from hestia.roof import life_page
from hestia.words.status import STATES


def test_the_page_is_made_from_the_table():
    """If this fails: python -m hestia.roof.life_page"""
    now = life_page.PAGE.read_text()
    assert life_page.page(now) == now


def test_what_people_wrote_above_the_marker_stays():
    assert life_page.page("Mine.\n\n" + life_page.MARKER + "\nold\n").startswith("Mine.\n\n" + life_page.MARKER + "\n\n## The")


@pytest.mark.parametrize(
    "way",
    [
        ("cold", "starting"),
        ("starting", "hot"),
        ("hot", "stopping"),
        ("stopping", "cold"),
        ("hot", "cold"),
        ("starting", "stopping"),
        ("starting", "failed"),
        ("failed", "cold"),
    ],
)
def test_the_ways_that_are_promised_exist(way):
    assert way in life_page.ways()


def test_no_other_ways_exist_than_these():
    """What is new here is new for everybody who reads states: say it in the docs."""
    assert set(life_page.ways()) - {("cold", "hot"), ("starting", "cold")} == {
        ("cold", "starting"),
        ("starting", "hot"),
        ("hot", "stopping"),
        ("stopping", "cold"),
        ("hot", "cold"),
        ("starting", "stopping"),
        ("starting", "failed"),
        ("failed", "cold"),
    }


def test_the_diagram_has_every_state_and_no_code_word():
    text = life_page.diagram()
    assert all(f" {state}" in text for state in STATES)
    assert [event for events in life_page.ways().values() for event in events if f": {event}\n" in text and event.istitle()] == []
