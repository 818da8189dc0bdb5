"""A figure: the question its title asks, the sentence that answers it, two drawings (wide, narrow), its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from dangercurve.analysis.report.svg import Canvas, Scale, fit, shown, width_of

WIDE, NARROW = 860.0, 350.0
MAX_TABLE = 250
MAX_SENTENCE = 2000
PALETTE = ("#0b5fa5", "#b8420f", "#0a7a55", "#7b4aa8", "#8a6500", "#b0306a", "#0f7380", "#5d4f45")
GREY = "#5b6470"
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """`wide` and `narrow` are the same picture for a desk and for a phone; None where there is nothing to draw."""

    id: str
    question: str
    answer: Markup
    wide: Markup | None
    narrow: Markup | None
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    n_rows: int
    note: Markup


Draw = Callable[[str, float], Canvas]


def figure(
    uid: str,
    question: str,
    answer: str,
    draw: Draw | None,
    columns: Sequence[str],
    rows: Sequence[Row],
    note: str = "",
) -> Figure:
    """Draw at both widths and cut the table at MAX_TABLE rows (`n_rows` keeps how many there were)."""
    wide = draw(f"{uid}-w", WIDE).render() if draw else None
    narrow = draw(f"{uid}-n", NARROW).render() if draw else None
    return Figure(
        uid,
        question,
        safe(answer),
        wide,
        narrow,
        tuple(columns),
        tuple(rows[:MAX_TABLE]),
        len(rows),
        safe(note),
    )


def safe(text: str) -> Markup:
    """A sentence of ours as markup: one harmless line, longer than a single cell may be."""
    return Markup(escape(shown(text, MAX_SENTENCE)))  # noqa: S704  # escaped right here


def colour_of(index: int) -> str:
    """The colour of the index-th model family (or twin); with the marker form it tells 24 apart."""
    return PALETTE[index % len(PALETTE)]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: where values lie, the ticks with their labels, and its name."""

    scale: Scale
    ticks: Sequence[tuple[float, str]]
    name: str


def axes(c: Canvas, x: Axis, y: Axis) -> None:
    """Grid, ticks and names of a plot whose frame is given by the two scales."""
    left, right, bottom, top = x.scale.start, x.scale.stop, y.scale.start, y.scale.stop
    for value, label in y.ticks:
        c.line(left, y.scale.at(value), right, y.scale.at(value), "grid")
        c.text(left - 7, y.scale.at(value) + 4, label, "t tm", "end")
    last = -1e9
    for value, label in x.ticks:
        at = x.scale.at(value)
        c.line(at, bottom, at, bottom + 4, "ax")
        if at - width_of(label) / 2 > last:
            c.text(at, bottom + 18, label, "t tm", "middle")
            last = at + width_of(label) / 2 + 4
    c.line(left, bottom, right, bottom, "ax")
    c.text((left + right) / 2, bottom + 36, x.name, "t", "middle")
    c.text(4, top - 10, fit(y.name, c.width - 8), "t")


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: a name, a colour, and a marker form, a line class or a box class."""

    name: str
    colour: str = GREY
    shape: int | None = None
    hollow: bool = False
    cls: str = ""
    box: bool = False


def legend_rows(keys: Sequence[Key], width: float) -> list[list[tuple[float, Key]]]:
    """Legend entries broken into rows of at most `width` px, each with its x."""
    rows: list[list[tuple[float, Key]]] = [[]]
    x = 0.0
    for key in keys:
        need = 24 + width_of(fit(key.name, width - 30)) + 16
        if x and x + need - 16 > width:
            rows.append([])
            x = 0.0
        rows[-1].append((x, key))
        x += need
    return rows


def legend_height(keys: Sequence[Key], width: float) -> float:
    """Height that `legend` needs."""
    return 20.0 * len(legend_rows(keys, width)) if keys else 0.0


def legend(c: Canvas, keys: Sequence[Key], x: float, y: float, width: float) -> None:
    """Draw the legend with its first row's middle at `y`."""
    for index, row in enumerate(legend_rows(keys, width)):
        at = y + 20 * index
        for offset, key in row:
            left = x + offset
            if key.shape is not None:
                c.mark(left + 8, at, key.shape, key.colour, hollow=key.hollow)
            elif key.box:
                c.rect(left, at - 6, 16, 12, key.cls, fill=None if key.cls else key.colour)
            else:
                c.line(left, at, left + 16, at, key.cls)
            c.text(left + 22, at + 4, fit(key.name, width - 30), "t")


def whisker(c: Canvas, x1: float, x2: float, y: float, cls: str = "ci", cap: float = 4.0) -> None:
    """A horizontal interval with end caps."""
    c.line(x1, y, x2, y, cls)
    for x in (x1, x2):
        c.line(x, y - cap, x, y + cap, cls)
