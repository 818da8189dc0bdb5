"""The rows that a scaling law is fitted to: `model?, N, D, loss | score, flops?, benchmark?`, checked one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dangercurve._errors import ConfigError, DataError, did_you_mean
from dangercurve._text import printable
from dangercurve.analysis.law import Law
from dangercurve.analysis.scores import Drop, audit_units, refuse_runs

UNLIKE_SD = 6.0  # robust standard deviations of log loss beyond which a point is named
UNLIKE_LOG = 0.05  # and the relative miss below which none is


@dataclass(frozen=True)
class LawPoints:
    """`frame` has `model, N, D, loss`, all positive and finite; `dropped` a line a row left out, `flags` what was assumed."""

    frame: pd.DataFrame
    dropped: tuple[str, ...]
    flags: tuple[str, ...]


def law_points(frame: pd.DataFrame, benchmarks: Sequence[str] = ()) -> LawPoints:
    """The points of a law: loss as given, or the error 1 - score of one benchmark.

    Rows are dropped, counted and listed for a missing or impossible value, a score outside [0, 1] or of 1 (no error, no
    logarithm), compute more than tenfold off `6 N D`, tokens in an unknown unit, and copies. Raises DataError on missing
    columns, several benchmarks, percentages, single runs and where no row is left; ConfigError on an unknown benchmark.
    """
    for name in ("N", "D"):
        if name not in frame.columns:
            raise DataError(f"the table has no column '{name}'{did_you_mean(name, map(str, frame.columns))}")
    if "loss" not in frame.columns and "score" not in frame.columns:
        raise DataError("the law needs a column 'loss' (or 'score', read as error = 1 - score)")
    data = _one_benchmark(frame, benchmarks)
    reason = np.full(len(data), "", dtype=object)

    def drop(mask: np.ndarray, why: str) -> None:
        reason[np.asarray(mask, dtype=bool) & (reason == "")] = why

    out = pd.DataFrame({"row": data.index.to_numpy()})
    out["model"] = (data["model"] if "model" in data else pd.Series(data.index)).astype("string").to_numpy()
    out["model"] = out["model"].astype("string").fillna("").astype(object)
    for column in ("N", "D", "flops"):
        given = pd.to_numeric(data[column], errors="coerce") if column in data else np.nan
        out[column] = np.asarray(given, dtype=float) * np.ones(len(data))
    for column in ("N", "D"):
        value = out[column].to_numpy()
        drop(~(np.isfinite(value) & (value > 0)), f"{column} is missing, infinite or not positive")
    out["loss"] = _loss(data, drop)
    flags = [
        line for line in audit_units(out, drop) if "treated as unknown" not in line and "6ND" not in line
    ]
    facts = ["model", "N", "D", "loss"]
    kept = out[reason == ""]
    drop(out["row"].isin(kept["row"][kept.duplicated(facts)]).to_numpy(), "copy of an earlier row")
    kept = out[reason == ""]
    again = int(kept.duplicated(["model", "N", "D"]).sum())
    if again:
        flags.append(
            f"{again} rows repeat a model, N and D with another loss: each counts as a point of its own"
        )
    if kept["loss"].nunique() == 1:
        flags.append(f"every loss is {kept['loss'].iloc[0]:g}: no law can be seen")
    lost = np.flatnonzero(reason != "")
    dropped = tuple(
        f"row {out['row'][i]} ({printable(out['model'][i], 60)}): {reason[i]}" for i in lost.tolist()
    )
    if kept.empty:
        raise DataError(f"no usable row in the table of {len(data)}: {reason[lost[0]]}")
    if dropped:
        flags.append(f"{len(dropped)} of {len(data)} rows dropped")
    return LawPoints(kept[facts].reset_index(drop=True), dropped, tuple(flags))


def unlike_points(law: Law, points: pd.DataFrame) -> list[str]:
    """A line for each point that lies far off the law beside the others: a wrong N, D or loss shows so."""
    n, d, loss = (points[c].to_numpy(np.float64) for c in ("N", "D", "loss"))
    miss = np.log(loss / law.loss(n, d))
    sd = 1.4826 * float(np.median(np.abs(miss - np.median(miss))))
    far = np.abs(miss) > max(UNLIKE_SD * sd, UNLIKE_LOG)
    return [
        f"{printable(points['model'][i], 60)} lies {100 * np.expm1(miss[i]):+.0f} % off the law, the others within "
        f"{100 * UNLIKE_SD * sd:.1g} %: a wrong N, D or loss, or a model of another kind"
        for i in np.flatnonzero(far).tolist()
    ]


def _one_benchmark(frame: pd.DataFrame, benchmarks: Sequence[str]) -> pd.DataFrame:
    data = frame.reset_index(drop=True)
    if "benchmark" not in data:
        if benchmarks:
            raise ConfigError("--benchmark: the table has no column 'benchmark'")
        return data
    names = data["benchmark"].astype("string")
    known = sorted(names.dropna().unique())
    for name in benchmarks:
        if name not in known:
            raise ConfigError(f"no benchmark '{printable(name)}'{did_you_mean(name, known)}")
    if len(benchmarks or known) > 1:
        raise DataError(
            "several benchmarks in one law: keep one with --benchmark (their errors are never pooled)"
        )
    return data[names == benchmarks[0]] if benchmarks else data


def _loss(data: pd.DataFrame, drop: Drop) -> np.ndarray:
    """Loss (n,), or the error of a score; `drop` is called for rows without one."""
    if "loss" in data:
        loss = pd.to_numeric(data["loss"], errors="coerce").to_numpy(dtype=float)
        drop(~(np.isfinite(loss) & (loss > 0)), "loss is missing, infinite or not positive")
        return np.asarray(loss)
    score = pd.to_numeric(data["score"], errors="coerce").to_numpy(dtype=float)
    finite = score[np.isfinite(score)]
    if finite.size and np.mean((finite > 1) & (finite <= 100)) > 0.2:
        raise DataError("column 'score' looks like percentages; divide it by 100 (scores lie in [0, 1])")
    facts = [c for c in ("model", "N", "D") if c in data]
    refuse_runs(data[facts].assign(score=score), facts)
    drop(~np.isfinite(score), "score missing or not a number")
    drop((score < 0) | (score > 1), "score outside [0, 1]")
    drop(score == 1, "a score of 1 has no error left to fit")
    return np.asarray(1 - score)
