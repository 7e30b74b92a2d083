"""Text to Blocks, each below the headings that lead to it.

Chooses the parser (Markdown or plain text) and turns heading levels into paths. Knows nothing of
files or chunks.
"""

from __future__ import annotations

from ingest.cleaning import mask_noise
from ingest.documents import Block
from ingest.markdown import is_markdown, markdown_segments
from ingest.plaintext import plain_segments


def parse_blocks(text: str) -> list[Block]:
    """Return the blocks of `text` in order; comments and badges belong to none."""
    masked = mask_noise(text)
    markdown = is_markdown(masked)
    segments = markdown_segments(masked) if markdown else plain_segments(masked)
    path: list[tuple[int, str]] = []
    blocks: list[Block] = []
    for segment in segments:
        if segment.kind == "heading":
            path = [entry for entry in path if entry[0] < segment.level]
            if segment.title:
                path.append((segment.level, segment.title))
        if segment.end > segment.start:
            titles = tuple(title for _, title in path)
            kind, span = segment.kind, (segment.start, segment.end)
            blocks.append(Block(kind, *span, titles, segment.speaker))
    return blocks
