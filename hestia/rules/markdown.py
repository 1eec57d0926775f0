"""The Markdown of our own docs as HTML: headings, paragraphs, lists, tables, code, links, pictures, and no more.

Everything is escaped; a heading gets the id that GitHub gives it, so that links work here as there.
"""

import re
from collections.abc import Iterator
from html import escape, unescape
from typing import Final

FENCE: Final = re.compile(r"( *)```(\w*)$")
ITEM: Final = re.compile(r"( *)(?:[-*]|\d+\.) +(?=\S)")
HEADING: Final = re.compile(r"(#{1,6}) +(.*?) *$")
RULER: Final = re.compile(r"\|[ :|-]+\|$")
CODE: Final = re.compile(r"(`+)(.+?)\1", re.DOTALL)
CELLS: Final = re.compile(r"(?<!\\)\|")
INLINE: Final = (
    (re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)"), r'<img src="\2" alt="\1">'),
    (re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)"), r'<a href="\2">\1</a>'),
    (re.compile(r"&lt;(https?://[^\s&]+)&gt;"), r'<a href="\1">\1</a>'),
    (re.compile(r"\*\*(.+?)\*\*", re.DOTALL), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])"), r"<em>\1</em>"),
)


def as_html(text: str) -> str:
    """The body of a page."""
    return "\n".join(_blocks(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL).splitlines()))


def title_of(text: str) -> str:
    """Its first heading, in plain words."""
    found = next((found[2] for line in text.splitlines() if (found := HEADING.match(line))), "")
    return found.replace("`", "")


def anchor(heading: str) -> str:
    """`What is *kept*?` -> `what-is-kept`."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _blocks(lines: list[str]) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif found := HEADING.match(line):
            level = len(found[1])
            yield f'<h{level} id="{anchor(found[2])}">{_inline(found[2])}</h{level}>'
            at += 1
        elif FENCE.match(line):
            html, at = _fence(lines, at)
            yield html
        elif line.startswith("|"):
            html, at = _table(lines, at)
            yield html
        elif ITEM.match(line):
            html, at = _list(lines, at)
            yield html
        else:
            end = _end_of_paragraph(lines, at)
            yield f"<p>{_inline(chr(10).join(lines[at:end]))}</p>"
            at = end


def _begins_block(line: str) -> bool:
    return not line.strip() or line.startswith("|") or any(each.match(line) for each in (HEADING, FENCE, ITEM))


def _end_of_paragraph(lines: list[str], at: int) -> int:
    at += 1
    while at < len(lines) and not _begins_block(lines[at]):
        at += 1
    return at


def _fence(lines: list[str], at: int) -> tuple[str, int]:
    end = at + 1
    while end < len(lines) and lines[end].strip() != "```":
        end += 1
    return f'<pre tabindex="0"><code>{escape(chr(10).join(lines[at + 1 : end]))}</code></pre>', end + 1


def _table(lines: list[str], at: int) -> tuple[str, int]:
    end = at
    while end < len(lines) and lines[end].startswith("|"):
        end += 1
    rows = [_cells(line) for line in lines[at:end] if not RULER.match(line)]
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{_inline(cell)}</td>" for cell in row) + "</tr>" for row in rows[1:])
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{whole}</div>', end


def _cells(line: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in CELLS.split(line.strip())[1:-1]]


def _list(lines: list[str], at: int) -> tuple[str, int]:
    """Items of one depth; what is indented below an item is its own."""
    kind = "ol" if lines[at].lstrip()[0].isdigit() else "ul"
    items = []
    while at < len(lines) and (found := ITEM.match(lines[at])) and not found[1]:
        own, at = _item(lines, at, found.end())
        items.append(f"<li>{own}</li>")
    return f"<{kind}>{''.join(items)}</{kind}>", at


def _item(lines: list[str], at: int, indent: int) -> tuple[str, int]:
    own = [lines[at][indent:]]
    at += 1
    while at < len(lines) and _belongs(lines, at):
        own.append(lines[at][min(indent, len(lines[at]) - len(lines[at].lstrip())) :])
        at += 1
    html = "\n".join(_blocks(own))
    tight = re.fullmatch(r"<p>(.*?)</p>", html, re.DOTALL)  # an item of one paragraph stands as it is
    return tight[1] if tight is not None and "<p>" not in tight[1] else html, at


def _belongs(lines: list[str], at: int) -> bool:
    """An indented line does, an empty one before such too, and a line that goes on without any mark."""
    if not lines[at].strip():
        later = next((line for line in lines[at:] if line.strip()), "")
        return later.startswith("  ")
    return lines[at].startswith(" ") or not (_begins_block(lines[at]) or not lines[at - 1].strip())


def _inline(text: str) -> str:
    """Code first: nothing in it is anything but itself."""
    parts = []
    at = 0
    for found in CODE.finditer(text):
        parts += [_marked(text[at : found.start()]), found[2].strip() if len(found[1]) > 1 else found[2]]
        at = found.end()
    # A link may have code for its words: code is put back when all marks are made.
    whole = "\0".join([*parts[::2], _marked(text[at:])])
    for pattern, made in INLINE:
        whole = pattern.sub(made, whole)
    codes = iter(parts[1::2])
    return re.sub("\0", lambda _: f"<code>{escape(next(codes), quote=False)}</code>", whole)


def _marked(text: str) -> str:
    return escape(unescape(text.replace("\0", "")), quote=True)
