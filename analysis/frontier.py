"""The compute frontier: Monte Carlo of the largest training run, physical FLOP first, effective FLOP as a variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from dangercurve._errors import ConfigError, DataError, did_you_mean

FloatArray = NDArray[np.float64]

KINDS = ("physical", "effective")
SCENARIOS = ("break", "no_break", "growth_feedback")
PRIORS = Path(__file__).with_name("frontier_priors.yaml")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(_Strict):
    """The largest run known at `as_of`."""

    log10_flop: float
    source: str


class Level(_Strict):
    """Normal prior of the trend's level at `year`."""

    year: float
    mean: float
    sd: float
    source: str


class Rate(_Strict):
    """Normal prior of a growth rate, OOM a year, cut at 0."""

    mean: float
    sd: float
    source: str


class Residual(_Strict):
    """Uniform prior of the standard deviation of a record about the trend."""

    sd_low: float
    sd_high: float
    source: str


class Triangle(_Strict):
    """Triangular prior."""

    low: float
    mode: float
    high: float
    source: str
    year: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low <= self.mode <= self.high or self.low == self.high:
            raise ValueError(f"triangular prior needs low <= mode <= high and low < high, got {self}")
        return self


class Efficiency(_Strict):
    """Algorithmic efficiency, factor a year: log-normal on each side of the median."""

    median: float
    q05: float
    q95: float
    source: str


class Feedback(_Strict):
    """Growth feedback: from a triangular start the rate grows by a uniform share for each OOM gained."""

    start_low: float
    start_mode: float
    start_high: float
    per_oom_low: float
    per_oom_high: float
    most_efficiency_oom: float
    source: str


class FrontierPriors(_Strict):
    """All priors of the frontier with their sources; see `frontier_priors.yaml`."""

    schema_version: int = 1
    as_of: float
    record: Record
    level: Level
    residual: Residual
    growth: Rate
    break_year: Triangle
    growth_after: Rate
    cap: Triangle
    efficiency: Efficiency
    growth_feedback: Feedback

    @model_validator(mode="before")
    @classmethod
    def _rename(cls, data: object) -> object:
        if isinstance(data, dict) and "schema" in data:
            return {**{k: v for k, v in data.items() if k != "schema"}, "schema_version": data["schema"]}
        return data


@dataclass(frozen=True)
class FrontierDraws:
    """Draws of the frontier.

    `years` `(T,)` ascending decimal years; `log10_flop` `(S, T)` the largest training run so far, never falling in T.
    `kind` is physical, effective or roadmap; `scenario` names the assumption, of which `break` is the primary one.
    """

    years: FloatArray
    log10_flop: FloatArray
    kind: str
    scenario: str
    seed: int | None

    def quantiles(self, q: Sequence[float]) -> FloatArray:
        """Quantiles over draws, `(len(q), T)`."""
        return np.asarray(np.quantile(self.log10_flop, q, axis=0))

    def at(self, year: float) -> FloatArray:
        """log10 FLOP of every draw at `year`, `(S,)`. Raises DataError outside the years drawn."""
        if not self.years[0] <= year <= self.years[-1]:
            raise DataError(
                f"year {year:g} lies outside the frontier ({self.years[0]:g} to {self.years[-1]:g})"
            )
        left = int(np.searchsorted(self.years, year, side="right")) - 1
        if self.kind == "roadmap" or left == len(self.years) - 1:
            return self.log10_flop[:, left].copy()
        share = (year - self.years[left]) / (self.years[left + 1] - self.years[left])
        return np.asarray(self.log10_flop[:, left] * (1 - share) + self.log10_flop[:, left + 1] * share)


def load_priors(path: Path | str | None = None) -> FrontierPriors:
    """Priors from YAML (default: the file beside this module). Raises ConfigError."""
    file = Path(path) if path is not None else PRIORS
    try:
        return FrontierPriors.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except OSError as exc:
        raise ConfigError(f"cannot read the priors {file}: {exc.strerror or exc}") from exc
    except yaml.YAMLError as exc:
        raise ConfigError(f"{file} is no YAML: {str(exc).splitlines()[0]}") from exc
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{file}: {place}: {first['msg']}") from exc


