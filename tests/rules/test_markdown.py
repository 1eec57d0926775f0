"""Our docs as HTML: every construct that they use, and nothing that could be more than text."""

import re
from html.parser import HTMLParser

import pytest

from hestia.rules.markdown import anchor, as_html, title_of
from tests.house.tree import ROOT

DOCS = sorted((ROOT / "hestia" / "docs").glob("*.md"))
VOID = {"img", "br"}


class Balanced(HTMLParser):
    """Fails where an element is not closed, and gathers ids, links and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.links, self.text, self.seen = [], [], [], "", set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.seen.add(tag)
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named["href"]] if "href" in named else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("text", "html"),
    (
        ("# What is *kept*?", '<h1 id="what-is-kept">What is <em>kept</em>?</h1>'),
        ("one\ntwo\n\nthree", "<p>one\ntwo</p>\n<p>three</p>"),
        ("`a < b` and **c & d**", "<p><code>a &lt; b</code> and <strong>c &amp; d</strong></p>"),
        ("[`x`](a.md#b)", '<p><a href="a.md#b"><code>x</code></a></p>'),
        ("![a picture](pictures/x.png)", '<p><img src="pictures/x.png" alt="a picture"></p>'),
        ("<http://localhost:8080/>", '<p><a href="http://localhost:8080/">http://localhost:8080/</a></p>'),
        ("```sh\na <b> `c` **d**\n```", '<pre tabindex="0"><code>a &lt;b&gt; `c` **d**</code></pre>'),
        ("- one\n- two\n  goes on", "<ul><li>one</li><li>two\ngoes on</li></ul>"),
        ("1. one\n2. two", "<ol><li>one</li><li>two</li></ol>"),
        ("- one\n  - in it\n- two", "<ul><li><p>one</p>\n<ul><li>in it</li></ul></li><li>two</li></ul>"),
        ("`*` and `**` are code", "<p><code>*</code> and <code>**</code> are code</p>"),
        ("2 * 3 * 4", "<p>2 * 3 * 4</p>"),
        ("<!-- made\nby --> x", "<p> x</p>"),
        ("`` a ` b ``", "<p><code>a ` b</code></p>"),
        ("&nbsp;x", "<p>\xa0x</p>"),
    ),
)
def test_each_construct_is_what_it_says(text, html):
    assert as_html(text) == html


def test_a_table_has_a_head_and_cells_and_a_bar_in_a_cell():
    html = as_html("| a | b |\n| --- | --- |\n| `x\\|y` | |\n\nafter")
    assert "<thead><tr><th>a</th><th>b</th></tr></thead>" in html
    assert "<tbody><tr><td><code>x|y</code></td><td></td></tr></tbody>" in html
    assert html.endswith("<p>after</p>")


def test_code_within_an_item_loses_its_indent_and_stays_in_the_item():
    html = as_html("- so:\n\n  ```yaml\n  a:\n    b: 1\n  ```\n\n  and on\n- next")
    assert html == '<ul><li><p>so:</p>\n<pre tabindex="0"><code>a:\n  b: 1</code></pre>\n<p>and on</p></li><li>next</li></ul>'


@pytest.mark.parametrize("text", ["<script>x</script>", "a <img src=x onerror=y>", "| <b> |\n| --- |\n| <i> |", "- <u>", "# <s>", '"\'\0'])
def test_html_in_a_text_is_text(text):
    assert Balanced(as_html(text)).seen <= {"p", "div", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "h1"}


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_every_page_of_ours_is_whole_and_leaves_no_mark_behind(page):
    text = page.read_text()
    made = Balanced(as_html(text))
    outside = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert {anchor(heading) for heading in re.findall(r"^#+ +(.*?) *$", outside, re.MULTILINE)} == set(made.ids)
    assert "](" not in re.sub(r"<pre.*?</pre>", "", as_html(text), flags=re.DOTALL)
    assert "```" not in made.text
    assert title_of(text)
