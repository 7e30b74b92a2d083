from __future__ import annotations

import pytest

from rag.practice.bank import Phase
from rag.practice.errors import BankError
from rag.practice.parsing import held, lint, parse_bank
from tests.conftest import make_document

FRONT = {
    "tags": ["kitchen"],
    "topics": ["heat", "bread"],
    "companies": ["Acme"],
    "difficulty": "easy",
}


def bank_of(text, uri="page.md", **front):
    document = make_document(uri, text, **(FRONT | front))
    return parse_bank([document]), document


def texts(probe, weight="vital"):
    return [point.text for point in probe.points if point.weight == weight]


def test_a_row_of_a_probe_table_is_a_probe():
    bank, document = bank_of(
        "# Toast\n\n## What is asked?\n\n| Probe | Strong answer |\n|---|---|\n"
        "| How do you toast? | Slowly (low; steady heat); turn it after 90 s. Also: watch it |\n"
    )
    (probe,) = bank.probes
    assert (probe.kind, probe.prompt, probe.difficulty) == ("probe", "How do you toast?", "easy")
    assert texts(probe) == ["Slowly (low; steady heat)", "turn it after 90 s"]
    assert texts(probe, "okay") == ["watch it"]
    assert probe.points[1].numbers == ("90 s",)
    assert (probe.topics, probe.companies) == (("heat",), ("Acme",))
    span = probe.points[1].span
    assert document.text[span.start : span.end] == "turn it after 90 s."
    assert span.heading_path == ("Toast", "What is asked?")


def test_a_cell_with_nothing_but_commas_is_a_list():
    bank, _ = bank_of(
        "| Probe | Strong Answer Direction |\n|---|---|\n"
        '| *"Which heat?"* | Low, medium (slow, even), high, or none |\n'
    )
    assert bank.probes[0].prompt == "Which heat?"
    assert texts(bank.probes[0]) == ["Low", "medium (slow, even)", "high", "none"]


PROBE = """\
# Toast

### Probe: Why toast `bread`?

**Strong answer**

- It keeps [longer](keep.md), which
  matters.
- Taste.

**Bonus**

- Smell.

**Follow-up:** And cake?

Sources: ours.
"""


def test_a_probe_heading_with_its_lists_and_follow_up():
    bank, _ = bank_of(PROBE)
    (probe,) = bank.probes
    assert (probe.kind, probe.prompt, probe.context) == ("probe", "Why toast bread?", "page")
    assert texts(probe) == ["It keeps longer, which matters", "Taste"]
    assert texts(probe, "okay") == ["Smell"]
    assert probe.follow_ups == ("And cake?",)


def test_in_a_quiz_the_same_heading_is_a_quiz_item():
    bank, _ = bank_of(PROBE, tags=["quiz"])
    assert [probe.kind for probe in bank.probes] == ["quiz"]


ENTRY = """\
# Bank

## Design a toaster

Asked by: Acme, Bolt; difficulty: hard; tags: heat, kitchen.

**What goes wrong in toasters**

- **Crumbs.** They burn. Empty the tray.
- **Long words.** {long} Stop.

**Strong answer signals**

- Heat is measured.
- Bread is never left alone.

## Design a kettle

Nothing here.
"""


def test_signals_belong_to_the_entry_above_and_pitfalls_are_okay_points():
    bank, _ = bank_of(ENTRY.format(long="Five words are not many."))
    (probe,) = bank.probes
    assert (probe.kind, probe.prompt, probe.difficulty) == ("entry", "Design a toaster", "hard")
    assert (probe.companies, probe.topics) == (("Acme", "Bolt"), ("heat", "kitchen"))
    assert texts(probe) == ["Heat is measured", "Bread is never left alone"]
    assert texts(probe, "okay") == ["Crumbs: Empty the tray", "Long words: Stop"]
    assert {point.facet for point in probe.points[2:]} == {"failure"}


def test_the_signals_of_a_problem_are_asked_by_its_title():
    text = "# T\n\n## Trade-offs?\n\n**Strong answer signals**\n\n- One.\n- Two.\n"
    document = make_document("Design a grill.md", text, **FRONT)
    (probe,) = parse_bank([document]).probes
    assert (probe.kind, probe.prompt, texts(probe)) == ("entry", "Design a grill", ["One", "Two"])


