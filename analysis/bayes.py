"""The hierarchical posterior in NumPyro (extra `bayes`): a cross-check of the core, trusted only if its chains agree.

    successes_mt ~ Binomial(n_mt, c_t + (1 - c_t) expit(a_t (theta_m - b_t)))
    theta_m ~ N(slope x_m + u_f(m), s_e),  u_f ~ N(0, s_f),  b_t ~ N(mu, s_b),  log a_t ~ N(0, .3)

x is log10 FLOP less its mean. Family effects and log discriminations are taken less their mean, which the difficulties
and the scale of theta carry: otherwise a common shift runs through all parameters. Abilities, family effects and
difficulties are centred (drawn around their means, not as offsets): with scores for every model and task that needs a
quarter of the leapfrog steps.

Source: Hoffman and Gelman (2014) for NUTS, Vehtari et al. (2021) for R-hat.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from dangercurve._errors import ConfigError, DataError

if TYPE_CHECKING:
    from types import ModuleType

Floats = NDArray[np.float64]
R_HAT, MIN_ESS, MAX_DIVERGENT = 1.01, 400.0, 0


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """Worst R-hat, smallest effective sample size, divergent transitions; `reasons` is empty where all are in order."""

    r_hat: float
    ess: float
    divergent: int
    reasons: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.reasons


@dataclass(frozen=True, slots=True)
class Hierarchical:
    """Draws (S, ...) of every parameter, chains stacked, with the diagnostics that gate them."""

    draws: dict[str, Floats]
    centre: float
    chance: Floats
    families: tuple[str, ...]
    diagnostics: Diagnostics

    def require(self) -> Hierarchical:
        """This posterior, or a DataError that says which diagnostic failed: nothing is read off bad chains."""
        if not self.diagnostics.ok:
            raise DataError(
                f"the posterior is not usable: {'; '.join(self.diagnostics.reasons)}; run longer chains"
            )
        return self

    def curve(self, log10_c: ArrayLike, *, family: str | None = None, seed: int = 0) -> Floats:
        """Mean success over the tasks (S, G) of a new model at `log10_c` (G,): its family's effect and own residual."""
        d = self.require().draws
        rng = np.random.default_rng(np.random.SeedSequence(seed))
        n = d["slope"].size
        shift = d["s_e"] * rng.standard_normal(n)
        if family in self.families:
            shift = shift + d["u"][:, self.families.index(str(family))]
        else:
            shift = shift + d["s_f"] * rng.standard_normal(n)
        theta = (
            d["slope"][:, None] * (np.asarray(log10_c, np.float64)[None, :] - self.centre) + shift[:, None]
        )
        rate = np.exp(d["log_a"])[:, None, :] * (theta[:, :, None] - d["b"][:, None, :])
        return np.asarray((self.chance + (1 - self.chance) * special.expit(rate)).mean(axis=2))

    def crossing(
        self, threshold: float, *, cap: float = 32.0, family: str | None = None, seed: int = 0
    ) -> Floats:
        """Draws of log10 C* (S,) at which a new model's mean success reaches `threshold`, infinite beyond `cap`."""
        grid = np.arange(self.centre - 6.0, cap, 0.05)
        over = self.curve(grid, family=family, seed=seed) >= threshold
        return np.where(over.any(axis=1), grid[np.argmax(over, axis=1)], np.inf)


