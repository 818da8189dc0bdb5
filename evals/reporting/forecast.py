"""Stored forecasts as the report shows them: read, never fitted again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

from dangercurve.analysis.report.data import Band, Forecast, Shape
from dangercurve.evals.reporting.facts import one_line
from dangercurve.evals.run_folder import number, text

Row = Mapping[str, object]


def forecast_of(row: Row) -> Forecast:
    """A stored forecast as the page shows it. What is absent or of another type is None."""
    metric, threshold = str(row.get("metric") or ""), _finite(row.get("threshold"))
    worst = row.get("missing_worst_case")
    shapes = row.get("shapes")
    return Forecast(
        family=str(row.get("family") or row.get("subject") or ""),
        metric=metric,
        event=str(row.get("event") or f"{metric} >= {threshold}"),
        threshold=threshold,
        form=str(row.get("form") or ""),
        status=str(row.get("status") or "not_identified"),
        log10_c=_quantiles(row.get("log10_c")),
        date=_days(row.get("date")),
        p_never=_finite(row.get("p_never")),
        p_within=_chances(row.get("p_within")),
        p_by=_chances(row.get("p_by")),
        frontier=str(row.get("frontier") or ""),
        cap=_finite(row.get("cap")),
        shapes=tuple(_shape(s) for s in shapes if isinstance(s, dict)) if isinstance(shapes, list) else (),
        worst_case=_quantiles(worst.get("log10_c"))
        if isinstance(worst, dict) and worst.get("binds", True)
        else None,
        scope=one_line(row.get("model_scope") or ""),
        seed=one_line(row.get("seed")) if row.get("seed") is not None else "",
        simulated=row.get("simulated") is True,
        reason=str(row.get("reason") or ""),
        flags=_strings(row.get("flags")),
        as_of=str(row.get("as_of") or ""),
        p_breached=_finite(row.get("p_breached")),
        condition=_condition(row),
    )


def _condition(row: Row) -> str:
    kappa = _finite(row.get("kappa"))
    parts = [f"interface {one_line(row['interface'])}" if row.get("interface") is not None else ""]
    parts += [f"step budget κ {kappa:g}" if kappa is not None else ""]
    parts += [f"elicitation {one_line(row['elicitation'])}" if row.get("elicitation") is not None else ""]
    return ", ".join(part for part in parts if part)


def _shape(row: Row) -> Shape:
    q = _quantiles(row.get("log10_c")) if isinstance(row.get("log10_c"), dict) else _quantiles(row)
    name = str(row.get("shape") or row.get("form") or "")
    return Shape(
        name, _finite(row.get("weight")), *q, _finite(row.get("p_never")), str(row.get("status") or ""),
        _chances(row.get("p_by")),
    )  # fmt: skip


def _finite(value: object) -> float | None:
    found = number(value)
    return found if math.isfinite(found) else None


def _quantiles(value: object) -> tuple[float | None, float | None, float | None]:
    part: Row = value if isinstance(value, dict) else {}
    return _finite(part.get("q05")), _finite(part.get("q50")), _finite(part.get("q95"))


def _days(value: object) -> tuple[str | None, str | None, str | None]:
    part: Row = value if isinstance(value, dict) else {}
    return text(part.get("q05")), text(part.get("q50")), text(part.get("q95"))


def _chances(value: object) -> tuple[tuple[str, float], ...]:
    part: Row = value if isinstance(value, dict) else {}
    found = [(str(k), p) for k, v in part.items() if 0 <= (p := number(v)) <= 1]
    return tuple(sorted(found))


def _strings(value: object) -> tuple[str, ...]:
    return tuple(str(v) for v in value) if isinstance(value, (list, tuple)) else ()


def band_of(value: object) -> Band | None:
    """The band that a forecast stored: lists `log10_flop, q05, q50, q95` of one length; None where it has none."""
    if not isinstance(value, dict):
        return None
    columns = [value.get(k) for k in ("log10_flop", "q05", "q50", "q95")]
    if not all(isinstance(c, list) and c for c in columns):
        return None
    lists = [[number(v) for v in cast("list[object]", c)] for c in columns]
    if len({len(c) for c in lists}) != 1 or not all(math.isfinite(v) for c in lists for v in c):
        return None
    x, q05, q50, q95 = (tuple(c) for c in lists)
    return Band(x, q05, q50, q95)
