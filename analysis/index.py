"""An index over benchmarks from a sparse table of published scores.

Source: Birnbaum (1968) for the curve, fitted here to whole benchmarks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def benchmark_index(
    model: Sequence[str],
    benchmark: Sequence[str],
    score: ArrayLike,
    anchors: Mapping[str, float],
    *,
    chance: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """One index a model from a sparse table of scores, by least squares of score = c + (1 - c) expit(a_b (x_m - d_b)).

    `anchors` names exactly two models and their index values: they fix origin and unit. A ridge of .01 on x and d and
    on log a keeps a model with one score finite. Returns {model: index}.
    Raises DataError where the anchors are not two distinct models with distinct values, or where the models do not
    hang together through shared benchmarks (their indices would not be comparable).
    """
    models, mi = np.unique(np.asarray(model, dtype=np.str_), return_inverse=True)
    benches, bi = np.unique(np.asarray(benchmark, dtype=np.str_), return_inverse=True)
    y = np.asarray(score, np.float64).ravel()
    known = [name for name in anchors if name in models]
    if len(anchors) != 2 or len(known) != 2 or len(set(anchors.values())) != 2:
        raise DataError("the index needs two anchor models of the table with two distinct values")
    if not np.isfinite(y).all() or y.min() < 0 or y.max() > 1:
        raise DataError("index scores must lie in [0, 1] without missing ones")
    _check_connected(mi, bi, models, len(benches))
    c = np.array([float((chance or {}).get(name, 0.0)) for name in benches])[bi]
    n_m, n_b = len(models), len(benches)

    def residuals(z: Floats) -> Floats:
        x, d, log_a = z[:n_m], z[n_m : n_m + n_b], z[n_m + n_b :]
        fit = c + (1 - c) * special.expit(np.exp(log_a)[bi] * (x[mi] - d[bi]))
        return np.concatenate([fit - y, 0.1 * x, 0.1 * d, 0.1 * log_a])

    def jacobian(z: Floats) -> Floats:
        x, d, a = z[:n_m], z[n_m : n_m + n_b], np.exp(z[n_m + n_b :])
        g = special.expit(a[bi] * (x[mi] - d[bi]))
        slope = (1 - c) * g * (1 - g) * a[bi]
        out = np.zeros((y.size, z.size))
        rows = np.arange(y.size)
        out[rows, mi] = slope
        out[rows, n_m + bi] = -slope
        out[rows, n_m + n_b + bi] = slope * (x[mi] - d[bi])
        return np.vstack([out, 0.1 * np.eye(z.size)])

    fit = optimize.least_squares(residuals, np.zeros(n_m + 2 * n_b), jac=jacobian)
    x = fit.x[:n_m]
    place = {str(name): float(x[i]) for i, name in enumerate(models)}
    first, second = known
    span = place[second] - place[first]
    if abs(span) < 1e-9:
        raise DataError(f"anchors {first} and {second} have the same ability: choose two that differ")
    unit = (anchors[second] - anchors[first]) / span
    return {name: anchors[first] + unit * (value - place[first]) for name, value in place.items()}


def _check_connected(mi: Ints, bi: Ints, models: NDArray[np.str_], n_b: int) -> None:
    root = np.arange(len(models) + n_b)

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = int(root[i])
        return i

    for m, b in zip(mi, bi, strict=True):
        root[find(int(m))] = find(len(models) + int(b))
    groups: dict[int, list[str]] = {}
    for i, name in enumerate(models):
        groups.setdefault(find(i), []).append(str(name))
    if len(groups) > 1:
        shown = "; ".join(names[0] for names in groups.values())
        raise DataError(
            f"{len(groups)} groups of models share no benchmark (one of each: {shown}): index them apart"
        )
