from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.segments import is_diagram, is_drawing
from ingest.structure import parse_blocks


def outline(text):
    """(kind, path, first line) of every block."""
    return [
        (b.kind, " > ".join(b.heading_path), text[b.start : b.end].strip().split("\n")[0])
        for b in parse_blocks(text)
    ]


def test_headings_of_both_forms_nest():
    text = "Guide\n=====\n\nIntro.\n\n## Part `one`\n\nText.\n\nTwo\n---\nMore.\n"
    assert outline(text) == [
        ("heading", "Guide", "Guide"),
        ("paragraph", "Guide", "Intro."),
        ("heading", "Guide > Part one", "## Part `one`"),
        ("paragraph", "Guide > Part one", "Text."),
        ("heading", "Guide > Two", "Two"),
        ("paragraph", "Guide > Two", "More."),
    ]


ADMONITIONS = """# Bank

### Design A

**Level:** hard

??? success "View Answer"

    **Scale:**
    - 10 users

    | A | B |
    |---|---|
    | 1 | 2 |

    ```python
    # no heading
    x = 1
    ```

    !!! tip "Interviewer's Insight"
        Ask about load.

        **Signals:**
        - Says why

    After the tip.

### Design B

Text.
"""


def test_admonition_bodies_are_parsed_and_their_titles_are_headings():
    insight = "Bank > Design A > Interviewer's Insight"
    assert outline(ADMONITIONS) == [
        ("heading", "Bank", "# Bank"),
        ("heading", "Bank > Design A", "### Design A"),
        ("paragraph", "Bank > Design A", "**Level:** hard"),
        ("heading", "Bank > Design A > Scale", "**Scale:**"),
        ("list", "Bank > Design A > Scale", "- 10 users"),
        ("table", "Bank > Design A > Scale", "| A | B |"),
        ("code", "Bank > Design A > Scale", "```python"),
        ("heading", insight, '!!! tip "Interviewer\'s Insight"'),
        ("paragraph", insight, "Ask about load."),
        ("heading", insight + " > Signals", "**Signals:**"),
        ("list", insight + " > Signals", "- Says why"),
        ("paragraph", "Bank > Design A", "After the tip."),
        ("heading", "Bank > Design B", "### Design B"),
        ("paragraph", "Bank > Design B", "Text."),
    ]


def test_a_turn_keeps_its_paragraphs_up_to_the_closing_quote():
    text = (
        '## Talk\n\n**Interviewer:** *"How?"*\n\n**C:** *"First part.*\n\n*Second part."*\n\n'
        "*[Notes: good]*\n\n**Principle:** keep calm\n"
    )
    blocks = parse_blocks(text)
    assert [(b.kind, b.speaker) for b in blocks] == [
        ("heading", None),
        ("turn", "Interviewer"),
        ("turn", "C"),
        ("paragraph", None),
        ("paragraph", None),
    ]
    assert text[blocks[2].start : blocks[2].end].endswith('Second part."*')


def test_marked_lines_are_a_list_and_comments_are_no_block():
    text = "# T\n\n<!-- hidden -->\n\n❌ **One:** a → b\n❌ **Two:** c → d\n"
    assert outline(text)[1:] == [("list", "T", "❌ **One:** a → b")]


def test_diagrams_are_told_from_code_and_prose():
    assert is_diagram(["┌───┐", "│ A │", "└───┘"])
    assert is_diagram(["[A] → [B]", "      ↓", "     [C]"])
    assert not is_diagram(["def f(x) -> int:", "    return x"], language="python")
    assert not is_diagram(["Total: 50ms", "- Network: 5ms"])
    assert not is_drawing(["Kafka → Flink → trainer for freshness.", "Serving"])


PLAIN = """Course on caches

Stale entries are the enemy of every cache that was ever built by anybody.

Phase 0 — The opening

Interviewer

How large is it?

Candidate

Ten million keys.

It doubles every year.

Phase 1 — The ladder

Calibration ladder

How do you evict?

They want to see whether you know a policy and can say what it costs you.

L4 · Mid

LRU, because it is what everybody uses and it is simple to explain.
L5 · Senior

LFU with ageing, because a scan would otherwise flush the whole cache.

Calibration ladder

How do you warm up?

They want to see a plan for the minutes after a restart of the whole fleet.

Q1. What is the hit rate?

Rationale. It decides the size.
"""


