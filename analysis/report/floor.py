"""Figure: each real model on its lowest rung beside the random policy."""

from __future__ import annotations

import math

from dangercurve.analysis.report.data import LevelRate, ReportData
from dangercurve.analysis.report.figure import (
    Figure,
    Key,
    colour_of,
    figure,
    legend,
    legend_height,
    whisker,
)
from dangercurve.analysis.report.svg import Canvas, Scale, fit
from dangercurve.analysis.report.words import bound_name, count, interval, num

MAX_ROWS, MAX_SENTENCES = 24, 3
BASE = "base"
KEYS = (
    Key("success", colour_of(0), 0),
    Key("its one-sided bounds", cls="ci"),
    Key("random floor", cls="floor"),
)
COLUMNS = ("model", "family", "condition", "level", "success (bounds)", "random floor", "n instances",
           "not scored", "beats the floor")  # fmt: skip


def against_floor(data: ReportData) -> Figure:
    """The lowest rung of the base twin for every real model and family; says in words whether it beats chance."""
    lowest: dict[tuple[str, str, str], LevelRate] = {}
    for row in sorted(data.levels, key=lambda r: r.level):
        if row.role == "real" and row.twin == BASE:
            lowest.setdefault((row.model, row.family, row.condition), row)
    rows = sorted(lowest.values(), key=lambda r: (r.model, r.family, r.condition))
    shown = [r for r in rows if math.isfinite(r.estimate)][:MAX_ROWS]
    answer = _answer(rows, data.alpha)

    def draw(uid: str, width: float) -> Canvas:
        return _draw(uid, width, shown, answer)

    table = [
        (r.model, r.family, r.condition, r.level, interval(r.estimate, r.lcb, r.ucb), num(r.random_floor),
         r.n_instances, r.n_missing, against(r))
        for r in rows
    ]  # fmt: skip
    note = f"Bounds are one-sided at {bound_name(data.alpha)}, clustered by instance, one family at a time."
    question = "Does the real model do better than chance?"
    return figure("floor", question, answer, draw if shown else None, COLUMNS, table, note)


def against(r: LevelRate) -> str:
    """`yes` where the lower bound lies above the random floor, `no, below` where the upper one lies below it."""
    if not math.isfinite(r.estimate):
        return "nothing scored"
    if r.random_floor is None:
        return "no floor known"
    return "yes" if r.lcb > r.random_floor else "no, below" if r.ucb < r.random_floor else "not shown"


def _draw(uid: str, width: float, rows: list[LevelRate], answer: str) -> Canvas:
    narrow = width < 500
    left, right = (10.0, width - 14.0) if narrow else (360.0, width - 110.0)
    step = 46.0 if narrow else 30.0
    bottom = 8 + step * len(rows)
    height = bottom + 48 + legend_height(KEYS, width - 16)
    c = Canvas(uid, width, height, "Real models against the random floor", answer)
    x = Scale(0.0, 1.0, left, right)
    for v in (0.0, 0.25, 0.5, 0.75, 1.0):
        c.line(x.at(v), 6, x.at(v), bottom, "grid")
        c.text(x.at(v), bottom + 16, f"{v:g}", "t tm", "middle")
    for index, r in enumerate(rows):
        base = 8 + step * index
        y = base + (32.0 if narrow else 15.0)
        name = f"{r.model.rsplit('/', 1)[-1]} · {r.family} · level {r.level}"
        c.text(8, base + (14 if narrow else 19), fit(name, width - 110 if narrow else left - 20), "t")
        c.text(width - 8, base + (14 if narrow else 19), against(r), "t tb", "end")
        whisker(c, x.at(r.lcb), x.at(r.ucb), y)
        if r.random_floor is not None:
            c.line(x.at(r.random_floor), y - 10, x.at(r.random_floor), y + 10, "floor")
        tip = f"{r.model}: {interval(r.estimate, r.lcb, r.ucb)}, floor {num(r.random_floor)}"
        c.mark(x.at(r.estimate), y, 0, colour_of(0), hollow=False, tip=tip)
    c.text((left + right) / 2, bottom + 34, "success on the lowest rung", "t", "middle")
    legend(c, KEYS, 8, bottom + 52, width - 16)
    return c


def _answer(rows: list[LevelRate], alpha: float) -> str:
    if not rows:
        return "This run holds no samples of a real model: what follows calibrates the pipeline and measures nobody."
    said = [_sentence(r) for r in rows[:MAX_SENTENCES]]
    left = len(rows) - MAX_SENTENCES
    more = f" {count(left, 'more row')} in the table." if left > 0 else ""
    return f"{' '.join(said)} Each bound holds with {bound_name(alpha)}.{more}"


def _sentence(r: LevelRate) -> str:
    where = f"{r.model} on {r.family} ({r.condition}, level {r.level})"
    rate = interval(r.estimate, r.lcb, r.ucb)
    found = f"{rate} against a floor of {num(r.random_floor)}, n = {r.n_instances}"
    return {
        "yes": f"{where} beats the random floor: {found}.",
        "no, below": f"{where} lies below the random floor: {found}.",
        "not shown": f"{where} is not shown to beat the random floor: {found}.",
        "no floor known": f"{where}: {rate}; no random floor is known.",
        "nothing scored": f"{where}: none of {count(r.n_missing, 'sample')} was scored, so nothing is known.",
    }[against(r)]
