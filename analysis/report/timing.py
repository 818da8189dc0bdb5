"""Figures: how the crossing depends on the assumed curve, and when the compute for it arrives."""

from __future__ import annotations

import math

from dangercurve.analysis.report.capability import status_words
from dangercurve.analysis.report.data import Forecast
from dangercurve.analysis.report.figure import Figure, Key, Row, figure, legend, legend_height, whisker
from dangercurve.analysis.report.svg import Canvas, Scale, fit, ticks, width_of
from dangercurve.analysis.report.words import NOTHING, count, listing, num, percent, power

MAX_DATES = 6
Quantiles = tuple[float | None, float | None, float | None]


def shapes(uid: str, f: Forecast) -> Figure:
    """Median and 90 % interval of log10 C* by curve shape, the pooled answer first."""
    rows: list[tuple[str, Quantiles, str]] = [
        ("pooled", f.log10_c, f"never: {percent(f.p_never)}" if f.p_never is not None else "")
    ]
    rows += [
        (s.name, (s.q05, s.q50, s.q95), f"weight {percent(s.weight)}, never: {percent(s.p_never)}")
        for s in f.shapes
    ]
    if f.worst_case is not None:
        rows.append(("missing = dangerous", f.worst_case, ""))
    nothing = "not identified" if f.status == "not_identified" else "no crossing within the cap"
    known = [v for _, q, _ in rows for v in q if v is not None and math.isfinite(v)]

    def draw(key: str, width: float) -> Canvas:
        narrow = width < 500
        left, right = (10.0, width - 22.0) if narrow else (170.0, width - 215.0)
        step, top = (42.0, 12.0) if narrow else (28.0, 12.0)
        bottom = top + step * len(rows)
        c = Canvas(
            key, width, bottom + 44, f"Crossing of {f.event} on {f.family} by curve shape", _shape_answer(f)
        )
        low, high = min(known) - 0.3, max(known) + 0.3
        if f.cap is not None:
            high = min(max(high, low + 1), f.cap + 0.3)
        x = Scale(low, max(high, low + 1), left, right)
        for v in ticks(x.low, x.high, 4 if narrow else 6):
            c.line(x.at(v), top, x.at(v), bottom, "grid")
            c.text(x.at(v), bottom + 16, num(v, 4), "t tm", "middle")
        for index, (name, q, words) in enumerate(rows):
            base = top + step * index
            y = base + (30.0 if narrow else 14.0)
            c.text(8, base + (14 if narrow else 18), fit(name, 160, bold=True), "t tb" if index == 0 else "t")
            c.text(width - 8, base + (14 if narrow else 18), fit(words, 205), "t tm", "end")
            _interval(c, x, q, y, strong=index == 0, nothing=nothing)
        c.text((left + right) / 2, bottom + 36, "training compute at the crossing, log10 FLOP", "t", "middle")
        return c

    columns = ("shape", "weight", "5 %", "median", "95 %", "never")
    table: list[Row] = [("pooled", NOTHING, *(num(v, 4) for v in f.log10_c), percent(f.p_never))]
    table += [
        (s.name, percent(s.weight), num(s.q05, 4), num(s.q50, 4), num(s.q95, 4), percent(s.p_never))
        for s in f.shapes
    ]
    if f.worst_case is not None:
        table.append(
            ("missing samples at the dangerous end", NOTHING, *(num(v, 4) for v in f.worst_case), NOTHING)
        )
    question = f"Does the crossing on {f.family} depend on the assumed curve?"
    note = "log10 FLOP; a dash is “never within the cap” or not known."
    return figure(uid, question, _shape_answer(f), draw if known else None, columns, table, note)


def dates(forecasts: tuple[Forecast, ...]) -> Figure:
    """Probability that the frontier reaches the crossing, by calendar date; one row a forecast."""
    dated = [f for f in forecasts if f.p_by][:MAX_DATES]

    def draw(uid: str, width: float) -> Canvas:
        block, keys = (
            150.0,
            [
                Key("reached between two dates", cls="bar", box=True),
                Key("already reached", cls="already", box=True),
                Key("later, or never", cls="never", box=True),
            ],
        )
        height = block * len(dated) + 22 + legend_height(keys, width)
        c = Canvas(
            uid,
            width,
            height,
            "When does training compute reach the crossing?",
            _date_answer(dated, forecasts),
        )
        for index, f in enumerate(dated):
            _dates_row(c, f, block * index, width)
        legend(c, keys, 8, block * len(dated) + 14, width - 16)
        return c

    columns = ("forecast", "frontier", "5 %", "median", "95 %", "never within the cap", "P(by date)")
    table = [
        (f"{f.event} on {f.family}" + (" (SIMULATED)" if f.simulated else ""), f.frontier or NOTHING,
         *(d or NOTHING for d in f.date), percent(f.p_never), "; ".join(f"{d}: {percent(p)}" for d, p in f.p_by) or NOTHING)
        for f in forecasts
    ]  # fmt: skip
    note = (
        "The largest training run in the world, or the organisation's own roadmap, reaches the compute of the crossing: "
        "this dates the frontier, not this model."
    )
    answer = _date_answer(dated, forecasts)
    return figure(
        "dates", "When does that compute arrive?", answer, draw if dated else None, columns, table, note
    )


