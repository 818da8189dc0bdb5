"""Time horizons: the task length, in human minutes, at which a model succeeds half or four fifths of the time.

Source: Kwa et al. (2025), "Measuring AI Ability to Complete Long Tasks", for the horizon and its weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dangercurve._errors import ConfigError
from dangercurve.analysis.cells import Cells, to_cells
from dangercurve.analysis.horizon_bootstrap import bootstrap_horizons
from dangercurve.analysis.horizon_fit import fit_logistic, log2_horizon
from dangercurve.analysis.runs import Runs

FloatArray = NDArray[np.float64]

LEVELS = (0.5, 0.8)
BIN_LOG2 = 2.0  # bins of task length: factor 4, from one minute on
COVERED_TASKS = 5  # a bin with fewer distinct tasks says little about the curve


@dataclass(frozen=True)
class Horizon:
    """Horizons of one model in minutes with two-sided 95 % bootstrap intervals (None: no finite value).

    `ceiling`: p50 lies beyond the longest well-covered bin (at least `COVERED_TASKS` tasks in a factor of 4), so
    `lower_bound`, the longest task in that bin, is what the data support. `floor`: p50 lies below the shortest
    well-covered bin. `slope` is of log-odds against log2 minutes; 0 means that success did not fall with length.
    `p50_worst_case` counts runs without a score as successes (equal to p50 where none is missing).
    """

    model: str
    p50: float | None
    p50_lo: float | None
    p50_hi: float | None
    p80: float | None
    p80_lo: float | None
    p80_hi: float | None
    ceiling: bool
    n_runs: int
    n_tasks: int
    floor: bool
    lower_bound: float | None
    slope: float | None
    success_rate: float | None
    bootstrap: int
    p50_worst_case: float | None


@dataclass(frozen=True)
class Horizons:
    """All models' horizons and the joint bootstrap draws `log2_draws` `(replicates, models, levels)` behind them."""

    models: tuple[Horizon, ...]
    log2_draws: FloatArray
    levels: tuple[float, ...]
    weights: str
    penalty: float
    asymptote: float
    seed: int


