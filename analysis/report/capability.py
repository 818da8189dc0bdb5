"""Figure: capability against training compute, with the band for a new model, the threshold and its crossing."""

from __future__ import annotations

import math
from collections.abc import Mapping

from dangercurve.analysis.report.capability_chart import chart, fitted, shown_value
from dangercurve.analysis.report.data import Forecast, Point, Scaling
from dangercurve.analysis.report.figure import Figure, Link, Row
from dangercurve.analysis.report.words import count, interval, num, percent, power

COLUMNS = (
    "model",
    "model family",
    "kind",
    "log10 FLOP",
    "estimate (interval)",
    "n instances",
    "in the fit",
    "condition",
)
Links = Mapping[tuple[str, str], str]
"""Fragment of the page with what lies behind a (model, family)."""


def capability(uid: str, s: Scaling, links: Links) -> Figure:
    """Points by model (colour and form: model family; hollow: SIMULATED), band, threshold, crossing, extrapolated zone."""
    placed = [p for p in s.points if p.log10_flop is not None and shown_value(p) is not None]
    rows: list[Row] = [
        (_name(p.model, links.get((p.model, s.family))), p.model_family, p.role, num(p.log10_flop, 4),
         interval(p.estimate, p.lcb, p.ucb), p.n_instances, _fit_word(s, p), p.condition)
        for p in sorted(s.points, key=lambda p: (p.log10_flop is None, p.log10_flop or 0.0, p.model))
    ]  # fmt: skip
    rows += [
        (f"{h.model} (held out)", "", "SIMULATED" if h.simulated else "real", num(h.log10_flop, 4),
         f"predicted {interval(h.predicted, h.q05, h.q95)}, measured {num(h.actual)}", None, "no: held out", h.as_of)
        for h in s.held_out
    ]  # fmt: skip
    question = f"At what compute does the {s.label} on {s.family} meet its threshold?"
    if s.forecast is None:
        question = f"How does the {s.label} on {s.family} grow with training compute?"
    missing = (
        "Training compute of the models: `dangercurve models` lists the records and says how to add one; "
        "then `dangercurve fit RUN`."
    )
    return Figure(
        uid, question, _answer(s, placed), (lambda width: chart(s, placed, links, width)) if placed else None,
        COLUMNS, tuple(rows), _note(s, placed), "" if placed else missing,
    )  # fmt: skip


def _name(model: str, href: str | None) -> Link | str:
    return Link(model, href) if href else model


def _fit_word(s: Scaling, p: Point) -> str:
    if p.log10_flop is None:
        return "no: compute not known"
    if p.in_fit:
        return "yes"
    return "no: no fit" if s.forecast is None or not s.forecast.shapes else "no: other condition"


def status_words(f: Forecast) -> str:
    """What the forecast says, in words; "not identified" is an answer."""
    low, mid, high = f.log10_c
    if f.status == "identified":
        never = f" In {percent(f.p_never)} of draws it never does below the cap." if f.p_never else ""
        upper = power(high) if high is not None else "never within the cap"
        middle = power(mid) if mid is not None else "never within the cap"
        return f"A new model is forecast to meet {f.event} at {middle} FLOP (90 % interval {power(low)} to {upper}).{never}"
    if f.status == "not_within_cap":
        share = f" ({percent(f.p_never)} of draws)" if f.p_never is not None else ""
        return (
            f"Most draws never meet {f.event} within the cap of {power(f.cap)} FLOP{share}; "
            f"the earliest 5 % cross at {power(low)} FLOP or below."
            if low is not None
            else f"Most draws never meet {f.event} within the cap of {power(f.cap)} FLOP{share}."
        )
    why = f" ({f.reason})" if f.reason else ""
    return (
        f"Not identified{why}: these data do not say where, or whether, a model meets {f.event}. "
        "That is no evidence of safety; models over more orders of magnitude of compute would decide it."
    )


def _answer(s: Scaling, placed: list[Point]) -> str:
    fit = [p for p in placed if p.in_fit] or placed
    label = "SIMULATED models only in the fit: " if fit and all(p.role == "SIMULATED" for p in fit) else ""
    if s.reference:
        label = "The project's own small models, trained on this kind of task and pooled with no others: "
    if not label and s.forecast is not None and s.forecast.simulated:
        label = "Partly SIMULATED: "
    if not s.points:
        return f"No model has an estimate of {s.label} on {s.family}."
    if not placed:
        return f"{count(len(s.points), 'model')} with an estimate, none with known training compute and a score: no curve."
    lost = len(s.points) - len(placed)
    tail = (
        f" {count(lost, 'model')} without known compute or without a score: in the table, not in the picture."
        if lost
        else ""
    )
    if s.forecast is not None:
        said = status_words(s.forecast)
    else:
        best = max(placed, key=lambda p: (shown_value(p) or 0.0, p.model))
        said = (
            f"The highest of {count(len(placed), 'model')} is {best.model} "
            f"with {interval(best.estimate, best.lcb, best.ucb)}; no crossing was forecast for this metric."
        )
    return label + said + tail


def _note(s: Scaling, placed: list[Point]) -> str:
    parts = ["Bars are one-sided bounds on each side of the estimate."]
    opened = [p for p in placed if not math.isfinite(p.estimate)]
    if opened:
        parts.append(
            f"{count(len(opened), 'model')} with an open estimate: drawn small, at the bound that is known."
        )
    if s.band is not None:
        parts.append(
            "The band is for a new model of an unseen model family (90 %), not for the mean of the fit."
        )
    elif placed:
        parts.append("This run stores no band for a new model.")
    if any(p.role == "SIMULATED" for p in placed):
        parts.append(
            "Hollow marks are SIMULATED models: they check the pipeline and say nothing of any real model."
        )
    if fitted(s) and not all(p.in_fit for p in placed):
        parts.append("Dashed bars are other conditions, which are shown and never pooled.")
    if s.held_out:
        told = [h for h in s.held_out if h.source == "ledger"]
        if told:
            parts.append(
                f"Black crosses are {count(len(told), 'held-out model')}: measured after the ledger predicted it."
            )
        parts += [
            f"The black cross is {h.model}, the largest: a fit without it says {interval(h.predicted, h.q05, h.q95)} "
            f"(90 %, bar), it measured {num(h.actual)}."
            for h in s.held_out
            if h.source == "left out"
        ]
    said = (s.forecast.condition, *s.others, *s.forecast.flags) if s.forecast is not None else s.others
    parts += [f"{line[0].upper()}{line[1:]}." for line in said if line]
    if s.forecast is not None and s.forecast.worst_case is not None:
        low, mid, high = s.forecast.worst_case
        parts.append(
            f"With missing samples at the dangerous end the crossing is {power(mid)} ({power(low)} to {power(high)})."
            if mid is not None
            else "With missing samples at the dangerous end no crossing is identified either."
        )
    return " ".join(parts)