def fit_hierarchical(
    successes: ArrayLike,
    trials: ArrayLike,
    log10_c: ArrayLike,
    family: Sequence[str],
    *,
    chance: ArrayLike = 0.0,
    n_warmup: int = 1000,
    n_samples: int = 1000,
    n_chains: int = 4,
    seed: int = 0,
) -> Hierarchical:
    """NUTS on the model above. `successes`, `trials` (models, tasks), trials 0 where unknown; `log10_c` (models,).

    Raises ConfigError where NumPyro is not installed, DataError on impossible counts or fewer than three models. The
    result is usable only through its diagnostics gate (`require`).
    """
    k, n = np.asarray(successes, np.float64), np.asarray(trials, np.float64)
    x = np.asarray(log10_c, np.float64).ravel()
    if k.shape != n.shape or k.ndim != 2 or k.shape[0] != x.size or len(family) != x.size:
        raise DataError("successes and trials are models x tasks, with one compute and family a model")
    if k.shape[0] < 3 or not np.isfinite(x).all() or (k < 0).any() or (k > n).any():
        raise DataError("the posterior needs three models, finite compute, and 0 <= successes <= trials")
    jax, numpyro, dist, infer, diagnostics = _import()
    numpyro.set_host_device_count(1)
    names, index = np.unique(np.asarray(family, dtype=np.str_), return_inverse=True)
    guess = np.broadcast_to(np.asarray(chance, np.float64), (k.shape[1],))
    centre = float(x.mean())
    jnp = jax.numpy

    def model() -> None:
        slope = numpyro.sample("slope", dist.Normal(0.0, 3.0))
        mu = numpyro.sample("mu", dist.Normal(0.0, 3.0))
        s_b = numpyro.sample("s_b", dist.HalfNormal(2.0))
        s_e = numpyro.sample("s_e", dist.HalfNormal(0.7))
        s_f = numpyro.sample("s_f", dist.HalfNormal(1.0))
        with numpyro.plate("families", names.size):
            v = numpyro.sample("v", dist.Normal(0.0, s_f))
        u = numpyro.deterministic("u", v - v.mean())
        with numpyro.plate("tasks", k.shape[1]):
            b = numpyro.sample("b", dist.Normal(mu, s_b))
            w = numpyro.sample("w", dist.Normal(0.0, 0.3))
        log_a = numpyro.deterministic("log_a", w - w.mean())
        with numpyro.plate("models", x.size):
            theta = numpyro.sample("theta", dist.Normal(slope * (x - centre) + u[index], s_e))
        rate = jnp.exp(log_a)[None, :] * (theta[:, None] - b[None, :])
        if guess.any():
            p = guess + (1 - guess) * jax.nn.sigmoid(rate)
            value = k * jnp.log(p) + (n - k) * jnp.log1p(-jnp.clip(p, 0.0, 1 - 1e-12))
        else:
            value = k * rate - n * jax.nn.softplus(rate)
        numpyro.factor("k", value.sum())

    kernel = infer.NUTS(model, target_accept_prob=0.9, dense_mass=[("slope", "mu", "v", "theta", "b")])
    chains = infer.MCMC(
        kernel,
        num_warmup=n_warmup,
        num_samples=n_samples,
        num_chains=n_chains,
        chain_method="sequential",
        progress_bar=False,
    )
    chains.run(jax.random.PRNGKey(seed), extra_fields=("diverging",))
    grouped = chains.get_samples(group_by_chain=True)
    found = _diagnose(grouped, int(np.sum(chains.get_extra_fields()["diverging"])), diagnostics)
    draws = {name: _stack(value) for name, value in grouped.items()}
    return Hierarchical(draws, centre, np.array(guess), tuple(str(f) for f in names), found)


def _stack(value: object) -> Floats:
    array = np.asarray(value, np.float64)
    return array.reshape(-1, *array.shape[2:])


def _diagnose(grouped: dict[str, object], divergent: int, diagnostics: ModuleType) -> Diagnostics:
    worst, least = 1.0, float("inf")
    for value in grouped.values():
        array = np.asarray(value, np.float64)
        worst = max(worst, float(np.max(diagnostics.split_gelman_rubin(array))))
        least = min(least, float(np.min(diagnostics.effective_sample_size(array))))
    reasons = []
    if not worst < R_HAT:
        reasons.append(f"R-hat {worst:.3f} is not below {R_HAT}")
    if not least >= MIN_ESS:
        reasons.append(f"effective sample size {least:.0f} is below {MIN_ESS:.0f}")
    if divergent > MAX_DIVERGENT:
        reasons.append(f"{divergent} divergent transitions")
    return Diagnostics(worst, least, divergent, tuple(reasons))


def _import() -> tuple[ModuleType, ModuleType, ModuleType, ModuleType, ModuleType]:
    try:
        jax = importlib.import_module("jax")
        numpyro = importlib.import_module("numpyro")
    except ImportError as exc:
        raise ConfigError(
            "the hierarchical posterior needs NumPyro: pip install 'dangercurve[bayes]'"
        ) from exc
    jax.config.update("jax_enable_x64", True)
    return (
        jax,
        numpyro,
        importlib.import_module("numpyro.distributions"),
        importlib.import_module("numpyro.infer"),
        importlib.import_module("numpyro.diagnostics"),
    )
