"""Text that a model may have written, as one harmless line of a page, a picture or a table."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar

from dangercurve._text import printable

MAX_TEXT = 300
_MARKS = r"\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_STACKED = re.compile(f"([{_MARKS}]{{2}})[{_MARKS}]+")
_FAR = re.compile("[\U00010000-\U0010ffff]")
Kind = TypeVar("Kind")


def shown(text: object, limit: int = 400) -> str:
    """`text` as one harmless line: `printable`, at most two combining marks on a letter, long text cut in its middle.

    The two ends stay, because they tell long names apart.
    """
    raw = str(text)
    if len(raw) <= limit:
        return _STACKED.sub(r"\1", printable(raw, limit))
    head, tail = raw[: limit * 3 // 4], raw[-(limit // 4) :]
    return f"{shown(head, limit)}… ({len(raw)} characters) …{shown(tail, limit)}"


def cut(text: str, limit: int) -> str:
    """`text` cut in its middle to `limit` characters: the ends of a model's name tell it apart."""
    if len(text) <= limit:
        return text
    head = (limit - 1) // 2
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def labels(names: list[str], limit: int) -> list[str]:
    """A short label for each name, one each: names that are cut to the same label are numbered."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        label, number = cut(name, limit), 2
        while label in taken:
            label, number = f"{cut(name, limit - 4)} ({number})", number + 1
        taken.add(label)
        found.append(label)
    return found


def clean(value: Kind) -> Kind:
    """The same data with every text in it as one harmless line of at most MAX_TEXT characters, none beyond U+FFFF: Vega
    cuts long text by UTF-16 units, and fails on half of such a character."""
    found = _clean(value)
    if not isinstance(found, type(value)):
        raise TypeError("clean keeps the type of what it is given")
    return found


def _clean(value: object) -> object:
    if isinstance(value, str):
        return _FAR.sub("\ufffd", shown(value, MAX_TEXT))
    if isinstance(value, tuple):
        return tuple(_clean(item) for item in value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _clean(getattr(value, f.name)) for f in fields(value)})
    return value
