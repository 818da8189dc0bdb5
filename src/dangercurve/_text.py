"""Text that a model wrote is shown as harmless text: no control, no bidi, no escape sequence reaches a terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: object, limit: int = 400) -> str:
    """`text` on one line with every control, format, private or surrogate character as `\\uXXXX`, cut at `limit`."""
    raw = str(text)
    if len(raw) <= limit and raw.isprintable():
        return raw
    cut = raw[: limit + 1]
    shown = "".join(f"\\u{ord(ch):04x}" if unicodedata.category(ch) in _HIDDEN else ch for ch in cut[:limit])
    return shown + (f"... ({len(raw)} characters)" if len(raw) > limit else "")


def fair_length(sizes: Iterable[int], room: int) -> int:
    """The length to which the longest of several texts are cut so that all fit in `room`; shorter ones stay whole."""
    left, ordered = room, sorted(sizes)
    for k, size in enumerate(ordered):
        if size * (len(ordered) - k) > left:
            return left // (len(ordered) - k)
        left -= size
    return max(ordered, default=0)


def harmless(text: str) -> str:
    """JSON text in which every hidden character is an escape of JSON: it reads the same and moves no cursor.

    Only for JSON, where such a character can stand in strings alone; line feeds between tokens stay.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        ch if ch == "\n" or unicodedata.category(ch) not in _HIDDEN else json.dumps(ch)[1:-1] for ch in text
    )


def csv_cell(text: object, limit: int = 400) -> str:
    """`printable` text that no spreadsheet reads as a formula."""
    shown = printable(text, limit)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
