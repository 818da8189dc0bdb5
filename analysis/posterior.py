"""Posterior draws by adaptive importance sampling: no chain to diagnose, an effective size and an evidence instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]
_DF = 6.0  # degrees of freedom of the proposals
_KERNELS, _SHRINK, _CURVED = (
    60,
    0.15,
    0.5,
)  # kernels, their share of the spread, efficiency below which they help


@dataclass(frozen=True, slots=True)
class Posterior:
    """Equally weighted draws `z` (S, P), the log evidence, and the share of proposals that counted (efficiency)."""

    z: Floats
    log_evidence: float
    efficiency: float
    mode: Floats


def sample(
    log_density: Callable[[Floats], Floats],
    start: Floats,
    n_draws: int,
    rng: np.random.Generator,
    *,
    rounds: int = 4,
) -> Posterior:
    """Draw from exp(log_density), vectorised over rows, starting at the mode found from `start` (P,).

    A Student-t proposal (6 degrees) around the mode is refitted to the weighted draws `rounds` times (population Monte
    Carlo, Cappe et al. 2004); where one t fits badly, an equal mixture of narrow ones takes its place. The last
    population is resampled systematically. The evidence is the mean weight, so it compares models only where their
    densities are normalised alike.
    """

    mode = find_mode(log_density, start)
    centres, root = mode[None, :], _root(_inverse_hessian(log_density, mode))
    for step in range(rounds + 1):
        size = n_draws if step == rounds else max(n_draws // 2, 500)
        z = _propose(centres, root, size, rng)
        log_w = log_density(z) - _log_mixture(z, centres, root)
        top = float(log_w.max())
        w = np.exp(log_w - top)
        share = w / w.sum()
        efficiency = float(1 / np.sum(share**2) / size)
        evidence = top + float(np.log(w.mean()))
        if step == rounds:
            break
        flat = special.softmax(0.5 * log_w) if efficiency < 0.05 else share
        centre = flat @ z
        spread = (z - centre).T @ ((z - centre) * flat[:, None]) + 1e-8 * np.eye(mode.size)
        if step >= 2 and efficiency < _CURVED:
            centres, root = z[_resample(flat, _KERNELS, rng)], _root(spread * _SHRINK)
        else:
            centres, root = centre[None, :], _root(spread)
    return Posterior(rng.permutation(z[_resample(share, n_draws, rng)]), evidence, efficiency, mode)


def _resample(share: Floats, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    place = (rng.random() + np.arange(n)) / n
    return np.minimum(np.searchsorted(np.cumsum(share), place), share.size - 1).astype(np.int64)


def _propose(centres: Floats, root: Floats, size: int, rng: np.random.Generator) -> Floats:
    normal = rng.standard_normal((size, root.shape[0]))
    heavy = np.sqrt(_DF / rng.chisquare(_DF, size))
    which = np.arange(size) % len(centres)
    return np.asarray(centres[which] + (normal * heavy[:, None]) @ root.T, np.float64)


def _log_mixture(z: Floats, centres: Floats, root: Floats) -> Floats:
    """Log density (S,) of an equal mixture of t distributions at `centres` (K, P) with one scale `root`."""
    p = root.shape[0]
    inverse = np.linalg.inv(root)
    a, b = z @ inverse.T, centres @ inverse.T
    radius = np.maximum(np.sum(a**2, 1)[:, None] + np.sum(b**2, 1)[None, :] - 2 * a @ b.T, 0.0)
    constant = special.gammaln((_DF + p) / 2) - special.gammaln(_DF / 2) - 0.5 * p * np.log(_DF * np.pi)
    log_t = constant - float(np.linalg.slogdet(root)[1]) - 0.5 * (_DF + p) * np.log1p(radius / _DF)
    return np.asarray(special.logsumexp(log_t, axis=1) - np.log(len(centres)), np.float64)


def find_mode(log_density: Callable[[Floats], Floats], start: Floats, *, max_steps: int = 60) -> Floats:
    """A local maximum (P,) by damped Newton steps with finite differences, each step a few batched evaluations.

    Small vectorised calls beat a general optimiser here: P is at most seven and a row costs microseconds.
    """
    z = np.asarray(start, np.float64).copy()
    value = float(log_density(z[None, :])[0])
    lengths = 0.5 ** np.arange(10)
    for _ in range(max_steps):
        gradient, hessian = _derivatives(log_density, z)
        level, basis = np.linalg.eigh(hessian)
        step = basis @ ((basis.T @ gradient) / np.maximum(np.abs(level), 0.05))
        step *= min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-12))
        trial = z + lengths[:, None] * step
        found = log_density(trial)
        best = int(np.argmax(found))
        gain = float(found[best]) - value
        if not gain > 1e-7:
            break
        z, value = trial[best], float(found[best])
    return z


def _derivatives(log_density: Callable[[Floats], Floats], z: Floats) -> tuple[Floats, Floats]:
    """Gradient (P,) of the log density and Hessian (P, P) of its negative, by central differences in one call."""
    p, h = z.size, 1e-3
    eye = np.eye(p) * h
    pairs = [z + sa * eye[i] + sb * eye[j] for i in range(p) for j in range(p) for sa, sb in _SIGNS]
    value = log_density(np.vstack([np.asarray(pairs), z + eye, z - eye]))
    hessian = -(value[: 4 * p * p].reshape(p, p, 4) @ np.array([1.0, -1.0, -1.0, 1.0])) / (4 * h * h)
    gradient = (value[4 * p * p : 4 * p * p + p] - value[4 * p * p + p :]) / (2 * h)
    return np.asarray(gradient, np.float64), np.asarray((hessian + hessian.T) / 2, np.float64)


def _inverse_hessian(log_density: Callable[[Floats], Floats], mode: Floats) -> Floats:
    level, basis = np.linalg.eigh(_derivatives(log_density, mode)[1])
    return np.asarray((basis / np.maximum(level, 0.05)) @ basis.T, np.float64)


_SIGNS = ((1, 1), (1, -1), (-1, 1), (-1, -1))


def _root(cov: Floats) -> Floats:
    level, basis = np.linalg.eigh((cov + cov.T) / 2)
    return np.asarray(basis * np.sqrt(np.maximum(level, 1e-10)), np.float64)
