"""Runs as counts: one cell is one model on one task at one length, with METR-style weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import ConfigError, DataError, did_you_mean
from dangercurve.analysis.runs import Runs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WEIGHTS = ("invsqrt", "task", "equal", "column")


@dataclass(frozen=True)
class Cells:
    """Arrays over cells: `model`, `task` (indices), `log2_minutes`, `n` (runs), `won` (sum of scores), `weight` (of
    one run; sums to 1 over a model's runs). `task_family` gives the family of each task. `within` is the variance of
    the scores in a cell where some score is a fraction, None where all are 0 or 1.
    """

    models: tuple[str, ...]
    model: IntArray
    task: IntArray
    task_family: IntArray
    log2_minutes: FloatArray
    n: IntArray
    won: FloatArray
    weight: FloatArray
    within: FloatArray | None


def to_cells(runs: Runs, weights: str = "invsqrt") -> Cells:
    """Aggregate runs to cells.

    `invsqrt`: a run weighs 1/(runs of its model in its task * sqrt(tasks of its model in its task family)).
    `task`: 1/(runs in the task). `equal`: 1. `column`: the table's own `weight` (the mean in a cell).

    Raises ConfigError for another name, DataError for `column` without that column.
    """
    if weights not in WEIGHTS:
        raise ConfigError(f"weights '{weights}'{did_you_mean(weights, WEIGHTS)}")
    if weights == "column" and runs.weight is None:
        raise DataError("the table has no column weight; use --weights invsqrt or --map weight=COLUMN")
    families = len(runs.task_families)
    task_keys, task = np.unique(runs.task * families + runs.task_family, return_inverse=True)
    minutes, length = np.unique(runs.human_minutes, return_inverse=True)
    n_tasks, n_lengths = len(task_keys), len(minutes)
    cell_keys, cell = np.unique((runs.model * n_tasks + task) * n_lengths + length, return_inverse=True)
    n = np.bincount(cell)
    won = np.bincount(cell, weights=runs.score).astype(np.float64)
    pair = cell_keys // n_lengths  # (model, task)
    c_model, c_task = pair // n_tasks, pair % n_tasks
    fractional = bool(((runs.score != 0.0) & (runs.score != 1.0)).any())
    within = None
    if fractional:
        within = np.maximum(np.bincount(cell, weights=runs.score**2) / n - (won / n) ** 2, 0.0)
    weight = np.ones(len(cell_keys))
    if weights == "column" and runs.weight is not None:
        weight = np.bincount(cell, weights=runs.weight) / n
    elif weights in ("invsqrt", "task"):
        pairs, of_cell = np.unique(pair, return_inverse=True)
        weight = 1.0 / np.bincount(of_cell, weights=n)[of_cell]
        if weights == "invsqrt":
            place = (pairs // n_tasks) * families + task_keys[pairs % n_tasks] % families
            _, of_pair, tasks_there = np.unique(place, return_inverse=True, return_counts=True)
            weight = weight / np.sqrt(tasks_there[of_pair][of_cell])
    total = np.bincount(c_model, weights=weight * n)
    return Cells(
        models=runs.models,
        model=c_model,
        task=c_task,
        task_family=task_keys % families,
        log2_minutes=np.log2(minutes[cell_keys % n_lengths]),
        n=n.astype(np.int64),
        won=won,
        weight=weight / total[c_model],
        within=within,
    )