def frontier_draws(
    n_draws: int = 4000,
    *,
    start: float = 2025.5,
    end: float = 2050.0,
    step: float = 1 / 12,
    kind: str = "physical",
    scenario: str = "break",
    priors: FrontierPriors | None = None,
    seed: int = 0,
) -> FrontierDraws:
    """Draw the frontier from its priors.

    trend(t) = level + growth * (t - t0) until the break, then growth_after a year; a draw keeps one residual (records
    lie off the trend). It is held under cap(t) = cap + growth_after * (t - cap year) and never falls under the known
    record. `no_break` keeps the first growth rate and the cap. `growth_feedback` multiplies the rate by
    `1 + share * OOM gained` after a start date: a labelled scenario. `effective` adds algorithmic efficiency since the
    level's year, on which the cap of physical compute does not act.

    Args:
        n_draws: at least 100.
        start, end, step: grid in decimal years.
        kind: `physical` (primary) or `effective`.
        scenario: `break` (primary), `no_break` or `growth_feedback`.
        priors: default `load_priors()`.
        seed: the same seed gives the same draws; the variants share their random numbers.

    Raises:
        ConfigError: unknown kind or scenario, a grid that is none, fewer than 100 draws.
    """
    if kind not in KINDS:
        raise ConfigError(f"frontier kind '{kind}'{did_you_mean(kind, KINDS)}")
    if scenario not in SCENARIOS:
        raise ConfigError(f"frontier scenario '{scenario}'{did_you_mean(scenario, SCENARIOS)}")
    if n_draws < 100:
        raise ConfigError(f"{n_draws} draws of the frontier are too few; give at least 100")
    if not (step > 0 and end > start):
        raise ConfigError(f"the frontier needs start < end and step > 0, got {start:g}, {end:g}, {step:g}")
    p = priors or load_priors()
    level, growth, bend, after, caps, efficiency, feedback = (
        np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(7)
    )
    column = (n_draws, 1)
    sd = level.uniform(p.residual.sd_low, p.residual.sd_high, column)
    base = p.level.mean + p.level.sd * level.standard_normal(column) + sd * level.standard_normal(column)
    g1 = np.maximum(p.growth.mean + p.growth.sd * growth.standard_normal(column), 0.0)
    g2 = np.maximum(p.growth_after.mean + p.growth_after.sd * after.standard_normal(column), 0.0)
    at = bend.triangular(p.break_year.low, p.break_year.mode, p.break_year.high, column)
    cap = caps.triangular(p.cap.low, p.cap.mode, p.cap.high, column)
    rate = _efficiency_rate(p.efficiency, efficiency.standard_normal(column))
    f = p.growth_feedback
    begin = feedback.triangular(f.start_low, f.start_mode, f.start_high, column)
    share = feedback.uniform(f.per_oom_low, f.per_oom_high, column)

    years = np.append(np.arange(start, end - 1e-9, step), end)
    since = years - p.level.year
    gained = g1 * since
    if scenario != "no_break":
        gained = np.where(years > at, g1 * (at - p.level.year) + g2 * (years - at), gained)
    extra = rate * since
    if scenario == "growth_feedback":
        gained = _with_feedback(gained, years, begin, share)
        extra = np.maximum(
            extra, np.minimum(_with_feedback(extra, years, begin, share), f.most_efficiency_oom)
        )
    ceiling = cap + g2 * (years - (p.cap.year if p.cap.year is not None else p.level.year))
    physical = np.maximum(np.minimum(base + gained, ceiling), p.record.log10_flop)
    total = physical + extra if kind == "effective" else physical
    return FrontierDraws(years, np.maximum.accumulate(total, axis=1), kind, scenario, seed)


def _efficiency_rate(prior: Efficiency, z: FloatArray) -> FloatArray:
    """OOM a year from standard normals: median and both 90 % ends of the prior are met exactly; never negative."""
    middle = np.log10(prior.median)
    low, high = (middle - np.log10(prior.q05)) / 1.6449, (np.log10(prior.q95) - middle) / 1.6449
    return np.asarray(np.maximum(middle + np.where(z < 0, low, high) * z, 0.0))


def _with_feedback(gained: FloatArray, years: FloatArray, begin: FloatArray, share: FloatArray) -> FloatArray:
    """Solve d gain = (1 + share * gain since the start) d base: gain = (exp(share * base) - 1) / share after it.

    The exponent is cut at 50, far beyond any cap.
    """
    before = np.array([np.interp(b, years, row) for b, row in zip(begin[:, 0], gained, strict=True)])[:, None]
    base = np.maximum(gained - before, 0.0)
    small = np.maximum(share, 1e-9)
    return np.asarray(
        np.where(years > begin, before + np.expm1(np.minimum(small * base, 50.0)) / small, gained)
    )
