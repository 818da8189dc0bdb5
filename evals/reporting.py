"""From a run folder to `ReportData`: read what is there, count it, name what is missing. Nothing is fitted here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, DangercurveError
from dangercurve._text import printable
from dangercurve._version import __version__
from dangercurve.analysis import registry
from dangercurve.analysis.report.data import Forecast, Point, ReportData, Role, Scaling, Verdict
from dangercurve.evals.reporting_checks import checklist
from dangercurve.evals.reporting_counts import (
    STATUSES,
    comparability,
    costs,
    levels,
    mean,
    role_of,
    statuses,
)
from dangercurve.evals.reporting_facts import facts, read_study
from dangercurve.evals.reporting_forecast import band_of, forecast_of
from dangercurve.evals.reporting_verdict import verdict_view
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
    subject = verdict.subject if verdict else None
    return ReportData(
        name=str(study.get("name") or root.resolve().name),
        version=__version__,
        verdict=verdict,
        scalings=_scalings(folder, forecasts, compute, roles, frame, verdict),
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
        problems=tuple(problems),
        alpha=alpha,
        as_of=verdict.as_of if verdict else "",
    )


def _verdict(root: Path, problems: list[str]) -> Verdict | None:
    from dangercurve.evals.verdict import read_verdict

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


def _scalings(
    folder: RunFolder,
    forecasts: list[tuple[Row, Forecast]],
    compute: Mapping[str, tuple[str, float]],
    roles: Mapping[str, Role],
    frame: pd.DataFrame | None,
    verdict: Verdict | None,
) -> tuple[Scaling, ...]:
    """One panel a forecast; and for each family without one, its success rate (or first metric) against compute."""
    out = []
    for row, found in forecasts:
        rows = [
            e
            for e in _base(folder.estimates)
            if e["family"] == found.family and e["metric"] == found.metric and _same(e, row)
        ]
        out.append(_scaling(found.family, found.metric, rows, compute, roles, frame, found, row, verdict))
    covered = {f.family for _, f in forecasts}
    for family in sorted({str(e["family"]) for e in folder.estimates} - covered):
        rows = [e for e in _base(folder.estimates) if e["family"] == family and e["metric"] == "success_rate"]
        if rows:
            out.append(_scaling(family, "success_rate", rows, compute, roles, frame, None, {}, verdict))
    return tuple(out)


def _base(rows: tuple[Row, ...]) -> list[Row]:
    """Estimates of the base twin without an arm."""
    return [
        r
        for r in rows
        if (text(r.get("twin")) or "base") == "base"
        and all(text(v) in (None, "none") for k, v in r.items() if k.startswith("arm_"))
    ]


def _same(estimate: Row, forecast: Row) -> bool:
    return all(
        text(estimate.get(k)) == text(forecast.get(k))
        for k in ("interface", "kappa", "elicitation")
        if forecast.get(k) is not None
    )


def _scaling(
    family: str,
    metric: str,
    rows: list[Row],
    compute: Mapping[str, tuple[str, float]],
    roles: Mapping[str, Role],
    frame: pd.DataFrame | None,
    forecast: Forecast | None,
    source: Row,
    verdict: Verdict | None,
) -> Scaling:
    points = []
    for r in rows:
        model = str(r["model"])
        if role_of(model) == "bot":
            continue
        model_family, flop = compute.get(model, ("", math.nan))
        points.append(
            Point(
                model=model,
                model_family=model_family or model.split("/", 1)[0],
                role=roles.get(model, role_of(model)),
                log10_flop=flop if math.isfinite(flop) else None,
                estimate=number(r.get("estimate")),
                lcb=_bound(r.get("lcb"), -math.inf),
                ucb=_bound(r.get("ucb"), math.inf),
                n_instances=int(n) if math.isfinite(n := number(r.get("n_instances"))) else 0,
            )
        )
    try:
        kind = registry.metric(metric)
        label, unit, scale = kind.label, kind.unit, str(kind.scale)
    except ConfigError:
        label, unit, scale = metric, "", "linear"
    alerts = (
        {c.W for c in verdict.claims if (c.family, c.metric) == (family, metric) and c.W is not None}
        if verdict
        else set()
    )
    return Scaling(
        family=family,
        metric=metric,
        label=label,
        unit=unit,
        scale=scale,
        points=tuple(points),
        floor=mean(frame[frame["family"] == family], "random_floor") if frame is not None and scale == "logit" else None,
        band=band_of(source.get("band")),
        forecast=forecast,
        alert=max(alerts) if forecast is not None and alerts else None,
    )  # fmt: skip


def _bound(value: object, default: float) -> float:
    found = number(value)
    return default if math.isnan(found) else found
