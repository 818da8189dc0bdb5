"""One order of a benchmark table that neither the order of its rows nor the names in it decide.

A sampler draws its random numbers in the order of its parameters. Ordered by name or by row, a renamed or shuffled table
would be another run of the same seed; ordered by what was measured it is the same run.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def by_content(frame: pd.DataFrame, benchmarks: pd.Series | None = None) -> pd.DataFrame:
    """`frame` (a row a model and benchmark) by benchmark, then model: the order of `benchmark_order` and `model_order`.

    `benchmarks` gives the places of the benchmarks from elsewhere (targets follow their training rows, and their own
    scores are never read). The index starts anew.
    """
    places = benchmark_order(frame) if benchmarks is None else benchmarks
    keys = pd.DataFrame(
        {
            "benchmark": frame["benchmark"].map(places).to_numpy(),
            "model": frame["model"].map(model_order(frame)).to_numpy(),
        }
    )
    order = np.lexsort((keys["model"], keys["benchmark"]))
    return frame.iloc[order].reset_index(drop=True)


def model_order(frame: pd.DataFrame) -> pd.Series:
    """The place of each model (index: its name): by compute, parameters, tokens, number of benchmarks, then size and
    range of its model family; by name only where all of these are equal."""
    facts = frame.groupby("model", sort=False).agg(
        flops=("flops", "min"),
        N=("N", "min"),
        D=("D", "min"),
        cells=("flops", "size"),
        family=("model_family", "min"),
    )
    families = facts.groupby("family", sort=False)["flops"].agg(["size", "min", "max"])
    facts = facts.join(families, on="family").reset_index()
    keys = ["flops", "N", "D", "cells", "size", "min", "max", "model"]
    ordered = facts.sort_values(keys, kind="stable")["model"]
    return pd.Series(np.arange(len(ordered)), index=ordered.to_numpy())


def benchmark_order(frame: pd.DataFrame) -> pd.Series:
    """The place of each benchmark (index: its name): by number of models, mean score, chance; then by name."""
    ordered = frame.iloc[np.argsort(frame["model"].map(model_order(frame)).to_numpy(), kind="stable")]
    groups = ordered.groupby("benchmark", sort=False)
    facts = groups.agg(n=("score", "size"), mean=("score", "mean"), chance=("chance", "min")).reset_index()
    names = facts.sort_values(["n", "mean", "chance", "benchmark"], kind="stable")["benchmark"]
    return pd.Series(np.arange(len(names)), index=names.to_numpy())