def test_pitfalls_of_a_technique_are_one_probe():
    bank, _ = bank_of(
        "# T\n\n## Pitfalls\n\n- **Smoke.** It alarms. Open a window.\n- **Fire.** Run.\n"
    )
    (probe,) = bank.probes
    assert probe.prompt == "page. What goes wrong in practice, and what do you do about it?"
    assert texts(probe, "okay") == ["Smoke: Open a window", "Fire: Run"]


LADDER = """\
### Ladder: How do you toast?

#### L4

With heat.

**Missed:** treats toasting as heat rather than as heat over time.

#### L5

With heat
over time.

**Missed:** has time but no measurement. Does not say when to stop.

#### L6

I measure the colour.

It decides when to stop.

**Missed:** strong; but not the price of a burnt slice.

#### L7

The same measurement, and one thing more. A burnt slice has a price.

**What scored:** named the price. Portable pattern: price the failures.
"""


def test_a_ladder_has_anchors_without_their_notes_and_points_by_level():
    bank, document = bank_of(LADDER)
    (probe,) = bank.probes
    assert [(a.level, a.text) for a in probe.anchors] == [
        ("L4", "With heat."),
        ("L5", "With heat over time."),
        ("L6", "I measure the colour.\n\nIt decides when to stop."),
        ("L7", "I measure the colour.\n\nIt decides when to stop.\n\nA burnt slice has a price."),
    ]
    assert probe.anchors[0].note == "treats toasting as heat rather than as heat over time."
    assert [(p.level, p.weight, p.text) for p in probe.points] == [
        ("L5", "vital", "as heat over time"),
        ("L6", "vital", "measurement"),
        ("L6", "vital", "when to stop"),
        ("L7", "vital", "the price of a burnt slice"),
        ("L7", "okay", "named the price"),
        ("L7", "okay", "price the failures"),
    ]
    for anchor in probe.anchors:
        assert held(anchor.text, anchor.span, {document.id: document.text}) == 1.0


def test_a_ladder_without_a_level_is_a_problem():
    bank, _ = bank_of(LADDER.replace("#### L6", "#### L8"))
    assert bank.probes == ()
    assert bank.problems == ("page.md: the ladder 'How do you toast?' lacks one of L4, L5, L6, L7",)


DRILL = """\
### Drill: Toast in half the time

Time limit: 2 minutes

**Prompt:** Toast in
one minute.

| Dimension | Weak | Passing | Strong | Staff bar |
|---|---|---|---|---|
| Heat | more | much more | measured; limited | negotiated |

#### Model answer

**Heat.** I double it.

And I watch.

#### Common failures

- Doubling everything: the tray melts.
- No watching.
"""


def test_a_drill_has_its_time_grid_model_answer_and_red_flags():
    bank, _ = bank_of(DRILL)
    (probe,) = bank.probes
    assert (probe.kind, probe.prompt, probe.seconds) == ("drill", "Toast in one minute.", 120)
    assert [(row.dimension, row.bars) for row in probe.grid] == [
        ("Heat", ("more", "much more", "measured; limited", "negotiated"))
    ]
    assert [(p.level, p.weight, p.text) for p in probe.points] == [
        ("Strong", "vital", "measured"),
        ("Strong", "vital", "limited"),
        ("Staff bar", "okay", "negotiated"),
    ]
    assert probe.model_answer == "Heat. I double it.\n\nAnd I watch."
    assert [(f.text, f.why, f.detector) for f in bank.red_flags] == [
        ("Doubling everything", "the tray melts.", "lexical"),
        ("No watching.", "", "absence"),
    ]


def test_red_flags_know_how_they_show():
    bank, _ = bank_of(
        "| Red flag | Why it hurts | Say instead |\n|---|---|---|\n"
        '| No heat | cold | "I heat" |\n| Over time | late | hurry |\n| Blaming | rude | own it |\n'
    )
    assert [(f.text, f.better, f.detector) for f in bank.red_flags] == [
        ("No heat", "I heat", "absence"),
        ("Over time", "hurry", "clock"),
        ("Blaming", "own it", "lexical"),
    ]


def test_curveballs_clarifications_and_lenses():
    bank, _ = bank_of(
        "| Curveball | Strong response |\n|---|---|\n| No power | Gas; candles |\n\n"
        "| Ask | Likely answer | What it changes |\n|---|---|---|\n"
        "| How brown? | dark; light | longer; shorter |\n| How many? | two | slots; power |\n\n"
        "| Company | What they weigh | Why | Signal it by |\n|---|---|---|---|\n| A | b | c | d |\n"
    )
    assert [(p.kind, p.prompt, texts(p)) for p in bank.probes] == [
        ("curveball", "No power", ["Gas", "candles"])
    ]
    assert [(c.question, c.answers, c.changes) for c in bank.clarifications] == [
        ("How brown?", ("dark", "light"), ("longer", "shorter")),
        ("How many?", ("two",), ("slots; power",)),
    ]
    (lens,) = bank.lenses
    assert (lens.company, lens.weighs, lens.why, lens.signal) == ("A", "b", "c", "d")


