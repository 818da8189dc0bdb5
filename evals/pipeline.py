"""The way of a number after a run: store -> estimates -> forecasts -> verdict. Each arrow is one function."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, DataError
from dangercurve._files import atomic_path, write_atomic
from dangercurve._json import jsonable
from dangercurve.evals.store import read_observations, store_digest

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.survival.estimates import Budget
    from dangercurve.evals.gating.verdict import Verdict
    from dangercurve.evals.policy import LoadedPolicy

MIN_MODELS = 3
Event = tuple[str, str, float]
"""Family, metric, threshold."""
CONDITION = (
    "domain",
    "family",
    "interface",
    "kappa",
    "elicitation",
    "twin",
    "comparability_key",
    "simulated",
)


def write_estimates(run: Path, alpha: float = 0.05, budgets: Iterable[Budget] = ()) -> pd.DataFrame:
    """Estimates of every metric from the run's observations, written to `estimates/estimates.parquet`.

    `budgets`: efforts (clock, effort) at which `survival_at` is wanted beside the standard ones.
    """
    from dangercurve.analysis.estimates import estimate_all

    estimates = estimate_all(
        read_observations(run), alpha=alpha, store_digest=store_digest(run), budgets=budgets
    )
    with atomic_path(run / "estimates" / "estimates.parquet") as temporary:
        estimates.to_parquet(temporary, index=False)
    return estimates


def write_records(run: Path, estimates: pd.DataFrame, tell: Callable[[str], None] | None = None) -> None:
    """The records beside the panels that a gate reads: baselines of the run's families, growth of its metrics."""
    from dangercurve.evals.gating.baselines import families_in, write_baselines
    from dangercurve.evals.gating.growth import write_growth

    write_baselines(run, families_in(run), tell)
    write_growth(run, estimates, compute_table(sorted(estimates["model"].unique())))


def read_estimates(run: Path) -> pd.DataFrame:
    """All estimates of a run folder. Raises ConfigError where there are none."""
    import pandas as pd

    parts = sorted((run / "estimates").glob("*.parquet"))
    if not parts:
        raise ConfigError(f"{run} holds no estimates; run `dangercurve fit {run}` first")
    return pd.concat([pd.read_parquet(p) for p in parts], ignore_index=True)


def compute_table(models: list[str], records: Path | None = None) -> pd.DataFrame:
    """Training compute of each model that has a record; simulated models state theirs in their names.

    Columns: model, model_family, modality, training_flop, flop_log10_sd, release_date. Models without compute are left out.
    """
    import pandas as pd

    from dangercurve.analysis.simulated import parse_simulated
    from dangercurve.evals.models import find, load_registry

    registry = load_registry(records)
    rows: list[Mapping[str, object]] = []
    for model in models:
        if model.startswith("sim/"):
            simulated = parse_simulated(model.removeprefix("sim/"))
            family, flop, sd = f"sim-{simulated.truth.name}", 10.0**simulated.log10_c, 0.0
            modality = "text"
            released: dt.date | None = None
        else:
            record = find(registry, model)
            if record is None or record.training_flop is None:
                continue
            family, flop, sd = record.model_family, record.training_flop, record.flop_log10_sd or 0.0
            released, modality = record.release_date, record.modality
        rows.append(
            {
                "model": model,
                "model_family": family,
                "modality": modality,
                "training_flop": flop,
                "flop_log10_sd": sd,
                "release_date": released,
            }
        )
    columns = ["model", "model_family", "modality", "training_flop", "flop_log10_sd", "release_date"]
    return pd.DataFrame(rows, columns=columns)


def wanted_events(loaded: LoadedPolicy | None) -> list[Event]:
    """(family, metric, threshold) of every measure and forecast claim of a policy, each once, sorted."""
    events: set[Event] = set()
    for claim in loaded.policy.claims if loaded else []:
        if claim.measure is not None and claim.threshold is not None and claim.threshold.reach is not None:
            events.add((claim.measure.family, claim.measure.metric, claim.threshold.reach))
        if claim.forecast is not None:
            metric, _, threshold = claim.forecast.parts()
            events.add((claim.forecast.family, metric, threshold))
    return sorted(events)


def wanted_budgets(loaded: LoadedPolicy | None) -> list[Budget]:
    """(clock, effort) of every breach claim of a policy, each once, sorted."""
    found = [c.breach for c in loaded.policy.claims if c.breach is not None] if loaded else []
    return sorted({(part.clock, part.survival_at) for part in found})


