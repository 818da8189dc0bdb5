"""Survival beyond what was tried: four forms with weak priors, pooled by evidence, and never a breach for certain.

Unpenalised, a beta-geometric or a cure fraction diverges on short runs: the priors here are what keeps them finite.

Source: Weinberg and Gladen (1986) for the beta-geometric, Boag (1949) for the cure fraction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dangercurve._errors import DataError
from dangercurve.analysis.posterior import Posterior, find_mode, sample

Floats = NDArray[np.float64]
FORMS = ("weibull", "weibull_cure", "beta_geometric", "beta_geometric_cure")
LABELS = {
    "weibull": "Weibull",
    "weibull_cure": "Weibull with cure",
    "beta_geometric": "beta-geometric",
    "beta_geometric_cure": "beta-geometric with cure",
}
SCALE_SD = 3.0  # prior sd of the log scale about the data's own
SHAPE_SD = 0.5  # prior sd of the log Weibull shape about 1: 95 % .38 to 2.7
SPREAD_MEAN, SPREAD_SD = (
    1.0,
    1.2,
)  # prior of log a, the gamma shape of the hazard between units: 95 % .26 to 29
CURE_MEAN, CURE_SD = -1.0, 1.5  # prior of the logit of the unbreakable share: 95 % .02 to .87
HULL = 0.05  # weight from which a form widens the pooled interval


@dataclass(frozen=True, slots=True)
class FormFit:
    """One form: draws `z` (S, P) of its parameters, its log evidence, and the share of proposals that counted."""

    form: str
    z: Floats
    log_evidence: float
    efficiency: float
    weight: float
    discrete: bool

    def survival(self, effort: ArrayLike) -> Floats:
        """S (S, T) of each draw at `effort` (T,)."""
        return np.exp(log_survival(self.form, self.z, np.asarray(effort, np.float64), self.discrete))

    @property
    def cure(self) -> Floats | None:
        """Draws (S,) of the share that no effort breaks, or None where the form has none."""
        return np.asarray(special.expit(self.z[:, 2]), np.float64) if self.form.endswith("_cure") else None


@dataclass(frozen=True, slots=True)
class Reading:
    """A number with its interval under one form or under all of them. None: infinite, printed as "not reached"."""

    estimate: float | None
    lcb: float | None
    ucb: float | None


@dataclass(frozen=True, slots=True)
class Pooled:
    """Every form fitted to the same units. `last` is the largest effort tried: beyond it all numbers extrapolate."""

    fits: tuple[FormFit, ...]
    last: float
    n_units: int
    n_events: int
    seed: int

    def survival(self, effort: float, form: str | None = None, *, level: float = 0.9) -> Reading:
        """S(effort): median and central interval over the draws of `form`, or of all forms by their weights.

        Pooled, the interval is the hull of the pooled one and of those of every form that holds at least HULL of the
        weight: forms that fit alike part beyond the data, and evidence from short runs cannot tell them apart.
        """
        draws = [(f.survival([effort])[:, 0], f.weight) for f in self._chosen(form)]
        return _hull(draws, level)

    def mean_survival(self, effort: float, form: str | None = None) -> float:
        """The predictive S(effort): the mean over draws, which scores best on new units."""
        chosen = self._chosen(form)
        total = sum(f.weight for f in chosen)
        return float(sum(f.weight * f.survival([effort]).mean() for f in chosen) / total)

    def quantile(self, q: float = 0.5, form: str | None = None, *, level: float = 0.9) -> Reading:
        """Effort at which a share `q` is broken, as `survival`; None where it lies beyond any effort."""
        return _hull([(inverse_survival(f, 1 - q), f.weight) for f in self._chosen(form)], level)

    def _chosen(self, form: str | None) -> tuple[FormFit, ...]:
        found = tuple(f for f in self.fits if form in (None, f.form))
        if not found:
            raise DataError(f"no form '{form}'; fitted are {', '.join(f.form for f in self.fits)}")
        return found


def fit_forms(
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    discrete: bool,
    forms: Sequence[str] = FORMS,
    n_draws: int = 1000,
    seed: int = 0,
) -> Pooled:
    """Fit each form to units broken within (lower, upper], or right-censored at `lower` where upper is inf.

    `discrete`: effort counts attempts, and a breach at the k-th lies in (k - 1, k]; else a breach with lower == upper
    was seen at that effort exactly. `weight` (units,) says how much of a unit counts (clusters). Forms:

    weibull              S0 = exp(-ln 2 (t / m)^k), m the median
    beta_geometric       attempts: S0 = B(a, b + t) / B(a, b), a chance of success that is Beta(a, b) between units;
                         other clocks: its limit, the Lomax law (1 + t / b)^-a
    *_cure               S = c + (1 - c) S0: a share c that no effort breaks

    Priors are the constants of this module, weak and stated; weights are evidences under equal prior weights.
    Raises DataError as `check`.
    """
    lo, hi = np.asarray(lower, np.float64).ravel(), np.asarray(upper, np.float64).ravel()
    w = np.ones(lo.size) if weight is None else np.asarray(weight, np.float64).ravel()
    if lo.size == 0 or lo.size != hi.size or w.size != lo.size:
        raise DataError("lower and upper need one entry each a unit, and one unit at least")
    if np.isnan(lo).any() or np.isnan(hi).any() or (lo < 0).any() or (hi < lo).any():
        raise DataError("intervals need 0 <= lower <= upper without NaN")
    rows, index = np.unique(np.column_stack([lo, hi]), axis=0, return_inverse=True)
    counts: Floats = np.bincount(index.ravel(), weights=w).astype(np.float64)
    broken = np.isfinite(hi)
    spent = np.where(broken, hi, lo)
    centre = float(
        np.log(np.sum(w * spent) / (float(w[broken].sum()) + 0.5))
    )  # of the mean effort to a breach
    streams = np.random.SeedSequence(seed).spawn(len(FORMS))
    found: list[tuple[str, Posterior]] = []
    for form in forms:
        if form not in FORMS:
            raise DataError(f"no form '{form}'; there are {', '.join(FORMS)}")
        density = _density(form, rows[:, 0], rows[:, 1], counts.astype(np.float64), centre, discrete)
        start = np.array([centre, 0.0, CURE_MEAN][: 3 if form.endswith("_cure") else 2])
        stream = np.random.default_rng(streams[FORMS.index(form)])
        found.append((form, sample(density, find_mode(density, start), n_draws, stream)))
    share = special.softmax([p.log_evidence for _, p in found])
    fits = tuple(
        FormFit(form, p.z, p.log_evidence, p.efficiency, float(s), discrete)
        for (form, p), s in zip(found, share, strict=True)
    )
    return Pooled(fits, float(spent.max()), lo.size, int(broken.sum()), seed)


def log_survival(form: str, z: Floats, effort: Floats, discrete: bool) -> Floats:
    """log S (S, T) of parameter rows `z` at efforts `effort` (T,) >= 0; 0 at effort 0."""
    t = effort[None, :]
    if form.startswith("weibull"):
        with np.errstate(divide="ignore"):  # log 0 at effort 0: S is 1
            power = np.exp(np.minimum(np.exp(z[:, 1:2]) * (np.log(t) - z[:, 0:1]), 300.0))
        base = -np.log(2.0) * power
    else:
        a = np.exp(np.clip(z[:, 1:2], -6.0, 8.0))
        scale = np.exp(np.clip(z[:, 0:1], -30.0, 60.0))
        if discrete:
            b = np.maximum(a * scale, 1e-8)  # mean odds against a success at the first attempt are b / a
            base = special.betaln(a, b + t) - special.betaln(a, b)
        else:
            base = -a * np.log1p(t / (a * scale))
    base = np.minimum(base, 0.0)
    if not form.endswith("_cure"):
        return np.asarray(base, np.float64)
    return np.asarray(np.logaddexp(_log_expit(z[:, 2:3]), _log_expit(-z[:, 2:3]) + base), np.float64)


def inverse_survival(fit: FormFit, level: float) -> Floats:
    """Effort (S,) at which each draw's S falls to `level`; inf where it never does. Bisection on the log of effort."""
    size = len(fit.z)
    low, high = np.full(size, -12.0), np.full(size, 200.0)
    aim = np.log(level)

    value = _log_survival_each(fit, np.exp(high))
    never = value > aim
    for _ in range(32):  # 212 units of log effort to within 5e-8
        mid = 0.5 * (low + high)
        above = _log_survival_each(fit, np.exp(mid)) > aim
        low, high = np.where(above, mid, low), np.where(above, high, mid)
    effort = np.exp(high)
    if fit.discrete:
        effort = np.maximum(np.ceil(effort - 1e-6), 1.0)
    return np.where(never, np.inf, effort)


