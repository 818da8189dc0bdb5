"""Two models on the same instances: paired differences, group by group, with Holm's correction over the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis.intervals import holm, paired_difference

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`a` - `b` in one group: means over paired instances, two-sided bounds, p-values, and what was missing.

    `worst_lo`, `worst_hi` bound the difference with every missing sample counted against either side.
    """

    group: str
    mean_a: float
    mean_b: float
    difference: float
    lo: float
    hi: float
    p_value: float
    p_holm: float
    n_pairs: int
    n_discordant: int
    missing_a: int
    missing_b: int
    unpaired: int
    worst_lo: float
    worst_hi: float


def compare_models(
    frame: pd.DataFrame, a: str, b: str, *, by: Sequence[str] = (), alpha: float = 0.05
) -> list[Comparison]:
    """Compare models `a` and `b` in `frame`: columns model, instance, value (NaN: missing), and those of `by`.

    Samples pair by instance within a group; the repeats of an instance are averaged. Raises DataError where a model is
    absent or no instance was played by both.
    """
    for name in (a, b):
        if name not in set(frame["model"]):
            raise DataError(f"no rows of model '{name}'{did_you_mean(name, frame['model'].astype(str))}")
    if a == b:
        raise DataError("the two models are the same one")
    rows = frame[frame["model"].isin([a, b])]
    groups = list(rows.groupby(list(by), dropna=False, sort=True)) if by else [((), rows)]
    found = []
    for key, group in groups:
        label = ", ".join(str(k) for k in (key if isinstance(key, tuple) else (key,))) or "all"
        made = _one(label, group[group["model"] == a], group[group["model"] == b], alpha)
        if made is not None:
            found.append(made)
    if not found:
        raise DataError(f"{a} and {b} share no instance: a paired comparison needs the same instances")
    adjusted = holm([c.p_value for c in found])
    return [replace(c, p_holm=float(p)) for c, p in zip(found, adjusted, strict=True)]


def _one(label: str, a: pd.DataFrame, b: pd.DataFrame, alpha: float) -> Comparison | None:
    left, right = _means(a), _means(b)
    shared = sorted(left.keys() & right.keys())
    played = sorted(set(a["instance"].astype(str)) & set(b["instance"].astype(str)))
    if not played:
        return None
    x, y = ([side[i] for i in shared] for side in (left, right))
    diff = paired_difference(x, y, shared, alpha, 2)
    low = _imputed(a, b, played, 0.0, 1.0, alpha)[0]
    high = _imputed(a, b, played, 1.0, 0.0, alpha)[1]
    return Comparison(
        label,
        float(np.mean(x)) if x else float("nan"),
        float(np.mean(y)) if y else float("nan"),
        diff.estimate,
        diff.lcb,
        diff.ucb,
        diff.p_value,
        float("nan"),
        diff.n_pairs,
        diff.n_discordant,
        int(a["value"].isna().sum()),
        int(b["value"].isna().sum()),
        len(set(a["instance"].astype(str)) ^ set(b["instance"].astype(str))),
        min(low, diff.lcb),
        max(high, diff.ucb),
    )


def _imputed(
    a: pd.DataFrame, b: pd.DataFrame, keys: list[str], fill_a: float, fill_b: float, alpha: float
) -> tuple[float, float]:
    left = _means(a.assign(value=a["value"].fillna(fill_a)))
    right = _means(b.assign(value=b["value"].fillna(fill_b)))
    diff = paired_difference([left[i] for i in keys], [right[i] for i in keys], keys, alpha, 2)
    return diff.lcb, diff.ucb


def _means(rows: pd.DataFrame) -> dict[str, float]:
    known = rows[rows["value"].notna()]
    means = known.groupby(known["instance"].astype(str))["value"].mean()
    return {str(k): float(v) for k, v in means.items()}
