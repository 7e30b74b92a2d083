from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.__main__ import main
from eval.corpus_check import check_corpus
from eval.corpus_structures import recompute
from eval.errors import CorpusError
from eval.shared_text import SourceRuns

REPOSITORY = Path(__file__).parents[2]
SEEDS = REPOSITORY / "../shared/seeds"

PAGE = """\
---
title: Toasters
tags: [kitchen, heat]
topics: [toast]
companies: []
difficulty: easy
sources: ["ours"]
---

# Toasters

## How hot does it get?

A toaster reaches 300 degrees. See [the other page](other.md).

| Probe | Strong answer |
|---|---|
| How do you toast? | Slowly; evenly. Also: watch it |

| Phase | Clock | Do | Avoid |
|---|---|---|---|
| Clarify | 0:00–5:00 | ask | guess |
| Toast | 5–8 min | wait | burn |

| Step | Budget | Note |
|---|---|---|
| Slice | 15 ms | |
| Heat | 10–20 ms | slow |

| Ask | Likely answer | What it changes |
|---|---|---|
| How brown? | dark; light | longer; shorter |

**Interviewer:** Why toast?

**Candidate:** For taste.

> **Interviewer note:** Short.

Sources: ours.

## Design a toaster

Asked by: Anyone; difficulty: easy; tags: heat, bread.

**Strong answer signals**

- Names the spring.

### What goes wrong?

- **Fire.** The bread burns. Set a timer.

### Probe: Which bread?

**Strong answer**

- Any bread that fits.

**Bonus**

- Frozen bread works as well.

### Ladder: How would you toast?

#### L4

With fire.

**Missed:** the timer.

#### L5

With a timer.

**Missed:** the spring.

#### L6

With a spring.

**Missed:** the price.

#### L7

With all three.

**What scored:** completeness.

### Drill: Toast in half the time

Time limit: 15 minutes

**Prompt:** Halve the time.

| Dimension | Weak | Passing | Strong | Staff bar |
|---|---|---|---|---|
| Heat | less | same | more | even |

#### Model answer

Use two coils.

#### Common failures

- Forgetting the fuse.

### Estimate: bread per year

Given: 2 slices a day.

1. Per year: 2 × 365 = 730 slices
2. Per week: 730 / 52 ≈ 14
3. Loss: 10 - 2 × 6 = -2

Result: 730 slices.

### Post-mortem: the fire

**Setup:** A kitchen.

**What happened:** A fire.

**The moment:** No timer.

**Better answer:** A timer.

**Lesson:** Buy one.

```text
A diagram with ### Probe: and [a link](nowhere.md) and a seed.
```

Sources: ours.
"""
OTHER = PAGE.replace("Toasters", "Ovens").replace("(other.md)", "(toasters.md)")


@pytest.fixture
def corpus(tmp_path):
    def write(**pages: str) -> Path:
        folder = tmp_path / "corpus" / "kitchen"
        folder.mkdir(parents=True)
        for name, text in {"toasters": PAGE, "other": OTHER, **pages}.items():
            (folder / f"{name}.md").write_text(text, encoding="utf-8")
        return folder.parent

    return write


def test_a_page_that_follows_the_conventions_has_no_findings(corpus):
    assert check_corpus(corpus(), None) == []


