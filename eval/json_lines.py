"""Files with one JSON object a line, checked against a dataclass; errors name file and line.

Knows nothing of what the objects mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from eval.errors import CaseFileError

Row = TypeVar("Row")


def load_rows(
    path: Path,
    kind: type[Row],
    key: str,
    mistakes: Callable[[Row], Iterator[str]],
) -> list[Row]:
    """Read the rows of `path`; raise CaseFileError at the first wrong line or repeated `key`.

    `key` names the field that must be unique; `mistakes` yields what is wrong beside the types.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CaseFileError(f"{path}: cannot be read as UTF-8 text ({error}).") from error
    adapter = TypeAdapter(kind)
    rows: list[Row] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = adapter.validate_json(line, strict=True)
        except ValidationError as error:
            raise CaseFileError(f"{path}:{number}: {_explain(error)}") from error
        mistake = next(mistakes(row), None)
        name = getattr(row, key)
        if name in first_line:
            mistake = f"{key} {name!r} was used on line {first_line[name]}"
        if mistake:
            raise CaseFileError(f"{path}:{number}: {mistake}.")
        first_line[name] = number
        rows.append(row)
    if not rows:
        raise CaseFileError(f"{path}: holds no case; write one JSON object a line.")
    return rows


def _explain(error: ValidationError) -> str:
    """Name each wrong key: `relevant.0.quote: Field required; tags: ...`."""
    return "; ".join(
        f"{'.'.join(map(str, mistake['loc'])) or 'line'}: {mistake['msg']}"
        for mistake in error.errors(include_url=False)
    )
