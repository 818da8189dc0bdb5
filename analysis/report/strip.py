"""Figure: how near is each claim's upper bound to its threshold."""

from __future__ import annotations

import math
from collections import Counter

from dangercurve.analysis.report.data import Claim, Verdict
from dangercurve.analysis.report.figure import Figure, Key, Row, figure, legend, legend_height
from dangercurve.analysis.report.svg import Canvas, Scale, fit
from dangercurve.analysis.report.words import NOTHING, count, interval, listing, num, percent

TOP = 1.5  # share of the threshold at the right edge
ORDER = ("REACHED", "INVALID", "UNRESOLVED", "APPROACHING", "RULED_OUT", "WAIVED")
KEYS = (
    Key("threshold T", cls="thr"),
    Key("alert line W", cls="alert"),
    Key("interval of the estimate", cls="ci ci-thick"),
    Key("upper bound B (with allowances)", cls="bound"),
    Key("B with missing samples at the dangerous end", cls="bound worst"),
)
MAX_ROWS = 60


def strip(verdict: Verdict) -> Figure:
    """A row a claim: interval, bound B, alert line and threshold, all as shares of the threshold (1 = reached)."""
    shown = sorted(verdict.claims, key=lambda c: (-_near(c), c.id))[:MAX_ROWS]

    def draw(uid: str, width: float) -> Canvas:
        narrow = width < 500
        left, right = (20.0, width - 26.0) if narrow else (250.0, width - 140.0)
        step, top = (58.0, 24.0) if narrow else (34.0, 24.0)
        bottom = top + step * len(shown)
        c = Canvas(
            uid,
            width,
            bottom + 52 + legend_height(KEYS, width - 16),
            "Threshold proximity of every claim",
            _answer(verdict),
        )
        x = Scale(0.0, TOP, left, right)
        for share in (0.0, 0.5, 1.0, 1.5):
            c.line(x.at(share), top - 6, x.at(share), bottom, "grid")
            c.text(x.at(share), bottom + 16, f"{100 * share:.0f} %", "t tm", "middle")
        c.line(x.at(1.0), top - 6, x.at(1.0), bottom, "thr")
        for index, claim in enumerate(shown):
            base = top + step * index
            at = base + (36.0 if narrow else 14.0)
            room = width - 130.0 if narrow else left - 20.0
            c.text(8, base + 18, fit(claim.id, room, bold=True), "t tb")
            word = claim.verdict.replace("_", " ")
            c.text(width - 8, base + 18, word, f"t tb v-{_class(claim.verdict)}", "end")
            c.line(left, at, right, at, "track")
            _row(c, claim, x, at)
        c.text((left + right) / 2, bottom + 34, "share of the threshold", "t", "middle")
        legend(c, KEYS, 8, bottom + 54, width - 16)
        return c

    columns = ("claim", "verdict", "metric", "estimate (interval)", "B", "B, missing dangerous", "alert W", "threshold T",
               "proximity", "n", "margin")  # fmt: skip
    rows = [_table_row(c) for c in verdict.claims]
    note = "For a metric that is dangerous when low, the share is threshold over value. Bars beyond 150 % end in an arrow."
    return figure("proximity", "How near is each claim to its threshold?", _answer(verdict), draw if shown else None,
                  columns, rows, note)  # fmt: skip


def share_of(claim: Claim, value: float | None) -> float | None:
    """`value` as a share of the threshold, 1 at the threshold and more beyond it; None where there is none."""
    t = claim.T
    if value is None or t is None or math.isnan(value) or t <= 0:
        return None
    if claim.direction == "up":
        return value / t
    return t / value if value > 0 else math.inf


def unbounded(claim: Claim) -> bool:
    """Whether there is an estimate and no finite upper bound: no number of the data excludes any value."""
    return claim.estimate is not None and claim.B is None and claim.T is not None


def _row(c: Canvas, claim: Claim, x: Scale, y: float) -> None:
    low, high, bound, worst, mid, alert = (
        share_of(claim, v) for v in (claim.lcb, claim.ucb, claim.B, claim.B_worst, claim.estimate, claim.W)
    )
    tip = f"{claim.id}: estimate {interval(claim.estimate, claim.lcb, claim.ucb)}, B {num(claim.B)}, T {num(claim.T)}"
    if bound is None and mid is None:
        c.text(x.at(0) + 6, y + 4, "no number", "t tm halo")
        return
    if alert is not None:
        c.line(x.at(alert), y - 9, x.at(alert), y + 9, "alert")
    if unbounded(claim):
        bound = math.inf
    start = x.at(low if low is not None else (mid if mid is not None else 0.0))
    if low is not None and high is not None:
        lo, hi = sorted((low, high))
        start = x.at(lo)
        c.rect(start, y - 5, max(x.at(hi) - start, 2.0), 10, "ci-box", tip)
        start = x.at(hi)
    if bound is not None:
        c.line(min(start, x.at(bound)), y, x.at(bound), y, "bound")
        c.line(x.at(bound), y - 7, x.at(bound), y + 7, "bound")
        if bound > TOP:
            c.path([(x.stop, y - 7), (x.stop + 9, y), (x.stop, y + 7)], "arrow", closed=True)
    if worst is not None and worst != bound:
        c.line(x.at(worst), y - 7, x.at(worst), y + 7, "bound worst")
    if mid is not None:
        c.mark(x.at(mid), y, 0, "#10202e", hollow=False, tip=tip, size=3.5)


def _near(claim: Claim) -> float:
    near = claim.proximity if claim.proximity is not None else share_of(claim, claim.B)
    if near is None and unbounded(claim):
        return math.inf
    return near if near is not None and not math.isnan(near) else -1.0


def _answer(verdict: Verdict) -> str:
    if not verdict.claims:
        return "The policy's verdict holds no claim, so nothing is ruled out."
    tally = Counter(c.verdict for c in verdict.claims)
    words = [
        f"{tally[v]} {v.replace('_', ' ')}" for v in (*ORDER, *sorted(set(tally) - set(ORDER))) if tally[v]
    ]
    first = f"{count(len(verdict.claims), 'claim')}: {listing(words, 6)}."
    nearest = max(verdict.claims, key=_near)
    if _near(nearest) < 0:
        return first + " No claim has a number to compare with its threshold."
    if math.isinf(_near(nearest)):
        return f"{first} {nearest.id} has no finite upper bound: no value is excluded."
    return f"{first} Nearest to its threshold is {nearest.id}, with its bound at {percent(_near(nearest))} of it."


def _table_row(c: Claim) -> Row:
    margins = [
        f"{num(value)} {unit}"
        for value, unit in (
            (c.margin_score, "in the metric"),
            (c.margin_log10_flop, "orders of magnitude of compute"),
            (c.margin_days, "days"),
        )
        if value is not None
    ]
    n = NOTHING if c.n_instances is None else str(c.n_instances)
    return (
        c.id, c.verdict, c.metric, interval(c.estimate, c.lcb, c.ucb), num(c.B), num(c.B_worst), num(c.W), num(c.T),
        percent(c.proximity), n + (f" of {c.n_required} needed" if c.n_required else ""), "; ".join(margins) or NOTHING,
    )  # fmt: skip


def _class(verdict: str) -> str:
    return verdict if verdict in ORDER else "INVALID"
