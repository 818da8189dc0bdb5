"""What `dangercurve fit` does with each kind of input; the arithmetic is in `dangercurve.analysis`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from dangercurve.analysis.law import Law, Optimum
    from dangercurve.analysis.points import Points
    from dangercurve.analysis.predictable import Predictable

MAX_ROWS = 20_000
MIN_MODELS = 4
MIN_LAW_OR_NOISE = 10
CURVE_COLUMNS = (
    "benchmark",
    "form",
    "slope",
    "residual_sd",
    "family_sd",
    "weight",
    "held_out_log_score",
    "n_models",
    "verdict",
    "skill",
)


@dataclass(frozen=True)
class CurveFits:
    """One row a benchmark and curve form, and notes on what was dropped or assumed."""

    rows: list[dict[str, object]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class LawFit:
    """A scaling law, its intervals, optima at the budgets, over-training a model, and the law-or-noise test."""

    law: Law
    intervals: dict[str, tuple[float, float]]
    optima: tuple[Optimum, ...]
    over_training: tuple[dict[str, object], ...]
    predictable: Predictable | None
    dropped: tuple[str, ...]
    flags: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        body = {k: v for k, v in asdict(self.law).items() if k != "draws"}
        return {
            "law": body,
            "interval90": self.intervals,
            "optimal": [asdict(o) for o in self.optima],
            "over_training": list(self.over_training),
            "law_or_noise": None if self.predictable is None else asdict(self.predictable),
            "dropped": list(self.dropped),
            "flags": list(self.flags),
        }

    def rows(self) -> list[dict[str, object]]:
        out: list[dict[str, object]] = []
        for name in ("E", "A", "B", "a", "b"):
            low, high = self.intervals.get(name, (None, None))
            out.append({"quantity": name, "estimate": getattr(self.law, name), "q05": low, "q95": high})
        for best in self.optima:
            label = f"optimum at {best.flops:.3g} FLOP"
            out += [
                {"quantity": f"{label}: N", "estimate": best.n_params},
                {"quantity": f"{label}: D", "estimate": best.tokens},
                {"quantity": f"{label}: tokens a parameter", "estimate": best.tokens_per_param},
            ]
        return out

    def title(self) -> str:
        found = self.predictable
        tail = "too few models for the law-or-noise test"
        if found is not None:
            tail = f"{found.verdict}: held-out skill {found.skill:.2f} ({found.lo:.2f} to {found.hi:.2f})"
            if found.skill != found.skill:
                tail = "nothing to predict: every held-out value is the same"
        state = "converged" if self.law.converged else "NOT CONVERGED"
        return f"L = E + A/N^a + B/D^b over {self.law.n} models, {state}; {tail}"


def fit_law_table(
    frame: pd.DataFrame,
    *,
    budgets: Sequence[float],
    bootstrap: int,
    seed: int,
    benchmarks: Sequence[str] = (),
) -> LawFit:
    """Fit the law to columns N, D and `loss` (or `score`, read as error 1 - score). Raises as `law_points`."""
    import numpy as np

    from dangercurve.analysis.law import NAMES, fit_law, optimum, over_training
    from dangercurve.analysis.law_table import law_points, unlike_points
    from dangercurve.analysis.predictable import law_or_noise

    points = law_points(frame, benchmarks)
    if len(points.frame) > MAX_ROWS:
        raise DataError(
            f"{len(points.frame)} rows: a row is a trained model, at most {MAX_ROWS}; keep final checkpoints"
        )
    rows = points.frame
    n, d, loss = (rows[c].to_numpy(np.float64) for c in ("N", "D", "loss"))
    law = fit_law(n, d, loss, n_boot=bootstrap, seed=seed)
    extra = []
    flags = [*points.flags, *unlike_points(law, rows)]
    for name, n_i, d_i in zip(rows["model"], n, d, strict=True):
        try:
            penalty, factor = over_training(law, float(n_i), float(d_i))
        except DataError as exc:  # a flat law has no optimum that a model could lie off
            flags.append(f"over-training is not read: {exc}")
            break
        extra.append(
            {
                "model": name,
                "tokens_per_param": float(d_i / n_i),
                "penalty": penalty,
                "wasted_compute": factor,
            }
        )
    found = None
    if len(n) >= 12:
        log_c = np.log10(6 * n * d)
        order = np.argsort(log_c, kind="stable")

        def predict(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
            past, later = order[: x.size], order[x.size : x.size + new.size]
            return fit_law(n[past], d[past], loss[past]).loss(n[later], d[later])

        found = law_or_noise(log_c, loss, predict, min_train=max(7, len(n) // 2), seed=seed)
    intervals = {k: law.interval(k) for k in NAMES} if bootstrap else {}
    optima = tuple(optimum(law, c) for c in budgets)
    return LawFit(law, intervals, optima, tuple(extra), found, points.dropped, tuple(flags))


def fit_score_table(frame: pd.DataFrame, benchmarks: Sequence[str], *, seed: int) -> CurveFits:
    """Every curve form on every benchmark; weights and held-out scores where the form is one of the crossing's shapes."""
    from dangercurve.analysis.flags import table_flags
    from dangercurve.analysis.points import points_from_scores
    from dangercurve.analysis.scores import validate_scores

    table = validate_scores(frame)
    known = sorted(table.frame["benchmark"].unique())
    for name in benchmarks:
        if name not in known:
            raise ConfigError(f"no benchmark '{name}'{did_you_mean(name, known)}")
    notes = [*table.flags, *(f"row {d.row} ({d.model}, {d.benchmark}): {d.reason}" for d in table.dropped)]
    rows: list[dict[str, object]] = []
    for name in benchmarks or known:
        points = points_from_scores(table, name)
        try:
            rows += _fit_benchmark(points, name, seed)
        except DataError as exc:
            notes.append(f"{name}: {exc}")
            continue
        notes += [f"{name}: {line}" for line in table_flags(points)]
    if not rows:
        raise DataError(f"no benchmark has a curve that can be fitted ({notes[-1]})")
    return CurveFits(rows, tuple(notes))


