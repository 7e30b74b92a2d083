import json

from rag.answers import Rejected
from rag.grounding import Grounds
from rag.settings import Settings
from rag.writing import AnswerWriter
from tests.conftest import FakeLLM, FakeTokenEmbedder, make_document, make_passages

DOCUMENT = make_document(
    "bias.md",
    "Inverse propensity weighting corrects position bias.\n"
    "A shallow tower learns the position.\n\n"
    "Velocity features catch fraud in payments.\n\n"
    "Randomised slots estimate the propensity of each position.",
)
PASSAGES = make_passages(DOCUMENT)  # labels 1, 2, 3
IPW = "Inverse propensity weighting corrects position bias."
FRAUD = "Velocity features catch fraud in payments."
SLOTS = "Randomised slots estimate the propensity of each position."


def write(
    reply, question="position bias fraud", stop=lambda: "", llm=None, passages=PASSAGES, **settings
):
    settings = {"min_relevance": 0.0} | settings
    llm = llm or FakeLLM(reply)
    writer = AnswerWriter(
        Settings(**settings), llm, question, passages,
        Grounds(passages, FakeTokenEmbedder()), stop, may_refuse=True,
    )  # fmt: skip
    assert [sentence for sentence, _ in writer.sentences()] == writer.kept
    assert llm.stopped
    return writer


def said(writer):
    return [(sentence.text, sentence.citations) for sentence in writer.kept]


def reasons(writer):
    return [rejected.reason for rejected in writer.rejected]


def test_each_supported_sentence_is_kept_with_its_citation():
    writer = write(f"{IPW} [1]\n{FRAUD} [2]\n")
    assert said(writer) == [(IPW, ("c1",)), (FRAUD, ("c2",))]
    assert [(c.id, c.quote) for c in writer.citations] == [("c1", IPW), ("c2", FRAUD)]
    assert writer.is_whole
    assert not writer.rejected


def test_citations_come_with_the_sentence_that_introduces_them():
    llm = FakeLLM(f"{IPW} [1]\n{SLOTS} [3]\n")
    writer = AnswerWriter(
        Settings(min_relevance=0.0), llm, "position", PASSAGES,
        Grounds(PASSAGES, FakeTokenEmbedder()), lambda: "", may_refuse=True,
    )  # fmt: skip
    news = [[citation.id for citation in new] for _, new in writer.sentences()]
    assert news == [["c1"], ["c2"]]


def test_a_wrong_label_is_replaced_by_the_passage_that_supports():
    writer = write(f"{FRAUD} [1]\n")
    assert said(writer) == [(FRAUD, ("c1",))]
    assert writer.citations[0].quote == FRAUD
    assert writer.is_whole


def test_an_unknown_label_is_recorded_though_the_sentence_is_kept():
    writer = write(f"{FRAUD} [7]\n")
    assert said(writer) == [(FRAUD, ("c1",))]
    assert writer.rejected == [Rejected(FRAUD, "unknown label [7]")]
    assert not writer.is_whole


def test_a_sentence_without_a_label_is_attributed():
    assert said(write(FRAUD)) == [(FRAUD, ("c1",))]


def test_a_second_label_counts_only_where_its_passage_supports_too():
    assert said(write(f"{IPW} [1][2]\n")) == [(IPW, ("c1",))]
    twice = make_passages(make_document("two.md", f"{FRAUD}\n\nFirst: {FRAUD.lower()}"))
    writer = write(f"{FRAUD} [1][2]\n", passages=twice)
    assert {c.chunk_id for c in writer.citations} == {p.chunk.id for p in twice}


def test_the_same_quote_is_cited_once():
    clauses = "Weighting corrects position bias; randomised slots estimate the propensity."
    first, second = clauses.split("; ")
    passages = make_passages(make_document("two.md", clauses))
    writer = write(f"{first}. [1]\n{second.capitalize()} [1]\n", passages=passages)
    assert [ids for _, ids in said(writer)] == [("c1",), ("c1",)]
    assert len(writer.citations) == 1