def _log_survival_each(fit: FormFit, effort: Floats) -> Floats:
    """log S (S,) of draw s at its own effort s."""
    z, t, form = fit.z, effort, fit.form
    if form.startswith("weibull"):
        base = -np.log(2.0) * np.exp(np.minimum(np.exp(z[:, 1]) * (np.log(t) - z[:, 0]), 300.0))
    else:
        a = np.exp(np.clip(z[:, 1], -6.0, 8.0))
        scale = np.exp(np.clip(z[:, 0], -30.0, 60.0))
        if fit.discrete:
            b = np.maximum(a * scale, 1e-8)
            base = _log_beta_ratio(a, b, t)
        else:
            base = -a * np.log1p(t / (a * scale))
    if form.endswith("_cure"):
        base = np.logaddexp(_log_expit(z[:, 2]), _log_expit(-z[:, 2]) + base)
    return np.asarray(base, np.float64)


def _log_beta_ratio(a: Floats, b: Floats, t: Floats) -> Floats:
    huge = t > 1e7 * (b + 1)
    safe = np.where(huge, 1.0, t)
    exact = special.betaln(a, b + safe) - special.betaln(a, b)
    far = special.gammaln(a) - a * np.log(t) - special.betaln(a, b)
    return np.asarray(np.where(huge, far, exact), np.float64)