def _fit_benchmark(points: Points, name: str, seed: int) -> list[dict[str, object]]:
    """A row a curve form. Raises DataError where there are too few or too many models, or one compute."""
    import numpy as np

    from dangercurve.analysis.crossing import fit_shapes
    from dangercurve.analysis.curves import FORMS, fit_curve
    from dangercurve.analysis.points import curve_data
    from dangercurve.analysis.predictable import law_or_noise

    x = np.log10(points.frame["flops"].to_numpy(np.float64))
    y = points.frame["value"].to_numpy(np.float64)
    family = points.frame["model_family"].astype(str).tolist()
    if len(x) < MIN_MODELS:
        raise DataError(f"{len(x)} models, no curve is fitted to fewer than {MIN_MODELS}")
    fitted = fit_shapes(curve_data(points), n_draws=500, seed=seed)
    skill = verdict = None
    if len(x) >= MIN_LAW_OR_NOISE:

        def predict(a: np.ndarray, b: np.ndarray, new: np.ndarray) -> np.ndarray:
            return fit_curve(a, b, form="logistic", floor=points.floor).predict(new)

        test = law_or_noise(x, y, predict, family=family, min_train=max(5, len(x) // 2), seed=seed)
        skill, verdict = test.skill, test.verdict
    named = {("power_law" if s.name == "power" else s.name): k for k, s in enumerate(fitted.shapes)}
    rows: list[dict[str, object]] = []
    for form in FORMS.values():
        if len(x) < form.min_points or form.name == "linear":
            continue
        fit = fit_curve(x, y, form=form.name, floor=points.floor, family=family, seed=seed)
        at = named.get(form.name)
        score = fitted.last_value if form.name == "last_value" else None
        rows.append(
            {
                "benchmark": name,
                "form": form.name,
                "params": dict(zip(form.parameters, fit.params.tolist(), strict=True)),
                "slope": fit.slope,
                "noise_sd": fit.noise_sd,
                "family_sd": fit.family_sd,
                "residual_sd": fit.residual_sd,
                "weight": None if at is None else float(fitted.weight[at]),
                "held_out_log_score": score if at is None else float(fitted.held_out[at]),
                "n_held_out": fitted.n_held_out,
                "n_models": len(x),
                "n_families": fit.n_families,
                "method": fit.method,
                "slope_not_positive": fitted.p_slope,
                "skill": skill,
                "verdict": verdict,
                "flags": list(fit.flags),
            }
        )
    return rows


def fit_store(folder: Path, *, alpha: float, budgets: Sequence[str] = ()) -> list[dict[str, object]]:
    """Estimates of a run folder from its store, written to its estimates/ and returned as rows.

    `budgets` are efforts `CLOCK=EFFORT` at which a policy asks for the survival of a safeguard.
    """
    from dangercurve.evals.gating.monitor_rows import write_monitor_estimates
    from dangercurve.evals.pipeline import write_estimates
    from dangercurve.evals.run_folder import locate

    run = locate(folder)
    tables = [
        write_estimates(run, alpha, [_budget(item) for item in budgets]),
        write_monitor_estimates(run, alpha),
    ]
    return [
        {str(k): v for k, v in row.items()}
        for t in tables
        if t is not None
        for row in t.to_dict(orient="records")
    ]


def _budget(item: str) -> tuple[str, float]:
    from dangercurve.analysis.breach_table import CLOCKS

    clock, separator, text = item.partition("=")
    try:
        effort = float(text)
    except ValueError:
        effort = float("nan")
    if clock not in CLOCKS or not separator or not 0 < effort < float("inf"):
        raise ConfigError(f"--survival-at {item}: write CLOCK=EFFORT{did_you_mean(clock, CLOCKS)}")
    return clock, effort
