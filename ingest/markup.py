"""HTML to Markdown-like lines: headings, lists, pipe tables, fenced code, paragraphs.

Knows nothing of documents or files; the result is parsed by `ingest.structure` like any text.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from bs4.element import NavigableString, PageElement, PreformattedString, Tag

# What no reader reads, or only leads elsewhere; the classes are of DocBook, Sphinx and a wiki.
_DROPPED = (
    "script, style, noscript, template, svg, iframe, nav, form, [role=navigation], "
    ".navheader, .navfooter, .toc, .toctree-wrapper, .sphinxsidebar, .headerlink, .breadcrumbs, "
    "sup.footnote, sup.reference, .footnote-ref, .footnote-reference"
)
_HEADING = re.compile(r"h[1-6]\Z")
_BLOCKS = re.compile(  # Beautiful Soup searches: without the start "sup" would be a "p"
    r"\A(?:address|article|aside|blockquote|body|dd|details|div|dl|dt|fieldset|figcaption|figure|"
    r"footer|header|hr|html|li|main|ol|p|pre|section|summary|table|ul|h[1-6])\Z"
)


def html_to_text(data: bytes) -> tuple[str, str]:
    """Return (title, text) of an HTML page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)  # XHTML is to be read as HTML
        soup = BeautifulSoup(data, "lxml")
    for tag in soup.select(_DROPPED):
        tag.decompose()
    for line_break in soup("br"):
        line_break.replace_with("\n")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    text = "\n".join(_blocks(soup.body or soup))
    return title, re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def _blocks(parent: Tag) -> Iterator[str]:
    """Yield lines for the children of `parent`; inline runs become one paragraph."""
    inline: list[str] = []
    for child in parent.children:
        if isinstance(child, Tag) and _holds_blocks(child):
            yield from _paragraph(inline)
            inline = []
            yield from _block(child)
        else:
            inline.append(_inline(child))
    yield from _paragraph(inline)


def _block(tag: Tag) -> Iterator[str]:
    name = tag.name
    if _HEADING.match(name):
        yield from ("", f"{'#' * int(name[1])} {_squeeze(tag.get_text())}", "")
    elif name in ("ul", "ol"):
        yield from ("", *_items(tag, 0), "")
    elif name == "table":
        yield from ("", *_rows(tag), "")
    elif name == "pre":
        yield from ("", "```", *tag.get_text().strip("\n").split("\n"), "```", "")
    else:
        yield from _blocks(tag)


def _items(parent: Tag, depth: int) -> Iterator[str]:
    for number, item in enumerate(parent.find_all("li", recursive=False), 1):
        marker = f"{number}." if parent.name == "ol" else "-"
        nested = [inner.extract() for inner in item.find_all(("ul", "ol"), recursive=False)]
        yield f"{'  ' * depth}{marker} {_one_line(item)}"
        for inner in nested:
            yield from _items(inner, depth + 1)


def _rows(table: Tag) -> Iterator[str]:
    rows = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    for number, row in enumerate(rows):
        cells = [_one_line(cell) for cell in row.find_all(("td", "th"))]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if number == 0:
            yield "|" + " --- |" * len(cells)


def _one_line(tag: Tag) -> str:
    return _squeeze(" ".join(line for line in _blocks(tag) if line != "```"))


def _paragraph(inline: list[str]) -> Iterator[str]:
    text = _squeeze("".join(inline))
    if text:
        yield from (text, "")


def _inline(node: PageElement) -> str:
    if isinstance(node, Tag):
        return node.get_text()
    # Comments, CDATA and doctypes are NavigableStrings too, but nothing a reader sees.
    if isinstance(node, NavigableString) and not isinstance(node, PreformattedString):
        return str(node)
    return ""


def _holds_blocks(tag: Tag) -> bool:
    return _BLOCKS.match(tag.name) is not None or tag.find(_BLOCKS) is not None


def _squeeze(text: str) -> str:
    return " ".join(text.split())
