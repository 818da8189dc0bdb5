"""The forecast: curve, crossing and time to breach of one threshold, with its worst cases, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dangercurve._errors import DataError
from dangercurve.analysis.band import new_model_band
from dangercurve.analysis.breach import TimeToBreach, time_to_breach
from dangercurve.analysis.crossing import Crossing, Fitted, crossing, fit_shapes
from dangercurve.analysis.direct import direct_route, records_of
from dangercurve.analysis.flags import data_flags
from dangercurve.analysis.frontier import FrontierDraws, frontier_draws, load_priors
from dangercurve.analysis.horizon_table import Records
from dangercurve.analysis.missing import worst_case_scores
from dangercurve.analysis.points import Points, curve_data
from dangercurve.analysis.residuals import drift_flags, residual_drift

Floats = NDArray[np.float64]
WITHIN = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0)  # orders of magnitude beyond the subject's compute
CAP = 32.0  # log10 FLOP beyond which a crossing counts as not within the cap
QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
Quantiles = dict[str, float | None]


@dataclass(frozen=True)
class Allowance:
    """What measured capability may fall short of, on the metric's scale (logit, log2 or linear), each >= 0.

    Sandbagging hides capability; contamination puts the curve's shape in doubt. Both only ever widen the dangerous
    side: the early crossing and the probabilities, never the point.
    """

    sandbagging: float = 0.0
    contamination: float = 0.0

    @property
    def total(self) -> float:
        return self.sandbagging + self.contamination


@dataclass(frozen=True)
class Forecast:
    """The forecast object. Quantiles are None where they lie in "never" or the crossing is not identified.

    `log10_c`, `date`: q05, q50, q95; `p_within`: probability of a crossing within that many orders of magnitude of
    the subject's compute (`log10_c_subject`); `p_by`: probability of a breach by that date; `p_breached`: before
    `as_of`. Each shape of `shapes` carries the same numbers alone. Where there is an allowance, the early quantile and
    the probabilities include it and `without_allowance` has them raw. `missing_worst_case` and `effective` are the
    same numbers under another reading of the data. `model_scope`: "frontier" for a new model of a family not seen, or
    the models it is about. `input_sha256` is the hash of the points it was made from, `store_digest` of their store.
    `band` is what a report draws: quantiles of a new model over compute (`analysis.band`). `held_out`: log scores that
    weigh the shapes, and that of the last value carried forward. `time_route`: the direct route in calendar time where
    the metric has record horizons, with its disagreement with the compute route (`analysis.direct`). `drift`: tests of
    the residuals along compute and time.
    """

    subject: str
    family: str
    model_scope: str | list[str]
    metric: str
    event: str
    threshold: float
    form: str
    status: str
    log10_c: Quantiles
    p_never: float | None
    p_within: dict[str, float]
    date: dict[str, str | None]
    p_by: dict[str, float]
    frontier: str
    cap: float
    shapes: list[dict[str, object]]
    missing_worst_case: dict[str, object] | None
    seed: int
    simulated: bool
    scenario: str = ""
    predicts: str = "new_model"
    p_breached: float | None = None
    p_slope_not_positive: float = float("nan")
    log10_c_subject: float = float("nan")
    allowance: Allowance = field(default_factory=Allowance)
    without_allowance: dict[str, object] | None = None
    effective: dict[str, object] | None = None
    n_models: int = 0
    n_families: int = 0
    as_of: str = ""
    input_sha256: str = ""
    store_digest: str | None = None
    flags: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    band: dict[str, list[float]] = field(default_factory=dict)
    held_out: dict[str, float | None] = field(default_factory=dict)
    time_route: dict[str, object] | None = None
    drift: list[dict[str, object]] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The object as plain JSON types (NaN stays NaN: the caller writes it as null)."""
        return asdict(self)


@dataclass(frozen=True)
class _Question:
    threshold: float
    cap: float
    family: str | None
    base: float
    as_of: date
    dates: tuple[date, ...]
    predicts: Literal["curve", "new_model"]


