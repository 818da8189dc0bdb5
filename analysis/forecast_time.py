"""A forecast in calendar time alone: horizons and release dates, no compute."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from dangercurve.analysis.direct import direct_route, records_sha256
from dangercurve.analysis.forecast import QUANTILES, Forecast
from dangercurve.analysis.horizon_table import Records


def forecast_in_time(
    records: Records,
    threshold: float,
    *,
    as_of: date,
    dates: Sequence[date] = (),
    n_draws: int = 2000,
    seed: int = 0,
) -> Forecast:
    """The direct time route alone, for horizons (minutes) without compute. Raises DataError with fewer than 5 records."""
    route = direct_route(records, threshold, as_of=as_of, dates=dates, n_draws=n_draws, seed=seed)
    return Forecast(
        subject="record horizon",
        family="horizons",
        model_scope="frontier",
        metric="p50",
        event=f"p50 >= {threshold:g}",
        threshold=threshold,
        form=f"trend of {len(records)} record horizons",
        status="identified" if route.status == "reached" else route.status,
        log10_c=dict.fromkeys(QUANTILES),
        p_never=route.p_never,
        p_within={},
        date=route.date,
        p_by=route.p_by,
        frontier="time",
        cap=float("nan"),
        shapes=[],
        missing_worst_case=None,
        seed=seed,
        simulated=False,
        scenario="trend",
        p_breached=route.p_breached,
        n_models=len(records),
        as_of=as_of.isoformat(),
        input_sha256=records_sha256(records),
        flags=("no compute in the table: the direct time route alone",),
        time_route=route.as_dict(),
    )