def test_text_without_markup_gets_headings_by_shape():
    assert outline(PLAIN) == [
        ("heading", "Course on caches", "Course on caches"),
        ("paragraph", "Course on caches", PLAIN.split("\n")[2]),
        ("heading", "Course on caches > Phase 0 — The opening", "Phase 0 — The opening"),
        ("turn", "Course on caches > Phase 0 — The opening", "Interviewer"),
        ("turn", "Course on caches > Phase 0 — The opening", "Candidate"),
        ("heading", LADDER[:-21], "Phase 1 — The ladder"),
        ("heading", LADDER, "Calibration ladder"),
        ("heading", LADDER + " > How do you evict?", "How do you evict?"),
        ("paragraph", LADDER + " > How do you evict?", PLAIN.split("\n")[22]),
        ("heading", LADDER + " > How do you evict? > L4 · Mid", "L4 · Mid"),
        ("paragraph", LADDER + " > How do you evict? > L4 · Mid", PLAIN.split("\n")[26]),
        ("heading", LADDER + " > How do you evict? > L5 · Senior", "L5 · Senior"),
        ("paragraph", LADDER + " > How do you evict? > L5 · Senior", PLAIN.split("\n")[29]),
        ("heading", LADDER, "Calibration ladder"),
        ("heading", LADDER + " > How do you warm up?", "How do you warm up?"),
        ("paragraph", LADDER + " > How do you warm up?", PLAIN.split("\n")[35]),
        ("qa", LADDER + " > How do you warm up?", "Q1. What is the hit rate?"),
    ]


LADDER = "Course on caches > Phase 1 — The ladder > Calibration ladder"

DENSE = """Two designs
A page with two designs, each of them worked in the same order as the other one is.
What you'll learn
- Design a photo cache
- Design a mail queue
- Design a rate limiter
- Closing advice
Store photos near their readers without paying for pictures that nobody looks at any more.
Requirements
- Small latency
Serving
Photos are served from memory by a node that is close to the reader who asks for them.
- Say what is cached.
Deliver mail once, from a queue that survives a crash of any of its brokers at any time.
Requirements
- No loss
Serving
A mail leaves the queue when the reader has confirmed that it arrived and was written down.
- Say what is lost.
Count requests of a client so that the rate of one cannot starve the rate of another client.
Requirements
- Fair
Serving
A limiter keeps a bucket per client and refuses what no longer fits into the bucket it has.
- Say what is refused.
Close with what you would do next, as advice to yourself and to the people who will build it.
The checklist
- Sleep well.
Quick quiz
- What is a cache?
Show answer
A copy kept near. - Why a queue?
Show answer
It decouples.
"""


def test_a_table_of_contents_titles_the_sections_that_lost_theirs():
    blocks = parse_blocks(DENSE)
    paths = [b.heading_path for b in blocks if b.kind == "paragraph"]
    assert paths == [
        ("Two designs",),
        ("Two designs", "Design a photo cache"),
        ("Two designs", "Design a photo cache", "Serving"),
        ("Two designs", "Design a mail queue"),
        ("Two designs", "Design a mail queue", "Serving"),
        ("Two designs", "Design a rate limiter"),
        ("Two designs", "Design a rate limiter", "Serving"),
        ("Two designs", "Closing advice"),
    ]


def test_revealed_answers_stay_with_their_questions():
    blocks = [b for b in parse_blocks(DENSE) if b.kind == "qa"]
    assert [DENSE[b.start : b.end] for b in blocks] == [
        "- What is a cache?\nShow answer\nA copy kept near.",
        "Why a queue?\nShow answer\nIt decouples.",
    ]
    assert {b.heading_path for b in blocks} == {("Two designs", "Quick quiz")}


def test_hard_wrapped_lines_are_one_paragraph():
    text = (
        "A heading\n\nThis sentence was broken by an editor that wraps\nits lines at fifty or so "
        "characters, as mail\nprograms did and as text from a PDF still does\ntoday.\n"
    )
    assert [b[0] for b in outline(text)] == ["heading", "paragraph"]


LINES = [
    *("# H", "text here", "- item", "", "```", "    code", "**L:**", "| a | b |", "|---|---|"),
    *('!!! tip "T"', "    in", "Interviewer", "Show answer", "Q1. Why?", "**C:** hi", "---"),
]


@given(st.lists(st.sampled_from(LINES), max_size=12))
def test_blocks_are_in_order_and_hold_all_text(lines):
    text = "\n".join(lines)
    blocks = parse_blocks(text)
    assert all(a.end <= b.start for a, b in pairwise(blocks))
    covered = {i for b in blocks for i in range(b.start, b.end)}
    rest = "".join(c for i, c in enumerate(text) if i not in covered)
    for marker in ("```", "---", "Show answer"):
        rest = rest.replace(marker, "")
    assert not rest.strip()


@pytest.mark.parametrize("text", ["", "\n\n", "   ", "<!-- only -->"])
def test_nothing_gives_no_blocks(text):
    assert parse_blocks(text) == []