@pytest.mark.parametrize(
    ("old", "new", "line_of", "message"),
    [
        ("---\ntitle", "title", "title", "no front matter"),
        ("title: Toasters", "title: Toast", "# Toasters", "not the title 'Toast'"),
        ("difficulty: easy\nsources", "difficulty: odd\nsources", "", "easy, medium or hard"),
        ("companies: []\n", "", "", "lacks 'companies'"),
        ("companies: []", "companies: []\nauthor: me", "", "unknown key 'author'"),
        ("tags: [kitchen", "tags: [Kitchen", "", "lower case with hyphens"),
        ("topics: [toast]", "topics: []", "", "topics is empty"),
        ("topics: [toast]", "topics: toast", "", "topics must be a list"),
        ("## How hot", "# How hot", "", "has 2 `#` headings"),
        ("### Probe: Which", "##### Probe: Which", "##### Probe", "skips a level"),
        ("## Design a toaster", "## How hot does it get?", "", "twice"),
        ("### Probe: Which", "### probe: Which", "### probe", "spelt as in the README"),
        ("(other.md)", "(missing.md)", "A toaster", "leads to no file"),
        ("(other.md)", "(https://example.org)", "A toaster", "not a relative path"),
        ("Sources: ours.\n\n## Design", "## Design", "## How hot", "does not end with `Sources:`"),
        ("Sources: ours.\n\n## D", "Sources: ours\n\n## D", "Sources: ours\n", "full stop"),
        ("Sources: ours.\n\n## D", "Sources: a,\nb.\n\n## D", "Sources: a", "not wrapped"),
        ("A toaster reaches", "The seed says 300;", "The seed", "says 'seed'"),
        ("| Probe | Strong answer |\n|---|---|", "| Probe | Strong answer | X |\n|---|---|---|",
         "| Probe", "header of practice mode"),
        ("| Slowly; evenly.", "| a | b", "| How do", "has 3 cells, the header has 2"),
        ("| wait | burn |", "| | burn |", "| Toast", "cell 'Do' is empty"),
        ("0:00–5:00", "5:00–0:00", "| Clarify", "clock '5:00–0:00'"),
        ("5–8 min", "5-8 min", "| Toast", "clock '5-8 min'"),
        ("15 ms |", "15 |", "| Slice", "budget '15'"),
        ("longer; shorter", "a; b; c", "| How brown", "2 likely answers, but 3 changes"),
        ("Slowly;", "word " * 26 + ";", "| How do", "a point has 26 words"),
        ("Any bread that fits.", "word " * 26, "- word", "a point has 26 words"),
        ("**Strong answer**\n\n- Any bread that fits.", "Any.", "### Probe", "no list below"),
        ("**Bonus**", "**Bonus:**", "**Bonus:**", "marker stands alone"),
        ("- Names the spring.", "The spring.", "**Strong answer signals", "no list follows"),
        ("#### L5", "#### L8", "### Ladder", "L4, L5, L6 and L7"),
        ("**Missed:** the timer.", "Missed: it.", "#### L4", "begins **Missed:**"),
        ("**What scored:**", "**Scored:**", "#### L7", "begins **What scored:**"),
        ("Time limit: 15 minutes", "15 minutes", "### Drill", "Time limit"),
        ("**Prompt:**", "Prompt:", "### Drill", "begins **Prompt:**"),
        ("#### Model answer", "#### Answer", "### Drill", "Model answer"),
        ("- Forgetting the fuse.", "The fuse.", "### Drill", "Common failures"),
        ("| Staff bar |", "| Bar |", "### Drill", "no grid"),
        ("Given: 2", "With 2", "### Estimate", "begins `Given:`"),
        ("2 × 365 = 730", "2 × 365 = 731", "1. Per year", "is 730, not 731"),
        ("≈ 14", "≈ 15", "2. Per week", "is 14.0385, not 15"),
        ("730 / 52", "730 / 0", "2. Per week", "cannot be computed"),
        ("2 × 365 =", "2 * 365 =", "1. Per year", "a step reads"),
        ("**Setup:**", "**Set-up:**", "### Post-mortem", "needs, in order"),
        ("- **Fire.** The bread", "- Fire. The bread", "- Fire", "a pitfall reads"),
        ("- **Fire.** The bread burns.", "Fire.", "### What goes wrong", "has no list"),
        ("**Candidate:** For", "**Candidate**: For", "**Candidate**:", "a turn begins"),
        ("\n\n**Candidate:** For", "\n**Candidate:** For", "**Candidate:** For", "a turn begins"),
        ("difficulty: easy; tags", "tags", "Asked by", "reads `Asked by"),
    ],
)  # fmt: skip
def test_each_convention_is_checked_where_it_is_broken(corpus, old, new, line_of, message):
    assert PAGE.count(old) == 1, "the test changes one place"
    text = PAGE.replace(old, new)
    found = [f for f in check_corpus(corpus(toasters=text), None) if f.path.stem == "toasters"]
    line = text[: text.index(line_of)].count("\n") + 1 if line_of else None
    assert any(message in f.message and line in (f.line, None) for f in found), found


