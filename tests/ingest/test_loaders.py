import io
import zipfile
from pathlib import Path

import docx
import pypdf
import pytest

from ingest.errors import UnreadableFile
from ingest.loaders import LOADERS, Limits, load_file


def load(name, data, **limits):
    return load_file(Path(name), data, Limits(**limits))


def pdf(*pages, password=""):
    """A PDF with one line of text a page, written by hand: no library here lays out text."""
    kids = " ".join(f"{3 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
    ]
    for number, text in enumerate(pages):
        font = "<< /Font << /F << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources {font} "
            f"/Contents {4 + 2 * number} 0 R >>"
        )
        stream = f"BT /F 12 Tf 72 700 Td ({text}) Tj ET"
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    out = "%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    xref = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    data = (out + xref + trailer).encode()
    if not password:
        return data
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt(password, algorithm="RC4-128")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def word(fill):
    document = docx.Document()
    fill(document)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_front_matter_becomes_metadata_and_leaves_its_lines_blank():
    source = "---\ntitle: Caches\ntags: [a, b]\nwhen: 2024-01-02\nnested: {x: 1}\n---\n# One\n"
    loaded = load("a.md", source.encode())
    assert loaded.title == "Caches"
    assert loaded.metadata == {"title": "Caches", "tags": ["a", "b"], "when": "2024-01-02"}
    assert loaded.text == "\n\n\n\n\n\n# One\n"
    assert load("a.md", b"---\ntags: x, y\n---\nText\n").metadata == {"tags": ["x", "y"]}


@pytest.mark.parametrize("head", ["---\n- a list\n---\n", "---\nbroken: [\n---\n", "---\nno end\n"])
def test_what_is_no_front_matter_stays_text(head):
    assert load("a.md", (head + "Text\n").encode()).text == head + "Text\n"


def test_encodings_and_newlines():
    assert load("a.txt", "\ufeffnaïve\r\ntext\r".encode()).text == "naïve\ntext\n"
    assert load("a.txt", "naïve → x".encode("utf-16")).text == "naïve → x"
    assert load("a.txt", "caf\xe9 is open and na\xefve".encode("cp1252")).text.startswith("café")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"---\ntitle: x\n---\n", "holds no text"),
        (b"abc\x00def", "is binary"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "is binary"),
        (bytes(range(1, 32)) * 4, "is binary"),
    ],
)
def test_unusable_text_is_named(data, reason):
    with pytest.raises(UnreadableFile, match=reason):
        load("a.txt", data)


def test_html_becomes_markdown_like_lines():
    page = """<html><head><title>A &amp; B</title><style>x{}</style></head><body>
    <script>evil()</script><!-- no --><nav>menu</nav><h2>Head <em>two</em></h2>
    <p>First <b>bold</b> and<br>more.</p><div>Loose <span>text</span><p>Inner.</p></div>
    <ul><li>one<ol><li>deep</li></ol></li><li><p>two</p></li></ul>
    <table><tr><th>K</th><th>V</th></tr><tr><td>a|b</td><td>1</td></tr></table>
    <pre>x = 1
  y</pre></body></html>"""
    loaded = load("a.html", page.encode())
    assert loaded.title == "A & B"
    assert loaded.text == (
        "## Head two\n\nFirst bold and more.\n\nLoose text\n\nInner.\n\n- one\n  1. deep\n- two\n\n"
        "| K | V |\n| --- | --- |\n| a\\|b | 1 |\n\n```\nx = 1\n  y\n```\n"
    )


def test_html_keeps_the_spaces_of_its_sentences():
    page = """<html><body><p><b>one<br>two</b>, three</p>
    <ul><li><p><b>Binary</b>, with <code>dpkg</code>.</p><pre>dpkg -i x</pre><p>Done.</p></li></ul>
    <table><tr><td><p><i>a</i>, b</p><p>c</p></td><td>d<br>e</td></tr></table></body></html>"""
    assert load("a.html", page.encode()).text == (
        "one two, three\n\n- Binary, with dpkg. dpkg -i x Done.\n\n"
        "| a, b c | d e |\n| --- | --- |\n"
    )


def test_html_loses_what_only_leads_elsewhere():
    page = """<html><body><div class="navheader"><table><tr><td>Next</td></tr></table></div>
    <div role="navigation">menu</div><div class="toc"><dl><dt>1. Head</dt></dl></div>
    <h2>Head<a class="headerlink" href="#head">¶</a></h2>
    <p>An area in <span>m<sup>2</sup></span><a href="#f5"><sup class="footnote">[5]</sup></a>.</p>
    </body></html>"""
    assert load("a.html", page.encode()).text == "## Head\n\nAn area in m2.\n"


@pytest.mark.filterwarnings("error")
def test_xhtml_is_read_as_html():
    words = "word " * 200  # of short pages Beautiful Soup does not warn
    page = f"""<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml">
    <body><p>{words}</p></body></html>"""
    assert load("a.html", page.encode()).text == f"{words.strip()}\n"


def test_pdf_text_keeps_its_page_breaks():
    loaded = load("a.pdf", pdf("Page one.", "Page two."))
    assert loaded.text == "Page one.\n\f\nPage two.\n"
    assert loaded.metadata == {"pages": 2}


def test_pdf_bookmarks_mark_headings():
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("1.2 The part", "Text.")))
    top = writer.add_outline_item(title="The part", page_number=0)
    writer.add_outline_item(title="What nobody printed", page_number=1, parent=top)
    data = io.BytesIO()
    writer.write(data)
    assert load("a.pdf", data.getvalue()).text == "\n# 1.2 The part\n\f\nText.\n"


def test_docx_headings_lists_and_tables():
    def fill(document):
        document.core_properties.title = "The title"
        document.add_heading("Top", 0)
        document.add_heading("Part", 1)
        document.add_paragraph("Some text.")
        document.add_paragraph("one", style="List Bullet")
        document.add_paragraph("two", style="List Number")
        table = document.add_table(rows=2, cols=2)
        for cell, text in zip(table._cells, ("K", "V", "a|b", "1"), strict=True):
            cell.text = text

    loaded = load("a.docx", word(fill))
    assert loaded.title == "The title"
    assert loaded.text == (
        "\n# Top\n\n## Part\n\nSome text.\n\n- one\n- two\n\n"
        "| K | V |\n| --- | --- |\n| a\\|b | 1 |\n\n"
    )


def bomb():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"\0" * 40_000_000)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.pdf", pdf("secret", password="x"), "password"),
        ("a.pdf", pdf(""), "holds no text"),
        ("a.pdf", b"%PDF-1.4 nothing else", "cannot be parsed"),
        ("a.docx", b"PK no archive", "damaged"),
        ("a.docx", b"\xd0\xcf\x11\xe0" + b"x" * 600, "password"),
        ("a.docx", bomb(), "bomb"),
        ("a.docx", word(lambda document: None), "holds no text"),
    ],
)
def test_unusable_office_files_are_named(name, data, reason):
    with pytest.raises(UnreadableFile, match=reason):
        load(name, data)


def test_a_document_over_the_limits_takes_only_its_own_process_with_it():
    with pytest.raises(UnreadableFile, match=r"over a limit|memory"):
        load("a.pdf", pdf("text"), parse_memory=10_000_000)
    with pytest.raises(UnreadableFile, match="takes over 0 s"):
        load("a.pdf", pdf("text"), parse_seconds=0)


def test_every_loader_is_reached_by_suffix():
    assert sorted(LOADERS) == [".docx", ".htm", ".html", ".markdown", ".md", ".pdf", ".txt"]
