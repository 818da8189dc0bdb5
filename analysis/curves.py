"""One curve of capability against compute: fit a form, draw curves of a *new* model, keep the slope unconstrained.

`fit_curve` gives the penalised estimate; `CurveFit.draws` gives curves with parameter uncertainty (a bootstrap
clustered by model family where there are enough models and families, else Student-t draws around the estimate), the
new model's family intercept and its own residual. `fit_replicates` is the batched engine.

Source: Gompertz (1825); Hestness et al. (2017) for a power law in the error; Caballero et al. (2023) for broken laws; Field
and Welsh (2007) for the bootstrap of clusters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dangercurve._errors import DataError, did_you_mean
from dangercurve.analysis.batched import BatchFit, Model, fit_batch
from dangercurve.analysis.forms import FORMS, CurveForm
from dangercurve.analysis.scores import chance_floor
from dangercurve.analysis.scoring import FloatArray

__all__ = ["FORMS", "CurveDraws", "CurveFit", "CurveForm", "fit_curve", "fit_replicates"]

MIN_MODELS_FOR_BOOTSTRAP = 8
MIN_FAMILIES_FOR_BOOTSTRAP = 4


@dataclass(frozen=True)
class CurveDraws:
    """Posterior curves: `params` (n, P), model-family intercept and residual (n,) each on the latent scale.

    `slope` (n,) is the latent slope an order of magnitude, never sign-constrained: where more than 2.5 % of it is
    <= 0 a crossing is not identified.
    """

    form: CurveForm
    centre: float
    params: FloatArray
    family_effect: FloatArray
    residual: FloatArray

    @property
    def slope(self) -> FloatArray:
        return self.form.slope(self.params)

    def value(self, x: npt.ArrayLike, *, new_model: bool = True) -> FloatArray:
        """Score of each draw at log10 FLOP `x` (T,) -> (n, T).

        `new_model=True` is the curve of a model of an unseen family (family intercept and residual included);
        `False` is the mean curve. Bounded forms stay in [0, 1].
        """
        u = np.atleast_1d(np.asarray(x, dtype=float))[None, :] - self.centre
        shift = (self.family_effect + self.residual if new_model else np.zeros(len(self.params)))[:, None]
        value = self.form.evaluate(self.params, u, shift)[0]
        return np.asarray(np.clip(value, 0.0, 1.0) if self.form.bounded else value)


@dataclass(frozen=True)
class CurveFit:
    """A fitted curve: parameters, Laplace covariance, latent sd between families and of the residual, `method`.

    `method` says how `draws` gets its uncertainty: `family bootstrap` or `student-t`. `noise_sd` is the residual sd
    on the scale of y.
    """

    form: CurveForm
    centre: float
    params: FloatArray
    covariance: FloatArray
    df: int
    family_sd: float
    residual_sd: float
    noise_sd: float
    n_points: int
    n_families: int
    method: str
    flags: tuple[str, ...]
    _x: FloatArray
    _y: FloatArray
    _weights: FloatArray
    _family: npt.NDArray[np.int_]
    _prior_mean: FloatArray
    _prior_precision: FloatArray

    @property
    def slope(self) -> float:
        """Latent slope an order of magnitude of the estimate."""
        return float(self.form.slope(self.params[None])[0])

    def predict(self, x: npt.ArrayLike) -> FloatArray:
        """Mean curve at log10 FLOP `x` (T,)."""
        u = np.atleast_1d(np.asarray(x, dtype=float))[None, :] - self.centre
        value = self.form.evaluate(self.params[None], u, np.zeros((1, 1)))[0][0]
        return np.asarray(np.clip(value, 0.0, 1.0) if self.form.bounded else value)

    def draws(self, n: int = 1000, seed: int = 0) -> CurveDraws:
        """`n` curves; the same seed gives the same draws."""
        streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3)]
        if self.method == "family bootstrap":
            params = self._bootstrap(n, streams[0])
        else:
            factor = _factor(self.covariance)
            z = streams[0].standard_normal((n, len(self.params))) @ factor.T
            params = self.params + z * np.sqrt(self.df / streams[0].chisquare(self.df, n))[:, None]
        inflate = np.sqrt(self.df / streams[1].chisquare(self.df, n))
        return CurveDraws(
            self.form,
            self.centre,
            params,
            streams[1].standard_t(max(self.n_families - 2, 2), n) * self.family_sd,
            streams[2].standard_normal(n) * self.residual_sd * inflate,
        )

    def _bootstrap(self, n: int, rng: np.random.Generator) -> FloatArray:
        k = self.n_families
        by_family = rng.dirichlet(np.ones(k), n) * k
        by_model = rng.dirichlet(np.ones(self.n_points), n) * self.n_points
        weights = by_family[:, self._family] * by_model * self._weights
        sd = 1 / np.sqrt(self._prior_precision)
        # each replicate gets its own prior mean, so that what the data do not decide keeps the prior's width
        prior_mean = self._prior_mean + sd * rng.standard_normal((n, sd.size))
        fits = fit_replicates(
            self.form,
            self._x,
            self._y,
            weights,
            self.noise_sd,
            start=self.params,
            prior_mean=prior_mean,
            prior_precision=self._prior_precision,
        )
        return fits.params


def fit_curve(
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    form: str = "logistic",
    floor: float | None = None,
    weights: npt.ArrayLike | None = None,
    family: Sequence[str] | None = None,
    seed: int = 0,
) -> CurveFit:
    """Fit one curve form to scores `y` (T,) at log10 FLOP `x` (T,).

    `floor` is the chance floor (None: inferred from the lowest scores, flagged), `weights` (T,) relative precision,
    `family` the model family of each point (None: each point its own). The estimate is penalised least squares; the
    noise, the family intercepts and the residual scale come from its residuals by moments. `seed` is accepted for
    symmetry: the estimate is deterministic. Raises DataError on unknown forms, too few points, non-finite values, and
    bounded forms on scores outside [0, 1].
    """
    del seed
    if form not in FORMS:
        raise DataError(f"no curve form '{form}'{did_you_mean(form, FORMS)}")
    spec = FORMS[form]
    at, score = np.asarray(x, dtype=float).ravel(), np.asarray(y, dtype=float).ravel()
    w = np.ones_like(at) if weights is None else np.asarray(weights, dtype=float).ravel()
    _check(spec, at, score, w, family)
    flags: list[str] = []
    mean, sd = np.array(spec.prior_mean), np.array(spec.prior_sd)
    if "lo" in spec.parameters:
        if floor is None:
            floor = chance_floor(list(score), float("nan"))
            flags.append(f"chance floor not given: {floor:.3g} inferred from the lowest scores")
        mean[spec.parameters.index("lo")] = floor
        if np.sum(np.abs(score - floor) < 0.03) < 5:  # a free floor needs points in the floor
            sd[spec.parameters.index("lo")] = min(sd[spec.parameters.index("lo")], 0.005)
    if spec.name == "linear":
        mean[0], sd[0] = np.average(score, weights=w), 10.0 * max(score.std(), 0.1)
        sd[1] = 10.0 * max(score.std(), 0.1)
    if spec.name == "last_value":
        order = np.argsort(at, kind="stable")[-min(5, at.size) :]
        return _last_value_fit(spec, at, score, w, order)
    centre = float(np.average(at, weights=w))
    u = at - centre
    codes = _codes(family, at.size)
    noise = 0.05 if spec.bounded else max(float(score.std()), 1e-3)
    w = w / w.mean()
    params = mean.copy()
    for _ in range(8):
        precision = noise**2 / sd**2
        fit = fit_batch(_model(spec), u, score, w[None], mean, precision, params[None])
        params = fit.params[0]
        residual = score - spec.evaluate(params[None], u[None], np.zeros((1, 1)))[0][0]
        df = max(at.size - 2, 1)
        new = max(float(np.sqrt((w * residual**2).sum() / df)), 1e-3)
        if abs(new - noise) < 1e-3 * noise:
            noise = new
            break
        noise = new
    value, jacobian = spec.evaluate(params[None], u[None], np.zeros((1, 1)))
    J = np.stack([j[0] for j in jacobian], axis=1)
    covariance = np.linalg.inv((J.T * w) @ J / noise**2 + np.diag(1 / sd**2))
    family_sd, residual_sd = _latent_scales(score - value[0], J[:, 0], codes, noise)
    k = int(codes.max()) + 1
    enough = at.size >= MIN_MODELS_FOR_BOOTSTRAP and k >= MIN_FAMILIES_FOR_BOOTSTRAP
    if not fit.converged[0]:
        flags.append("the fit did not converge: intervals from the last step")
    return CurveFit(
        spec,
        centre,
        params,
        covariance,
        max(min(at.size, 2 * k if k > 1 else at.size) - 2, 2),
        family_sd,
        residual_sd,
        noise,
        at.size,
        k,
        "family bootstrap" if enough else "student-t",
        tuple(flags),
        u,
        score,
        w,
        codes,
        mean,
        1 / sd**2,
    )


def fit_replicates(
    form: CurveForm,
    u: FloatArray,
    y: FloatArray,
    weights: FloatArray,
    noise_sd: float,
    *,
    start: FloatArray | None = None,
    prior_mean: FloatArray | None = None,
    prior_precision: FloatArray | None = None,
) -> BatchFit:
    """Refit `form` with many weightings: u (T,) centred log10 FLOP, y (T,) or (B, T), weights (B, T).

    Minimises `sum w (y - f)^2 / noise_sd^2` plus the form's normal prior. Memory is bounded by blocks.
    """
    mean = np.array(form.prior_mean) if prior_mean is None else prior_mean
    precision = 1 / np.array(form.prior_sd) ** 2 if prior_precision is None else prior_precision
    first = mean if start is None else start
    return fit_batch(_model(form), u, y, weights, mean, precision * noise_sd**2, first, tol=1e-3, max_iter=25)


def _model(form: CurveForm) -> Model:
    zero = np.zeros((1, 1))

    def evaluate(params: FloatArray, x: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        return form.evaluate(params, x[None, :], zero)

    return evaluate


def _codes(family: Sequence[str] | None, n: int) -> npt.NDArray[np.int_]:
    if family is None:
        return np.arange(n)
    return np.asarray(np.unique(np.asarray(family, dtype=str), return_inverse=True)[1])


def _latent_scales(
    residual: FloatArray, gain: FloatArray, codes: npt.NDArray[np.int_], noise: float
) -> tuple[float, float]:
    """Latent sd between families and within, by moments of `residual / gain` weighted by `gain^2`."""
    weight = gain**2 + 1e-12
    total = float((residual**2).sum() / weight.sum())
    counts = np.bincount(codes)
    if counts.max() < 2 or counts.size < 3:
        return 0.0, float(np.sqrt(total))
    w_family = np.bincount(codes, weights=weight)
    centre = np.bincount(codes, weights=gain * residual) / w_family
    within_df = max(codes.size - counts.size, 1)
    inside = residual - gain * centre[codes]
    within = float((inside**2).sum() / weight.sum() * codes.size / within_df)
    within = min(within, total)
    between = (total - within) * counts.size / max(counts.size - 2, 1)  # the curve took up two family effects
    return float(np.sqrt(between)), float(np.sqrt(max(within, 0.05 * total)))


def _last_value_fit(
    form: CurveForm, x: FloatArray, y: FloatArray, w: FloatArray, last: npt.NDArray[np.intp]
) -> CurveFit:
    mean = float(np.average(y[last], weights=w[last]))
    sd = float(y[last].std(ddof=1)) if last.size > 1 else float(y.std() or 0.1)
    return CurveFit(
        form,
        float(x.mean()),
        np.array([mean]),
        np.array([[sd**2 / last.size]]),
        max(last.size - 1, 1),
        0.0,
        sd,
        sd,
        x.size,
        x.size,
        "student-t",
        (),
        x - x.mean(),
        y,
        w,
        np.arange(x.size),
        np.zeros(1),
        np.zeros(1),
    )


def _check(
    form: CurveForm, x: FloatArray, y: FloatArray, w: FloatArray, family: Sequence[str] | None
) -> None:
    if x.size != y.size or w.size != x.size or (family is not None and len(family) != x.size):
        raise DataError("x, y, weights and family must have one length")
    if x.size < form.min_points:
        raise DataError(f"form '{form.name}' needs {form.min_points} points, got {x.size}")
    if not (np.isfinite(x).all() and np.isfinite(y).all() and np.isfinite(w).all()):
        raise DataError("x, y and weights must be finite numbers")
    if (w < 0).any() or w.sum() <= 0:
        raise DataError("weights must be non-negative and not all zero")
    if form.bounded and ((y < 0).any() or (y > 1).any()):
        raise DataError(f"form '{form.name}' needs scores in [0, 1]; use 'linear' on another scale")
    if np.ptp(x) <= 0:
        raise DataError("every point has the same compute: a curve needs at least two values")


def _factor(covariance: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
