"""Panels of capability against compute for the report: which estimates, under which forecast, in one picture.

One panel a (family, metric, threshold) and fitted forecast. Conditions that were too thin for a fit of their own join
the first panel as points that are not in its fit: shown, never pooled.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dangercurve._errors import ConfigError
from dangercurve.analysis import registry
from dangercurve.analysis.report.data import Forecast, Point, Scaling, Verdict
from dangercurve.analysis.report.data_panels import Prediction
from dangercurve.evals.ladder.forecasts import all_ladder
from dangercurve.evals.reporting.counts import mean, role_of
from dangercurve.evals.reporting.forecast import band_of
from dangercurve.evals.run_folder import Row, number, text

if TYPE_CHECKING:
    import pandas as pd

CONDITION = ("interface", "kappa", "elicitation")
Pair = tuple[Row, Forecast]


@dataclass(frozen=True)
class Sources:
    """What every panel draws on; `compute` gives model family and log10 FLOP of each model with known compute."""

    estimates: Sequence[Row]
    compute: Mapping[str, tuple[str, float]]
    frame: pd.DataFrame | None
    verdict: Verdict | None
    predictions: Sequence[Prediction] = ()


def scalings(sources: Sources, forecasts: Sequence[Pair]) -> tuple[Scaling, ...]:
    """Panels of all forecasts, those of the ladder first; for a family without any, its success rate against compute."""
    groups: dict[tuple[str, str, float | None], list[Pair]] = {}
    for pair in forecasts:
        groups.setdefault((pair[1].family, pair[1].metric, pair[1].threshold), []).append(pair)
    out = []
    for group in groups.values():
        own = [p for p in group if p[1].shapes and all_ladder(_scope(p[0]) or ["?"])]
        out += [_panel(sources, pair, [], []) for pair in own]
        rest = [p for p in group if p not in own]
        fitted = sorted((p for p in rest if p[1].shapes), key=lambda p: p[1].simulated)
        thin = [p for p in rest if not p[1].shapes]
        for index, pair in enumerate(fitted or thin[:1]):
            others = (thin if fitted else thin[1:]) if index == 0 else []
            loose = _unforecast(sources.estimates, group) if index == 0 else []
            out.append(_panel(sources, pair, others, loose))
    covered = {family for family, _, _ in groups}
    for family in sorted({str(e["family"]) for e in sources.estimates} - covered):
        rows = [
            e for e in _base(sources.estimates) if e["family"] == family and e["metric"] == "success_rate"
        ]
        if rows:
            out.append(
                _scaling(sources, family, "success_rate", [_point(sources, r, in_fit=False) for r in rows])
            )
    return _in_order(out)


def _in_order(found: list[Scaling]) -> tuple[Scaling, ...]:
    """One curve of the ladder first, with a crossing if there is one, then all others, then the rest of the ladder."""
    own = sorted((s for s in found if s.reference), key=_open)
    return (*own[:1], *(s for s in found if not s.reference), *own[1:])


def _open(s: Scaling) -> bool:
    return s.forecast is None or s.forecast.status != "identified"


def _scope(row: Row) -> list[str] | None:
    """The models that a stored forecast is about, where it names them."""
    found = row.get("model_scope")
    return [str(name) for name in found] if isinstance(found, list) else None


def _unforecast(estimates: Sequence[Row], group: Sequence[Pair]) -> list[Row]:
    """Estimates of the group's family and metric that no forecast of it is about."""
    taken = {id(e) for row, forecast in group for e in _matching(estimates, row, forecast)}
    family, metric = group[0][1].family, group[0][1].metric
    return [
        e for e in _base(estimates) if (e["family"], e["metric"]) == (family, metric) and id(e) not in taken
    ]


def _panel(sources: Sources, pair: Pair, others: Sequence[Pair], loose: Sequence[Row]) -> Scaling:
    row, forecast = pair
    points = [
        _point(sources, e, in_fit=bool(forecast.shapes)) for e in _matching(sources.estimates, row, forecast)
    ]
    points += [_point(sources, e, in_fit=False) for e in loose]
    lines = []
    for source, other in others:
        points += [_point(sources, e, in_fit=False) for e in _matching(sources.estimates, source, other)]
        lines.append(
            f"{other.condition}: {other.status.replace('_', ' ')}, {other.reason or 'no reason given'}"
        )
    return _scaling(sources, forecast.family, forecast.metric, points, row, forecast, tuple(lines))


