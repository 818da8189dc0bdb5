"""Deployment risk: what a breach costs when attackers arrive, persist for a while, and a safeguard gives way with effort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dangercurve._errors import DataError

Floats = NDArray[np.float64]
NEGLIGIBLE = 0.01  # share of attackers beyond the follow-up that is left out of account
Curve = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class DeploymentRisk:
    """R = a D P with P = integral of p_A(t) dF_T(t), the chance that an attack ends in a breach.

    `p_breach` with bounds, None where too few breaches allow no extrapolation and attackers persist beyond the
    follow-up; `risk` in the unit of `harm` a period, None where attacks and harm were not given.
    `beyond` is the share of `p_breach` that stems from efforts beyond the follow-up: extrapolated.
    """

    p_breach: float | None
    lcb: float
    ucb: float
    attacks: float | None
    harm: float | None
    risk: float | None
    risk_lcb: float | None
    risk_ucb: float | None
    beyond: float | None
    persistence_mean: float


def exponential_persistence(mean: float) -> Curve:
    """p_A(t) = exp(-t / mean): the share of attackers who go on to effort t. Raises DataError unless mean > 0."""
    if not (np.isfinite(mean) and mean > 0):
        raise DataError(f"attackers persist for a positive mean effort, not {mean:g}")

    def share(t: Floats) -> Floats:
        return np.asarray(np.exp(-np.asarray(t, np.float64) / mean), np.float64)

    return share


def deployment_risk(
    survival: Callable[[Floats], tuple[Floats, Floats, Floats]],
    persistence: Curve,
    *,
    horizon: float,
    last: float,
    attacks: float | None = None,
    harm: float | None = None,
    steps: int = 400,
    persistence_mean: float = float("nan"),
    extrapolates: bool = True,
) -> DeploymentRisk:
    """Integrate over effort on a logarithmic grid up to `horizon`.

    `survival(t)` gives (estimate, lower, upper) of S at efforts t (T,); `persistence(t)` is p_A, the share of attackers
    still trying at effort t, non-increasing from 1. With F_T = 1 - S, P = integral p_A dF_T = sum p_A(t_i) (S(t_i-1) -
    S(t_i)), p_A taken at the earlier end of each step (never too small). The bounds of S are taken as whole curves: the
    lower curve of S gives the upper bound of P. `extrapolates` says whether S is known beyond `last`. `attacks` a period
    and `harm` a breach must not be negative. Raises DataError where a number cannot be meant.
    """
    if not (np.isfinite(horizon) and horizon > 0):
        raise DataError(f"the horizon must be a positive effort, not {horizon:g}")
    for name, value in (("attacks", attacks), ("harm", harm)):
        if value is not None and not (np.isfinite(value) and value >= 0):
            raise DataError(f"{name} must be a number of 0 or more, not {value:g}")
    grid = np.concatenate([[0.0], np.geomspace(min(1.0, horizon / 2), horizon, steps)])
    share = np.asarray(persistence(grid), np.float64)
    if (
        not np.isfinite(share).all()
        or (share < 0).any()
        or (share > 1).any()
        or (np.diff(share) > 1e-12).any()
    ):
        raise DataError("persistence is a share of attackers: within [0, 1] and never rising with effort")
    curves = [np.concatenate([[1.0], np.asarray(c, np.float64)]) for c in survival(grid[1:])]
    p, worst, best = (_integral(share, np.minimum.accumulate(c)) for c in curves)
    seen = _integral(share[grid <= last], np.minimum.accumulate(curves[0])[grid <= last])
    scale = attacks * harm if attacks is not None and harm is not None else None
    open_ended = not extrapolates and float(persistence(np.array([last]))[0]) > NEGLIGIBLE
    return DeploymentRisk(
        None if open_ended else p, best, worst, attacks, harm,
        None if scale is None or open_ended else scale * p,
        None if scale is None else scale * best, None if scale is None else scale * worst,
        None if open_ended else 1 - seen / p if p > 0 else 0.0, persistence_mean,
    )  # fmt: skip


def _integral(share: Floats, survival: ArrayLike) -> float:
    s = np.asarray(survival, np.float64)
    return float(np.clip(np.sum(share[:-1] * (s[:-1] - s[1:])), 0.0, 1.0))
