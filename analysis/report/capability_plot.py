"""The picture of capability against compute: points, band, threshold, crossing, extrapolated zone."""

from __future__ import annotations

import math
from collections import Counter

from dangercurve.analysis.report.data import Forecast, Point, Scaling
from dangercurve.analysis.report.figure import GREY, Axis, Key, axes, colour_of, legend, legend_height
from dangercurve.analysis.report.svg import Canvas, Scale, fit, ticks, width_of
from dangercurve.analysis.report.words import interval, num, power

MAX_FAMILIES = 16
AHEAD = 6.0  # orders of magnitude beyond the largest model that are drawn at most


def shown_value(p: Point) -> float | None:
    """The estimate; for an open one (a horizon beyond the rungs that were run) the bound that is known."""
    for value in (p.estimate, p.lcb if p.lcb > 0 else math.nan, p.ucb):
        if math.isfinite(value):
            return value
    return None


def fitted(s: Scaling) -> bool:
    """Whether the panel has a fit of its own."""
    return s.forecast is not None and bool(s.forecast.shapes)


def _families(points: list[Point]) -> dict[str, int]:
    """Index of each model family, the largest ones first; beyond MAX_FAMILIES they share the last (grey) one."""
    ranked = sorted(Counter(p.model_family for p in points).items(), key=lambda item: (-item[1], item[0]))
    return {name: min(i, MAX_FAMILIES) for i, (name, _) in enumerate(ranked)}


def _value(s: Scaling, value: float) -> float:
    if s.scale != "log2":
        return value
    return math.log2(value) if value > 0 else -math.inf