def test_a_clock_is_read_as_span_or_as_the_middle_of_a_length():
    bank, _ = bank_of(
        "## When?\n\n| Phase | Clock | Do | Avoid |\n|---|---|---|---|\n"
        "| Heat | 5–8 min | wait | open |\n| Eat | 2 min | chew | talk |\n\n"
        "| Phase | Clock | Do | Avoid |\n|---|---|---|---|\n| Heat | 0:30–5:00 | a | b |\n\n"
        "| Phase | Clock | Do | Avoid |\n|---|---|---|---|\n| Heat | soon | a | b |\n"
    )
    assert [clock.phases for clock in bank.clocks] == [
        (Phase("Heat", 0, 390, "wait", "open"), Phase("Eat", 390, 510, "chew", "talk")),
        (Phase("Heat", 30, 300, "a", "b"),),
    ]
    assert bank.clocks[0].span.heading_path == ("When?",)
    assert bank.problems == ("page.md: the clock 'soon' of 'Heat' cannot be read",)


def test_an_estimate_has_what_is_given_its_steps_and_a_result():
    bank, _ = bank_of(
        "### Estimate: slices per day\n\nGiven: 1,000 toasters;\n24 hours.\n\n"
        "1. Slices an hour: 1,000 × 12 = 12,000\n"
        "2. Load: 12,000 / 3,600 ≈ 3.3 slices per\n   second.\n\n"
        "Result: about 3 a second.\n\nSources: ours.\n"
    )
    (estimate,) = bank.estimates
    assert (estimate.title, estimate.given) == ("slices per day", "1,000 toasters; 24 hours.")
    assert estimate.result == "about 3 a second."
    assert [(s.name, s.expression, s.value, s.unit) for s in estimate.steps] == [
        ("Slices an hour", "1,000 × 12", 12000.0, ""),
        ("Load", "12,000 / 3,600", 3.3, "slices per second"),
    ]


def test_a_post_mortem_asks_for_the_better_answer():
    bank, _ = bank_of(
        "### Post-mortem: smoke\n\n**Setup:** A kitchen.\n\n**What happened:** It burnt.\n\n"
        '**Better answer:** "I open the window first." That is the lesson here.\n'
    )
    (probe,) = bank.probes
    assert probe.prompt == "Post-mortem, smoke: what should the candidate have said?"
    assert probe.context == "A kitchen.\n\nIt burnt."
    assert texts(probe) == ["I open the window first"]


DIALOGUE = """\
# Toast

## Clarify

**Interviewer:** Design a toaster. Ask what you need.

**Candidate:** Thanks. First, how many slices does it hold?

**Interviewer:** Good question. Two slices.

## Heat

**Interviewer:** Time is up for questions. How do you heat
the bread?

> **Interviewer note:** Waits.

**Candidate:** Three things matter here. I heat it from both sides with thin wires. Perhaps a
grid helps the slices.

**Our note:** this is no answer.

**Candidate:** A timer stops it: (1) by colour; (2) by the smell of it.

## Close

**Candidate:** This belongs to no question at all, and nobody asked for it.

**Interviewer:** Any questions for me?

**Candidate:** No.
"""


def test_a_dialogue_gives_probes_and_clarifications():
    bank, _ = bank_of(DIALOGUE)
    (probe,) = bank.probes
    assert probe.kind == "transcript"
    assert probe.prompt == "Time is up for questions. How do you heat the bread?"
    assert probe.context == "Design a toaster. Ask what you need."
    assert texts(probe) == [
        "I heat it from both sides with thin wires",
        "by colour",
        "by the smell of it",
    ]
    assert texts(probe, "okay") == ["Perhaps a grid helps the slices"]
    assert probe.model_answer.endswith("A timer stops it: (1) by colour; (2) by the smell of it.")
    assert "no answer" not in probe.model_answer
    (asked,) = bank.clarifications
    assert (asked.question, asked.answers) == ("How many slices does it hold?", ("Two slices.",))


