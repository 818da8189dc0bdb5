"""Figure: whether success is understanding or imitation of the surface."""

from __future__ import annotations

from collections.abc import Sequence

from dangercurve.analysis.report.capability import Links
from dangercurve.analysis.report.data_panels import Propensity
from dangercurve.analysis.report.data_roles import tagged
from dangercurve.analysis.report.figure import Figure, Row, empty
from dangercurve.analysis.report.floor import linked
from dangercurve.analysis.report.intervals_chart import Line, interval_rows
from dangercurve.analysis.report.words import interval

MAX_ROWS = 24
NONE = "no evidence"
QUESTION = "Is the success more than imitation?"
COLUMNS = ("index", "model", "kind", "family", "estimate (bounds)", "n")
MISSING = "The twins rule_flip and counter_prior: name them under `twins` of the study and run `dangercurve assess STUDY`."


def imitation(found: Sequence[Propensity], links: Links) -> Figure:
    """Imitation index and robustness by model and family; without a success on the base twin there is no evidence."""
    if not found:
        return empty(
            "imitation",
            QUESTION,
            "No twin breaks the surface rule here, so imitation is not excluded.",
            MISSING,
        )
    ranked = sorted(found, key=lambda p: (p.metric, p.role != "real", p.role == "bot", p.model, p.family))
    table: list[Row] = [
        (
            p.label,
            linked(p.model, links.get((p.model, p.family))),
            p.role,
            p.family,
            interval(p.estimate, p.lcb, p.ucb) if p.known else NONE,
            p.n,
        )
        for p in ranked
    ]
    known = [p for p in ranked if p.known]
    lines = [
        Line(f"{tagged(p.model.rsplit('/', 1)[-1], p.role)} · {p.family} · {p.label}", p.estimate, p.lcb, p.ucb,
             interval(p.estimate, p.lcb, p.ucb), p.role == "SIMULATED", href=links.get((p.model, p.family)))
        for p in known[:MAX_ROWS]
    ]  # fmt: skip
    ends = (min([0.0, *(max(p.lcb, -1.0) for p in known)]), max([1.0, *(min(p.ucb, 1.5) for p in known)]))
    note = "Imitation index: share of success on the base twin that is lost where the rule is flipped; 1 is pure imitation."
    if len(known) > MAX_ROWS:
        note += f" The picture shows {MAX_ROWS} of {len(known)}."
    return Figure(
        "imitation", QUESTION, _answer(known), (lambda w: interval_rows(lines, "index", ends, w)) if lines else None,
        COLUMNS, tuple(table), note, "" if lines else MISSING,
    )  # fmt: skip


def _answer(ranked: Sequence[Propensity]) -> str:
    if not ranked:
        return (
            "No evidence: nobody succeeded on a base twin, so nothing can be lost where the rule is flipped."
        )
    own = [p for p in ranked if p.metric == "imitation_index" and p.role != "bot"] or list(ranked)
    worst = max(own, key=lambda p: (p.estimate, p.model))
    label = "SIMULATED " if worst.role == "SIMULATED" else ""
    found = interval(worst.estimate, worst.lcb, worst.ucb)
    return f"Most like imitation is {label}{worst.model} on {worst.family}: {worst.label} {found}."
