from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from eval.cases import Case, GoldQuote
from eval.qrels import judge, reduced
from ingest.documents import Chunk, Document


def document(text: str, uri: str = "a.md") -> Document:
    return Document(id=uri, uri=uri, title=uri, text=text, sha256="")


def chunk(doc: Document, start: int, end: int) -> Chunk:
    text = doc.text[start:end]
    return Chunk(f"{start}-{end}", doc.id, 0, start, end, text, (), "text", text)


def case(*golds: GoldQuote) -> Case:
    return Case("q", "?", True, (), golds)


def relevant(doc: Document, chunks: list[Chunk], quote: str) -> set[str]:
    (found,) = judge([case(GoldQuote(doc.uri, quote))], [doc], chunks).groups["q"]
    return set(found)


def test_reduction_keeps_ascii_letters_and_digits():
    assert reduced("**P99** — 1/P(seen|pos) é \u212a") == "p991pseenpos"


def test_sixty_percent_is_enough_and_less_is_not():
    doc = document("xx abcdefghij yy")  # the quote stands at 3..13
    at_60, below = chunk(doc, 0, 9), chunk(doc, 0, 8)  # hold abcdef and abcde
    assert relevant(doc, [at_60, below], "abcdefghij") == {"0-9"}


def test_a_chunk_inside_a_longer_quote_needs_its_share_too():
    doc = document("abcdefghij")
    assert relevant(doc, [chunk(doc, 2, 8), chunk(doc, 2, 7)], "abcdefghij") == {"2-8"}


def test_markup_whitespace_and_case_do_not_matter():
    doc = document("Use **position** as a\n> `feature`, then\tdrop it")
    assert relevant(doc, [chunk(doc, 0, len(doc.text))], "use position as a feature then drop it")


def test_a_quote_from_the_misdecoded_source_finds_the_repaired_text():
    repaired = document("learn it—but then at “inference” → café 100 µs")
    quote = repaired.text.encode().decode("cp1252", errors="replace")
    assert "â€”" in quote
    assert relevant(repaired, [chunk(repaired, 0, len(repaired.text))], quote)


def test_an_entity_in_the_quote_is_resolved_as_ingestion_does():
    doc = document("precision & recall")
    assert relevant(doc, [chunk(doc, 0, 18)], "precision &amp; recall")


def test_every_occurrence_counts():
    doc = document("alpha beta. gamma. alpha beta. delta")
    chunks = [chunk(doc, 0, 11), chunk(doc, 12, 18), chunk(doc, 19, 36)]
    assert relevant(doc, chunks, "Alpha beta") == {"0-11", "19-36"}


def test_two_halves_of_different_occurrences_do_not_add_up():
    doc = document("abcdef abcdef")
    assert relevant(doc, [chunk(doc, 3, 10)], "abcdef") == set()  # defabc: 3 of 6 of each


def test_quotes_of_a_group_are_alternatives_and_groups_keep_their_order():
    doc = document("aaaa bbbb cccc")
    chunks = [chunk(doc, 0, 4), chunk(doc, 5, 9), chunk(doc, 10, 14)]
    golds = (
        GoldQuote("a.md", "cccc", 2),
        GoldQuote("a.md", "aaaa", 1),
        GoldQuote("a.md", "bbbb", 1),
    )
    judgements = judge([case(*golds)], [doc], chunks)
    assert judgements.groups["q"] == (frozenset({"0-4", "5-9"}), frozenset({"10-14"}))
    assert judgements.missing == ()


def test_what_cannot_be_found_is_named_and_its_group_stays():
    doc = document("aaaa bbbb cccc")
    golds = (
        GoldQuote("a.md", "zzzz", 0),
        GoldQuote("b.md", "aaaa", 1),
        GoldQuote("a.md", "bbbb cccc", 2),
        GoldQuote("a.md", "aaaa", 3),
    )
    judgements = judge([case(*golds)], [doc], [chunk(doc, 0, 9)])
    nothing: frozenset[str] = frozenset()
    assert judgements.groups["q"] == (nothing, nothing, nothing, frozenset({"0-9"}))
    assert [(m.query_id, m.doc, m.quote, m.reason) for m in judgements.missing] == [
        ("q", "a.md", "zzzz", "the document does not contain the quote"),
        ("q", "b.md", "aaaa", "no such document in the index"),
        ("q", "a.md", "bbbb cccc", "no chunk holds 60% of the quote"),
    ]


@given(st.text(), st.integers(0, 50), st.integers(0, 50))
def test_a_chunk_that_holds_the_whole_quote_is_relevant(text, a, b):
    doc = document(text)
    start, end = sorted((min(a, len(text)), min(b, len(text))))
    if reduced(text[start:end]):
        assert relevant(doc, [chunk(doc, 0, len(text))], text[start:end])
