"""The compute frontier: refit, frontier with and without the break, backtest by origin.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_frontier.py --write docs/frontier.md
Needs the public tables (DANGERCURVE_PUBLIC_DATA, default ../shared/data).
"""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from dangercurve._files import write_atomic
from dangercurve.analysis.dates import decimal_year
from dangercurve.analysis.frontier import frontier_draws, load_priors
from dangercurve.analysis.frontier_fit import (
    FrontierForecast,
    TrainingRuns,
    backtest_frontier,
    fit_frontier,
    maximum_drift,
    record_line,
    refitted_priors,
    training_runs,
)

TABLES = ("frontier_training_compute.csv", "notable_training_compute.csv")
ORIGINS = (2018.0, 2019.0, 2020.0, 2021.0, 2022.0, 2023.0, 2024.0, 2024.5)
AHEAD = (1.0, 2.0, 3.0, 5.0)
YEARS = (2026.0, 2027.0, 2028.0, 2030.0, 2035.0)


def read_runs(name: str) -> TrainingRuns:
    folder = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not (folder / name).is_file():
        raise SystemExit(f"public data not found in {folder}; set DANGERCURVE_PUBLIC_DATA")
    table = pd.read_csv(folder / name)
    days = pd.to_datetime(table["Publication date"])
    years = np.array([np.nan if pd.isna(day) else decimal_year(day.date()) for day in days])
    return training_runs(years, table["Training compute (FLOP)"].to_numpy(dtype=np.float64))


def refit_table() -> list[str]:
    priors = load_priors()
    lines = [
        "| source | records since 2018 | growth, OOM a year (se) | factor a year | level mid-2025 (se) | residual sd |",
        "|---|---|---|---|---|---|",
        f"| stated prior | | {priors.growth.mean:.2f} ({priors.growth.sd:.2f}) | {10**priors.growth.mean:.1f} | "
        f"{priors.level.mean:.2f} ({priors.level.sd:.2f}) | {priors.residual.sd_low} to {priors.residual.sd_high} |",
    ]
    for name in TABLES:
        fit = fit_frontier(read_runs(name))
        lines.append(
            f"| `{name}` | {fit.n_records} | {fit.growth:.3f} ({fit.growth_se:.3f}) | {10**fit.growth:.1f} | "
            f"{fit.level:.2f} ({fit.level_se:.2f}) | {fit.residual_sd:.2f} |"
        )
    return lines


def frontier_table(seed: int) -> list[str]:
    stated = load_priors()
    refit = refitted_priors(stated, fit_frontier(read_runs(TABLES[0])))
    rows = [
        ("physical, break (primary)", "physical", "break", stated),
        ("physical, no break", "physical", "no_break", stated),
        ("physical, break, refitted level and growth", "physical", "break", refit),
        ("physical, no break, refitted level and growth", "physical", "no_break", refit),
        ("effective, break (variant)", "effective", "break", stated),
        ("SCENARIO growth feedback, physical", "physical", "growth_feedback", stated),
        ("SCENARIO growth feedback, effective", "effective", "growth_feedback", stated),
    ]
    lines = [
        "| frontier | " + " | ".join(f"1 January {year:.0f}" for year in YEARS) + " |",
        "|---|" + "---|" * len(YEARS),
    ]
    for label, kind, scenario, priors in rows:
        draws = frontier_draws(20_000, kind=kind, scenario=scenario, priors=priors, end=2036.0, seed=seed)
        cells = [np.quantile(draws.at(year), [0.05, 0.5, 0.95]) for year in YEARS]
        lines.append(
            f"| {label} | " + " | ".join(f"{m:.1f} ({lo:.1f} to {hi:.1f})" for lo, m, hi in cells) + " |"
        )
    return lines


def backtest_table() -> tuple[list[str], list[str]]:
    runs = read_runs(TABLES[0])
    end = float(runs.years[-1]) + 0.01
    lines = [
        "| forecaster | window, years | inside 90 % | bias, OOM | mean absolute error | mean width |",
        "|---|---|---|---|---|---|",
    ]
    shown: list[FrontierForecast] = []
    for label, method in (
        ("line through the records", record_line),
        ("drift of the running maximum", maximum_drift),
    ):
        for window in (6.0, 8.0, 10.0):
            cells = backtest_frontier(runs, partial(method, window=window), ORIGINS, AHEAD, end=end)
            error = np.array([c.median - c.observed for c in cells])
            inside = sum(c.q05 <= c.observed <= c.q95 for c in cells)
            width = np.mean([c.q95 - c.q05 for c in cells])
            lines.append(
                f"| {label} | {window:.0f} | {inside} of {len(cells)} | {error.mean():+.2f} | {np.abs(error).mean():.2f} | "
                f"{width:.2f} |"
            )
            if method is maximum_drift and window == 8.0:
                shown = cells
    detail = ["| origin | by | largest run, log10 FLOP | forecast (90 %) |", "|---|---|---|---|"]
    detail += [
        f"| {c.origin:.1f} | {c.year:.1f} | {c.observed:.2f} | {c.median:.2f} ({c.q05:.2f} to {c.q95:.2f}) |"
        for c in shown
    ]
    return lines, detail


def page(seed: int) -> str:
    summary, detail = backtest_table()
    return "\n".join(
        [
            "# The compute frontier",
            "",
            f"Written by `OMP_NUM_THREADS=1 python benchmarks/bench_frontier.py --seed {seed} --write docs/frontier.md`.",
            "",
            "Time to breach asks when the largest training run reaches a given compute. "
            "`dangercurve.analysis.frontier` draws that run from priors in one file, `analysis/frontier_priors.yaml`, where "
            "every number has its source. Physical FLOP is the primary figure; the effective variant multiplies in "
            "algorithmic efficiency, and the growth-feedback scenario lets progress speed itself up. Neither replaces the "
            "physical figure.",
            "",
            "## Do the stated priors agree with the data?",
            "",
            *refit_table(),
            "",
            "A record is a run larger than every run before it. The line goes through the records since 2018.",
            "",
            "## The frontier: log10 FLOP of the largest run, median and 90 % interval",
            "",
            *frontier_table(seed),
            "",
            "20,000 draws. The break slows growth at some date between mid-2026 and 2029; the cap for 2030 acts in all rows, "
            "which is why the rows differ little after it.",
            "",
            "## Backtest",
            "",
            f"Origins {', '.join(f'{o:.1f}' for o in ORIGINS)}; the largest run so far is forecast "
            f"{', '.join(f'{a:.0f}' for a in AHEAD)} years ahead from the runs published before the origin. The cells "
            "overlap in time and share their targets: the count inside the interval is a check, no proof.",
            "",
            *summary,
            "",
            "A line through record-setters is biased upwards, as it sees only the years in which a record was set; the drift "
            "of the running maximum also counts the years without one. No window was chosen by this table: all are shown. "
            "Forecasts are cut at the maximum known at the origin. The Monte Carlo above is not backtested here, since its "
            "priors were written down with all of these runs known.",
            "",
            "### Drift of the running maximum, window of 8 years",
            "",
            *detail,
            "",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    text = page(options.seed)
    print(text)
    if options.write:
        write_atomic(options.write, text)


if __name__ == "__main__":
    main()
