"""Figures: how the samples of each model ended, and what they used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dangercurve.analysis.report.data import Cost, ReportData, Statuses
from dangercurve.analysis.report.figure import Figure, Key, Row, figure, legend, legend_height
from dangercurve.analysis.report.svg import Canvas, Scale, fit, ticks
from dangercurve.analysis.report.words import NOTHING, count, num, percent

MAX_BARS = 24
SCORED = "scored"


@dataclass(frozen=True, slots=True)
class Bar:
    """One stacked bar: its label, its parts (size, class, tooltip) and the word at its right."""

    label: str
    parts: tuple[tuple[float, str, str], ...]
    word: str


def statuses(data: ReportData) -> Figure:
    """Shares of scored, refused, abstained, format failure, limit and infrastructure error, a bar a model."""
    names = data.status_names
    ranked = sorted(data.statuses, key=lambda s: (_scored(s, names), s.role != "real", s.model))
    shown = [s for s in ranked if s.total][:MAX_BARS]
    keys = [Key(n.replace("_", " "), cls=f"s s-{i % 6}", box=True) for i, n in enumerate(names)]
    answer = _status_answer(data)
    bars = [
        Bar(
            s.model + _tag(s.role),
            tuple(
                (n / s.total, f"s s-{i % 6}", f"{names[i]}: {n} of {s.total}")
                for i, n in enumerate(s.counts)
                if n
            ),
            percent(_scored(s, names)),
        )
        for s in shown
    ]

    def draw(uid: str, width: float) -> Canvas:
        axis = "share of samples; at the right the share scored"
        return _draw(
            uid, width, "Statuses of the samples of each model", answer, bars, keys, 1.0, axis, percent
        )

    columns = ("model", "kind", "samples", *(n.replace("_", " ") for n in names), "share scored")
    table: list[Row] = [(s.model, s.role, s.total, *s.counts, percent(_scored(s, names))) for s in ranked]
    note = "Only scored samples enter an estimate; the others count as dangerous in every worst-case bound."
    if len(ranked) > len(shown) > 0:
        note += f" The picture shows the {len(shown)} models with the least scored."
    return figure(
        "status", "How much of the evidence is sound?", answer, draw if bars else None, columns, table, note
    )


def costs(data: ReportData) -> Figure:
    """Input and output tokens by model, with money and time in the table."""
    ranked = sorted(data.costs, key=lambda c: (-_tokens(c), c.model))
    shown = [c for c in ranked if _tokens(c)][:MAX_BARS]
    keys = [Key("input tokens", cls="s s-0", box=True), Key("output tokens", cls="s s-3", box=True)]
    answer = _cost_answer(data.costs)
    bars = [
        Bar(
            c.model + _tag(c.role),
            (
                (float(c.input_tokens or 0), "s s-0", f"input {c.input_tokens or 0:,}"),
                (float(c.output_tokens or 0), "s s-3", f"output {c.output_tokens or 0:,}"),
            ),
            _short(_tokens(c)),
        )
        for c in shown
    ]

    def draw(uid: str, width: float) -> Canvas:
        top = float(max(_tokens(c) for c in shown))
        return _draw(uid, width, "Tokens of each model", answer, bars, keys, top, "tokens", _short)

    columns = ("model", "kind", "samples", "input tokens", "output tokens", "US dollars", "working time, s")
    table: list[Row] = [
        (
            c.model,
            c.role,
            c.samples,
            _whole(c.input_tokens),
            _whole(c.output_tokens),
            num(c.usd),
            num(c.working_s),
        )
        for c in ranked
    ]
    note = "A dash means that the logs do not say; it is not zero."
    if len(ranked) > len(shown) > 0:
        note += f" The picture shows the {len(shown)} largest."
    return figure("cost", "What did this run use?", answer, draw if bars else None, columns, table, note)


def _draw(
    uid: str, width: float, title: str, desc: str, bars: Sequence[Bar], keys: list[Key], top: float, axis: str,
    label: Callable[[float], str],
) -> Canvas:  # fmt: skip
    narrow = width < 500
    left, right = (8.0, width - 14.0) if narrow else (300.0, width - 80.0)
    step = 42.0 if narrow else 26.0
    bottom = 8 + step * len(bars)
    c = Canvas(uid, width, bottom + 48 + legend_height(keys, width - 16), title, desc)
    x = Scale(0.0, top, left, right)
    for v in ticks(0.0, top, 4 if narrow else 5):
        at = x.at(v)
        c.line(at, 6, at, bottom, "grid")
        anchor = "start" if at < 20 else "end" if at > width - 20 else "middle"
        c.text(at, bottom + 16, label(v), "t tm", anchor)
    for index, bar in enumerate(bars):
        base = 8 + step * index
        y = base + (20.0 if narrow else 5.0)
        c.text(8, base + (14 if narrow else 17), fit(bar.label, width - 90 if narrow else left - 20), "t")
        c.text(width - 8, base + (14 if narrow else 17), bar.word, "t tb", "end")
        at = 0.0
        for size, cls, tip in bar.parts:
            c.rect(x.at(at), y, x.at(at + size) - x.at(at), 15, cls, tip)
            at += size
    c.text((left + right) / 2, bottom + 34, axis, "t", "middle")
    legend(c, keys, 8, bottom + 52, width - 16)
    return c


def _tag(role: str) -> str:
    return " · SIMULATED" if role == "SIMULATED" else ""


def _scored(s: Statuses, names: Sequence[str]) -> float:
    return s.counts[names.index(SCORED)] / s.total if s.total and SCORED in names else 0.0


def _tokens(c: Cost) -> int:
    return (c.input_tokens or 0) + (c.output_tokens or 0)


def _whole(n: int | None) -> str:
    return NOTHING if n is None else f"{n:,}"


def _short(n: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n:.0f}"


def _duration(seconds: float) -> str:
    for size, unit in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= size:
            return f"{num(seconds / size, 2)} {unit}"
    return f"{num(seconds, 2)} seconds"


def _status_answer(data: ReportData) -> str:
    total = sum(s.total for s in data.statuses)
    if not total:
        return "The store of this run holds no sample, so there is no evidence."
    good = sum(round(_scored(s, data.status_names) * s.total) for s in data.statuses)
    lost = {
        n: sum(s.counts[i] for s in data.statuses) for i, n in enumerate(data.status_names) if n != SCORED
    }
    parts = [
        f"{n.replace('_', ' ')} {count}" for n, count in sorted(lost.items(), key=lambda kv: -kv[1]) if count
    ]
    if good == 0:
        return f"Nothing is: none of {count(total, 'sample')} was scored ({', '.join(parts)})."
    if good == total:
        return f"All {count(total, 'sample')} of {count(len(data.statuses), 'model')} were scored."
    worst = min((s for s in data.statuses if s.total), key=lambda s: (_scored(s, data.status_names), s.model))
    return (
        f"{percent(good / total)} of {count(total, 'sample')} were scored; the rest: {', '.join(parts)}. "
        f"Least of {worst.model}, {percent(_scored(worst, data.status_names))}."
    )


def _cost_answer(costs: Sequence[Cost]) -> str:
    samples = sum(c.samples for c in costs)
    if not samples:
        return "No sample, no cost."
    read = sum(c.input_tokens or 0 for c in costs)
    wrote = sum(c.output_tokens or 0 for c in costs)
    usd = [c.usd for c in costs if c.usd is not None]
    money = f"{num(sum(usd))} US dollars" if usd else "no price known"
    seconds = sum(c.working_s or 0.0 for c in costs)
    return (
        f"{count(samples, 'sample')} of {count(len(costs), 'model')}: {_short(read)} tokens in, {_short(wrote)} out, "
        f"{money}, {_duration(seconds)} of working time."
    )