def test_what_no_passage_supports_is_rejected_with_the_reason():
    writer = write(f"It costs 400 dollars. [1]\n{IPW} [1]\nBananas grow under tropical suns. [2]")
    assert said(writer) == [(IPW, ("c1",))]
    assert reasons(writer) == ["not in the passage: 400", "the passage says something else"]
    assert not writer.is_whole


def test_what_does_not_address_the_question_is_rejected():
    writer = write(f"{FRAUD} [2]\n{IPW} [1]\n", "position bias", min_relevance=0.9)
    assert said(writer) == [(IPW, ("c1",))]
    assert writer.rejected == [Rejected(FRAUD, "does not address the question")]


def test_a_fragment_says_too_little():
    assert reasons(write("Inverse propensity weighting. [1]\n")) == ["says too little"]


def test_repetition_ends_the_answer_but_leaves_it_whole():
    writer = write(f"{IPW} [1]\n{IPW} [1]\n{FRAUD} [2]\n")
    assert said(writer) == [(IPW, ("c1",))]
    assert reasons(writer) == ["repeats another sentence"]
    assert writer.is_whole


def test_a_paraphrase_is_replaced_by_the_words_of_the_source():
    # Six of seven words stand in passage 2: close, but not proven.
    paraphrase = "Payments catch fraud in velocity features quietly."
    writer = write(f"{paraphrase} [2]\n", min_support=0.3)
    assert said(writer) == [(FRAUD, ("c1",))]
    assert writer.rejected == [
        Rejected(paraphrase, "not in the words of the source: quoted instead")
    ]
    assert writer.is_whole


def test_a_quote_that_was_shown_before_is_not_shown_again():
    writer = write(
        f"{FRAUD} [2]\nPayments catch fraud, features of velocity. [2]\n", min_support=0.3
    )
    assert said(writer) == [(FRAUD, ("c1",))]


def test_a_refusal_writes_nothing():
    writer = write("NOT IN SOURCES")
    assert (writer.kept, writer.rejected) == ([], [])


def test_a_failing_llm_keeps_what_was_written_before():
    writer = write("", llm=FakeLLM(f"{IPW} [1]\n{FRAUD}", fails=True))
    assert said(writer) == [(IPW, ("c1",))]
    assert writer.degraded == ["llm"]
    assert not writer.is_whole


def test_stop_ends_the_stream_and_is_named():
    pieces = iter([""] * 25 + ["deadline"] * 100)
    writer = write(f"{IPW} [1]\n{FRAUD} [2]\n", stop=lambda: next(pieces))
    assert said(writer) == [(IPW, ("c1",))]
    assert writer.degraded == ["deadline"]


def test_half_a_sentence_is_not_taken_for_a_whole_one():
    assert said(write(f"{IPW}\n", stop=iter([""] * 12 + ["cancelled"] * 99).__next__)) == []


def test_closing_the_sentences_stops_the_llm():
    llm = FakeLLM(f"{IPW} [1]\n{FRAUD} [2]\n" * 50)
    writer = AnswerWriter(
        Settings(min_relevance=0.0), llm, "position", PASSAGES,
        Grounds(PASSAGES, FakeTokenEmbedder()), lambda: "", may_refuse=True,
    )  # fmt: skip
    sentences = writer.sentences()
    next(sentences)
    assert not llm.stopped
    sentences.close()
    assert llm.stopped


def test_a_json_backend_is_parsed_as_json():
    reply = json.dumps({"sentences": [{"text": FRAUD, "sources": [2]}]})
    assert said(write("", llm=FakeLLM(reply, output_form="json"))) == [(FRAUD, ("c1",))]


def test_the_prompt_holds_every_passage_under_its_label_and_the_question_last():
    llm = FakeLLM("NOT IN SOURCES")
    write("", llm=llm, question="How do I debias?")
    (prompt,) = llm.prompts
    for passage in PASSAGES:
        assert f"[{passage.label}] {passage.heading}\n{passage.prompt_text}" in prompt
    assert prompt.endswith("Question: How do I debias?")