def forecast(
    points: Points,
    threshold: float,
    *,
    as_of: date,
    subject: str | None = None,
    model_family: str | None = None,
    frontier: FrontierDraws | None = None,
    cap: float = CAP,
    shapes: Sequence[str] | None = None,
    allowance: Allowance | None = None,
    predicts: Literal["curve", "new_model"] = "new_model",
    dates: Sequence[date] = (),
    n_draws: int = 2000,
    seed: int = 0,
    store_digest: str | None = None,
    records: Records | None = None,
    record_threshold: float | None = None,
) -> Forecast:
    """When does `points.metric` reach `threshold` (in the metric's unit)?

    `subject`: the model from whose compute `p_within` counts and whose family is asked about (default: the largest
    model, and a family not seen). `frontier`: default the physical frontier with its break. `records`: horizons for the
    direct time route to `record_threshold` (default: those of the points, to `threshold`). A curve that is not
    identified has no quantiles, probabilities or dates, and says so in `status`; the shapes are still listed.
    Raises DataError on fewer than three models, a threshold outside the metric's range, or a negative allowance.
    """
    allow = allowance or Allowance()
    if allow.sandbagging < 0 or allow.contamination < 0:
        raise DataError("an allowance is never negative: it widens the dangerous side")
    frame = points.frame
    if len(frame) < 3:
        raise DataError(
            f"{len(frame)} usable models: a forecast needs at least 3 of different compute"
            + (f" (dropped: {points.dropped[0]})" if points.dropped else "")
        )
    base, family = _subject(frame, subject, model_family)
    on_scale = float(np.log2(threshold)) if points.scale == "log2" and threshold > 0 else threshold
    on_scale = -on_scale if points.falls else on_scale
    question = _Question(on_scale, cap, family, base, as_of, tuple(dates), predicts)
    front = frontier if frontier is not None else frontier_draws(seed=seed)
    wanted = tuple(shapes) if shapes else None
    fitted = fit_shapes(curve_data(points), shapes=wanted, n_draws=n_draws, seed=seed)
    raw = main = _answer(fitted, question, front)
    if allow.total > 0:
        low = replace(question, threshold=_lowered(points, on_scale, allow.total))
        main = _widened(raw, _answer(fitted, low, front))
    drift = residual_drift(points, fitted, seed=seed)
    best = max(raw.crossing.shapes, key=lambda s: s.weight)
    series = records if records is not None else records_of(points)
    goal = threshold if record_threshold is None else record_threshold
    return Forecast(
        subject=subject or "largest model",
        family=points.family,
        model_scope=[subject] if subject else "frontier",
        metric=points.metric,
        event=f"{points.metric} {'<=' if points.falls else '>='} {threshold:g}",
        threshold=threshold,
        form=f"{len(raw.crossing.shapes)} shapes by held-out score; {best.shape} weighs {best.weight:.2f}",
        status=main.crossing.status,
        log10_c=main.log10_c,
        p_never=main.p_never,
        p_within=main.p_within,
        date=main.date,
        p_by=main.p_by,
        frontier=front.kind,
        cap=cap,
        shapes=_by_shape(raw.crossing, question, front),
        missing_worst_case=_worst_case(points, question, front, main, wanted, n_draws, seed),
        seed=seed,
        simulated=points.simulated,
        scenario=front.scenario,
        predicts=predicts,
        p_breached=main.p_breached,
        p_slope_not_positive=raw.crossing.p_slope,
        log10_c_subject=base,
        allowance=allow,
        without_allowance=raw.summary() if allow.total > 0 else None,
        effective=_effective(points, question, front, wanted, n_draws, seed),
        n_models=len(frame),
        n_families=int(frame["model_family"].nunique()),
        as_of=as_of.isoformat(),
        input_sha256=points.sha256,
        store_digest=store_digest,
        flags=(*points.flags, *data_flags(points, threshold, fitted), *drift_flags(drift)),
        dropped=points.dropped,
        band=new_model_band(fitted, cap=cap, family=family, predicts=predicts),
        held_out=_held_out(fitted),
        drift=[asdict(d) for d in drift],
        time_route=None
        if series is None
        else direct_route(
            series, goal, as_of=as_of, compute=raw.breach, dates=dates, n_draws=n_draws, seed=seed
        ).as_dict(),
    )


