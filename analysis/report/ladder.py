"""Figure: how far up the ladder of a task family each model gets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dangercurve.analysis.report.data import LevelRate, ReportData, Role
from dangercurve.analysis.report.figure import Figure, figure
from dangercurve.analysis.report.floor import BASE
from dangercurve.analysis.report.svg import Canvas, fit, width_of
from dangercurve.analysis.report.words import NOTHING, count, interval, listing, num

MAX_ROWS = 64
PLACE: dict[Role, int] = {"real": 0, "SIMULATED": 1, "bot": 2}
HEADS: dict[Role, str] = {
    "real": "real models",
    "SIMULATED": "SIMULATED models",
    "bot": "bots (calibration)",
}
COLUMNS = (
    "model",
    "kind",
    "condition",
    "level",
    "success (bounds)",
    "n instances",
    "not scored",
    "random floor",
)
Line = tuple[Role, str, str]


def heatmap(uid: str, data: ReportData, family: str) -> Figure:
    """A row a model and condition, a column a rung: success on the base twin; largest compute first in each kind."""
    cells = [r for r in data.levels if r.family == family and r.twin == BASE]

    def rank(line: Line) -> tuple[int, float, str, str]:
        role, model, condition = line
        return PLACE[role], -data.log10_flop.get(model, -1.0), model, condition

    lines = sorted({(r.role, r.model, r.condition) for r in cells}, key=rank)
    answer = _answer(cells, family)

    def draw(key: str, width: float) -> Canvas:
        return _draw(key, width, f"Success by level on {family}", answer, lines[:MAX_ROWS], cells)

    table = [
        (r.model, r.role, r.condition, r.level, interval(r.estimate, r.lcb, r.ucb), r.n_instances, r.n_missing,
         num(r.random_floor))
        for r in sorted(cells, key=lambda r: (*rank((r.role, r.model, r.condition)), r.level))
    ]  # fmt: skip
    note = "Largest training compute first. A dash is a rung that was not run or not scored, which is no low score."
    if len(lines) > MAX_ROWS:
        note += f" The picture shows {MAX_ROWS} of {len(lines)} rows."
    question = f"How far up the ladder of {family} does each model get?"
    return figure(uid, question, answer, draw if cells else None, COLUMNS, table, note)


def _draw(
    uid: str, width: float, title: str, answer: str, lines: Sequence[Line], cells: Sequence[LevelRate]
) -> Canvas:
    levels = sorted({r.level for r in cells})
    by_cell = {(r.model, r.condition, r.level): r for r in cells}
    several = len({r.condition for r in cells}) > 1
    left = 140.0 if width < 500 else 320.0
    cell = min((width - left - 8) / max(len(levels), 1), 100.0)
    row = 22.0 if len(lines) <= 24 else 17.0
    heads = len({role for role, _, _ in lines})
    c = Canvas(uid, width, 34 + row * (len(lines) + heads + 1) + 8, title, answer)
    c.text(left - 10, 18, "level", "t tm", "end")
    c.text(left - 10, 22 + row, "random floor", "t tm", "end")
    for i, level in enumerate(levels):
        floors = [r.random_floor for r in cells if r.level == level and r.random_floor is not None]
        word = num(sum(floors) / len(floors), 2) if floors else NOTHING
        c.text(left + cell * (i + 0.5), 18, level, "t tb", "middle")
        c.text(left + cell * (i + 0.5), 22 + row, word, "t tm", "middle")
    y, seen = 30.0 + row, ""
    for role, model, condition in lines:
        if role != seen:
            c.text(8, y + row - 5, HEADS[role], "t tb")
            y, seen = y + row, role
        name = f"{model} · {condition}" if several else model
        c.text(14, y + row - 6, fit(name, left - 24), "t")
        for i, level in enumerate(levels):
            _cell(c, by_cell.get((model, condition, level)), left + cell * i, y, cell, row)
        y += row
    return c


def _cell(c: Canvas, r: LevelRate | None, x: float, y: float, w: float, h: float) -> None:
    if r is None or not math.isfinite(r.estimate):
        tip = f"none of {count(r.n_missing, 'sample')} scored" if r else "not run"
        c.rect(x + 1, y + 1, w - 2, h - 2, "empty", tip)
        c.text(x + w / 2, y + h - 6, NOTHING, "t tm", "middle")
        return
    tip = f"{r.model}, level {r.level}: {interval(r.estimate, r.lcb, r.ucb)}, n {r.n_instances}"
    c.rect(x + 1, y + 1, w - 2, h - 2, "cell", tip, fill=shade(r.estimate))
    word = f"{r.estimate:.2f}"
    if width_of(word) <= w:
        c.text(x + w / 2, y + h - 6, word, "t inv" if r.estimate > 0.5 else "t", "middle")


def shade(share: float) -> str:
    low, high = (236, 242, 248), (8, 62, 118)
    dark = (
        share if share <= 0.5 else 0.68 + 0.64 * (share - 0.5)
    )  # a step, so that white text can be read on it
    return "#" + "".join(f"{round(a + (b - a) * dark):02x}" for a, b in zip(low, high, strict=True))


def _answer(cells: list[LevelRate], family: str) -> str:
    if not cells:
        return f"No sample of the base twin of {family}."
    scored = [r for r in cells if math.isfinite(r.estimate) and r.role != "bot"]
    if not scored:
        return f"Nothing was scored on {family}: how able the models are is not known."
    top = max(r.level for r in scored)
    at_top = [r for r in scored if r.level == top]
    best = max(at_top, key=lambda r: (r.estimate, r.model))
    label = "SIMULATED " if best.role == "SIMULATED" else ""
    solved = sorted(
        {("SIMULATED " if r.role == "SIMULATED" else "") + r.model for r in at_top if r.lcb > 0.5}
    )
    tail = "On that rung no model is shown to succeed more often than not."
    if solved:
        tail = (
            f"There {listing(solved, 3)} {'succeeds' if len(solved) == 1 else 'succeed'} more often than not."
        )
    found = interval(best.estimate, best.lcb, best.ucb)
    return f"On the highest rung that was scored (level {top}) the best is {label}{best.model} with {found}. {tail}"