def _dates_row(c: Canvas, f: Forecast, top: float, width: float) -> None:
    steps, before = [], 0.0
    if f.p_breached:
        steps, before = [("already", f.p_breached)], f.p_breached
    for day, p in f.p_by:
        steps.append((day, max(p - before, 0.0)))
        before = max(before, p)
    rest = max(1.0 - before, 0.0)
    left, right, base = 46.0, width - 14.0, top + 112.0
    title = f"{f.event} on {f.family}" + (" · SIMULATED" if f.simulated else "")
    c.text(8, top + 16, fit(title, width - 16, bold=True), "t tb")
    peak = max(0.05, rest, *(p for _, p in steps))
    y = Scale(0.0, peak, base, top + 34.0)
    marks = [(v, percent(v)) for v in ticks(0.0, peak, 3)]
    for value, label in marks:
        c.line(left, y.at(value), right, y.at(value), "grid")
        c.text(left - 6, y.at(value) + 4, label, "t tm", "end")
    slot = (right - left) / (len(steps) + 1.4)
    every = max(1, math.ceil(40.0 / slot))
    for index, (day, p) in enumerate(steps):
        at = left + slot * index
        kind, tip = (
            ("already", f"already reached on {f.as_of}")
            if day == "already"
            else ("bar", f"by {day}, not before")
        )
        c.rect(at + 0.12 * slot, y.at(p), 0.76 * slot, base - y.at(p), kind, f"{tip}: {percent(p)}")
        if index % every == 0 and at + slot / 2 < right - 1.4 * slot - 24:
            word = "already" if day == "already" else day[:4] if day[4:] == "-12-31" else day[:7]
            c.text(
                at + slot / 2, base + 15, word if width_of(word) < slot * every else "now", "t tm", "middle"
            )
    at = right - 1.2 * slot
    c.rect(at, y.at(rest), 1.1 * slot, base - y.at(rest), "never", f"later or never: {percent(rest)}")
    c.text(right, base + 15, "later", "t tm", "end")
    c.line(left, base, right, base, "ax")


def _interval(c: Canvas, x: Scale, q: Quantiles, y: float, *, strong: bool, nothing: str) -> None:
    low, mid, high = q
    if low is None or not math.isfinite(low):
        c.text(x.start + 4, y + 4, nothing, "t tm halo")
        return
    end = high if high is not None and math.isfinite(high) else math.inf
    whisker(c, x.at(low), x.at(end), y, "cross" if strong else "ci", 5)
    if not x.inside(end):
        c.path([(x.stop, y - 6), (x.stop + 8, y), (x.stop, y + 6)], "arrow", closed=True)
    if mid is not None and math.isfinite(mid):
        c.mark(
            x.at(mid),
            y,
            3 if strong else 0,
            "#a3161f" if strong else "#10202e",
            hollow=False,
            size=5 if strong else 4,
        )


def _shape_answer(f: Forecast) -> str:
    middles = [(s.q50, s.name) for s in f.shapes if s.q50 is not None and math.isfinite(s.q50)]
    never = [s.name for s in f.shapes if s.q50 is None or not math.isfinite(s.q50)]
    start = "" if f.status != "not_identified" else "Not identified whatever the shape reports. "
    if len(f.shapes) < 2:
        return start + "One shape only was fitted, so this run cannot say how much the answer depends on it."
    if not middles:
        return start + "No shape crosses in its median."
    (low, first), (high, last) = min(middles), max(middles)
    tail = f" {listing(never)}: no crossing in the median." if never else ""
    if high - low < 0.05:
        return f"{start}Hardly: the medians of {len(middles)} shapes agree to {num(high - low, 1)} orders of magnitude.{tail}"
    return (
        f"{start}The medians lie {num(high - low, 2)} orders of magnitude apart: {first} crosses first ({power(low)} FLOP), "
        f"{last} last ({power(high)}).{tail}"
    )


def _date_answer(dated: list[Forecast], every: tuple[Forecast, ...]) -> str:
    if not every:
        return "This run stores no forecast, so it dates nothing."
    if not dated:
        return "No forecast of this run has a date: " + status_words(every[0])
    f = dated[0]
    low, mid, high = f.date
    label = "SIMULATED: " if f.simulated else ""
    if f.status == "not_identified":
        return f"{label}The crossing of {f.event} is not identified, so its date is not either."
    by, p = f.p_by[-1]
    words = [_day(day, f.as_of) for day in (low, mid, high)]
    more = f" {count(len(every) - 1, 'further forecast')} below." if len(every) > 1 else ""
    return (
        f"{label}In the median the {f.frontier or 'compute'} frontier reaches the crossing of {f.event} on {f.family} "
        f"{words[1]} (90 % interval: {words[0]} to {words[2]}); by {by} with probability {percent(p)}.{more}"
    )


def _day(day: str | None, as_of: str) -> str:
    """A date of a forecast in words: ISO days compare as text."""
    if day is None:
        return "never within the cap"
    return "already" if as_of and day <= as_of else f"on {day}"
