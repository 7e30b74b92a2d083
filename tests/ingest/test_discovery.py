import os
from pathlib import Path

import pytest

from ingest.discovery import SourceFile, find_files, read_bytes
from ingest.errors import PathNotFound, UnreadableFile
from ingest.loaders import Limits


def uris(files):
    return [file.uri for file in files]


def test_files_are_found_in_order_and_hidden_ones_passed_over(tmp_path):
    for name in ("b.md", "a/z.txt", "a/b/c.md", ".hidden.md", ".git/x.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    files, skipped = find_files([tmp_path])
    assert uris(files) == ["a/b/c.md", "a/z.txt", "b.md"]
    assert skipped == []
    assert uris(find_files([tmp_path / "b.md"])[0]) == ["b.md"]
    assert uris(find_files([tmp_path, tmp_path / "b.md", tmp_path])[0]) == uris(files)


def test_equal_uris_get_their_folder_in_front(tmp_path):
    for name in ("one/a.md", "two/a.md", "two/b.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    files, _ = find_files([tmp_path / "one", tmp_path / "two"])
    assert uris(files) == ["one/a.md", "two/a.md", "b.md"]


def test_a_missing_path_says_what_to_do(tmp_path):
    with pytest.raises(PathNotFound, match="does not exist; name a file or a folder"):
        find_files([tmp_path / "none"])


def test_links_out_of_the_folder_are_skipped(tmp_path):
    (tmp_path / "secret.md").write_text("secret")
    inside = tmp_path / "docs"
    (inside / "sub").mkdir(parents=True)
    (inside / "real.md").write_text("x")
    (inside / "escape.md").symlink_to(tmp_path / "secret.md")
    (inside / "alias.md").symlink_to(inside / "real.md")
    (inside / "up").symlink_to(tmp_path)
    files, skipped = find_files([inside])
    assert uris(files) == ["alias.md", "real.md"]
    assert {(Path(p).name, r) for p, r in skipped} == {
        ("escape.md", "is a link that leads out of the folder"),
        ("up", "is a link to a folder; links are not followed"),
    }


def test_only_regular_files_of_known_types_and_sane_sizes_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "big.md").write_text("x" * 101)
    (tmp_path / "image.png").write_bytes(b"x")
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere.md")
    (tmp_path / "ok.md").write_text("fine")
    reasons = {}
    for file in find_files([tmp_path])[0]:
        try:
            assert read_bytes(file, Limits(max_bytes=100)) == b"fine"
        except UnreadableFile as error:
            reasons[file.uri] = error.reason
    assert reasons["pipe.md"] == "is not a regular file"
    assert reasons["big.md"].startswith("is too large")
    assert reasons["image.png"].startswith("has an unsupported type")
    assert reasons["gone.md"].startswith("cannot be read")
    assert "ok.md" not in reasons


def test_a_file_that_vanished_is_named(tmp_path):
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_bytes(SourceFile(tmp_path / "a.md", "a.md"), Limits())