def estimate_horizons(
    runs: Runs,
    *,
    weights: str = "invsqrt",
    penalty: float = 1e-5,
    asymptote: float = 1.0,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Horizons:
    """p50 and p80 of every model in `runs`, in minutes.

    Success is `asymptote / (1 + 2**...)`: a logistic in log2(human minutes), weights summing to 1 over a model's runs,
    fitted by maximum likelihood less `penalty/2 * slope**2`. With weights that sum to 1 a penalty of 0.1 pulls slopes
    towards 0 and moves long horizons by tens of per cent: keep it small and state it.

    Args:
        runs: from `read_runs` or `check_runs`.
        weights: `invsqrt`, `task`, `equal` or `column` (see `to_cells`).
        penalty: lambda >= 0 on the squared slope.
        asymptote: success on the easiest tasks, in (0.8, 1]; 1 is the plain logistic.
        bootstrap: replicates of the joint hierarchical bootstrap; 0 for point estimates only.
        seed: the same seed gives the same numbers.

    Raises:
        ConfigError: an argument outside its range.
        DataError: `weights="column"` without that column.
    """
    if not (np.isfinite(penalty) and penalty >= 0.0):
        raise ConfigError(f"penalty {penalty:g}: give a number >= 0")
    if not 0.8 < asymptote <= 1.0:
        raise ConfigError(f"asymptote {asymptote:g}: give a success rate in (0.8, 1]")
    if bootstrap < 0 or 0 < bootstrap < 20:
        raise ConfigError(f"bootstrap {bootstrap}: a 95 % interval needs at least 20 replicates (0 for none)")
    cells = to_cells(runs, weights)
    beta = np.vstack([_fit_model(cells, index, penalty, asymptote) for index in range(len(cells.models))])
    draws = np.empty((0, len(cells.models), len(LEVELS)))
    if bootstrap:
        draws = bootstrap_horizons(
            cells, beta, LEVELS, replicates=bootstrap, penalty=penalty, asymptote=asymptote, seed=seed
        )
    rows = tuple(
        _summarise(cells, index, beta[index : index + 1], draws[:, index], asymptote)
        for index in range(len(cells.models))
    )
    return Horizons(rows, draws, LEVELS, weights, penalty, asymptote, seed)


def with_worst_case(result: Horizons, worst: Horizons) -> Horizons:
    """`result` with `p50_worst_case` from `worst`, the fit in which missing scores are successes.

    A model none of whose runs was scored is in `worst` alone: it gets a row without a horizon, never no row.
    """
    seen = {row.model: row for row in result.models}
    rows = []
    for row in worst.models:
        mine = seen.get(row.model)
        if mine is None:
            mine = replace(
                row, p50=None, p50_lo=None, p50_hi=None, p80=None, p80_lo=None, p80_hi=None, ceiling=False, floor=False,
                lower_bound=None, slope=None, success_rate=None, n_runs=0, n_tasks=0,
            )  # fmt: skip
        rows.append(replace(mine, p50_worst_case=row.p50))
    return replace(result, models=tuple(rows))


def well_covered(cells: Cells, index: int) -> tuple[float, float]:
    """Shortest and longest task, log2 minutes, within a model's well-covered bins (of all tasks where no bin is)."""
    mine = cells.model == index
    length, task = cells.log2_minutes[mine], cells.task[mine]
    bins = np.floor(length / BIN_LOG2)
    covered = [b for b in np.unique(bins) if len(np.unique(task[bins == b])) >= COVERED_TASKS]
    inside = np.isin(bins, covered) if covered else np.ones(len(bins), dtype=bool)
    return float(length[inside].min()), float(length[inside].max())


def _fit_model(cells: Cells, index: int, penalty: float, asymptote: float) -> FloatArray:
    mine = cells.model == index
    x, weight = cells.log2_minutes[mine], cells.weight[mine]
    won, total = cells.won[mine] * weight, cells.n[mine] * weight
    return fit_logistic(x, won[None], total[None], penalty, asymptote=asymptote)


def _summarise(cells: Cells, index: int, beta: FloatArray, draws: FloatArray, asymptote: float) -> Horizon:
    mine = cells.model == index
    points = [float(log2_horizon(beta, level, asymptote)[0]) for level in LEVELS]
    cover = well_covered(cells, index)
    ends = [_interval(draws[:, j]) for j in range(len(LEVELS))]
    ceiling = points[0] > cover[1]
    n_runs = int(cells.n[mine].sum())
    return Horizon(
        model=cells.models[index],
        p50=_minutes(points[0]),
        p50_lo=_minutes(ends[0][0]),
        p50_hi=_minutes(ends[0][1]),
        p80=_minutes(points[1]),
        p80_lo=_minutes(ends[1][0]),
        p80_hi=_minutes(ends[1][1]),
        ceiling=bool(ceiling),
        n_runs=n_runs,
        n_tasks=len(np.unique(cells.task[mine])),
        floor=bool(points[0] < cover[0]),
        lower_bound=_minutes(cover[1]) if ceiling else None,
        slope=float(beta[0, 1]) if np.isfinite(beta[0, 0]) else None,
        success_rate=float(cells.won[mine].sum() / n_runs),
        bootstrap=draws.shape[0],
        p50_worst_case=_minutes(points[0]),
    )


def _interval(draws: FloatArray) -> tuple[float, float]:
    """2.5 % and 97.5 % quantiles (inverted empirical distribution, so that infinite draws stay what they are)."""
    seen = draws[~np.isnan(draws)]
    if seen.size == 0:
        return np.nan, np.nan
    low, high = np.quantile(seen, [0.025, 0.975], method="inverted_cdf")
    return float(low), float(high)


def _minutes(log2_minutes: float) -> float | None:
    return float(2.0**log2_minutes) if np.isfinite(log2_minutes) and abs(log2_minutes) < 1000 else None
