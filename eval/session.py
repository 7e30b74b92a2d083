"""What every command shares: opening a pipeline over documents, the settings, progress, output.

The only module of this package that builds Settings. Knows nothing of what is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console, RenderableType
from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

from eval.cases import Case, load_cases
from eval.errors import CaseFileError
from eval.retrieval import Advance
from eval.retrieval_metrics import DEPTH

if TYPE_CHECKING:
    from index.embedding import TokenEmbedder
    from rag.pipeline import RagPipeline
    from rag.settings import Settings

STDOUT = "-"
Item = TypeVar("Item")
Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Opened:
    """A pipeline and the manifest of its index."""

    pipeline: RagPipeline
    manifest: Mapping[str, Any]

    @property
    def token_embedder(self) -> TokenEmbedder:
        """The pipeline's; the commands open no pipeline without one."""
        assert self.pipeline.token_embedder is not None
        return self.pipeline.token_embedder


Opener = Callable[["Settings", Path | None, bool], Opened]


def open_pipeline(settings: Settings, docs: Path | None, llm: bool) -> Opened:
    """Bring the index in line with `docs` (None: leave it as it is) and load everything."""
    from index.storage import GenerationStore, read_manifest
    from rag.indexing import update_index
    from rag.pipeline import build_pipeline

    if docs is not None:
        with _bar() as bar:
            task = bar.add_task("indexing", total=None)

            def advance(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            report = update_index(settings, [docs], advance)
        for skipped in report["skipped"]:
            print(f"skipped: {skipped}", file=sys.stderr)
    folder = GenerationStore(settings.data_dir / "index").candidates()[0]
    return Opened(build_pipeline(settings, llm=llm), read_manifest(folder))


def settings_of(options: argparse.Namespace, **overrides: Any) -> Settings:
    """Return the settings of the environment, with the data folder that the options name."""
    from rag.settings import load_settings

    return load_settings(
        **({"data_dir": options.data_dir} if options.data_dir else {}), **overrides
    )


def own_settings(options: argparse.Namespace, **overrides: Any) -> Settings:
    """Return settings with a data folder for these documents alone."""
    settings = settings_of(options, **overrides)
    name = hashlib.sha256(str(options.docs.resolve()).encode()).hexdigest()[:16]
    return settings.model_copy(update={"data_dir": settings.data_dir / "eval" / name})


def config(
    options: argparse.Namespace, settings: Settings, opened: Opened, questions: int
) -> dict[str, Any]:
    """Return what the figures depend on."""
    cases = options.cases
    return {
        "docs": str(options.docs),
        "cases": str(cases) if cases else None,
        "cases_sha256": sha256(cases) if cases else None,
        "questions": questions,
        "limit": options.limit,
        "seed": options.seed,
        "depth": DEPTH,
        "documents": len(opened.pipeline.documents()),
        "chunks": len(opened.pipeline.chunks()),
        "corpus_hash": opened.manifest["corpus_hash"],
        "settings": settings.model_dump(mode="json", exclude={"llm_api_key", "ingest_token"}),
    }


def sha256(path: Path) -> str:
    """Return the hash of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def draw(items: Sequence[Item], limit: int | None, seed: int) -> list[Item]:
    """Return all items, or `limit` of them drawn with `seed`, in their order."""
    if limit is None or limit >= len(items):
        return list(items)
    drawn = random.Random(seed).sample(range(len(items)), limit)
    return [items[number] for number in sorted(drawn)]


def answerable_cases(options: argparse.Namespace) -> list[Case]:
    """Return the answerable cases of the options' file, cut to their limit."""
    answerable = [case for case in load_cases(options.cases) if case.answerable]
    if not answerable:
        raise CaseFileError("the case file holds no answerable question: nothing to retrieve.")
    return draw(answerable, options.limit, options.seed)


def unzip(pairs: Sequence[tuple[Item, Other]]) -> tuple[list[Item], list[Other]]:
    """Return the first parts and the second parts."""
    return [one for one, _ in pairs], [other for _, other in pairs]


@contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """Show a bar of `total` steps on stderr."""
    with _bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _bar() -> Progress:
    columns = [*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn()]
    return Progress(*columns, console=Console(stderr=True), transient=True)


def show(result: Mapping[str, Any], target: str | None, parts: Iterable[RenderableType]) -> None:
    """Show `parts` on stdout, or on stderr where the JSON goes to stdout."""
    console = Console(stderr=target == STDOUT, highlight=False)
    for part in parts:
        console.print(part)
    if target == STDOUT:
        print(json.dumps(result, indent=2))
    elif target is not None:
        Path(target).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