def _held_out(fitted: Fitted) -> dict[str, float | None]:
    """Held-out log scores: the number of models, the last value, and each shape."""
    last = fitted.last_value
    scores = {shape.name: float(s) for shape, s in zip(fitted.shapes, fitted.held_out, strict=True)}
    return {
        "n_models": float(fitted.n_held_out),
        "last_value": last if np.isfinite(last) else None,
        **scores,
    }


@dataclass(frozen=True)
class _Answer:
    crossing: Crossing
    breach: TimeToBreach | None
    log10_c: Quantiles
    p_never: float | None
    p_within: dict[str, float]
    date: dict[str, str | None]
    p_by: dict[str, float]

    @property
    def p_breached(self) -> float | None:
        return self.breach.p_breached if self.breach else None

    def summary(self) -> dict[str, object]:
        return {
            "status": self.crossing.status,
            "log10_c": self.log10_c,
            "p_never": self.p_never,
            "p_within": self.p_within,
            "date": self.date,
            "p_by": self.p_by,
        }


def _answer(fitted: Fitted, ask: _Question, front: FrontierDraws) -> _Answer:
    found = crossing(fitted, ask.threshold, cap=ask.cap, family=ask.family, predicts=ask.predicts)
    if found.status == "not_identified":
        nothing: Quantiles = dict.fromkeys(QUANTILES)
        return _Answer(found, None, nothing, None, {}, dict.fromkeys(QUANTILES), {})
    quantiles: Quantiles = {}
    for name, q in QUANTILES.items():
        value = found.quantile(q)
        quantiles[name] = value if np.isfinite(value) else None
    breach = time_to_breach(found.log10_c, front, cap=ask.cap, as_of=ask.as_of, dates=ask.dates)
    within = _within(found.log10_c, ask.base)
    return _Answer(found, breach, quantiles, found.p_never, within, dict(breach.date), dict(breach.p_by))


def _within(draws: Floats, base: float) -> dict[str, float]:
    return {f"{oom:g}": float(np.mean(draws <= base + oom)) for oom in WITHIN}


def _by_shape(found: Crossing, ask: _Question, front: FrontierDraws) -> list[dict[str, object]]:
    """The shape-sensitivity table: what each shape alone says, with its own probabilities."""
    rows: list[dict[str, object]] = []
    for shape in found.shapes:
        breach = time_to_breach(shape.log10_c, front, cap=ask.cap, as_of=ask.as_of, dates=ask.dates)
        rows.append(
            {
                "shape": shape.shape,
                "status": found.status,
                "weight": shape.weight,
                "held_out_log_score": shape.held_out,
                "log10_c": {
                    k: v if np.isfinite(v := shape.quantile(q)) else None for k, q in QUANTILES.items()
                },
                "p_never": shape.p_never,
                "p_within": _within(shape.log10_c, ask.base),
                "date": dict(breach.date),
                "p_by": dict(breach.p_by),
                "efficiency": shape.efficiency,
            }
        )
    return rows


def _widened(main: _Answer, low: _Answer) -> _Answer:
    """`main` with the early quantile and the probabilities of `low`, the lowered threshold: never later or smaller."""
    if "not_identified" in (main.crossing.status, low.crossing.status):
        return main

    def first(a: float | None, b: float | None) -> float | None:
        known = [v for v in (a, b) if v is not None]
        return min(known, default=None)

    days = [v for v in (low.date["q05"], main.date["q05"]) if v is not None]
    return replace(
        main,
        log10_c={**main.log10_c, "q05": first(low.log10_c["q05"], main.log10_c["q05"])},
        p_within={k: max(v, low.p_within.get(k, 0.0)) for k, v in main.p_within.items()},
        date={**main.date, "q05": min(days, default=None)},
        p_by={k: max(v, low.p_by.get(k, 0.0)) for k, v in main.p_by.items()},
    )