def test_a_file_name_has_no_capitals_or_spaces(corpus):
    found = check_corpus(corpus(**{"Hot Toast": PAGE}), None)
    assert ["lower-case ASCII" in finding.message for finding in found] == [True]


def test_a_page_about_the_corpus_is_checked_for_links_and_copies_only(corpus):
    about = "---\ningest: false\n---\n\nSeeds say 5: [gone](gone.md)\n"
    found = check_corpus(corpus(about=about), None)
    assert [str(f).partition("about.md")[2] for f in found] == [
        ":5: the link 'gone.md' leads to no file"
    ]


def test_bytes_that_are_no_text_are_a_finding(corpus):
    folder = corpus()
    (folder / "kitchen" / "bad.md").write_bytes(b"\xff")
    assert "not UTF-8" in check_corpus(folder, None)[0].message


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match="--docs"):
        check_corpus(tmp_path, None)


COPIED = "the quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        (f"x\n\nSo {COPIED.upper()}, said she.", [(3, COPIED, "s.txt")]),
        (COPIED.replace(" ", "\n*", 1), [(1, COPIED, "s.txt")]),
        ("The quick [brown fox](fox.md) jumps over the lazy dog", [(1, COPIED, "s.txt")]),
        ("the quick brown fox jumps over the", []),
        ("the quick brown fox leaps over the lazy dog", []),
        ("it’s a dog's life and nobody else wants it now", [
            (1, "its a dogs life and nobody else wants it", "s.txt"),
        ]),
    ],
)  # fmt: skip
def test_runs_of_eight_words_are_found(text, shared):
    sources = SourceRuns([("s.txt", f"{COPIED}. Its a dog's life and nobody else wants it.")])
    assert list(sources.shared(text)) == shared


def test_a_garbled_source_counts_as_it_is_and_repaired():
    garbled = "a naïve one – two — three “four” five six seven".encode().decode("cp1252", "ignore")
    sources = SourceRuns([("s.txt", garbled)])
    assert list(sources.shared("a naïve one two three four five six")) != []


@given(st.lists(st.integers(1, 999), min_size=1, max_size=5), st.randoms())
def test_arithmetic_has_the_usual_precedence(values, random):
    signs = [random.choice("×/+-") for _ in values[1:]]
    tokens = [str(values[0])]
    for sign, value in zip(signs, values[1:], strict=True):
        tokens += [sign, f"{value:,}"]
    python = "Fraction(" + ")*Fraction(".join(["1", tokens[0]]) + ")"
    for sign, value in zip(signs, values[1:], strict=True):
        python += f"{sign.replace('×', '*')}Fraction({value})"
    assert recompute(" ".join(tokens)) == eval(python)


def test_recompute_takes_separators_and_decimals():
    assert recompute("1,500,000 × 0.2") == Fraction(300_000)


def test_the_command_prints_findings_and_fails(corpus, capsys):
    docs = corpus(toasters=PAGE.replace("15 ms |", "15 |"))
    assert main(["corpus", "--docs", str(docs), "--seeds", str(docs / "nowhere")]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"{docs}/kitchen/toasters.md:")
    assert "1 findings" in err
    assert "skipped" in err


def test_the_command_succeeds_without_findings(corpus, tmp_path, capsys):
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    (seeds / "s.txt").write_text(COPIED, encoding="utf-8")
    assert main(["corpus", "--docs", str(corpus()), "--seeds", str(seeds)]) == 0
    assert capsys.readouterr().out == ""


def test_our_corpus_has_no_findings():
    sources = SEEDS if SEEDS.is_dir() else None
    assert [str(f) for f in check_corpus(REPOSITORY / "corpus", sources)] == []
