"""What `dangercurve fit --factor` does: general capability from several benchmarks, and each metric with it taken out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MIN_MODELS = 5
COLUMNS = (
    "metric",
    "n_models",
    "n_families",
    "benchmarks",
    "correlation",
    "lo",
    "hi",
    "r_squared",
    "general_explains",
)


@dataclass(frozen=True)
class FactorFit:
    """`rows`: one a metric, with `models`: general score, raw value and what is left of it, each on the metric's scale."""

    rows: list[dict[str, object]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Panel:
    """Benchmarks (models x benchmarks, rates) that general capability is read from, and the metrics to be shown."""

    benchmarks: pd.DataFrame
    chance: dict[str, float]
    metrics: dict[str, pd.Series[float]]  # on their scale, by model
    family: dict[str, str]
    notes: tuple[str, ...]


def factor_of_scores(frame: pd.DataFrame, wanted: Sequence[str], seed: int) -> FactorFit:
    """Every benchmark (or those `wanted`) of a score table against the general factor of all the *other* benchmarks.

    Raises DataError where no metric has five models with two other benchmarks, ConfigError on an unknown name.
    """
    import pandas as pd
    from scipy import special

    from dangercurve.analysis.scores import chance_floor, validate_scores

    table = validate_scores(frame)
    wide = table.frame.pivot(index="model", columns="benchmark", values="score")
    chance: dict[str, float] = {}
    for name, part in table.frame.groupby("benchmark"):
        known = part["chance"].dropna()
        chance[str(name)] = chance_floor(
            list(part["score"]), float(known.median()) if len(known) else float("nan")
        )
    metrics = {}
    for name in wide.columns:
        floor = chance[str(name)]
        share = ((wide[name].dropna() - floor) / (1 - floor)).clip(0.02, 0.98).to_numpy(float)
        metrics[str(name)] = pd.Series(special.logit(share), index=wide[name].dropna().index)
    family = dict(zip(table.frame["model"], table.frame["model_family"].astype(str), strict=True))
    notes = [*table.flags, *(f"row {d.row} ({d.model}, {d.benchmark}): {d.reason}" for d in table.dropped)]
    return _fit(_Panel(wide, chance, metrics, family, tuple(notes)), wanted, seed)


def factor_of_estimates(
    estimates: pd.DataFrame, compute: pd.DataFrame, wanted: Sequence[str], seed: int
) -> FactorFit:
    """Metrics of a run against the general factor of the success rates of its *other* families.

    A metric is named METRIC or METRIC:FAMILY. Only rows of the base twin (or of all twins) and one value a model and
    family count; select the condition first. Raises as `factor_of_scores`.
    """
    import pandas as pd

    from dangercurve.analysis import registry

    base = (
        estimates[estimates["twin"].astype(str).isin(("base", "all"))] if "twin" in estimates else estimates
    )
    rows = base[base["estimate"].notna()]
    twice = rows.duplicated(["model", "family", "metric"], keep=False)
    if twice.any():
        first = rows[twice].iloc[0]
        raise DataError(
            f"{first['metric']} of {first['family']} has several values a model: select the condition with --where"
        )
    success = rows[rows["metric"] == "success_rate"]
    if success.empty:
        raise DataError(
            "no estimate of success_rate: general capability is read from the families' success rates"
        )
    wide = success.pivot(index="model", columns="family", values="estimate").astype(float)
    metrics: dict[str, pd.Series[float]] = {}
    for (name, family), part in rows.groupby(["metric", "family"]):
        kind = registry.metric(str(name))
        values = part.set_index("model")["estimate"].astype(float)
        if kind.scale == "logit":
            values = values.clip(0.02, 0.98)
        scaled = {m: registry.to_scale(v, kind.scale) for m, v in values.items() if kind.holds(v)}
        metrics[f"{name}:{family}"] = pd.Series({m: v for m, v in scaled.items() if abs(v) != float("inf")})
    families = dict(zip(compute["model"], compute["model_family"].astype(str), strict=True))
    names = [n for n in metrics for w in wanted if w in (n, n.split(":")[0])] if wanted else []
    if wanted and not names:
        raise ConfigError(f"no metric '{wanted[0]}'{did_you_mean(wanted[0], metrics)}")
    chance = {str(f): 0.0 for f in wide.columns}
    return _fit(_Panel(wide, chance, metrics, families, ()), names, seed)


def _fit(panel: _Panel, wanted: Sequence[str], seed: int) -> FactorFit:
    from dangercurve.analysis.factor import general_factor, partial_out

    for name in wanted:
        if name not in panel.metrics:
            raise ConfigError(f"no metric '{name}'{did_you_mean(name, panel.metrics)}")
    notes = list(panel.notes)
    rows: list[dict[str, object]] = []
    for name in wanted or sorted(panel.metrics):
        values = panel.metrics[name]
        own = name.split(":")[-1]
        others, used = _others(panel, own, list(values.index))
        if len(used) < MIN_MODELS or others.shape[1] < 2:
            notes.append(
                f"{name}: {len(used)} models with two other benchmarks, {MIN_MODELS} are needed: left out"
            )
            continue
        found = general_factor(others, [panel.chance[c] for c in used.columns])
        shown = [str(m) for m in used.index]
        families = [panel.family.get(m, m) for m in shown]
        out = partial_out(values.loc[shown].to_numpy(), found.score, family=families, seed=seed)
        if abs(out.lo - out.hi) > 1.0:
            notes.append(f"{name}: the interval of the correlation is wider than 1: too few models to say")
        rows.append(
            {
                "metric": name,
                "n_models": len(shown),
                "n_families": len(set(families)),
                "benchmarks": used.shape[1],
                "correlation": out.correlation,
                "lo": out.lo,
                "hi": out.hi,
                "r_squared": out.r_squared,
                "general_explains": found.share,
                "loadings": dict(zip(map(str, used.columns), found.loading.tolist(), strict=True)),
                "models": [
                    {"model": m, "general": g, "raw": r, "partialled_out": p}
                    for m, g, r, p in zip(
                        shown, found.score.tolist(), out.raw.tolist(), out.residual.tolist(), strict=True
                    )
                ],
            }
        )
    if not rows:
        raise DataError(
            f"no metric has {MIN_MODELS} models that were also scored on two other benchmarks: "
            "general capability cannot be told from it"
        )
    return FactorFit(rows, tuple(notes))


def _others(panel: _Panel, own: str, models: list[str]) -> tuple[NDArray[np.float64], pd.DataFrame]:
    """The other benchmarks of `models`, without those that do not vary or have fewer than three models, and without
    models that have fewer than two of them."""
    part = panel.benchmarks.drop(columns=[own], errors="ignore")
    part = part.loc[[m for m in models if m in part.index]]
    for _ in range(2):  # leaving models out may leave a benchmark with too few
        part = part.loc[part.notna().sum(axis=1) >= 2]
        part = part.loc[:, (part.notna().sum() >= 3) & (part.nunique() > 1)]
    part = part.loc[part.notna().sum(axis=1) >= 1]
    return part.to_numpy(float), part