def _y_axis(s: Scaling, points: list[Point], x: Scale, start: float, stop: float) -> Axis:
    """The y axis: rates from 0 to 1, else the range of estimates, lines and band; a long bar may leave the picture."""
    name = f"{s.label}, {s.unit}"
    if s.scale == "logit":
        return Axis(Scale(0.0, 1.0, start, stop), [(v / 10, f"{v / 10:g}") for v in range(0, 11, 2)], name)
    middles = [_value(s, v) for p in points if (v := shown_value(p)) is not None]
    reach = 3.0 if s.scale == "log2" else (max(middles) - min(middles)) or 1.0
    bars = [_value(s, v) for p in points for v in (p.lcb, p.ucb)]
    wanted = [*middles, *(max(min(v, max(middles) + reach), min(middles) - reach) for v in bars)]
    wanted += [_value(s, v) for v in (s.forecast.threshold if s.forecast else None, s.alert) if v is not None]
    if s.band is not None:
        wanted += [
            _value(s, v) for q in (s.band.q05, s.band.q95) for at, v in zip(s.band.x, q) if x.inside(at)
        ]
    finite = [v for v in wanted if math.isfinite(v)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if s.scale == "log2":
        low, high = math.floor(low - 0.2), math.ceil(high + 0.2)
        every = max(1, math.ceil((high - low) / 7))
        marks = [(float(k), num(2.0**k)) for k in range(low, high + 1, every)]
        return Axis(Scale(float(low), float(high), start, stop), marks, name)
    pad = 0.08 * ((high - low) or 1.0)
    scale = Scale(low - pad, high + pad, start, stop)
    return Axis(scale, [(v, num(v)) for v in ticks(scale.low, scale.high, 5)], name)


def _x_range(s: Scaling, placed: list[Point]) -> tuple[float, float, float]:
    """Left end, right end and the largest model's log10 FLOP (where extrapolation begins)."""
    known = [p.log10_flop for p in placed if p.log10_flop is not None]
    inside = [p.log10_flop for p in placed if p.log10_flop is not None and p.in_fit]
    low, last = min(known), max(inside or known)
    high = max(known) + 0.6
    if s.forecast is not None:
        ends = [v for v in s.forecast.log10_c if v is not None and math.isfinite(v)]
        high = max([high, last + 1.5, *(v + 0.4 for v in ends)])
        low = min([low, *ends])
    high = min(high, last + AHEAD)
    return low - 0.4, max(high, low + 1.0), last


def _keys(s: Scaling, placed: list[Point], families: dict[str, int]) -> list[Key]:
    simulated = {f: all(p.role == "SIMULATED" for p in placed if p.model_family == f) for f in families}
    keys = [
        Key(f + (" (SIMULATED)" if simulated[f] else ""), colour_of(i), i, simulated[f])
        for f, i in families.items()
        if i < MAX_FAMILIES
    ]
    if any(i == MAX_FAMILIES for i in families.values()):
        keys.append(Key("other model families", GREY, 0))
    if s.band is not None:
        keys += [
            Key("median of a new model", cls="med"),
            Key("90 % band for a new model", cls="band", box=True),
        ]
    if s.forecast is not None:
        keys += [Key("threshold", cls="thr")]
    if fitted(s):
        keys += [Key("extrapolated", cls="ext", box=True)]
    if s.alert is not None:
        keys.append(Key("alert line", cls="alert"))
    if s.floor is not None:
        keys.append(Key("random floor", cls="floor"))
    return keys


def draw(uid: str, width: float, s: Scaling, placed: list[Point], desc: str) -> Canvas:
    """The picture of the points `placed`, which all have compute and a value; `desc` says what it shows."""
    families = _families(placed)
    narrow = width < 500
    keys = _keys(s, placed, families)
    left, right, top, bottom = 56.0, width - 14.0, 42.0, (300.0 if narrow else 390.0)
    c = Canvas(
        uid, width, bottom + 52 + legend_height(keys, width - 16), f"{s.label} on {s.family} against training compute",
        desc,
    )  # fmt: skip
    low, high, last = _x_range(s, placed)
    x = Scale(low, high, left, right)
    y_axis = _y_axis(s, placed, x, bottom, top)
    y = y_axis.scale
    if fitted(s) and high > last:
        c.rect(x.at(last), top, right - x.at(last), bottom - top, "ext")
        room = right - x.at(last) - 8
        if room > width_of("extrapolated"):
            c.text(right - 4, bottom - 8, "extrapolated", "t tm halo", "end")
    axes(
        c,
        Axis(
            x, [(v, num(v, 4)) for v in ticks(low, high, 4 if narrow else 8)], "training compute, log10 FLOP"
        ),
        y_axis,
    )
    if s.band is not None:
        _band(c, s, x, y)
    if s.floor is not None and s.scale == "logit":
        c.line(left, y.at(s.floor), right, y.at(s.floor), "floor")
    if s.alert is not None and y.inside(_value(s, s.alert)):
        c.line(left, y.at(_value(s, s.alert)), right, y.at(_value(s, s.alert)), "alert")
    many = len(placed) > 30
    for p in sorted(placed, key=lambda p: p.role == "real"):  # real models on top
        at = x.at(p.log10_flop or 0.0)
        index = families[p.model_family]
        colour = GREY if index == MAX_FAMILIES else colour_of(index)
        lo, hi = (y.at(_value(s, v)) for v in (p.lcb, p.ucb))
        c.line(at, lo, at, hi, _bar_class(s, p, many), stroke=colour)
        tip = f"{p.model} ({p.role}): {interval(p.estimate, p.lcb, p.ucb)} at {power(p.log10_flop)} FLOP"
        c.mark(
            at,
            y.at(_value(s, shown_value(p) or 0.0)),
            index,
            colour,
            hollow=p.role == "SIMULATED",
            tip=tip,
            size=3.4 if (many and p.role != "real") or not math.isfinite(p.estimate) else 5.0,
        )
    real = [p for p in placed if p.role == "real"]
    if len(real) <= 4:
        for p in real:
            at, word = x.at(p.log10_flop or 0.0), fit(p.model.rsplit("/", 1)[-1], 0.45 * width, bold=True)
            end = at + 9 + width_of(word) > right
            c.text(
                at - 9 if end else at + 9,
                y.at(_value(s, shown_value(p) or 0.0)) - 7,
                word,
                "t tb halo",
                "end" if end else "start",
            )
    if s.forecast is not None and s.forecast.threshold is not None:
        _crossing(c, s, s.forecast, x, y, last)
    legend(c, keys, 8, bottom + 60, width - 16)
    return c


def _bar_class(s: Scaling, p: Point, many: bool) -> str:
    base = "whisker faint" if many and p.role != "real" else "whisker"
    return f"{base} apart" if fitted(s) and not p.in_fit else base


def _band(c: Canvas, s: Scaling, x: Scale, y: Scale) -> None:
    if s.band is None:
        return
    inside = [i for i, v in enumerate(s.band.x) if x.inside(v)]
    upper = [(x.at(s.band.x[i]), y.at(_value(s, s.band.q95[i]))) for i in inside]
    lower = [(x.at(s.band.x[i]), y.at(_value(s, s.band.q05[i]))) for i in inside]
    c.path([*upper, *reversed(lower)], "band", closed=True)
    c.path([(x.at(s.band.x[i]), y.at(_value(s, s.band.q50[i]))) for i in inside], "med")


def _crossing(c: Canvas, s: Scaling, f: Forecast, x: Scale, y: Scale, last: float) -> None:
    level = y.at(_value(s, f.threshold or 0.0))
    c.line(x.start, level, x.stop, level, "thr")
    c.text(x.start + 6, level - 7, f"threshold {num(f.threshold)}", "t tb halo v-REACHED")
    low, mid, high = f.log10_c
    if f.status == "not_identified":
        c.text(x.stop - 6, level + 17, "crossing not identified", "t tb halo v-UNRESOLVED", "end")
        return
    if low is None or not math.isfinite(low):
        c.text(x.stop - 6, level + 17, "no crossing within the cap", "t tb halo", "end")
        return
    end = high if high is not None and math.isfinite(high) else math.inf
    c.line(x.at(low), level, x.at(end), level, "cross")
    c.line(x.at(low), level - 7, x.at(low), level + 7, "cross")
    if x.inside(end):
        c.line(x.at(end), level - 7, x.at(end), level + 7, "cross")
    else:
        c.path([(x.stop - 2, level - 8), (x.stop + 9, level), (x.stop - 2, level + 8)], "arrow", closed=True)
    if mid is not None and x.inside(mid):
        tip = f"median crossing {power(mid)} FLOP, 90 % {power(low)} to {power(high) if high is not None else 'never'}"
        c.mark(x.at(mid), level, 3, "#a3161f", hollow=False, tip=tip, size=6)