def _scaling(
    sources: Sources,
    family: str,
    metric: str,
    points: Sequence[Point],
    row: Row | None = None,
    forecast: Forecast | None = None,
    others: tuple[str, ...] = (),
) -> Scaling:
    try:
        kind = registry.metric(metric)
        label, unit, scale = kind.label, kind.unit, str(kind.scale)
    except ConfigError:
        label, unit, scale = metric, "", "linear"
    inside = [p.model for p in points if p.in_fit]
    reference = bool(inside) and all_ladder(inside)
    claims = sources.verdict.claims if sources.verdict else ()
    alerts = [
        c.W for c in claims if (c.family, c.metric, c.kind) == (family, metric, "measure") and c.W is not None
    ]
    return Scaling(
        family=family,
        metric=metric,
        label=label,
        unit=unit,
        scale=scale,
        points=tuple(p for p in points if p.role != "bot"),
        floor=_floor(sources.frame, family, row or {}) if scale == "logit" else None,
        band=band_of(row.get("band")) if row else None,
        forecast=forecast,
        alert=max(alerts) if forecast is not None and alerts else None,
        others=others,
        held_out=_left_out(row or {}, family, metric, scale)
        if reference
        else tuple(
            p
            for p in sources.predictions
            if (p.family, p.metric) == (family, metric) and p.actual is not None
        ),
        reference=reference,
    )


def _left_out(row: Row, family: str, metric: str, scale: str) -> tuple[Prediction, ...]:
    """The largest member that the forecast's entry holds as left out; nothing where its numbers are none."""
    found = row.get("left_out")
    out = []
    for entry in found if isinstance(found, list) else []:
        keys = ("log10_flop", "predicted", "q05", "q95", "actual")
        x, predicted, low, high, actual = (number(entry.get(k)) for k in keys)
        if all(math.isfinite(v) for v in (x, predicted, low, high, actual)):
            inside = low <= actual <= high
            model, as_of = str(entry.get("model")), text(row.get("as_of")) or ""
            out.append(
                Prediction(
                    model, family, metric, scale, x, predicted, low, high, actual, inside, as_of, False,
                    "left out",
                )
            )  # fmt: skip
    return tuple(out)


def _point(sources: Sources, e: Row, *, in_fit: bool) -> Point:
    model = str(e["model"])
    model_family, flop = sources.compute.get(model, (model.split("/", 1)[0], math.nan))
    n = number(e.get("n_instances"))
    return Point(
        model=model,
        model_family=model_family,
        role=role_of(model),
        log10_flop=flop if math.isfinite(flop) else None,
        estimate=number(e.get("estimate")),
        lcb=_bound(e.get("lcb"), -math.inf),
        ucb=_bound(e.get("ucb"), math.inf),
        n_instances=int(n) if math.isfinite(n) else 0,
        in_fit=in_fit and math.isfinite(flop),
        condition=", ".join(filter(None, (text(e.get(k)) for k in CONDITION))),
    )


def _base(rows: Iterable[Row]) -> list[Row]:
    """Estimates of the base twin without an arm."""
    return [
        r
        for r in rows
        if (text(r.get("twin")) or "base") == "base"
        and all(text(v) in (None, "none") for k, v in r.items() if k.startswith("arm_"))
    ]


def _matching(estimates: Iterable[Row], row: Row, forecast: Forecast) -> list[Row]:
    """Estimates that the forecast is about: its family, metric, condition and, where it names them, models."""
    scope = _scope(row)
    keys = [k for k in (*CONDITION, "comparability_key", "simulated") if row.get(k) is not None]
    return [
        e
        for e in _base(estimates)
        if e["family"] == forecast.family
        and e["metric"] == forecast.metric
        and (scope is None or str(e["model"]) in scope)
        and all(text(e.get(k)) == text(row.get(k)) for k in keys if k in e)
    ]


def _floor(frame: pd.DataFrame | None, family: str, row: Row) -> float | None:
    """Mean random floor of the family's observations under the forecast's interface."""
    if frame is None:
        return None
    rows = frame[frame["family"] == family]
    interface = text(row.get("interface"))
    if interface is not None and "interface" in rows:
        rows = rows[rows["interface"] == interface]
    return mean(rows, "random_floor")


def _bound(value: object, default: float) -> float:
    found = number(value)
    return default if math.isnan(found) else found
