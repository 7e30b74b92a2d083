"""Repairs decoded text line by line, and masks what is not prose.

Every function keeps the number of lines, and `mask_noise` every offset too, so that positions
stay those of the source. Knows nothing of file formats or document structure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import ftfy

REPLACEMENT = "\ufffd"

# Characters that a repair may choose for an incomplete UTF-8 sequence. A sequence with exactly
# one completion in this set is repaired; any other stays U+FFFD and is counted as lossy.
_PLAUSIBLE = frozenset("─│┌┐└┘├┤┬┴┼←↑→↓↔⇒✅❌✓✗✔✖⚠•…–—‘’“”€≤≥≈≠×àáíïÁÍÏÝ🔴🟠🟡🟢🔵")

# Tried in this order; of equally good ones the first is taken.
_CODE_PAGES = ("cp1252", "cp1254", "cp1250", "cp1251", "cp1253", "latin-1", "mac_roman", "cp437")

_NON_ASCII = re.compile(r"[^\x00-\x7f]+")
_REFERENCES = re.compile(r"^Sources?:[^\n]*$", re.MULTILINE)  # where facts come from, not facts
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_BADGE_HOSTS = r"(?:img\.shields\.io|badge\.fury\.io|badgen\.net|[^()\s]{0,200}\bbadges?\b)"
_BADGE_IMAGE = rf"!\[[^\]\n]{{0,200}}\]\(\s*(?:https?://)?{_BADGE_HOSTS}[^()\n]{{0,500}}\)"
_BADGE = re.compile(rf"\[\s*{_BADGE_IMAGE}\s*\]\([^)\n]{{0,500}}\)|{_BADGE_IMAGE}")
_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[^\n]*\n.*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.M | re.S)


@dataclass(frozen=True, slots=True)
class Repair:
    """A repaired text; `spots` lost a byte and were completed, `lossy` could not be."""

    text: str
    lines: int = 0
    spots: int = 0
    lossy: int = 0


def normalise_newlines(text: str) -> str:
    r"""Return `text` with `\r\n` and `\r` as `\n`; the number of lines stays."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def repair_encoding(text: str) -> Repair:
    """Undo a wrong decoding (UTF-8 read as a single-byte code page), line by line.

    ftfy recovers the lines whose bytes all survived. Where the code page had no character for a
    byte, that byte is gone and ftfy leaves the line; there, the code page that explains the other
    lines is applied and each incomplete sequence completed if only one plausible character fits.
    """
    lines = text.split("\n")
    page = _code_page(lines)
    repaired = spots = 0
    for number, line in enumerate(lines):
        if line.isascii():
            continue
        fixed, restored = _repair_line(line, page)
        if fixed != line:
            lines[number] = fixed
            repaired += 1
            spots += restored
    fixed_text = "\n".join(lines)
    return Repair(fixed_text, repaired, spots, fixed_text.count(REPLACEMENT))


def mask_noise(text: str) -> str:
    """Return `text` with comments, badges and source lines outside code blanked in place."""
    fences = [match.span() for match in _FENCE.finditer(text)]

    def blank(match: re.Match[str]) -> str:
        if any(start <= match.start() < end for start, end in fences):
            return match.group()
        return re.sub(r"[^\n]", " ", match.group())

    for noise in (_COMMENT, _BADGE, _REFERENCES):
        text = noise.sub(blank, text)
    return text


def _code_page(lines: list[str]) -> str | None:
    """Return the code page under which the lines that ftfy finds garbled become UTF-8.

    ftfy's judgement is needed: the bytes of an ordinary multiplication sign and dash in cp1252
    happen to be UTF-8 too, for a Hebrew letter.
    """
    garbled = [line for line in lines if not line.isascii() and ftfy.fix_encoding(line) != line]
    runs = [run for line in garbled for run in _NON_ASCII.findall(line)]
    counts = [(sum(_decodes(run, page) for run in runs), page) for page in _CODE_PAGES]
    best, page = max(counts, key=lambda pair: pair[0])
    return page if best else None


def _repair_line(line: str, page: str | None) -> tuple[str, int]:
    if page is None or _decodes(line, page):
        fixed = ftfy.fix_encoding(line)
        return _one_line(line, fixed), 0
    restored = 0

    def repair_run(match: re.Match[str]) -> str:
        nonlocal restored
        try:
            data = match.group().encode(page)
        except UnicodeEncodeError:
            return match.group()
        fixed, completed = _decode_lossy(data, _undefined(page))
        # A run that yields nothing readable was not mis-decoded: it stays as it is.
        if all(char == REPLACEMENT for char in fixed):
            return match.group()
        restored += completed
        return fixed

    return _one_line(line, _NON_ASCII.sub(repair_run, line)), restored


def _one_line(line: str, fixed: str) -> str:
    """Refuse a repair that would change the number of lines."""
    return fixed if "\n" not in fixed else line


def _decodes(line: str, page: str) -> bool:
    try:
        line.encode(page).decode("utf-8")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return False
    return True


def _decode_lossy(data: bytes, lost: bytes) -> tuple[str, int]:
    """Decode UTF-8 in which single bytes are missing; return how many spots were completed."""
    out: list[str] = []
    completed = 0
    while data:
        try:
            out.append(data.decode("utf-8"))
            break
        except UnicodeDecodeError as error:
            out.append(data[: error.start].decode("utf-8"))
            char, used = _complete(data[error.start :], lost)
            out.append(char)
            completed += char != REPLACEMENT
            data = data[error.start + used :]
    return "".join(out), completed


@cache
def _undefined(page: str) -> bytes:
    """Return the bytes for which `page` has no character: those that a wrong decoding loses."""
    return bytes(byte for byte in range(0x80, 0xC0) if not bytes([byte]).decode(page, "ignore"))


def _complete(data: bytes, lost: bytes) -> tuple[str, int]:
    """Return the character at the incomplete start of `data`, and how many bytes it used."""
    lead = data[0]
    length = 4 if lead >= 0xF0 else 3 if lead >= 0xE0 else 2 if lead >= 0xC0 else 1
    have = 1
    while have < min(length, len(data)) and 0x80 <= data[have] < 0xC0:
        have += 1
    if have == length - 1:
        found = set()
        for gap in range(1, length):
            for byte in lost:
                candidate = data[:gap] + bytes([byte]) + data[gap:have]
                try:
                    found.add(candidate.decode("utf-8"))
                except UnicodeDecodeError:
                    continue
        plausible = found & _PLAUSIBLE
        if len(plausible) == 1:
            return plausible.pop(), have
    return REPLACEMENT, have
