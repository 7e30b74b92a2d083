from hypothesis import given
from hypothesis import strategies as st

from ingest.cleaning import mask_noise, normalise_newlines, repair_encoding


def misread(text, page):
    """UTF-8 read in a code page that has no character for some bytes, which are lost."""
    return text.encode("utf-8").decode(page, "ignore")


def test_a_line_whose_bytes_all_survived_is_restored():
    repair = repair_encoding("plain\n" + misread("scalable — systems → 🟡 Medium", "cp1254"))
    assert repair.text == "plain\nscalable — systems → 🟡 Medium"
    assert (repair.lines, repair.spots, repair.lossy) == (1, 0, 0)


def test_a_lost_byte_is_completed_where_only_one_character_fits():
    # cp1254 has no character for 0x90 and 0x9D, the last bytes of the corner and of the mark.
    text = "┌──┐ a → b\n❌ **Filter bubble:** → Add diversity\nsaid “yes”"
    assert misread("┐", "cp1254") == "â”"
    repair = repair_encoding(misread(text, "cp1254"))
    assert repair.text == text
    assert (repair.lines, repair.spots, repair.lossy) == (3, 3, 0)


def test_what_cannot_be_told_stays_lossy_and_is_counted():
    # E2 99 with its last byte lost may be one of several symbols, none of them in the known set.
    repair = repair_encoding("a â†’ b\nâ†’â™ c")
    assert repair.text == "a → b\n→\ufffd c"
    assert (repair.lines, repair.spots, repair.lossy) == (2, 0, 1)


def test_correct_text_is_left_alone():
    text = "naïve café “quoted” — 32×–128× → ┌─┐ ❌ 🔴 Ünlü ığş Ελλάδα кот 漢字\nà la “carte”"
    assert repair_encoding(text).text == text
    assert repair_encoding(text).lines == 0


@given(st.text())
def test_repair_keeps_the_number_of_lines(text):
    assert repair_encoding(text).text.count("\n") == text.count("\n")


def test_newlines():
    assert normalise_newlines("a\r\nb\rc\n") == "a\nb\nc\n"


def test_comments_and_badges_are_blanked_in_place():
    text = (
        "a <!-- x\ny --> b\n"
        "[![build](https://img.shields.io/x)](https://ci) ![c](https://badge.fury.io/d) z\n"
        "![diagram](img/a.png)\n"
        "```\n<!-- kept -->\n```\n"
    )
    masked = mask_noise(text)
    assert len(masked) == len(text)
    assert [line.strip() for line in masked.split("\n")[:4]] == [
        "a",
        "b",
        "z",
        "![diagram](img/a.png)",
    ]
    assert "<!-- kept -->" in masked


@given(st.text(alphabet="<!-->\n`[]()ab"))
def test_mask_keeps_every_offset(text):
    masked = mask_noise(text)
    assert len(masked) == len(text)
    assert all(m in (c, " ") for m, c in zip(masked, text, strict=True))
