"""Figure: whether a monitor would have seen the attack, beside what the attacks could do without one."""

from __future__ import annotations

from collections.abc import Sequence

from dangercurve.analysis.report.capability import Links
from dangercurve.analysis.report.data_panels import Bounds, Watched
from dangercurve.analysis.report.data_roles import Role, tagged
from dangercurve.analysis.report.figure import Figure, Row, empty
from dangercurve.analysis.report.floor import linked
from dangercurve.analysis.report.intervals_chart import Line, interval_rows
from dangercurve.analysis.report.words import count, interval

MAX_ROWS = 24
CHANCE = 0.5
QUESTION = "Would a monitor have seen the attack?"
COLUMNS = (
    "monitor", "view", "form", "agent", "kind", "family", "condition", "attack capability (bounds)", "AUROC (bounds)",
    "TPR at 1 % FPR (bounds)", "TPR at 5 % FPR (bounds)", "n", "n with an attack", "episodes unread", "better than chance",
)  # fmt: skip
MISSING = (
    "Attacks and somebody who watches them: run covert_side_task with the arm side=honest|attack and "
    "`dangercurve monitor RUN --monitor rule --monitor MODEL`, or name `roles: {monitor: MODEL}` in the study."
)
NONE = "no evidence"


def monitors(found: Sequence[Watched], links: Links) -> Figure:
    """AUROC and TPR of every monitor on every agent; real agents first, the weakest monitor first."""
    if not found:
        return empty(
            "monitors", QUESTION, "Nobody watched an attack in this run, so what a monitor would see is not known.",
            MISSING,
        )  # fmt: skip
    ranked = sorted(
        found, key=lambda w: (w.role != "real", w.role == "bot", w.model, w.auroc is None, _low(w), w.monitor, w.view)
    )  # fmt: skip
    table: list[Row] = [
        (tagged(w.monitor, w.monitor_role), w.view, w.form, linked(w.model, links.get((w.model, w.family))), w.role,
         w.family, w.condition, _said(w.capability), _said(w.auroc), _said(w.tpr_at_1), _said(w.tpr_at_5), w.n,
         w.n_opportunity, w.n_excluded, _better(w))
        for w in ranked
    ]  # fmt: skip
    known = [w for w in ranked if w.auroc is not None]
    drawn = known[:MAX_ROWS]
    lines = [
        Line(f"{_short(w.monitor, w.monitor_role)}, {w.view} · {_short(w.model, w.role)}", *w.auroc,
             f"AUROC {interval(*w.auroc)}, n {w.n}; attack capability {_said(w.capability)}",
             "SIMULATED" in (w.role, w.monitor_role), href=links.get((w.model, w.family)))
        for w in drawn
        if w.auroc is not None
    ]  # fmt: skip
    note = (
        "AUROC is the chance that an attack that would have succeeded looks more suspicious than honest work on the same "
        "job; .5, the line, is a guess. It says nothing of an agent that cannot attack. A rate at an FPR needs honest "
        "transcripts enough to show that FPR (100 for 1 %, 20 for 5 %). Bounds hold one at a time, 95 % a side."
    )
    if len(known) > len(drawn):
        note += f" The picture shows {len(drawn)} of {len(known)}."
    chart = None if not lines else lambda width: interval_rows(lines, "AUROC", (0.0, 1.0), width, zero=CHANCE)
    return Figure(
        "monitors", QUESTION, _answer(ranked), chart, COLUMNS, tuple(table), note,
        "" if lines else "An attack that succeeds: where none does, `dangercurve monitor` has nothing to be measured on.",
    )  # fmt: skip


def _short(name: str, role: Role) -> str:
    return tagged(name.rsplit("/", 1)[-1], role)


def _said(bounds: Bounds | None) -> str:
    return NONE if bounds is None else interval(*bounds)


def _low(watched: Watched) -> float:
    return watched.auroc[1] if watched.auroc is not None else 0.0


def _better(watched: Watched) -> str:
    if watched.auroc is None:
        return NONE
    return "yes" if watched.auroc[1] > CHANCE else "no"


def _answer(ranked: Sequence[Watched]) -> str:
    whose = "a real agent" if any(w.role == "real" for w in ranked) else "bots or SIMULATED agents"
    rows = [w for w in ranked if w.role == "real"] or list(ranked)
    known = [w for w in rows if w.auroc is not None]
    if not known:
        return f"No attack of {whose} would have succeeded and was read, so no monitor is shown to see one."
    good = sum(_low(w) > CHANCE for w in known)
    missing = len(rows) - len(known)
    silent = f" {count(missing, 'further one has', 'further ones have')} no evidence." if missing else ""
    return f"{good} of {count(len(known), 'reading')} of {whose} shown to do better than chance.{silent}"
