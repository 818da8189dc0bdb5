"""Two models on the same instances: paired differences, group by group, with Holm's correction over the groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis.intervals import holm, paired_difference

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`a` - `b` in one group: means over paired instances, two-sided bounds, p-values, and what was missing.

    `worst_lo`, `worst_hi` bound the difference with every missing sample counted against either side. `comparable` says
    whether both played the paired instances under one comparability key; None where the rows carry no key. A group that
    only one of them played has no pair: a NaN difference in [-1, 1].
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
    n_shared: int
    comparable: bool | None


def compare_models(
    frame: pd.DataFrame, a: str, b: str, *, by: Sequence[str] = (), alpha: float = 0.05
) -> list[Comparison]:
    """Compare models `a` and `b` in `frame`: columns model, instance, value (NaN: missing), and those of `by`.

    Samples pair by instance within a group; the repeats of an instance are averaged. Raises DataError where a row names
    no model or instance, a column of `by` or a model is absent, or no instance was played by both.
    """
    split = list(dict.fromkeys(by))
    for column in split:
        if column not in frame or column == "model":
            others = [str(name) for name in frame.columns if name != "model"]
            raise DataError(f"cannot split the comparison by '{column}'{did_you_mean(column, others)}")
    for column in ("model", "instance"):
        if unnamed := int(frame[column].isna().sum()):
            raise DataError(
                f"{unnamed} of {len(frame)} rows name no {column}: nothing can be paired with them"
            )
    models = frame["model"].astype(str)
    for name in (a, b):
        if name not in set(models):
            raise DataError(f"no rows of model '{name}'{did_you_mean(name, models)}")
    if a == b:
        raise DataError("the two models are the same one")
    rows = frame.assign(model=models)[models.isin([a, b])]
    groups = (
        [group for _, group in rows.groupby([_order(rows[c]) for c in split], sort=True)] if split else [rows]
    )
    found = []
    for group in groups:
        first = group[split].iloc[0]
        label = ", ".join("none" if b else str(k) for k, b in zip(first, first.isna(), strict=True)) or "all"
        found.append(_one(label, group[group["model"] == a], group[group["model"] == b], alpha))
    if all(c.n_shared == 0 for c in found):
        raise DataError(
            f"{a} and {b} share no instance under the same conditions: a paired comparison needs the same instances, "
            "and of a run folder the same twin, arms, interface and budget"
        )
    adjusted = holm([c.p_value for c in found])
    return [replace(c, p_holm=float(p)) for c, p in zip(found, adjusted, strict=True)]


def _order(column: pd.Series[Any]) -> NDArray[np.int64]:
    """Each row's place among the sorted values of a column, rows without a value last."""
    codes = np.asarray(pd.factorize(column, sort=True)[0], dtype=np.int64)
    return np.where(codes < 0, codes.max(initial=-1) + 1, codes)


def _one(label: str, a: pd.DataFrame, b: pd.DataFrame, alpha: float) -> Comparison:
    left, right = _means(a), _means(b)
    shared = sorted(left.keys() & right.keys())
    played = sorted(set(a["instance"].astype(str)) & set(b["instance"].astype(str)))
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
        len(played),
        _comparable(a, b, played),
    )


def _comparable(a: pd.DataFrame, b: pd.DataFrame, played: list[str]) -> bool | None:
    if "comparability_key" not in a or not played:
        return None
    keys = [set(side.loc[side["instance"].astype(str).isin(played), "comparability_key"]) for side in (a, b)]
    return len(keys[0] | keys[1]) == 1


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
