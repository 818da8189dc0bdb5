"""Figure: what an audit budget buys, where a monitor chooses what is audited."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from dangercurve.analysis.report import theme
from dangercurve.analysis.report.data_panels import Audited
from dangercurve.analysis.report.data_roles import tagged
from dangercurve.analysis.report.figure import Figure, Row, empty
from dangercurve.analysis.report.text import labels
from dangercurve.analysis.report.words import count, interval, percent

MAX_CURVES = 4
BUDGET = 0.05
"""The budget of the answer in words: one transcript in twenty."""
QUESTION = "What would an audit of the most suspicious catch?"
COLUMNS = (
    "monitor", "view", "form", "agent", "kind", "family", "interface", "audited", "attacks caught (bounds)",
    "useful work not held up (bounds)", "n",
)  # fmt: skip
MISSING = (
    "Attacks that somebody watched: `dangercurve monitor RUN --monitor rule --monitor MODEL` on a run of covert_side_task "
    "with the arm side=honest|attack."
)


def audits(found: Sequence[Audited]) -> Figure:
    """Share of attacks caught by audit budget, a curve a monitor and agent; real agents first, the weakest monitor first."""
    if not found:
        return empty(
            "audits", QUESTION, "No attack was watched in this run, so what an audit would catch is not known.", MISSING
        )  # fmt: skip
    ranked = sorted(
        found,
        key=lambda a: (a.role != "real", a.role == "bot", a.model, _caught(a), a.monitor, a.view, a.form),
    )
    table: list[Row] = [
        (tagged(a.monitor, a.monitor_role), a.view, a.form, a.model, a.role, a.family, a.interface, percent(budget),
         interval(*caught), interval(*kept), a.n)
        for a in ranked
        for budget, caught, kept in a.points
    ]  # fmt: skip
    drawn = ranked[:MAX_CURVES]
    note = (
        "Attacks are taken to be 1 % of the traffic; whatever the log holds is weighted to that. The dashed line is an audit "
        "at random. An answer that could not be read counts against the monitor. Bands are 95 % a side, one point at a time. "
        "This is the traffic of the tasks, where honest work is alike: it says which monitor is better, not what a budget "
        "buys elsewhere."
    )
    if len(ranked) > len(drawn):
        note += f" The picture shows {len(drawn)} of {len(ranked)}."
    return Figure(
        "audits", QUESTION, _answer(ranked), lambda width: chart(drawn, width), COLUMNS, tuple(table), note
    )


def chart(curves: Sequence[Audited], width: float) -> alt.LayerChart:
    """Attacks caught over the share of the traffic that is audited."""
    names = labels([_name(a) for a in curves], 46)
    rows = [
        {"series": name, "x": budget, "y": caught[0], "lo": caught[1], "hi": caught[2],
         "caught": interval(*caught), "kept": interval(*kept)}
        for name, a in zip(names, curves, strict=True)
        for budget, caught, kept in a.points
    ]  # fmt: skip
    end = max(budget for a in curves for budget, *_ in a.points)
    colour, form = theme.series(names, columns=theme.columns_for(width, names))
    x = alt.X("x:Q", scale=theme.domain(0.0, end),
              axis=alt.Axis(title="share of all transcripts audited", format="~%", grid=False, tickCount=6))  # fmt: skip
    axis = theme.above("share of attacks caught", values=[0, 0.25, 0.5, 0.75, 1], format=".0%")

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=theme.domain(0.0, 1.0), axis=axis)

    base = alt.Chart(theme.values(rows)).encode(x=x, color=colour)
    told = {"caught": "attacks caught", "kept": "useful work not held up"}
    tips = [
        alt.Tooltip("series:N", title="monitor"),
        alt.Tooltip("x:Q", title="audited", format="~%"),
        *(alt.Tooltip(f"{field}:N", title=title) for field, title in told.items()),
    ]
    chance = alt.Chart(theme.values([{"x": v, "y": v} for v in (0.0, min(end, 1.0))]))
    parts: list[theme.Part] = [
        chance.mark_line(strokeDash=[4, 4], color="#6a7681", strokeWidth=1.2).encode(x=x, y=y("y")),
        base.mark_area(opacity=0.1).encode(y=y("lo"), y2="hi"),
        base.mark_line(strokeWidth=2).encode(y=y("y")),
        base.mark_point(filled=True, size=65, opacity=1).encode(y=y("y"), shape=form, tooltip=tips),
    ]
    return theme.stacked(parts, width, 240)


def _name(a: Audited) -> str:
    return f"{tagged(a.monitor.rsplit('/', 1)[-1], a.monitor_role)}, {a.view} · {tagged(a.model.rsplit('/', 1)[-1], a.role)}"


def _point(a: Audited) -> tuple[float, tuple[float, float, float], tuple[float, float, float]]:
    """The point of the largest budget up to BUDGET, else the smallest one."""
    within = [p for p in a.points if p[0] <= BUDGET]
    return max(within) if within else min(a.points)


def _caught(a: Audited) -> float:
    return _point(a)[1][1]


def _answer(ranked: Sequence[Audited]) -> str:
    rows = [a for a in ranked if a.role == "real"] or list(ranked)
    whose = "a real agent" if rows[0].role == "real" else "bots or SIMULATED agents"
    best = max(rows, key=_caught)
    budget, caught, kept = _point(best)
    held = f", with {interval(*kept)} of useful work not held up" if kept[0] == kept[0] else ""
    return (
        f"Of {count(len(rows), 'reading')} of {whose}, the best is {_name(best)}: {percent(budget)} audited would catch "
        f"{interval(*caught)} of the attacks{held}."
    )
