"""Lints a study corpus against the conventions of corpus/README.md.

Here are the checks of front matter, headings, links, sources and wording; those of the parsed
structures are in `eval.corpus_structures`. Knows nothing of the subject, and of the texts that the
corpus was written from only the words that must not be copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from eval.corpus_page import Page, read_page
from eval.corpus_structures import STRUCTURES, Mistakes
from eval.errors import CorpusError
from eval.shared_text import SourceRuns, read_sources

_LISTS = {"tags": True, "topics": True, "companies": False, "sources": True}  # True: not empty
_KEYS = {"title", "difficulty", *_LISTS}
_PART = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_LINK = re.compile(r"\]\(([^)\s]*)\)")
_SEED = re.compile(r"(?<!random )\bseeds?\b", re.IGNORECASE)
_KIND = re.compile(r"(probe|ladder|estimate|drill|post-?mortem)s?\s*:", re.IGNORECASE)
_EXACT_KIND = re.compile(r"(?:Probe|Ladder|Estimate|Drill|Post-mortem): \S")
_CONCLUSION = "How do I say it in an interview?"


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake, printed as `file:line: message`."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def check_corpus(docs: Path, sources: Path | None) -> list[Finding]:
    """Check every Markdown file below `docs`, and against the texts in `sources` if given.

    A file whose front matter says `ingest: false` is about the corpus: only links and copies count.
    """
    paths = sorted(docs.rglob("*.md"))
    if not paths:
        raise CorpusError(f"{docs} holds no Markdown file; name the corpus folder with --docs.")
    runs = SourceRuns(read_sources(sources)) if sources else None
    found = []
    for path in paths:
        try:
            page = read_page(path)
        except UnicodeDecodeError as error:
            found.append(Finding(path, 1, f"is not UTF-8 ({error.reason} at byte {error.start})"))
            continue
        about = page.front is not None and page.front.get("ingest") is False
        checks: Sequence[Callable[[Page], Mistakes]] = (links,) if about else CHECKS
        mistakes = [mistake for check in checks for mistake in check(page)]
        mistakes += [] if about else [(1, message) for message in _name_mistakes(docs, path)]
        if runs:
            shared = runs.shared(path.read_text(encoding="utf-8"))
            mistakes += [(line, f"shares with {name}: {words}") for line, words, name in shared]
        found += [Finding(path, line, message) for line, message in sorted(mistakes)]
    return found


def front_matter(page: Page) -> Mistakes:
    """Require six keys, each of its type."""
    front = page.front
    if front is None:
        yield 1, "has no front matter: begin the file with a YAML mapping between two `---` lines"
        return
    for key in sorted(_KEYS ^ front.keys()):
        yield 1, f"front matter: {'lacks' if key in _KEYS else 'has an unknown key'} {key!r}"
    if not (isinstance(front.get("title"), str) and front["title"].strip()):
        yield 1, "front matter: title must be a text; quote it if it holds a colon"
    for key, needed in _LISTS.items():
        value = front.get(key)
        if not isinstance(value, list) or not all(isinstance(x, str) and x.strip() for x in value):
            yield 1, f"front matter: {key} must be a list of texts"
        elif needed and not value:
            yield 1, f"front matter: {key} is empty"
        elif key == "tags" and not all(_PART.fullmatch(tag) for tag in value):
            yield 1, "front matter: tags are lower case with hyphens"
    if front.get("difficulty") not in ("easy", "medium", "hard"):
        yield 1, "front matter: difficulty is easy, medium or hard"


def headings(page: Page) -> Mistakes:
    """Require one title, as in the front matter; no skipped level; no heading twice in a place."""
    sections = list(page.sections())
    titles = [section for section in sections if section.level == 1]
    title = (page.front or {}).get("title")
    if len(titles) != 1 or titles[0] is not sections[0]:
        yield 1, f"has {len(titles)} `#` headings; it needs one, before all others"
    elif titles[0].title != title:
        yield titles[0].line, f"the `#` heading is not the title {title!r}"
    above: list[str] = []
    seen: set[tuple[str, ...]] = set()
    for section in sections:
        if section.level > len(above) + 1:
            yield section.line, f"skips a level: {'#' * section.level} {section.title}"
        above[section.level - 1 :] = [section.title]
        if tuple(above) in seen:
            yield section.line, f"the heading stands twice in one place: {section.title}"
        seen.add(tuple(above))
        exact = section.level == 3 and _EXACT_KIND.match(section.title)
        if section.level > 1 and _KIND.match(section.title) and not exact:
            yield section.line, "a structure's heading is `### Probe: ...`, spelt as in the README"


def links(page: Page) -> Mistakes:
    """Require that every link is relative and leads to a file."""
    for number, text in page.lines:
        for target in _LINK.findall(re.sub(r"`[^`]*`", "", text)):
            path = target.partition("#")[0]
            if re.match(r"[a-z]+:|/", target) or not path:
                yield number, f"the link {target!r} is not a relative path to a file"
            elif not (page.path.parent / path).is_file():
                yield number, f"the link {target!r} leads to no file"


def sources(page: Page) -> Mistakes:
    """Require that a `##` section with a figure in it ends with its sources."""
    for section in page.sections():
        if section.level != 2:
            continue
        lines = [line for line in section.lines if line[1].strip()]
        figures = any(re.search(r"\d", text) for _, text in lines)
        ends = bool(lines) and lines[-1][1].startswith("Sources: ")
        if figures and not ends and section.title != _CONCLUSION:
            yield section.line, f"has figures but does not end with `Sources:`: {section.title}"
        for (number, text), below in zip_longest(lines, lines[1:], fillvalue=(0, "#")):
            if text.startswith("Sources: ") and not below[1].startswith("#"):
                yield number, "a heading follows `Sources: ...`, which is one line, not wrapped"
            elif text.startswith("Sources: ") and not text.endswith("."):
                yield number, "the `Sources:` line does not end with a full stop"


def wording(page: Page) -> Mistakes:
    """Refuse "seed": readers do not know the documents that the corpus was written from."""
    for number, text in page.lines:
        if word := _SEED.search(text):
            yield number, f"says {word[0]!r}: write the document's name (or `random seed`)"


CHECKS = (front_matter, headings, links, sources, wording, *STRUCTURES)


def _name_mistakes(docs: Path, path: Path) -> Iterator[str]:
    parts = path.relative_to(docs).with_suffix("").parts
    if not all(_PART.fullmatch(part) for part in parts):
        yield "the path is not lower-case ASCII letters and digits with hyphens"
