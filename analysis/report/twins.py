"""Figure: whether success survives a shift of the task (its twins), level by level."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dangercurve.analysis.report.data import LevelRate, ReportData
from dangercurve.analysis.report.figure import Figure, Key, Row, colour_of, figure, legend, legend_height
from dangercurve.analysis.report.floor import BASE
from dangercurve.analysis.report.svg import Canvas, Scale, fit
from dangercurve.analysis.report.words import interval, num

MAX_PANELS = 4
COLUMNS = (
    "model",
    "kind",
    "family",
    "condition",
    "twin",
    "level",
    "success (bounds)",
    "n instances",
    "not scored",
)
PanelRows = tuple[str, list[LevelRate]]


def twins(data: ReportData) -> Figure:
    """Success by level under each twin, for the subject and the real models first; MAX_PANELS panels."""
    panels = _focus(data)
    names = sorted({r.twin for _, rows in panels for r in rows}, key=lambda t: (t != BASE, t))
    answer = _answer(panels)

    def draw(uid: str, width: float) -> Canvas:
        keys = [Key(t, colour_of(i), i) for i, t in enumerate(names)] + [Key("random floor", cls="floor")]
        across = 1 if width < 500 or len(panels) == 1 else 2
        w, h = width / across, 225.0
        bottom = h * math.ceil(len(panels) / across)
        height = bottom + 12 + legend_height(keys, width - 16)
        c = Canvas(uid, width, height, "Success by level and twin", answer)
        for index, panel in enumerate(panels):
            _panel(c, panel, names, (index % across) * w, (index // across) * h, w, h)
        legend(c, keys, 8, bottom + 14, width - 16)
        return c

    def place(r: LevelRate) -> tuple[bool, str, str, str, int, str]:
        return r.role != "real", r.family, r.model, r.condition, r.level, r.twin

    table: list[Row] = [
        (r.model, r.role, r.family, r.condition, r.twin, r.level, interval(r.estimate, r.lcb, r.ucb),
         r.n_instances, r.n_missing)
        for r in sorted(data.levels, key=place)
    ]  # fmt: skip
    note = "A twin is the same instance under a shift. Bars are one-sided bounds, clustered by instance."
    question = "Does success survive a shift of the task?"
    return figure("twins", question, answer, draw if panels else None, COLUMNS, table, note)


def _focus(data: ReportData) -> list[PanelRows]:
    subject = data.verdict.subject if data.verdict else None
    groups: dict[tuple[str, str, str], list[LevelRate]] = {}
    for r in data.levels:
        if math.isfinite(r.estimate) and r.role != "bot":
            groups.setdefault((r.model, r.family, r.condition), []).append(r)

    def rank(
        item: tuple[tuple[str, str, str], list[LevelRate]],
    ) -> tuple[bool, bool, bool, float, tuple[str, ...]]:
        key, rows = item
        shifted = any(r.twin != BASE for r in rows)
        return key[0] != subject, not shifted, rows[0].role != "real", -data.log10_flop.get(key[0], 0.0), key

    return [
        (f"{model}{' · SIMULATED' if rows[0].role == 'SIMULATED' else ''} · {family}", rows)
        for (model, family, _), rows in sorted(groups.items(), key=rank)[:MAX_PANELS]
    ]


def _panel(
    c: Canvas, panel: PanelRows, names: Sequence[str], x0: float, y0: float, w: float, h: float
) -> None:
    title, rows = panel
    left, right, top, bottom = x0 + 40, x0 + w - 14, y0 + 34, y0 + h - 46
    levels = sorted({r.level for r in rows})
    c.text(x0 + 8, y0 + 18, fit(title, w - 20, bold=True), "t tb")
    y = Scale(0.0, 1.0, bottom, top)
    for v in (0.0, 0.5, 1.0):
        c.line(left, y.at(v), right, y.at(v), "grid")
        c.text(left - 6, y.at(v) + 4, f"{v:g}", "t tm", "end")
    slot = (right - left) / len(levels)
    for i, level in enumerate(levels):
        middle = left + slot * (i + 0.5)
        c.text(middle, bottom + 16, level, "t tm", "middle")
        floors = [r.random_floor for r in rows if r.level == level and r.random_floor is not None]
        if floors:
            at = y.at(sum(floors) / len(floors))
            c.line(middle - 0.45 * slot, at, middle + 0.45 * slot, at, "floor")
    gap = min(0.8 * slot / max(len(names), 1), 18.0)
    for k, twin in enumerate(names):
        for r in (r for r in rows if r.twin == twin):
            at = left + slot * (levels.index(r.level) + 0.5) + gap * (k - (len(names) - 1) / 2)
            c.line(at, y.at(r.lcb), at, y.at(r.ucb), "whisker", stroke=colour_of(k))
            tip = f"{twin}, level {r.level}: {interval(r.estimate, r.lcb, r.ucb)}, n {r.n_instances}"
            c.mark(at, y.at(r.estimate), k, colour_of(k), hollow=r.role == "SIMULATED", tip=tip, size=4)
    c.line(left, bottom, right, bottom, "ax")
    c.text((left + right) / 2, bottom + 33, "level", "t tm", "middle")


def _answer(panels: list[PanelRows]) -> str:
    if not panels:
        return "Nothing was scored, so nothing is known about shifts."
    drops: list[tuple[float, LevelRate, LevelRate]] = []
    for _, rows in panels:
        base = {r.level: r for r in rows if r.twin == BASE}
        drops += [
            (base[r.level].estimate - r.estimate, r, base[r.level])
            for r in rows
            if r.twin != BASE and r.level in base
        ]
    if not drops:
        return "Only the base twin was run for these models, so this run says nothing about shifts."
    size, worst, base_row = max(drops, key=lambda d: (d[0], d[1].twin, d[1].model))
    if size <= 0:
        return "No twin scored below its base at any level shown."
    label = "SIMULATED " if worst.role == "SIMULATED" else ""
    apart = worst.ucb < base_row.lcb
    return (
        f"The largest loss is that of {label}{worst.model} under {worst.twin} at level {worst.level} of {worst.family}: "
        f"{num(base_row.estimate)} on the base twin, {num(worst.estimate)} on the twin; "
        f"their bounds {'do not overlap' if apart else 'overlap'}."
    )
