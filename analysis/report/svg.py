"""Static SVG by hand: a canvas that escapes every text, scales, ticks, markers. No script, no external reference."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

from dangercurve._text import printable

# Widths of letters of the 12 px figure font in px, on the wide side of common fonts; CHARACTER is that of most.
CHARACTER, CAPITAL, BROAD, THIN, FOREIGN, FULL = 7.6, 9.6, 13.0, 4.4, 10.0, 14.0
_WIDTHS = {**dict.fromkeys("ABCDEFGHJKLNOPQRSTUVXYZ&", CAPITAL), **dict.fromkeys("WMmw@%", BROAD),
           **dict.fromkeys("ijlftI.,:;|!'/ -()[]", THIN)}  # fmt: skip
_STACKED = re.compile(r"([\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{2})"
                      r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")  # fmt: skip


def shown(text: object, limit: int = 400) -> str:
    """`text` as one harmless line: `printable`, at most two combining marks on a letter, long text cut in its middle.

    The two ends stay, because they tell long names apart.
    """
    raw = str(text)
    if len(raw) <= limit:
        return _STACKED.sub(r"\1", printable(raw, limit))
    head, tail = raw[: limit * 3 // 4], raw[-(limit // 4) :]
    return f"{shown(head, limit)}… ({len(raw)} characters) …{shown(tail, limit)}"


def width_of(text: str) -> float:
    """About the width of `text` in px at 12 px; combining marks have none."""
    return sum(_WIDTHS.get(c) or (CHARACTER if c < "\u02ff" else _foreign(c)) for c in text)


def _foreign(c: str) -> float:
    if unicodedata.combining(c):
        return 0.0
    return FULL if unicodedata.east_asian_width(c) in "WF" else FOREIGN


def fit(text: object, px: float, *, bold: bool = False) -> str:
    """`text` cut in its middle so that it is at most `px` wide (the ends of a model name tell it apart)."""
    line = shown(text, 200)
    px = 0.9 * px if bold else px
    if width_of(line) <= px:
        return line
    for keep in range(min(len(line) - 1, int(px / THIN) + 1), 1, -1):
        cut = f"{line[: (keep + 1) // 2]}…{line[len(line) - keep // 2 :]}"
        if width_of(cut) <= px:
            return cut
    return "…"


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map of [low, high] onto pixels; `at` clips to the range, `inside` says whether it had to."""

    low: float
    high: float
    start: float
    stop: float

    def at(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.stop - self.start)

    def inside(self, value: float) -> bool:
        return self.low <= value <= self.high


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) in [low, high], about `count` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


class Canvas:
    """An SVG picture with an accessible title and description. Every text is escaped on its way in."""

    def __init__(self, uid: str, width: float, height: float, title: str, desc: str) -> None:
        self.uid, self.width, self.height = uid, width, height
        self._head = f'<title id="{uid}-t">{_esc(title)}</title><desc id="{uid}-d">{_esc(desc, 1200)}</desc>'
        self._parts: list[str] = []

    def add(self, tag: str, body: str = "", /, **attributes: object) -> None:
        """One element; `cls` is the class, underscores become hyphens; `body` is markup that is already safe."""
        self._parts.append(_element(tag, body, attributes))

    def line(self, x1: float, y1: float, x2: float, y2: float, cls: str, **more: object) -> None:
        self.add("line", x1=x1, y1=y1, x2=x2, y2=y2, cls=cls, **more)

    def rect(self, x: float, y: float, w: float, h: float, cls: str, tip: str = "", **more: object) -> None:
        self.add("rect", _tip(tip), x=x, y=y, width=max(w, 0.0), height=max(h, 0.0), cls=cls, **more)

    def path(self, points: Sequence[tuple[float, float]], cls: str, *, closed: bool = False) -> None:
        """A polyline, or a filled polygon where `closed`."""
        if points:
            d = "M" + "L".join(f"{_num(x)} {_num(y)}" for x, y in points) + ("Z" if closed else "")
            self.add("path", d=d, cls=cls)

    def text(self, x: float, y: float, text: object, cls: str = "t", anchor: str = "start") -> None:
        self.add("text", _esc(text), x=x, y=y, cls=cls, text_anchor=None if anchor == "start" else anchor)

    def mark(
        self, x: float, y: float, shape: int, colour: str, *, hollow: bool, tip: str = "", size: float = 5.0
    ) -> None:
        """A marker of a model family: `shape` picks its form, hollow means SIMULATED."""
        paint = {"fill": "#fff" if hollow else colour, "stroke": colour, "stroke_width": 2 if hollow else 1}
        form = MARKS[shape % len(MARKS)](size)
        if form is None:
            self.add("circle", _tip(tip), cx=x, cy=y, r=size, **paint)
        else:
            points = " ".join(f"{_num(x + dx)},{_num(y + dy)}" for dx, dy in form)
            self.add("polygon", _tip(tip), points=points, **paint)

    def render(self) -> Markup:
        """The picture as markup that is safe to put into a page."""
        w, h = _num(self.width), _num(self.height)
        # every part was escaped when it was added
        return Markup(  # noqa: S704
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="{w}" height="{h}" '
            f'role="img" aria-labelledby="{self.uid}-t {self.uid}-d">{self._head}{"".join(self._parts)}</svg>'
        )


Form = list[tuple[float, float]]
MARKS: tuple[Callable[[float], Form | None], ...] = (
    lambda s: None,
    lambda s: [(-s, -s), (s, -s), (s, s), (-s, s)],
    lambda s: [(0, -1.25 * s), (1.15 * s, 0.9 * s), (-1.15 * s, 0.9 * s)],
    lambda s: [(0, -1.35 * s), (1.35 * s, 0), (0, 1.35 * s), (-1.35 * s, 0)],
    lambda s: [(0, 1.25 * s), (1.15 * s, -0.9 * s), (-1.15 * s, -0.9 * s)],
    lambda s: [(-1.2 * s, -0.45 * s), (-0.45 * s, -0.45 * s), (-0.45 * s, -1.2 * s), (0.45 * s, -1.2 * s),
               (0.45 * s, -0.45 * s), (1.2 * s, -0.45 * s), (1.2 * s, 0.45 * s), (0.45 * s, 0.45 * s),
               (0.45 * s, 1.2 * s), (-0.45 * s, 1.2 * s), (-0.45 * s, 0.45 * s), (-1.2 * s, 0.45 * s)],
)  # fmt: skip


def _element(tag: str, body: str, attributes: dict[str, object]) -> str:
    names = {"cls": "class"}
    text = "".join(
        f' {names.get(k, k.replace("_", "-"))}="{_value(v)}"' for k, v in attributes.items() if v is not None
    )
    return f"<{tag}{text}>{body}</{tag}>" if body else f"<{tag}{text}/>"


def _value(value: object) -> str:
    return _num(value) if isinstance(value, float) else _esc(value, 4_000_000)


def _tip(text: str) -> str:
    return f"<title>{_esc(text)}</title>" if text else ""


def _num(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".") if math.isfinite(value) else "0"


def _esc(text: object, limit: int = 400) -> str:
    return escape(shown(text, limit), quote=True)
