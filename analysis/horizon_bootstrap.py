"""Joint hierarchical bootstrap of horizons: task families, tasks in them, runs in tasks; one draw for all models.

Source: Field and Welsh (2007) for resampling nested clusters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dangercurve.analysis.cells import Cells
from dangercurve.analysis.horizon_fit import fit_logistic, log2_horizon
from dangercurve.analysis.scoring import by_appearance

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_BLOCK = 256  # replicates fitted together: a block of one model fits into the processor's cache


def bootstrap_horizons(
    cells: Cells,
    beta: FloatArray,
    levels: tuple[float, ...],
    *,
    replicates: int,
    penalty: float,
    asymptote: float,
    seed: int,
) -> FloatArray:
    """log2 horizons `(replicates, models, levels)`; NaN where a replicate holds no run of the model.

    A replicate draws as many task families as there are, with replacement, from each drawn family as many tasks as it
    has, and from each drawn task as many runs as each model made there. Families and tasks are drawn once for all
    models, so differences and trends keep their dependence. Rows are never copied: tasks get multiplicities
    (multinomial), and the successes of a cell drawn m times are Binomial(m*n, rate) (normal with the cell's variance,
    cut to [0, m*n], where scores are fractions). `beta` `(models, 2)` is where the Newton steps start. Random numbers
    follow `content_order`, not the names of models, tasks and families.
    """
    task_seed, *model_seeds = np.random.SeedSequence(seed).spawn(1 + len(cells.models))
    models, tasks = content_order(cells)
    place = np.argsort(tasks)
    family = by_appearance(cells.task_family[tasks])
    times = task_multiplicities(family, replicates, np.random.default_rng(task_seed))[:, place]
    result = np.full((replicates, len(cells.models), len(levels)), np.nan)
    starts = np.where(np.isfinite(beta), beta, 0.0)
    for index, model_seed in zip(models.tolist(), model_seeds, strict=True):
        mine = np.flatnonzero(cells.model == index)
        mine = mine[np.lexsort((cells.log2_minutes[mine], place[cells.task[mine]]))]
        rng = np.random.default_rng(model_seed)
        for first in range(0, replicates, _BLOCK):
            block = slice(first, min(first + _BLOCK, replicates))
            x, won, weight = _resample(cells, mine, times[block], rng)
            fitted = fit_logistic(x, won, weight, penalty, asymptote=asymptote, start=starts[index])
            seen = weight.any(axis=1)
            for j, level in enumerate(levels):
                result[block, index, j] = np.where(seen, log2_horizon(fitted, level, asymptote), np.nan)
    return result


def content_order(cells: Cells) -> tuple[IntArray, IntArray]:
    """Indices of the models and of the tasks in an order of what was measured; names decide only between equals.

    Models by runs and successes. Tasks by family (its tasks, runs, successes, shortest and longest task), then length,
    runs and successes, model by model. All keys are counts, extremes or sums of few numbers.
    """
    n_models, n_tasks = len(cells.models), len(cells.task_family)
    runs, won = np.zeros((n_tasks, n_models)), np.zeros((n_tasks, n_models))
    np.add.at(runs, (cells.task, cells.model), cells.n)
    np.add.at(won, (cells.task, cells.model), cells.won)
    won = won.round(9)  # sums of fractions in another order differ in the last bit
    models = np.lexsort((won.sum(axis=0).round(6), runs.sum(axis=0)))
    shortest, longest = np.full(n_tasks, np.inf), np.full(n_tasks, -np.inf)
    np.minimum.at(shortest, cells.task, cells.log2_minutes)
    np.maximum.at(longest, cells.task, cells.log2_minutes)
    families = int(cells.task_family.max()) + 1
    low, high = np.full(families, np.inf), np.full(families, -np.inf)
    np.minimum.at(low, cells.task_family, shortest)
    np.maximum.at(high, cells.task_family, longest)
    sizes = np.bincount(cells.task_family, minlength=families)
    played = np.bincount(cells.task_family, weights=runs.sum(axis=1), minlength=families)
    solved = np.bincount(cells.task_family, weights=won.sum(axis=1), minlength=families).round(6)
    rank = np.argsort(np.lexsort((high, low, solved, played, sizes)))
    apart = [column for k in models[::-1].tolist() for column in (won[:, k], runs[:, k])]
    return models, np.lexsort((*apart, longest, shortest, rank[cells.task_family]))


def task_multiplicities(
    task_family: IntArray, replicates: int, rng: np.random.Generator
) -> NDArray[np.int16]:
    """How often each task is drawn, `(replicates, tasks)`; a family drawn m times gives m times its size."""
    families, of_task, sizes = np.unique(task_family, return_inverse=True, return_counts=True)
    drawn = rng.multinomial(len(families), np.full(len(families), 1.0 / len(families)), size=replicates)
    times = np.empty((replicates, len(task_family)), dtype=np.int16)
    for family, size in enumerate(sizes):
        times[:, of_task == family] = rng.multinomial(drawn[:, family] * size, np.full(size, 1.0 / size))
    return times


def _resample(
    cells: Cells, mine: IntArray, times: NDArray[np.int16], rng: np.random.Generator
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Lengths, weighted successes and weights `(replicates, drawn cells)` of one model, total weight 1 a replicate.

    Cells that a replicate did not draw are left out; rows are padded with weight 0 to the longest.
    """
    multiplicity = times[:, cells.task[mine]]
    drawn = multiplicity > 0
    counts = drawn.sum(axis=1)
    width = max(int(counts.max()), 1)
    rows, columns = np.nonzero(drawn)
    slot = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    picked = mine[columns]
    n = multiplicity[rows, columns].astype(np.int64) * cells.n[picked]
    rate = cells.won[picked] / cells.n[picked]
    won = n * rate
    open_cells = (rate > 0.0) & (rate < 1.0)
    if cells.within is None:
        won[open_cells] = rng.binomial(n[open_cells], rate[open_cells])
    else:
        spread = np.sqrt(n * cells.within[picked]) * rng.standard_normal(len(n))
        won = np.clip(won + spread, 0.0, n)
    shape = (times.shape[0], width)
    x, s, w = np.full(shape, cells.log2_minutes[mine[0]]), np.zeros(shape), np.zeros(shape)
    x[rows, slot] = cells.log2_minutes[picked]
    s[rows, slot] = won * cells.weight[picked]
    w[rows, slot] = n * cells.weight[picked]
    total = w.sum(axis=1, keepdims=True)
    scale = np.where(total > 0.0, total, 1.0)
    return x, s / scale, w / scale
