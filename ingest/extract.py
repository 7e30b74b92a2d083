"""Reads one PDF or DOCX from standard input and prints its text as JSON; run in its own process.

`ingest.loaders` starts this file by path under a time limit, so that a document made to exhaust
memory or time takes only this process with it. It imports nothing of the project.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

MAX_CHARS = 20_000_000
MAX_PAGES = 5_000
MAX_MEMBERS = 5_000
MAX_UNPACKED = 300_000_000
MAX_RATIO = 200  # an ordinary DOCX unpacks to 3 to 30 times its size


class Refused(Exception):
    """The document cannot be used; the message is the reason."""


def main() -> None:
    """Print `{"text", "title", "metadata"}` or `{"reason"}`."""
    suffix, memory, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    _limit(memory, seconds)
    data = sys.stdin.buffer.read()
    try:
        result = _pdf(data) if suffix == ".pdf" else _docx(data)
    except Refused as error:
        result = {"reason": str(error)}
    except MemoryError:
        result = {"reason": "needs more memory than the limit allows"}
    except Exception as error:  # noqa: BLE001  process boundary: the parsers raise anything
        result = {"reason": f"cannot be parsed ({type(error).__name__}: {str(error)[:120]})"}
    sys.stdout.write(json.dumps(result))


def _limit(memory: int, seconds: int) -> None:
    try:
        import resource
    except ImportError:  # Windows: only the parent's timeout holds
        return
    for kind, value in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, seconds)):
        hard = resource.getrlimit(kind)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (soft, hard))
        except (ValueError, OSError):  # macOS refuses RLIMIT_AS
            continue


def _pdf(data: bytes) -> dict[str, Any]:
    import pypdfium2  # type: ignore[import-untyped]

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Refused("is protected by a password") from error
        raise
    if len(document) > MAX_PAGES:
        raise Refused(f"has more than {MAX_PAGES} pages")
    bookmarks = _bookmarks(document)
    pages: list[str] = []
    size = 0
    for number, page in enumerate(document):
        text = page.get_textpage().get_text_range()
        page.close()
        size += len(text.strip())
        if size > MAX_CHARS:
            raise Refused(f"holds more than {MAX_CHARS} characters")
        pages.append(_page_text(text, bookmarks.get(number, [])))
    if not size:
        raise Refused("holds no text (scanned pages need OCR first)")
    # A form feed on a line of its own ends each page.
    return {
        "text": "\n\f\n".join(pages) + "\n",
        "title": document.get_metadata_value("Title"),
        "metadata": {"pages": len(pages)},
    }


def _bookmarks(document: Any) -> dict[int, list[tuple[int, str]]]:
    """Return level (from 1) and title of the document's bookmarks by page (from 0)."""
    found: dict[int, list[tuple[int, str]]] = {}
    for bookmark in document.get_toc():
        title, place = bookmark.get_title(), bookmark.get_dest()
        if re.search(r"\w", title) and place is not None:
            found.setdefault(place.get_index(), []).append((min(bookmark.level + 1, 6), title))
    return found


def _page_text(text: str, headings: list[tuple[int, str]]) -> str:
    """Return the text with list items and headings marked; the pages themselves mark neither."""
    text = text.replace("\r\n", "\n").replace("\f", "\n").replace("\ufffe", "")  # a hyphenation
    text = re.sub(r"^[•◦▪‣]\s*", "- ", text, flags=re.MULTILINE)
    for level, title in headings:
        words = r"\W+".join(re.findall(r"\w+", title))
        # The page may number what the bookmark does not, break the line, and curl its quotes.
        number = r"(?:(?:[A-Z][a-z]+ )?[\dA-Z][\d.]*\s+)?"
        line = re.compile(rf"^[^\w\n]*{number}{words}[^\w\n]*$", re.MULTILINE)
        if match := line.search(text):
            heading = f"\n{'#' * level} {' '.join(match.group().split())}\n"
            text = text[: match.start()] + heading + text[match.end() :]
    return text.rstrip()


def _docx(data: bytes) -> dict[str, Any]:
    _check_zip(data)
    import docx

    document = docx.Document(io.BytesIO(data))
    text = "\n".join(_docx_lines(document))
    if not text.strip():
        raise Refused("holds no text")
    if len(text) > MAX_CHARS:
        raise Refused(f"holds more than {MAX_CHARS} characters")
    return {"text": text + "\n", "title": document.core_properties.title or "", "metadata": {}}


def _check_zip(data: bytes) -> None:
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise Refused("is protected by a password or in the old .doc format")
    try:
        members = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except zipfile.BadZipFile as error:
        raise Refused("is damaged: not a DOCX archive") from error
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    if len(members) > MAX_MEMBERS or unpacked > MAX_UNPACKED:
        raise Refused("unpacks to more than the limits allow")
    if unpacked > 10_000_000 and unpacked > MAX_RATIO * max(packed, 1):
        raise Refused("is compressed beyond anything ordinary (a bomb)")
    if any(member.flag_bits & 1 for member in members):
        raise Refused("is protected by a password")


def _docx_lines(document: Any) -> Iterator[str]:
    from docx.table import Table

    in_list = False
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            yield ""
            yield from _table_rows(item)
            yield ""
            continue
        text = item.text.strip()
        if not text:
            continue
        style = (item.style.name or "") if item.style is not None else ""
        level = _heading_level(style)
        properties = item._p.pPr
        numbered = properties is not None and properties.numPr is not None
        listed = not level and (style.startswith("List") or numbered)
        if not (listed and in_list):
            yield ""
        in_list = listed
        text = text.replace("\n", " ") if level or listed else text
        yield f"{'#' * level} {text}" if level else f"- {text}" if listed else text


def _heading_level(style: str) -> int:
    if style == "Title":
        return 1
    name, _, number = style.partition(" ")
    return min(int(number) + 1, 6) if name == "Heading" and number.isdigit() else 0


def _table_rows(table: Any) -> Iterator[str]:
    for number, row in enumerate(table.rows):
        cells = [" ".join(cell.text.split()).replace("|", "\\|") for cell in row.cells]
        yield "| " + " | ".join(cells) + " |"
        if number == 0:
            yield "|" + " --- |" * len(cells)


if __name__ == "__main__":
    main()