def _hull(draws: Sequence[tuple[Floats, float]], level: float) -> Reading:
    qs = ((1 - level) / 2, 0.5, (1 + level) / 2)
    total = sum(w for _, w in draws)
    weight = np.concatenate([np.full(d.size, w / total / d.size) for d, w in draws])
    low, mid, high = _quantiles(np.concatenate([d for d, _ in draws]), weight, qs)
    for values, w in draws:
        if w >= HULL * total:
            first, _, last = _quantiles(values, np.ones(values.size), qs)
            low, high = min(low, first), max(high, last)
    return Reading(_finite(mid), _finite(low), _finite(high))


def _quantiles(draws: Floats, weight: Floats, qs: Sequence[float]) -> tuple[float, ...]:
    """Quantiles of weighted draws by the inverted distribution: an infinite draw stays infinite."""
    order = np.argsort(draws)
    cumulative = np.cumsum(weight[order])
    place = np.searchsorted(cumulative, np.asarray(qs) * cumulative[-1])
    return tuple(float(draws[order[min(int(i), draws.size - 1)]]) for i in place)


def _density(
    form: str, lo: Floats, hi: Floats, counts: Floats, centre: float, discrete: bool
) -> Callable[[Floats], Floats]:
    """Log posterior density (S,) of parameter rows: rows right-censored, within an interval, or seen exactly."""
    right = np.isinf(hi)
    exact = (lo == hi) & ~right
    ends = np.concatenate([lo[right], lo[~right & ~exact], hi[~right & ~exact]])
    n_right, n_between = int(right.sum()), int((~right & ~exact).sum())
    t_exact, c_exact = hi[exact], counts[exact]
    step = np.maximum(t_exact * 1e-5, 1e-12)

    def density(z: Floats) -> Floats:
        total = _log_prior(form, z, centre)
        s = log_survival(form, z, ends, discrete)
        total = total + s[:, :n_right] @ counts[right]
        if n_between:
            first, last = s[:, n_right : n_right + n_between], s[:, n_right + n_between :]
            gap = np.minimum(last - first, -1e-15)
            total = total + (first + np.log(-np.expm1(gap))) @ counts[~right & ~exact]
        if t_exact.size:
            a = log_survival(form, z, t_exact - step, discrete)
            b = log_survival(form, z, t_exact + step, discrete)
            gap = np.minimum(b - a, -1e-15)
            total = total + (a + np.log(-np.expm1(gap)) - np.log(2 * step)[None, :]) @ c_exact
        return np.asarray(np.where(np.isfinite(total), total, -1e12), np.float64)

    return density


def _log_prior(form: str, z: Floats, centre: float) -> Floats:
    out = _normal(z[:, 0], centre, SCALE_SD)
    if form.startswith("weibull"):
        out = out + _normal(z[:, 1], 0.0, SHAPE_SD)
    else:
        out = out + _normal(z[:, 1], SPREAD_MEAN, SPREAD_SD)
    if form.endswith("_cure"):
        out = out + _normal(z[:, 2], CURE_MEAN, CURE_SD)
    return out


def _normal(x: Floats, mean: float, sd: float) -> Floats:
    return np.asarray(-0.5 * ((x - mean) / sd) ** 2 - np.log(sd * np.sqrt(2 * np.pi)), np.float64)


def _log_expit(x: Floats) -> Floats:
    return np.asarray(-np.logaddexp(0.0, -x), np.float64)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) and value < 1e18 else None
