"""A question to the corpus after an attempt: "the second point I missed" -> the point itself.

Text rules only; knows nothing of sessions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth".split()
_POINT = re.compile(
    rf"\b(?:the\s+)?(?:(?P<word>{'|'.join(_ORDINALS)}|last)|(?P<number>\d+)(?:st|nd|rd|th))\s+"
    r"(?:missed\s+)?point(?:\s+(?:that\s+)?I\s+(?:have\s+)?missed)?"
    r"|\b(?:missed\s+)?point\s+(?P<digit>\d+)(?:\s+(?:that\s+)?I\s+(?:have\s+)?missed)?",
    re.IGNORECASE,
)


def name_point(question: str, missed: Sequence[str]) -> str:
    """Return the question with the missed point that it counts to; unchanged where it has none."""

    def text(match: re.Match[str]) -> str:
        if match["word"]:
            word = match["word"].lower()
            number = len(missed) if word == "last" else 1 + _ORDINALS.index(word)
        else:
            number = int(match["number"] or match["digit"])
        return f'"{missed[number - 1]}"' if 1 <= number <= len(missed) else match.group()

    return _POINT.sub(text, question)
