from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.errors import BadRequest
from api.uploads import safe_name, save_uploads


@pytest.mark.parametrize(
    "name", ["notes.md", "My notes (2).pdf", "résumé.docx", "a.b.html", "README"]
)
def test_harmless_names_stay(name):
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a.md", "a/b.md", "/etc/passwd", "..\\a.md", "C:\\a.md", "a\0.md", "a/"],
)
def test_paths_are_refused(name):
    with pytest.raises(BadRequest):
        safe_name(name)


def test_other_names_change_and_never_meet():
    # 8 digits: the SHA-256 of the name as sent
    assert safe_name("a:b.md") == "a_b-191d051a.md"
    names = ["a:b.md", "a?b.md", "a_b.md", ".md", ".htaccess", "x" * 300 + ".md", "x" * 301 + ".md"]
    safe = [safe_name(name) for name in names]
    assert len(set(safe)) == len(names)
    assert not any(name.startswith(".") for name in safe)


@given(st.text(min_size=1, max_size=300))
@example("%2e%2e%2fa.md")
@example("....//a.md".replace("/", ""))
@example("a.md ")
@example("\ud800.md")
@example("e\u0301.md")
def test_a_safe_name_is_one_plain_name(name):
    try:
        safe = safe_name(name)
    except BadRequest:
        return
    assert safe not in {"", ".", ".."}
    assert not set(safe) & set('/\\\0:*?"<>|\r\n\t')
    assert not safe.startswith((".", " "))
    assert len(safe.encode()) <= 255


def test_saving_replaces_and_leaves_no_parts(tmp_path):
    save_uploads(tmp_path / "up", {"a.md": io.BytesIO(b"one")})
    assert save_uploads(tmp_path / "up", {"a.md": io.BytesIO(b"two")}) == ["a.md"]
    assert [p.name for p in (tmp_path / "up").iterdir()] == ["a.md"]
    assert (tmp_path / "up" / "a.md").read_bytes() == b"two"


def test_saving_replaces_a_link_and_does_not_follow_it(tmp_path):
    outside = tmp_path / "outside.md"
    outside.write_text("mine")
    folder = tmp_path / "up"
    folder.mkdir()
    (folder / "a.md").symlink_to(outside)
    save_uploads(folder, {"a.md": io.BytesIO(b"two")})
    assert outside.read_text() == "mine"
    assert not (folder / "a.md").is_symlink()


def test_a_failure_leaves_no_part(tmp_path):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        save_uploads(tmp_path, {"a.md": Broken()})
    assert list(tmp_path.iterdir()) == []


def test_names_that_leave_the_folder_are_refused(tmp_path):
    with pytest.raises(BadRequest):
        save_uploads(tmp_path / "up", {"../a.md": io.BytesIO(b"")})
    assert not (tmp_path / "a.md").exists()
