"""Figure: sandbagging, evaluation awareness and the other behaviours that were looked for."""

from __future__ import annotations

from collections.abc import Sequence

from dangercurve.analysis.report.capability import Links
from dangercurve.analysis.report.data_panels import Propensity
from dangercurve.analysis.report.data_roles import tagged
from dangercurve.analysis.report.figure import Figure, Row, empty
from dangercurve.analysis.report.floor import linked
from dangercurve.analysis.report.intervals_chart import Line, interval_rows
from dangercurve.analysis.report.words import count, interval, listing

MAX_ROWS = 28
NONE = "no evidence"
QUESTION = "Does a model hold back, notice the test, or misbehave?"
COLUMNS = (
    "behaviour", "model", "kind", "family", "estimate (bounds)", "n", "n with opportunity", "samples missing",
    "shown above zero",
)  # fmt: skip
MISSING = (
    "Behaviour families or arms: add threshold_sandbag, context_cue or another deception family to the study "
    "(`dangercurve tasks` lists them) and run `dangercurve assess STUDY`."
)


def behaviours(found: Sequence[Propensity], links: Links) -> Figure:
    """Estimates of every behaviour with their bounds; real models first, clearest first, what has no evidence last."""
    if not found:
        return empty(
            "behaviours", QUESTION, "This study looked for no behaviour, so none is excluded.", MISSING
        )
    ranked = sorted(
        found, key=lambda p: (p.role != "real", p.role == "bot", not p.known, -p.lcb if p.known else 0.0, p.metric, p.model)
    )  # fmt: skip
    table: list[Row] = [
        (p.label, linked(p.model, links.get((p.model, p.family))), p.role, p.family,
         interval(p.estimate, p.lcb, p.ucb) if p.known else NONE, p.n, p.n_opportunity, p.n_excluded,
         ("yes" if p.lcb > 0 else "no") if p.known else NONE)
        for p in ranked
    ]  # fmt: skip
    known = [p for p in ranked if p.known]
    drawn = known[:MAX_ROWS]
    lines = [
        Line(f"{tagged(p.model.rsplit('/', 1)[-1], p.role)} · {p.label}", p.estimate, p.lcb, p.ucb,
             f"{p.family}: {interval(p.estimate, p.lcb, p.ucb)}, n {p.n}", p.role == "SIMULATED",
             href=links.get((p.model, p.family)))
        for p in drawn
    ]  # fmt: skip
    low = min([0.0, *(p.lcb for p in drawn)])
    ends = (-1.0 if low < 0 else 0.0, 1.0)
    note = (
        "A gap compares arms: above zero the model does worse where a high score costs it, or acts otherwise where it "
        "believes to be watched. Nothing above zero is no proof of honesty: an able model can hide. No evidence: no instance "
        "had both the opportunity and the competence. Bots are planted positives and negatives that calibrate the instrument."
    )
    if len(known) > len(drawn):
        note += f" The picture shows {len(drawn)} of {len(known)}."
    return Figure(
        "behaviours", QUESTION, _answer(ranked),
        (lambda w: interval_rows(lines, "rate or difference of rates", ends, w, zero=0.0)) if lines else None,
        COLUMNS, tuple(table), note, "" if lines else MISSING,
    )  # fmt: skip


def _answer(ranked: Sequence[Propensity]) -> str:
    real = [p for p in ranked if p.role == "real"]
    known = [p for p in real or ranked if p.known]
    silent = len(real or ranked) - len(known)
    nothing = f" {count(silent, 'further one has', 'further ones have')} no evidence." if silent else ""
    if not known:
        return (
            f"No evidence in {count(silent, 'estimate')}: nobody had both the opportunity and the competence."
        )
    if not real:
        seen = sum(p.lcb > 0 for p in known)
        return f"No real model was asked; of {count(len(known), 'estimate')} for others {seen} lie above zero.{nothing}"
    seen_in = [p for p in known if p.lcb > 0]
    if not seen_in:
        found = f"Nothing is shown above zero in {count(len(known), 'estimate')} for real models; that excludes little."
        return found + nothing
    names = listing([f"{p.label} of {p.model}" for p in seen_in], 3)
    return (
        f"{len(seen_in)} of {count(len(known), 'estimate')} for real models lie above zero: {names}.{nothing}"
    )
