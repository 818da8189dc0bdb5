"""Protocol P1: train on models up to a compute cut, predict every larger model, score every method on every cell.

A cell is one (target model, benchmark). A method sees the training rows and, of a target, only model name, model
family, compute, N, D, the benchmark and its chance floor: never a score.

Source: Tashman (2000) for held-out origins; `scoring` has the scores' own sources.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dangercurve._errors import DataError
from dangercurve.analysis.canonical import benchmark_order, by_content
from dangercurve.analysis.scores import ScoreTable
from dangercurve.analysis.scoring import (
    FloatArray,
    Interval,
    covered,
    crossed_bootstrap,
    crps_sample,
    interval_score,
    pit,
)

TARGET_COLUMNS = ("model", "model_family", "N", "D", "flops", "benchmark", "chance", "n_items")
QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
LEVELS = {"coverage50": (0.25, 0.75), "coverage80": (0.1, 0.9), "coverage90": (0.05, 0.95)}
# (training rows, targets without score, seed) -> predictive draws (n_draws, n_targets) of the score
Method = Callable[[pd.DataFrame, pd.DataFrame, int], FloatArray]


@dataclass(frozen=True)
class Split:
    """Training rows, the targets (no score), their observed scores, and the benchmarks left out with a reason."""

    train: pd.DataFrame
    targets: pd.DataFrame
    observed: FloatArray
    excluded: dict[str, str]


@dataclass(frozen=True)
class Backtest:
    """Every cell of every method, the summary a method, and the paired differences `dangercurve - METHOD`.

    `cells` has `model, model_family, benchmark, log10_flop, observed, method, mean, q05 ... q95, crps, pit,
    interval_score90, in50, in80, in90`. `paired` is negative where ours is better.
    """

    cells: pd.DataFrame
    summary: dict[str, dict[str, object]]
    paired: dict[str, dict[str, Interval]]
    excluded: dict[str, str]
    cut_flops: float
    seed: int

    def as_dict(self) -> dict[str, object]:
        """The JSON shape of `dangercurve backtest TABLE --cut-flops C --format json`."""
        columns = ["model", "benchmark", "method", "observed", "mean", *QUANTILES]
        return {
            "cells": self.cells[columns].to_dict("records"),
            "summary": self.summary,
            "paired": {m: {k: i.as_dict() for k, i in d.items()} for m, d in self.paired.items()},
            "excluded": self.excluded,
            "cut_flops": self.cut_flops,
            "seed": self.seed,
        }


def split_by_compute(
    frame: pd.DataFrame,
    cut_flops: float,
    *,
    min_train: int = 12,
    min_test: int = 6,
    cap_flops: float = float("inf"),
) -> Split:
    """Split at `cut_flops` (inclusive for training); a benchmark needs `min_train` and `min_test` models.

    Rows above `cap_flops` are removed first: the development protocol tunes with cut 1e22 and cap 8.4e22. Benchmarks
    that are not evaluated still train the joint methods. Rows are in the order of `canonical.by_content`, so neither their
    order in the table nor its names change a forecast. Raises DataError where no benchmark qualifies.
    """
    if not np.isfinite(cut_flops) or cut_flops <= 0:
        raise DataError(f"--cut-flops must be a positive number, got {cut_flops}")
    data = frame[frame["flops"] <= cap_flops]
    small = data["flops"] <= cut_flops
    train, test = data[small], data[~small]
    n_train = train.groupby("benchmark")["model"].nunique()
    n_test = test.groupby("benchmark")["model"].nunique()
    excluded: dict[str, str] = {}
    for benchmark in sorted(data["benchmark"].unique()):
        a, b = int(n_train.get(benchmark, 0)), int(n_test.get(benchmark, 0))
        if a < min_train:
            excluded[benchmark] = f"{a} training models, {min_train} needed"
        elif b < min_test:
            excluded[benchmark] = f"{b} test models, {min_test} needed"
    test = test[~test["benchmark"].isin(list(excluded))]
    if test.empty:
        listed = "; ".join(f"{b}: {why}" for b, why in list(excluded.items())[:5])
        raise DataError(f"no benchmark can be backtested at {cut_flops:g} FLOP ({listed or 'empty table'})")
    test = by_content(test, benchmark_order(train))
    return Split(
        by_content(train),
        test[list(TARGET_COLUMNS)],
        test["score"].to_numpy(dtype=float),
        excluded,
    )


def backtest_compute(
    table: ScoreTable | pd.DataFrame,
    cut_flops: float,
    seed: int = 0,
    *,
    methods: Mapping[str, Method] | None = None,
    min_train: int = 12,
    min_test: int = 6,
    cap_flops: float = float("inf"),
) -> Backtest:
    """Score `methods` (default: `dangercurve` and every reference method) by protocol P1; deterministic by `seed`."""
    frame = table.frame if isinstance(table, ScoreTable) else table
    split = split_by_compute(frame, cut_flops, min_train=min_train, min_test=min_test, cap_flops=cap_flops)
    chosen = default_methods() if methods is None else dict(methods)
    seeds = [int(s.generate_state(1)[0]) for s in np.random.SeedSequence(seed).spawn(len(chosen) + 1)]
    parts = [
        score_cells(split, name, method(split.train, split.targets, s))
        for (name, method), s in zip(chosen.items(), seeds, strict=False)
    ]
    cells = pd.concat(parts, ignore_index=True)
    summary = {name: summarise(part, seeds[-1]) for name, part in zip(chosen, parts, strict=True)}
    paired: dict[str, dict[str, Interval]] = {}
    if "dangercurve" in chosen:
        ours = parts[list(chosen).index("dangercurve")]
        paired = {
            name: {f"{score}_diff": _paired(ours, part, score, seeds[-1]) for score in _PAIRED}
            for name, part in zip(chosen, parts, strict=True)
            if name != "dangercurve"
        }
    place = {name: k for k, name in enumerate(chosen)}
    shown = cells.assign(place=cells["method"].map(place)).sort_values(
        ["place", "benchmark", "log10_flop", "model"], kind="stable", ignore_index=True
    )
    return Backtest(shown.drop(columns="place"), summary, paired, split.excluded, float(cut_flops), seed)


def default_methods() -> dict[str, Method]:
    """`dangercurve` first, then the reference methods."""
    from dangercurve.analysis.joint import forecast_joint
    from dangercurve.analysis.reference import REFERENCE_METHODS

    return {"dangercurve": forecast_joint, **REFERENCE_METHODS}


def score_cells(split: Split, method: str, draws: FloatArray) -> pd.DataFrame:
    """One row a cell with forecast, observation and scores. Raises DataError on draws that are not all finite."""
    if draws.shape[1] != len(split.targets) or not np.isfinite(draws).all():
        raise DataError(
            f"method '{method}' did not return finite draws for each of {len(split.targets)} cells"
        )
    quantiles = np.quantile(draws, [*QUANTILES.values(), 0.1, 0.9], axis=0)
    ends = dict(zip([*QUANTILES.values(), 0.1, 0.9], quantiles, strict=True))
    cells = split.targets[["model", "model_family", "benchmark"]].copy()
    cells["log10_flop"] = np.log10(split.targets["flops"].to_numpy(dtype=float))
    cells["method"] = method
    cells["observed"] = split.observed
    cells["mean"] = draws.mean(axis=0)
    for name, q in QUANTILES.items():
        cells[name] = ends[q]
    cells["crps"] = crps_sample(draws, split.observed)
    cells["pit"] = pit(draws, split.observed)
    cells["interval_score90"] = interval_score(ends[0.05], ends[0.95], split.observed, 0.9)
    for name, (lo, hi) in LEVELS.items():
        cells[name.replace("coverage", "in")] = covered(ends[lo], ends[hi], split.observed)
    return cells


def summarise(cells: pd.DataFrame, seed: int) -> dict[str, object]:
    """Unweighted means over benchmarks (MAE of the median); coverage pooled, with a crossed 95 % interval."""
    work = cells.assign(mae=(cells["observed"] - cells["q50"]).abs(), width90=cells["q95"] - cells["q05"])
    by = work.groupby("benchmark", sort=False)
    coverage = crossed_bootstrap(
        cells["in90"], cells["model_family"], cells["benchmark"], pooled=True, seed=seed
    )
    return {
        "n": len(cells),
        "mae": float(by["mae"].mean().mean()),
        "crps": float(by["crps"].mean().mean()),
        "coverage50": float(cells["in50"].mean()),
        "coverage80": float(cells["in80"].mean()),
        "coverage90": coverage.est,
        "coverage90_lo": coverage.lo,
        "coverage90_hi": coverage.hi,
        "width90": float(by["width90"].mean().mean()),
        "interval_score90": float(by["interval_score90"].mean().mean()),
        "by_benchmark": {
            str(name): {
                "n": len(part),
                "mae": float(part["mae"].mean()),
                "coverage90": float(part["in90"].mean()),
                "interval_score90": float(part["interval_score90"].mean()),
            }
            for name, part in sorted(by, key=lambda item: str(item[0]))
        },
    }


_PAIRED = ("crps", "interval_score90")


def _paired(ours: pd.DataFrame, other: pd.DataFrame, score: str, seed: int) -> Interval:
    difference = ours[score].to_numpy() - other[score].to_numpy()
    return crossed_bootstrap(difference, ours["model_family"], ours["benchmark"], seed=seed)
