"""Forecasts of a ledger against what was measured since: came true, too early, too late, open."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.analysis.ledger_lines import Line
from dangercurve.evals.gating.observed import parse_time
from dangercurve.evals.gating.verdict import Verdict
from dangercurve.evals.run_folder import number, text

State = Literal["true", "false", "early", "late", "open", "not_identified"]


@dataclass(frozen=True)
class ForecastRow:
    """One prediction of a model's value, or one forecast of an event's date.

    `state`: a prediction is `true` where its 90 % interval covered the actual value, else `false`; an event is `true`
    where it came within the 90 % interval of its date, `early` or `late` where outside, `false` where the interval has
    passed and it has not come; `open` where nothing can be said yet.
    """

    kind: Literal["prediction", "event"]
    subject: str
    family: str
    metric: str
    made: str
    said: str
    actual: str
    state: State
    error: float | None
    simulated: bool


@dataclass(frozen=True)
class Calibration:
    """How often 90 % intervals of scored predictions covered the truth, with exact one-sided 95 % bounds."""

    scored: int
    covered: int
    share: float | None
    lcb: float
    ucb: float
    mean_absolute_error: float | None
    open: int


def forecast_rows(lines: Sequence[Line], verdicts: Sequence[Verdict], now: dt.datetime) -> list[ForecastRow]:
    """Every prediction and event of the ledgers, scored ones first. `verdicts` tell whether an event has come."""
    scores = {text(line.get("prediction")): line for line in lines if line.get("kind") == "score"}
    rows = [
        _prediction(line, scores.get(text(line.get("hash"))))
        for line in lines
        if line.get("kind") == "prediction"
    ]
    rows += [_event(line, verdicts, now) for line in lines if line.get("kind") == "forecast"]
    order = {"false": 0, "early": 1, "late": 1, "true": 2, "open": 3, "not_identified": 4}
    return sorted(rows, key=lambda row: (order[row.state], row.made, row.subject, row.metric))


def calibration(rows: Sequence[ForecastRow], simulated: bool) -> Calibration:
    """Calibration of the predictions about simulated or about real models; the two are never mixed."""
    mine = [r for r in rows if r.kind == "prediction" and r.simulated is simulated]
    scored = [r for r in mine if r.state in ("true", "false")]
    covered = sum(r.state == "true" for r in scored)
    low, high = clopper_pearson(covered, len(scored))
    errors = [abs(r.error) for r in scored if r.error is not None]
    return Calibration(
        len(scored),
        covered,
        covered / len(scored) if scored else None,
        low,
        high,
        sum(errors) / len(errors) if errors else None,
        len(mine) - len(scored),
    )


def _prediction(line: Line, score: Line | None) -> ForecastRow:
    low, middle, high = (number(line.get(k)) for k in ("q05", "predicted", "q95"))
    said = f"{middle:.4g} (90 %: {low:.4g} to {high:.4g})"
    made = _made(line)
    base = (text(line.get("model")) or "none", text(line.get("family")) or "", text(line.get("metric")) or "")
    if score is None:
        return ForecastRow(
            "prediction", *base, made, said, "not measured yet", "open", None, bool(line.get("simulated"))
        )
    actual, error = number(score.get("actual")), number(score.get("error"))
    covered = score.get("covered90")
    if not isinstance(covered, bool) or not math.isfinite(actual):
        raise EvidenceError(
            f"the forecast ledger holds a score of {printable(base[0], 60)} without its result"
        )
    state: State = "true" if covered else "false"
    return ForecastRow(
        "prediction", *base, made, said, f"{actual:.4g} on {printable(score.get('as_of'), 10)}", state,
        error if math.isfinite(error) else None, bool(line.get("simulated")),
    )  # fmt: skip


def _event(line: Line, verdicts: Sequence[Verdict], now: dt.datetime) -> ForecastRow:
    family = text(line.get("family")) or text(line.get("subject")) or ""
    base = (text(line.get("subject")) or "frontier", family, text(line.get("metric")) or "")
    made, simulated = _made(line), bool(line.get("simulated"))
    dates = line.get("date")
    early, late = (_date(dates.get(q)) if isinstance(dates, Mapping) else None for q in ("q05", "q95"))
    said = f"{printable(line.get('event'), 80)}: " + (
        "no date" if early is None else f"90 %: {early.date()} to {late.date() if late else 'later or never'}"
    )
    came, not_by = _came(line, verdicts, made)
    state: State
    if line.get("status") == "not_identified" or early is None:
        state = "not_identified" if came is None else "early"
        actual = "it was said that it cannot be dated" if came is None else f"reached by {came.date()}"
    elif came is not None:
        state = "early" if came < early else "late" if late is not None and came > late else "true"
        actual = f"reached by {came.date()}"
    elif late is not None and not_by is not None and not_by > late:
        state, actual = "false", f"not reached by {not_by.date()}"
    else:
        state, actual = "open", f"not reached by {not_by.date()}" if not_by else "nothing measured since"
    return ForecastRow("event", *base, made, said, actual, state, None, simulated)


def _came(
    line: Line, verdicts: Sequence[Verdict], made: str
) -> tuple[dt.datetime | None, dt.datetime | None]:
    """(first time that a lower bound reached the threshold, last time that an upper bound stayed below it)."""
    threshold = number(line.get("threshold"))
    came: dt.datetime | None = None
    below: dt.datetime | None = None
    for verdict in verdicts:
        when = parse_time(verdict.as_of)
        if verdict.simulated is not bool(line.get("simulated")) or when.date().isoformat() < made[:10]:
            continue
        for claim in verdict.claims:
            mine = (claim.family, claim.metric, claim.kind) == (
                line.get("family"),
                line.get("metric"),
                "measure",
            )
            if not mine or not math.isfinite(threshold):
                continue
            up = claim.direction == "up"
            near, far = (claim.lcb, claim.ucb) if up else (claim.ucb, claim.lcb)
            sign = 1 if up else -1
            if near is not None and sign * near >= sign * threshold:
                came = when if came is None else min(came, when)
            elif far is not None and sign * far < sign * threshold:
                below = when if below is None else max(below, when)
    return came, below


def _made(line: Line) -> str:
    return printable(text(line.get("as_of")) or "", 40)


def _date(value: object) -> dt.datetime | None:
    said = text(value)
    if said is None:
        return None
    return parse_time(said)