def _lowered(points: Points, threshold: float, allowance: float) -> float:
    if points.scale != "logit":
        return threshold - allowance
    share = (threshold - points.floor) / (1 - points.floor)
    lowered = 1 / (1 + (1 - share) / share * np.exp(allowance))
    return float(points.floor + (1 - points.floor) * lowered)


def _worst_case(
    points: Points,
    ask: _Question,
    front: FrontierDraws,
    main: _Answer,
    shapes: tuple[str, ...] | None,
    n_draws: int,
    seed: int,
) -> dict[str, object] | None:
    """The forecast with missing = failure in the lower half of compute and = success in the upper, if any is missing.

    The earlier of the two crossings is the worst case; `binds` says whether that is the imputed one.
    """
    frame = points.frame
    lost = float(frame["missing"].sum())
    if lost == 0:
        return {"binds": False, "missing": lost, **main.summary()}
    log10_c = np.log10(frame["flops"].to_numpy(np.float64))
    if points.scale == "logit":
        value, n = worst_case_scores(frame["value"], frame["n"], frame["missing"], log10_c)
    elif "worst_low" in frame and "worst_high" in frame:
        n = frame["n"].to_numpy(np.float64)
        upper = log10_c >= np.median(log10_c)
        value = np.where(upper, frame["worst_high"], frame["worst_low"])
    else:
        return {"status": "not_identified", "binds": True, "missing": lost, **_blank()}
    if not np.isfinite(value).all() or (points.scale == "log2" and not (value > 0).all()):
        return {"status": "not_identified", "binds": True, "missing": lost, **_blank()}
    imputed = replace(points, frame=frame.assign(value=value, n=n))
    other = _answer(fit_shapes(curve_data(imputed), shapes=shapes, n_draws=n_draws, seed=seed), ask, front)
    a, b = (v.log10_c["q50"] if v.log10_c["q50"] is not None else np.inf for v in (main, other))
    binds = bool(b < a) or other.crossing.status == "not_identified"
    return {"binds": binds, "missing": lost, **(other if binds else main).summary()}


def _blank() -> dict[str, object]:
    """Numbers of an answer that does not exist: the missing samples leave a value open."""
    nothing = dict.fromkeys(QUANTILES)
    return {"log10_c": nothing, "p_never": None, "p_within": {}, "date": nothing, "p_by": {}}


def _effective(
    points: Points,
    ask: _Question,
    front: FrontierDraws,
    shapes: tuple[str, ...] | None,
    n_draws: int,
    seed: int,
) -> dict[str, object] | None:
    """The same forecast in effective compute, where every model has a release date: a variant, never the result.

    Effective log10 FLOP = physical + log10(median efficiency a year) * (release - the frontier's reference year).
    """
    dates = pd.to_datetime(points.frame["release_date"])
    if dates.isna().any() or front.kind != "physical":
        return None
    priors = load_priors()
    years = dates.dt.year + (dates.dt.day_of_year - 1) / 365.25
    shift = np.log10(priors.efficiency.median) * (years.to_numpy(np.float64) - priors.level.year)
    data = curve_data(points, log10_shift=shift)
    ahead = frontier_draws(len(front.log10_flop), kind="effective", scenario=front.scenario, seed=seed)
    fitted = fit_shapes(data, shapes=shapes, n_draws=n_draws, seed=seed)
    top = float(data.centre + data.x.max())
    variant = replace(ask, base=top, cap=max(ask.cap + 6.0, top + 6.0))
    return {"variant": "effective compute", **_answer(fitted, variant, ahead).summary()}


def _subject(frame: pd.DataFrame, subject: str | None, family: str | None) -> tuple[float, str | None]:
    if subject is None:
        return float(np.log10(frame["flops"].max())), family
    rows = frame[frame["model"] == subject]
    if rows.empty:
        raise DataError(f"subject '{subject}' is not among the models with a score and compute")
    row = rows.iloc[0]
    return float(np.log10(row["flops"])), family or str(row["model_family"])
