"""The picture: well-formed, best first, nothing outside its frame."""

import xml.etree.ElementTree as ET

from bench.chart import WIDTH, bars, chart
from bench.scenarios import COMMON
from tests.bench.samples import ADDED, RPS, results

SCENARIOS = {scenario.id: scenario for scenario in COMMON}
SVG = "{http://www.w3.org/2000/svg}"
GET_64 = results(RPS, direct=[90, 90], hestia_uvloop=[30, 34], nginx=[40, 40], caddy=[10, 10])
GET_1 = results(ADDED, direct=[20, 20], hestia_uvloop=[84, 88], nginx=[10, 12])


def drawn(note="a note", **of):
    return ET.fromstring(chart(SCENARIOS, {id_.replace("_", "-"): one for id_, one in of.items()}, note))


def test_a_panel_has_a_bar_for_each_peer_but_direct():
    assert len(drawn(get_64=GET_64).findall(f"{SVG}rect")) == 3


def test_the_best_stands_first_whether_more_or_less_is_better():
    assert [peer for peer, _ in bars(GET_64)] == ["nginx", "hestia-uvloop", "caddy"]
    assert [peer for peer, _ in bars(GET_1)] == ["nginx", "hestia-uvloop"]


def test_a_bar_is_as_long_as_its_figure_and_never_shorter_than_nothing():
    lengths = [float(bar.get("width")) for bar in drawn(get_64=GET_64).findall(f"{SVG}rect")]
    assert lengths[2] * 4 == lengths[0]
    assert float(drawn(get_1=GET_1).find(f"{SVG}rect").get("width")) == 0


def test_everything_lies_within_the_frame():
    picture = drawn(get_64=GET_64, get_1=GET_1, post=GET_64)
    high = float(picture.get("height"))
    for bar in picture.findall(f"{SVG}rect"):
        assert 0 <= float(bar.get("x")) + float(bar.get("width")) <= WIDTH
        assert 0 <= float(bar.get("y")) + float(bar.get("height")) <= high


def test_what_was_the_limit_is_said_and_words_are_escaped():
    bound = results(RPS, direct=[41, 41], nginx=[40, 40])
    text = chart(SCENARIOS, {"get-64": bound}, "a < b & c")
    assert "load-bound" in text
    assert "a &lt; b &amp; c" in text


def test_without_figures_there_is_an_empty_picture():
    assert drawn().findall(f"{SVG}rect") == []
