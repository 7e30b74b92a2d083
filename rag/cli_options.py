"""Options that every command shares; knows no command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Index and databases; also RAG_DATA_DIR [.data]")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