def test_an_answer_in_quotes_goes_on_to_the_closing_quote():
    bank, _ = bank_of(
        '**I:** *"Walk me through it."*\n\n**C:** *"I put the bread between two hot grids.*\n\n'
        '*Then I wait for two minutes."*\n\nNot said by anybody.\n'
    )
    (probe,) = bank.probes
    assert texts(probe) == ["I put the bread between two hot grids", "I wait for two minutes"]


def test_after_eight_vital_points_of_an_answer_the_rest_is_okay():
    said = " ".join(f"The step number {n} heats bread." for n in range(10))
    bank, _ = bank_of(f"**Interviewer:** How?\n\n**Candidate:** {said}\n")
    assert [point.weight for point in bank.probes[0].points] == ["vital"] * 8 + ["okay"] * 2


def test_code_and_sources_are_not_parsed():
    bank, _ = bank_of(
        "```text\n### Probe: no?\n\n**Strong answer**\n\n- no\n```\n\nSources: ours.\n"
    )
    assert bank.probes == ()


def test_equal_prompts_in_one_document_get_ids_of_their_own():
    row = "| How? | One; two |\n"
    table = "| Probe | Strong answer |\n|---|---|\n" + row
    bank, document = bank_of(f"{table}\n{table}")
    first, second = bank.probes
    assert second.id == f"{first.id}-2"
    assert [p.id for p in second.points] == [
        p.id.replace(first.id, second.id) for p in first.points
    ]
    assert lint(bank, [document]) == []


def test_a_contested_number_is_not_required():
    bank, _ = bank_of(
        "| Probe | Strong answer |\n|---|---|\n"
        "| How hot? | Toast bread at 200 ms per slice; wait 90 s; eat 40 GB of jam |\n"
        "| And so? | Wait 90 s; eat 80 GB of jam |\n\n"
        "**Sources disagree** on toast: 200 ms per slice of bread, or 300 ms.\n"
    )
    numbers = {point.text: point.numbers for probe in bank.probes for point in probe.points}
    assert numbers == {
        "Toast bread at 200 ms per slice": (),
        "wait 90 s": ("90 s",),
        "Wait 90 s": ("90 s",),
        "eat 40 GB of jam": (),
        "eat 80 GB of jam": (),
    }


def overridden(tmp_path, text, overrides):
    path = tmp_path / "overrides.toml"
    path.write_text(overrides, encoding="utf-8")
    document = make_document("page.md", text, **FRONT)
    return parse_bank([document], path)


def test_overrides_drop_and_rewrite_by_id(tmp_path):
    before, _ = bank_of(PROBE)
    (probe,) = before.probes
    bank = overridden(
        tmp_path,
        PROBE,
        f'[[drop]]\nid = "{probe.points[0].id}"\nreason = "dull"\n'
        f'[[rewrite]]\nid = "{probe.points[1].id}"\nweight = "okay"\nnumbers = ["5 s"]\n'
        f'[[rewrite]]\nid = "{probe.id}"\nprompt = "Why?"\ntopics = ["x"]\n'
        f'[[drop]]\nid = "gone"\n[[rewrite]]\nid = "{probe.points[2].id}"\nprompt = "no"\n',
    )
    (changed,) = bank.probes
    assert (changed.prompt, changed.topics, changed.id) == ("Why?", ("x",), probe.id)
    assert [(p.text, p.weight, p.numbers) for p in changed.points] == [
        ("Taste", "okay", ("5 s",)),
        ("Smell", "okay", ()),
    ]
    assert bank.problems == (
        f"overrides: {probe.points[2].id}: a RubricPoint has no prompt",
        "overrides: nothing has the id 'gone': remove it, or correct it",
    )
    assert bank.hash != before.hash


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[drop", "is no TOML file"),
        ("[[dorp]]\nid = 'x'", "dorp: Extra inputs are not permitted"),
        ("[[rewrite]]\nid = 'x'\nweight = 'much'", "rewrite.0.weight: Input should be 'vital'"),
    ],
)
def test_a_bad_override_file_is_named(tmp_path, content, message):
    with pytest.raises(BankError, match=message):
        overridden(tmp_path, PROBE, content)


def test_a_missing_override_file_is_named(tmp_path):
    with pytest.raises(BankError, match="cannot be read"):
        parse_bank([], tmp_path / "none.toml")


def test_lint_finds_what_reads_badly():
    bank, document = bank_of(
        "| Probe | Strong answer |\n|---|---|\n| How? | One thing |\n| What? | |\n"
    )
    assert lint(bank, [document]) == [
        "page.md: 'What?' has no points",
        f"{bank.probes[0].id}: has 1 point(s): nothing to grade by",
    ]
