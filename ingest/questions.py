"""Questions that readers ask, written beside the documents and attached to what answers them.

A folder's `questions.jsonl` holds rows `{"doc", "quote", "questions"}`: `quote` is the beginning of
the sentence, list item or table row of `doc` that answers them. What is found this way is searched
together with the text, because readers seldom ask in its words (the idea of doc2query: Nogueira et
al., "Document Expansion by Query Prediction", 2019). Knows nothing of who wrote the questions.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ingest.documents import Chunk

FILE_NAME = "questions.jsonl"
MAX_CHARS = 300  # of one question

Asked = Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]  # uri -> (quote, questions)
Skipped = list[tuple[str, str]]


def load_questions(path: Path) -> tuple[Asked, Skipped]:
    """Return the questions in `path` by document, and each row that cannot be read."""
    found: defaultdict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
    skipped: Skipped = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return {}, [(str(path), f"cannot be read ({error})")]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            quote, questions = row["quote"], tuple(row["questions"])
            if not letters(quote) or not all(0 < len(q.strip()) <= MAX_CHARS for q in questions):
                raise ValueError(f"a quote and questions of 1 to {MAX_CHARS} characters are needed")
            found[str(row["doc"])].append((quote, questions))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            skipped.append((f"{path}:{number}", f"is no row of questions ({error!r})"))
    return found, skipped


def attach_questions(
    chunks: Sequence[Chunk], asked: Iterable[tuple[str, tuple[str, ...]]]
) -> tuple[list[Chunk], list[str]]:
    """Return the chunks of one document with the questions in their units, and the lost quotes.

    A unit answers the questions whose quote it begins with, letters and digits compared. Units that
    two chunks share have them in both.
    """
    wanted = {letters(quote): (quote, questions) for quote, questions in asked}
    lengths = sorted({len(start) for start in wanted})
    met: set[str] = set()
    result = []
    for chunk in chunks:
        units = []
        for unit in chunk.units:
            said = letters(unit.plain)
            starts = [said[:length] for length in lengths if said[:length] in wanted]
            met.update(starts)
            questions = tuple(q for start in starts for q in wanted[start][1])
            units.append(dataclasses.replace(unit, questions=questions))
        result.append(dataclasses.replace(chunk, units=tuple(units)))
    return result, [quote for start, (quote, _) in wanted.items() if start not in met]


def letters(text: str) -> str:
    """Return the letters and digits of `text`, in lower case."""
    return "".join(c for c in text.casefold() if c.isalnum())
