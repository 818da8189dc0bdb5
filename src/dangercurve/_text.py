"""Text that a model wrote is shown as harmless text: no control, no bidi, no escape sequence reaches a terminal."""

from __future__ import annotations

import unicodedata

_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: object, limit: int = 400) -> str:
    """`text` on one line with every control, format, private or surrogate character as `\\uXXXX`, cut at `limit`."""
    raw = str(text)
    cut = raw[: limit + 1]
    shown = "".join(f"\\u{ord(ch):04x}" if unicodedata.category(ch) in _HIDDEN else ch for ch in cut[:limit])
    return shown + (f"... ({len(raw)} characters)" if len(raw) > limit else "")


def csv_cell(text: object, limit: int = 400) -> str:
    """`printable` text that no spreadsheet reads as a formula."""
    shown = printable(text, limit)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