def write_forecasts(run: Path, wanted: Iterable[Event], seed: int = 0) -> list[dict[str, object]]:
    """A forecast for each wanted event and condition with at least three models of known compute.

    What cannot be forecast is an entry with status `not_identified` and its reason: it never goes missing silently.
    """
    from dangercurve.analysis.forecast import forecast
    from dangercurve.analysis.points import points_from_estimates
    from dangercurve.evals.ladder.forecasts import largest_left_out, own_frontier

    estimates = read_estimates(run)
    compute = compute_table(sorted(estimates["model"].unique()))
    made: list[dict[str, object]] = []
    digest = store_digest(run)  # the gate takes no forecast that was made from another store
    for family, metric, threshold in wanted:
        for label, group, scope in pools(conditions(estimates, family, metric), compute):
            entry: dict[str, object] = {"family": family, "metric": metric, "threshold": threshold, **label}
            try:
                points = points_from_estimates(group, compute, metric)
                if len(points.frame) < MIN_MODELS:
                    raise DataError(
                        f"models with known compute: {len(points.frame)}; at least {MIN_MODELS} are needed"
                    )
                today = dt.datetime.now(dt.UTC).date()
                frontier = own_frontier(points.frame["model"], seed)
                entry |= forecast(points, threshold, as_of=today, frontier=frontier, seed=seed).as_dict()
                if left_out := largest_left_out(points, today, seed):
                    entry["left_out"] = left_out
                entry["points"] = json.loads(points.frame.to_json(orient="records", date_format="iso"))
            except DataError as exc:
                entry |= {
                    "status": "not_identified",
                    "reason": str(exc),
                    "event": f"{metric} >= {threshold:g}",
                }
            made.append({**entry, **scope, "store_digest": digest})
    write_atomic(
        run / "forecasts" / "forecasts.json", json.dumps(jsonable(made), indent=1, allow_nan=False) + "\n"
    )
    return made


def pools(
    labelled: Iterable[tuple[dict[str, object], pd.DataFrame]], compute: pd.DataFrame
) -> Iterator[tuple[dict[str, object], pd.DataFrame, dict[str, object]]]:
    """The groups again, each with models of one modality: text and code, or the ladder's episodes, are never pooled.

    Where a group falls apart, the third part names the models that its forecast is about.
    """
    modality = compute.set_index("model")["modality"]
    for label, group in labelled:
        of = group["model"].map(modality).fillna("text")
        for kind in sorted(of.unique()):
            part = group[of == kind]
            names = sorted(part["model"].astype(str).unique())
            yield label, part, {"model_scope": names} if of.nunique() > 1 else {}


def conditions(
    estimates: pd.DataFrame, family: str, metric: str
) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    """Groups of estimates that may be compared, with their label: one condition, base twin, arms at rest."""
    from dangercurve.analysis.rest import arms_at_rest

    rows = estimates[
        (estimates["family"] == family) & (estimates["metric"] == metric) & (estimates["twin"] == "base")
    ]
    rows = rows[arms_at_rest(rows)]
    for key, group in rows.groupby(list(CONDITION), dropna=False):
        label = dict(zip(CONDITION, key if isinstance(key, tuple) else (key,), strict=True))
        yield label, group


def pick_subject(run: Path, wanted: str | None) -> str:
    """The model that a verdict is about: the study's, or the only real one. Raises ConfigError where it is open."""
    models = sorted(read_observations(run)["model"].unique())
    if wanted is not None:
        if wanted not in models:
            raise ConfigError(f"subject '{wanted}' is not in the store; it holds {', '.join(models[:6])}")
        return wanted
    real = [m for m in models if not m.startswith(("sim/", "bot/"))]
    if len(real) == 1:
        return str(real[0])
    if len(models) == 1:
        return str(models[0])
    raise ConfigError(
        f"several models in the store ({', '.join(models[:6])}); name the subject of the verdict"
    )


def write_verdict(run: Path, loaded: LoadedPolicy, subject: str) -> Verdict:
    """The verdict on one model, as `verdict.json`, `summary.md` and the other forms in the run folder."""
    from dangercurve.evals.gate import Request, evaluate
    from dangercurve.evals.outputs.forms import render

    verdict = evaluate(loaded, run, Request(model=subject, attempt_ledger=run / "attempts.jsonl"))
    write_atomic(run / "verdict.json", render(verdict, "json"))
    write_atomic(run / "summary.md", render(verdict, "md"))
    return verdict
