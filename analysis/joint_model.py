"""The joint latent model of scores: one ability a model, one curve a benchmark, families in common.

    ability      t_i = x_i + w o_i + F1_family + V1_i          (orders of magnitude of compute)
    second       s_i = w2 o_i + F2_family + V2_i
    latent       eta_ij = a_j + b_j (t_i + c_j s_i + G_family,j + d_j(x_i))
    score        y_ij ~ N(floor_j + (ceiling_j - floor_j) g(eta_ij), v_ij)

`x` is log10 compute - centre, `o` log10 of tokens a parameter (centred), `d_j` a smooth departure (bumps that fade and
bends that stay). Every parameter and every scale is a standard normal `z` through a fixed transform, so the prior is
`exp(-z.z / 2)` and the likelihood is all there is to write down.

Source: Ruan, Maddison and Hashimoto (2024) for abilities of few dimensions shared by public models; the rest is this
project's (docs/forecast-p1.md).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from dangercurve.analysis.scoring import FloatArray

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Prior:
    """Centres and widths of the transforms; chosen by the development protocol only (docs/forecast-p1.md)."""

    a_mean: float = -2.0
    a_mean_sd: float = 1.0
    a_sd: float = 1.0
    b_log: float = 0.0
    b_log_sd: float = 0.35
    b_spread: float = 0.35
    over_sd: float = 0.3
    family_sd: float = 0.5
    model_sd: float = 0.25
    second_family_sd: float = 0.4
    second_model_sd: float = 0.2
    interaction_sd: float = 0.4
    bump_sd: float = 0.2
    bend_sd: float = 0.1
    tilt: float = 1.0
    noise_sd: float = 0.04
    noise_spread: float = 0.15
    scale_width: float = 0.4
    noise_power: float = 1.0
    noise_floor: float = 0.02
    ceiling_drop: float = 0.1
    ceiling_logit: float = -1.0
    ceiling_spread: float = 1.5
    bump_length: float = 1.2
    knot_spacing: float = 0.5


@dataclass(frozen=True)
class Design:
    """Training cells as arrays: index of model, benchmark (n,), score (n,), and per model x, o, family."""

    x: FloatArray
    over: FloatArray
    family: IntArray
    n_families: int
    model: IntArray
    benchmark: IntArray
    score: FloatArray
    floor: FloatArray
    item_variance: FloatArray
    knots: FloatArray
    bumps: FloatArray


SCALES = ("a", "b", "F1", "V1", "F2", "V2", "G", "bump", "bend")


@dataclass
class Layout:
    """Where each block lies in the flat vector."""

    n_benchmarks: int
    n_models: int
    n_families: int
    n_bumps: int
    n_bends: int
    n_pairs: int
    blocks: dict[str, tuple[slice, tuple[int, ...]]] = field(default_factory=dict)
    size: int = 0

    def __post_init__(self) -> None:
        j, i, k = self.n_benchmarks, self.n_models, self.n_families
        for name, shape in {
            "mean": (2,),  # of a and of log b
            "scale": (len(SCALES),),
            "over": (2,),
            "a": (j,),
            "b": (j,),
            "c": (j,),
            "ceiling": (j,),
            "noise": (j,),
            "noise_mean": (1,),
            "F1": (k,),
            "F2": (k,),
            "V1": (i,),
            "V2": (i,),
            "G": (self.n_pairs,),
            "bump": (j, self.n_bumps),
            "bend": (j, self.n_bends),
        }.items():
            n = int(np.prod(shape))
            self.blocks[name] = (slice(self.size, self.size + n), shape)
            self.size += n

    def get(self, z: FloatArray, name: str) -> FloatArray:
        part, shape = self.blocks[name]
        return z[:, part].reshape(z.shape[0], *shape)


@dataclass(frozen=True)
class Parameters:
    """The transformed parameters of each draw (first axis)."""

    scale: dict[str, FloatArray]
    over: FloatArray
    a: FloatArray
    b: FloatArray
    c: FloatArray
    ceiling: FloatArray
    noise: FloatArray
    F1: FloatArray
    F2: FloatArray
    V1: FloatArray
    V2: FloatArray
    G: FloatArray
    departure: FloatArray


def link(eta: FloatArray, name: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """`g(eta)`, `g'(eta)`, `g''(eta)`: `logit`, or `gompertz` at 1.4 times slower latent speed."""
    if name == "logit":
        p = expit(eta)
        d = p * (1 - p)
        return p, d, d * (1 - 2 * p)
    if name == "gompertz":
        u = np.clip(0.7 * eta + 0.37, -4.0, 30.0)
        w = np.exp(-u)
        p = np.exp(-w)
        return p, 0.7 * w * p, 0.49 * w * p * (w - 1)
    u = np.clip(0.7 * eta - 0.37, -30.0, 4.0)  # cloglog: the mirror image
    w = np.exp(u)
    q = np.exp(-w)
    return 1 - q, 0.7 * w * q, 0.49 * w * q * (1 - w)


def basis(x: FloatArray, bumps: FloatArray, knots: FloatArray, prior: Prior) -> tuple[FloatArray, FloatArray]:
    """Departures at `x` (n,): bumps (n, M), radial; bends (n, K), a tilt over the whole range and then hinges.

    The tilt lets a benchmark's slope differ from, or oppose, that of its families; hinges are smooth over .2 orders.
    """
    bump = np.exp(-0.5 * ((x[:, None] - bumps) / prior.bump_length) ** 2)
    bend = 0.2 * np.logaddexp(0.0, (x[:, None] - knots) / 0.2)
    bend[:, 0] = prior.tilt * (x - knots[0])
    return bump, bend


class JointModel:
    """Log density and gradient of the joint model for a design; `transform` gives parameters from draws."""

    def __init__(self, design: Design, prior: Prior, link_name: str) -> None:
        self.design, self.prior, self.link = design, prior, link_name
        self.phi_bump, self.phi_bend = basis(design.x, design.bumps, design.knots, prior)
        n = design.score.size
        self.by_model = np.zeros((n, design.x.size))
        self.by_model[np.arange(n), design.model] = 1.0
        self.by_benchmark = np.zeros((n, design.floor.size))
        self.by_benchmark[np.arange(n), design.benchmark] = 1.0
        self.by_family = np.zeros((design.x.size, design.n_families))
        self.by_family[np.arange(design.x.size), design.family] = 1.0
        self.cell_family = design.family[design.model]
        pair = self.cell_family * design.floor.size + design.benchmark
        self.pairs, self.pair = np.unique(pair, return_inverse=True)  # only those seen in training
        self.pair_order = np.argsort(self.pair, kind="stable")
        self.pair_start = np.searchsorted(self.pair[self.pair_order], np.arange(self.pairs.size))
        self.layout = Layout(
            design.floor.size,
            design.x.size,
            design.n_families,
            design.bumps.size,
            design.knots.size,
            self.pairs.size,
        )

    def transform(self, z: FloatArray) -> Parameters:
        p, get = self.prior, self.layout.get
        base = {
            "a": p.a_sd,
            "b": p.b_spread,
            "F1": p.family_sd,
            "V1": p.model_sd,
            "F2": p.second_family_sd,
            "V2": p.second_model_sd,
            "G": p.interaction_sd,
            "bump": p.bump_sd,
            "bend": p.bend_sd,
        }
        width = p.scale_width * get(z, "scale")
        scale = {name: base[name] * np.exp(width[:, i]) for i, name in enumerate(SCALES)}
        mean = get(z, "mean")
        s = {name: value[:, None] for name, value in scale.items()}
        drop = p.ceiling_drop * expit(p.ceiling_logit + p.ceiling_spread * get(z, "ceiling"))
        floor = self.design.floor
        departure = (
            scale["bump"][:, None, None] * get(z, "bump") @ self.phi_bump.T
            + scale["bend"][:, None, None] * get(z, "bend") @ self.phi_bend.T
        )
        return Parameters(
            scale,
            p.over_sd * get(z, "over"),
            p.a_mean + p.a_mean_sd * mean[:, :1] + s["a"] * get(z, "a"),
            np.exp(p.b_log + p.b_log_sd * mean[:, 1:] + s["b"] * get(z, "b")),
            get(z, "c"),
            floor + (1 - floor) * (1 - drop),
            p.noise_sd * np.exp(0.5 * get(z, "noise_mean") + p.noise_spread * get(z, "noise")),
            s["F1"] * get(z, "F1"),
            s["F2"] * get(z, "F2"),
            s["V1"] * get(z, "V1"),
            s["V2"] * get(z, "V2"),
            s["G"] * get(z, "G"),
            departure,
        )

    def log_density(self, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log posterior (chains,) and gradient (chains, size) at `z` (chains, size)."""
        d, p, get = self.design, self.prior, self.layout.get
        i, j = d.model, d.benchmark
        q = self.transform(z)
        t = d.x + q.over[:, :1] * d.over + q.F1[:, d.family] + q.V1
        s = q.over[:, 1:] * d.over + q.F2[:, d.family] + q.V2
        b, c = q.b[:, j], q.c[:, j]
        t_cell, s_cell = t[:, i], s[:, i]
        inner = t_cell + c * s_cell + q.G[:, self.pair] + q.departure[:, j, i]
        eta = q.a[:, j] + b * inner
        g, g1, _ = link(eta, self.link)
        height = (q.ceiling - d.floor)[:, j]
        residual = d.score - d.floor[j] - height * g
        noise2 = q.noise[:, j] ** 2
        bell = 4 * g * (1 - g)
        bell_power = bell**p.noise_power if p.noise_power != 1.0 else bell
        variance = noise2 * bell_power + d.item_variance + p.noise_floor**2
        inverse = 1.0 / variance
        ratio = residual**2 * inverse
        value = -0.5 * (np.log(variance) + ratio).sum(axis=1) - 0.5 * (z**2).sum(axis=1)
        dv = 0.5 * (ratio - 1.0) * inverse
        slope_bell = 4 * (1 - 2 * g)
        if p.noise_power != 1.0:
            slope_bell = slope_bell * p.noise_power * np.maximum(bell, 1e-12) ** (p.noise_power - 1)
        de = (residual * inverse * height + dv * noise2 * slope_bell) * g1
        gradient = -z
        J, M, F = self.by_benchmark, self.by_model, self.by_family

        def put(name: str, values: FloatArray) -> None:
            part = self.layout.blocks[name][0]
            gradient[:, part] += values.reshape(z.shape[0], -1)

        scale_gradient = np.zeros((z.shape[0], len(SCALES)))

        def scaled(name: str, raw: FloatArray) -> None:
            """Gradient through `scale_name * z_name`, raw = d logp / d (scale z)."""
            zz = get(z, name)
            extra = (1,) * (raw.ndim - 1)
            put(name, raw * q.scale[name].reshape(-1, *extra))
            scale_gradient[:, SCALES.index(name)] += (
                (raw * zz).reshape(z.shape[0], -1).sum(axis=1) * q.scale[name] * p.scale_width
            )

        da = de @ J
        dlogb = ((de * inner) @ J) * q.b
        put("mean", np.stack([da.sum(axis=1) * p.a_mean_sd, dlogb.sum(axis=1) * p.b_log_sd], axis=1))
        scaled("a", da)
        scaled("b", dlogb)
        de = de * b
        put("c", (de * s_cell) @ J)
        dt, ds = de @ M, (de * c) @ M
        put("over", np.stack([dt @ d.over, ds @ d.over], axis=1) * p.over_sd)
        scaled("V1", dt)
        scaled("V2", ds)
        scaled("F1", dt @ F)
        scaled("F2", ds @ F)
        scaled("G", np.add.reduceat(de[:, self.pair_order], self.pair_start, axis=1))
        grid = np.zeros((z.shape[0], d.floor.size, d.x.size))
        grid[:, j, i] = de
        scaled("bump", grid @ self.phi_bump)
        scaled("bend", grid @ self.phi_bend)
        put("scale", scale_gradient)
        dceiling = (residual * inverse * g) @ J
        logit_drop = expit(p.ceiling_logit + p.ceiling_spread * get(z, "ceiling"))
        put(
            "ceiling",
            -dceiling * (1 - d.floor) * p.ceiling_drop * logit_drop * (1 - logit_drop) * p.ceiling_spread,
        )
        dlog_noise = (dv * noise2 * bell_power * 2.0) @ J
        put("noise", dlog_noise * p.noise_spread)
        put("noise_mean", 0.5 * dlog_noise.sum(axis=1, keepdims=True))
        return value, gradient

    def information(self, z: FloatArray) -> FloatArray:
        """Fisher information of the likelihood plus the prior's identity, at one position `z` (size,) -> (size, size).

        Expected second derivatives (Gauss-Newton): positive definite everywhere, so its inverse root preconditions.
        """
        d, p, layout = self.design, self.prior, self.layout
        i, j = d.model, d.benchmark
        at = z[None]
        q, n = self.transform(at), d.score.size
        scale = {name: value[0] for name, value in q.scale.items()}
        t = d.x + q.over[0, 0] * d.over + q.F1[0, d.family] + q.V1[0]
        s = q.over[0, 1] * d.over + q.F2[0, d.family] + q.V2[0]
        b, c = q.b[0, j], q.c[0, j]
        inner = t[i] + c * s[i] + q.G[0, self.pair] + q.departure[0, j, i]
        g, g1, _ = link(q.a[0, j] + b * inner, self.link)
        height = (q.ceiling[0] - d.floor)[j]
        noise2 = q.noise[0, j] ** 2 * (4 * g * (1 - g)) ** p.noise_power
        variance = noise2 + d.item_variance + p.noise_floor**2
        rows = np.arange(n)
        jac = np.zeros((n, layout.size))  # of eta, one block at a time

        def at_index(name: str, index: IntArray, values: FloatArray) -> None:
            jac[rows, layout.blocks[name][0].start + index] += values

        def through_scale(name: str, latent: FloatArray) -> None:
            jac[:, layout.blocks["scale"][0].start + SCALES.index(name)] += latent * p.scale_width

        jac[:, layout.blocks["mean"][0]] = np.stack([np.full(n, p.a_mean_sd), b * inner * p.b_log_sd], axis=1)
        jac[:, layout.blocks["over"][0]] = np.stack([b, b * c], axis=1) * d.over[i, None] * p.over_sd
        at_index("a", j, np.full(n, scale["a"]))
        at_index("b", j, b * inner * scale["b"])
        at_index("c", j, b * s[i])
        at_index("V1", i, b * scale["V1"])
        at_index("V2", i, b * c * scale["V2"])
        at_index("F1", d.family[i], b * scale["F1"])
        at_index("F2", d.family[i], b * c * scale["F2"])
        at_index("G", self.pair, b * scale["G"])
        for name, phi in (("bump", self.phi_bump), ("bend", self.phi_bend)):
            for m in range(phi.shape[1]):
                at_index(name, j * phi.shape[1] + m, b * scale[name] * phi[i, m])
            through_scale(name, b * scale[name] * (layout.get(at, name)[0, j] * phi[i]).sum(axis=1))
        through_scale("a", scale["a"] * layout.get(at, "a")[0, j])
        through_scale("b", b * inner * scale["b"] * layout.get(at, "b")[0, j])
        through_scale("F1", b * q.F1[0, d.family[i]])
        through_scale("F2", b * c * q.F2[0, d.family[i]])
        through_scale("V1", b * q.V1[0, i])
        through_scale("V2", b * c * q.V2[0, i])
        through_scale("G", b * q.G[0, self.pair])
        mean = jac * (height * g1)[:, None]
        u = expit(p.ceiling_logit + p.ceiling_spread * layout.get(at, "ceiling")[0])
        fall = -(1 - d.floor) * p.ceiling_drop * u * (1 - u) * p.ceiling_spread
        mean[rows, layout.blocks["ceiling"][0].start + j] = fall[j] * g
        share = noise2 / variance
        bell_slope = p.noise_power * (1 - 2 * g) * g1 / np.maximum(g * (1 - g), 1e-9)
        log_variance = jac * (share * bell_slope)[:, None]
        log_variance[rows, layout.blocks["noise"][0].start + j] = 2 * p.noise_spread * share
        log_variance[:, layout.blocks["noise_mean"][0].start] = share
        weighted = mean / variance[:, None]
        return np.asarray(mean.T @ weighted + 0.5 * log_variance.T @ log_variance + np.eye(layout.size))
