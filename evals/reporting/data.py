"""From a run folder to `ReportData`: read what is there, count it, name what is missing. Nothing is fitted here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, DangercurveError
from dangercurve._text import printable
from dangercurve._version import __version__
from dangercurve.analysis.report.data import ReportData, Verdict
from dangercurve.evals.answering import strangers
from dangercurve.evals.reporting.attempts import attempts, differences
from dangercurve.evals.reporting.checks import checklist
from dangercurve.evals.reporting.counts import (
    STATUSES,
    comparability,
    costs,
    levels,
    role_of,
    statuses,
)
from dangercurve.evals.reporting.evidence import elicited, history, predictions, propensities, scenarios
from dangercurve.evals.reporting.facts import facts, read_study
from dangercurve.evals.reporting.forecast import forecast_of
from dangercurve.evals.reporting.monitors import audited, watched
from dangercurve.evals.reporting.samples import behind
from dangercurve.evals.reporting.scaling import Sources, scalings
from dangercurve.evals.reporting.survival import survivals
from dangercurve.evals.reporting.verdict import verdict_view
from dangercurve.evals.run_folder import RunFolder, number, read_run_folder, text

if TYPE_CHECKING:
    import pandas as pd

PIECES = {
    "study.yaml": "study.yaml is missing: the settings of the run are not known",
    "events.jsonl": "events.jsonl is missing: no record of how the run went",
    "attempts.jsonl": "attempts.jsonl is missing: re-runs are not counted",
    "verdict.json": "verdict.json is missing: no verdict was written, nothing is ruled out",
}
NEEDED = ("model", "family", "level", "twin", "instance_id", "status", "success")
Row = Mapping[str, object]


def build_report(path: Path | str, alpha: float = 0.05) -> ReportData:
    """Everything that the page of the run folder `path` shows; the same folder gives the same data.

    Missing or damaged pieces become lines in `problems`. Raises ConfigError where there is no such folder.
    """
    root = Path(path)
    if not root.is_dir():
        raise ConfigError(f"{printable(root)}: no such run folder; make one with `dangercurve assess STUDY`")
    folder = read_run_folder(root)
    problems = [*folder.problems, *(line for name, line in PIECES.items() if not (root / name).is_file())]
    if not folder.estimates:
        problems.append("estimates/ holds no estimate: run `dangercurve fit`")
    if not folder.forecasts:
        problems.append("forecasts/ holds no forecast: run `dangercurve forecast`")
    verdict = _verdict(root, problems)
    frame = _observations(root, problems)
    models = {str(m) for m in frame["model"].unique()} if frame is not None else set()
    models |= {str(r.get("model")) for r in folder.estimates}
    compute = _compute(sorted(models), problems)
    roles = {m: role_of(m) for m in models}
    forecasts = [(row, forecast_of(row)) for row in folder.forecasts]
    study = read_study(root, problems)
    shown = tuple(f for _, f in forecasts)
    rates = () if frame is None else levels(frame, roles, alpha, problems)
    subject = verdict.subject if verdict else text(study.get("subject"))
    made = predictions(root, problems)
    return ReportData(
        name=str(study.get("name") or root.resolve().name),
        version=__version__,
        verdict=verdict,
        scalings=scalings(Sources(folder.estimates, compute, frame, verdict, made), forecasts),
        forecasts=shown,
        levels=rates,
        status_names=STATUSES,
        statuses=() if frame is None else statuses(frame, roles),
        costs=() if frame is None else costs(frame, roles),
        log10_flop={m: c for m, (_, c) in compute.items()},
        facts=facts(folder, study, frame, shown, verdict, problems),
        digests=_digests(folder, verdict),
        comparability=() if frame is None else comparability(frame),
        checklist=checklist(subject, study, folder.estimates, rates, frame),
        survival=() if frame is None else survivals(root, frame, problems),
        attempts=() if frame is None else attempts(frame, roles, alpha),
        history=history(root, verdict, problems),
        differences=() if frame is None else differences(frame, subject, roles, problems),
        elicited=elicited(folder.evidence),
        propensities=propensities(folder.estimates),
        watched=watched(folder.estimates),
        audited=audited(folder.evidence, problems),
        predictions=made,
        scenarios=scenarios(folder.evidence, problems),
        behind=() if frame is None else behind(frame, roles, root),
        problems=tuple(problems),
        alpha=alpha,
        as_of=verdict.as_of if verdict else "",
    )


def _verdict(root: Path, problems: list[str]) -> Verdict | None:
    from dangercurve.evals.gating.verdict import read_verdict

    if not (root / "verdict.json").is_file():
        return None
    try:
        return verdict_view(read_verdict(root / "verdict.json"))
    except DangercurveError as exc:
        problems.append(f"verdict.json: {exc}")
        return None


def _observations(root: Path, problems: list[str]) -> pd.DataFrame | None:
    from dangercurve.evals.store import read_observations

    try:
        frame = read_observations(root)
    except DangercurveError as exc:
        if not any("store holds no observations" in line for line in problems):
            problems.append(str(exc).removeprefix(f"{root}: "))
        return None
    for model, names in strangers(frame).items():
        said = ", ".join(f"{n} by {printable(name, 60)}" for name, n in list(names.items())[:4])
        problems.append(f"samples of {printable(model, 80)} that another model answered are missing: {said}")
    lacking = [c for c in NEEDED if c not in frame.columns]
    if lacking:
        problems.append(f"the store lacks the column {lacking[0]}")
        return None
    return frame


def _compute(models: list[str], problems: list[str]) -> dict[str, tuple[str, float]]:
    """Model family and log10 FLOP of each model with known compute."""
    from dangercurve.evals.pipeline import compute_table

    found: dict[str, tuple[str, float]] = {}
    for model in models:
        try:
            rows = compute_table([model]).to_dict("records")
        except (DangercurveError, ValueError) as exc:
            problems.append(f"compute of {printable(model, 80)}: {exc}")
            continue
        for row in rows:
            flop = number(row.get("training_flop"))
            if flop > 0:
                found[model] = (str(row.get("model_family")), math.log10(flop))
    return found


def _digests(folder: RunFolder, verdict: Verdict | None) -> tuple[tuple[str, str], ...]:
    out = [("store", folder.store_digest or "")] if folder.store_digest else []
    if verdict is not None:
        heads = (
            ("policy", verdict.policy_digest),
            ("code", verdict.code_digest),
            ("attempt ledger head", verdict.ledger_head),
        )
        out += [(name, digest) for name, digest in heads if digest]
    return tuple(out) + tuple(sorted(folder.files.items()))
