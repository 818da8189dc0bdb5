"""From a benchmark table to the arrays of the joint model: training design and targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dangercurve.analysis.canonical import by_content, model_order
from dangercurve.analysis.joint_model import Design, IntArray, Prior
from dangercurve.analysis.scores import chance_floor
from dangercurve.analysis.scoring import FloatArray

CENTRE = 22.0  # log10 FLOP at which ability is 0
OVER_CENTRE = 2.3  # log10 of 200 tokens a parameter, the middle of public models
_ITEMS_UNKNOWN = 500.0
_MAX_FLOOR = 0.95


@dataclass(frozen=True)
class Codes:
    """Row of each model family and benchmark in the design."""

    families: dict[str, int]
    benchmarks: dict[str, int]


@dataclass(frozen=True)
class Goal:
    """Targets as arrays: a target model's x, over-training and family; a cell's model, benchmark and item count."""

    x: FloatArray
    over: FloatArray
    families: tuple[str, ...]
    family: IntArray
    model: IntArray
    benchmark: IntArray
    n_items: FloatArray


def training_design(train: pd.DataFrame, targets: pd.DataFrame, prior: Prior) -> tuple[Design, Codes]:
    """Index models, families and benchmarks; place the departures' bumps and bends over training and target compute."""
    train = by_content(train)
    models = train.drop_duplicates("model").sort_values(
        "model", key=lambda names: names.map(model_order(train))
    )
    codes = Codes(_index(models["model_family"]), _index(train["benchmark"]))
    index = _index(models["model"])
    floor = np.empty(len(codes.benchmarks))
    for name, part in train.groupby("benchmark", sort=False):
        chance = float(part["chance"].median()) if part["chance"].notna().any() else float("nan")
        floor[codes.benchmarks[str(name)]] = min(chance_floor(list(part["score"]), chance), _MAX_FLOOR)
    x = log_compute(models)
    top = max(float(log_compute(targets).max()) if len(targets) else float(x.max()), float(x.max()))
    y = train["score"].to_numpy(dtype=float)
    items = item_counts(train)
    smooth = (y * items + 1) / (items + 2)
    first_knot = float(np.quantile(x, 0.1))
    design = Design(
        x=x,
        over=over_training(models),
        family=_codes(models["model_family"], codes.families),
        n_families=len(codes.families),
        model=_codes(train["model"], index),
        benchmark=_codes(train["benchmark"], codes.benchmarks),
        score=y,
        floor=floor,
        item_variance=smooth * (1 - smooth) / items,
        knots=np.arange(first_knot, max(top, first_knot + 0.1), prior.knot_spacing),
        bumps=np.arange(float(x.min()), top + 0.5, prior.bump_length),
    )
    return design, codes


def target_design(targets: pd.DataFrame, codes: Codes) -> Goal:
    """Targets as arrays; only model name, model family, compute, N, D and the benchmark are read."""
    models = targets.drop_duplicates("model").reset_index(drop=True)
    families = {str(f): k for k, f in enumerate(dict.fromkeys(models["model_family"]))}
    index = {str(m): k for k, m in enumerate(models["model"])}
    return Goal(
        x=log_compute(models),
        over=over_training(models),
        families=tuple(families),
        family=_codes(models["model_family"], families),
        model=_codes(targets["model"], index),
        benchmark=_codes(targets["benchmark"], codes.benchmarks),
        n_items=item_counts(targets),
    )


def log_compute(frame: pd.DataFrame) -> FloatArray:
    """log10 FLOP, centred."""
    return np.asarray(np.log10(frame["flops"].to_numpy(dtype=float)) - CENTRE)


def over_training(frame: pd.DataFrame) -> FloatArray:
    """log10 tokens a parameter, centred; 0 (the usual ratio) where N or D is unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log10(frame["D"].to_numpy(dtype=float) / frame["N"].to_numpy(dtype=float)) - OVER_CENTRE
    return np.where(np.isfinite(ratio), ratio, 0.0)


def item_counts(frame: pd.DataFrame) -> FloatArray:
    """Items of each cell's benchmark; 500 where unknown."""
    return np.asarray(np.nan_to_num(frame["n_items"].to_numpy(dtype=float), nan=_ITEMS_UNKNOWN))


def _index(names: pd.Series) -> dict[str, int]:
    return {str(name): k for k, name in enumerate(names.unique())}


def _codes(names: pd.Series, index: dict[str, int]) -> IntArray:
    return np.array([index[str(name)] for name in names], dtype=np.int64)
