"""Protocol P2: forecasts of horizon records in time, on the open table and on SIMULATED series.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_p2.py --write docs/forecast-p2.md
Needs the public tables (DANGERCURVE_PUBLIC_DATA, default ../shared/data) for the open half; without them it stops.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from dangercurve._files import write_atomic
from dangercurve.analysis.scoring import crossed_bootstrap
from dangercurve.analysis.trend import METHODS, backtest_time, score_pairs
from dangercurve.analysis.trend_simulate import KINDS, simulated_records

FIRST_SEED = 200_000  # seeds below it were used to choose the prior or looked at once


def public_horizons() -> pd.DataFrame:
    """The published horizons with their release dates, models only."""
    folder = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not (folder / "horizon_th10_fits.csv").is_file():
        raise SystemExit(f"public data not found in {folder}; set DANGERCURVE_PUBLIC_DATA")
    fits = pd.read_csv(folder / "horizon_th10_fits.csv").rename(
        columns={"agent": "model", "p50q0.025": "p50_lo", "p50q0.975": "p50_hi"}
    )
    dates = yaml.safe_load((folder / "horizon_th10_release_dates.yaml").read_text())["date"]
    fits = fits[fits["model"] != "human"].copy()
    fits["release_date"] = [str(dates[model]) for model in fits["model"]]
    return fits[["model", "release_date", "p50", "p50_lo", "p50_hi"]]


def simulate(per_kind: int) -> pd.DataFrame:
    """Scores of every method on `per_kind` SIMULATED series of each kind."""
    parts = []
    for kind in KINDS:
        for index in range(per_kind):
            pairs = score_pairs(simulated_records(FIRST_SEED + index, kind), 5, METHODS, seed=index)
            parts.append(pairs.assign(kind=kind, series=f"{kind}-{index}"))
    return pd.concat(parts, ignore_index=True)


def summary_table(summary: dict[str, dict[str, float]]) -> list[str]:
    lines = [
        "| method | n | MAE | CRPS | coverage 50 | 80 | 90 (95 % interval) | width 90 | interval score 90 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, s in summary.items():
        lines.append(
            f"| {name} | {s['n']} | {s['mae']:.3f} | {s['crps']:.3f} | {s['coverage50']:.2f} | {s['coverage80']:.2f} | "
            f"{s['coverage90']:.2f} ({s['coverage90_lo']:.2f} to {s['coverage90_hi']:.2f}) | {s['width90']:.2f} | "
            f"{s['interval_score90']:.2f} |"
        )
    return lines


def paired_table(paired: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    lines = [
        "| dangercurve less | CRPS (95 % interval) | interval score 90 (95 % interval) |",
        "|---|---|---|",
    ]
    for name, diffs in paired.items():
        cells = [f"{d['est']:+.3f} ({d['lo']:+.3f} to {d['hi']:+.3f})" for d in diffs.values()]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return lines


def simulation_table(scores: pd.DataFrame) -> list[str]:
    """Mean CRPS over series (each series counts once) against the Student-t interval, and pooled coverage."""
    lines = [
        "| truth | series | CRPS, last five | CRPS, dangercurve | ratio | ratio, next record "
        "| coverage 90 (95 % interval) | coverage 90, next record |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in (*KINDS, "all"):
        part = scores if kind == "all" else scores[scores["kind"] == kind]
        mean = part.groupby(["method", "series"])["crps"].mean().groupby("method").mean()
        following = part[part["steps"] == 1].groupby("method")["crps"].mean()
        ours = part[part["method"] == "dangercurve"]
        hit = crossed_bootstrap(ours["coverage90"], ours["series"], np.zeros(len(ours)), pooled=True)
        lines.append(
            f"| {kind} | {ours['series'].nunique()} | {mean['ols_t5']:.3f} | {mean['dangercurve']:.3f} | "
            f"{mean['dangercurve'] / mean['ols_t5']:.2f} | {following['dangercurve'] / following['ols_t5']:.2f} | "
            f"{hit.est:.3f} ({hit.lo:.3f} to {hit.hi:.3f}) | {ours.loc[ours['steps'] == 1, 'coverage90'].mean():.3f} |"
        )
    return lines


def page(per_kind: int, seed: int) -> str:
    table = public_horizons()
    result = backtest_time(table, 5, seed)
    scores = simulate(per_kind)
    summary, following = result["summary"], result["summary_next"]
    paired, paired_next = result["paired"], result["paired_next"]
    if not all(isinstance(part, dict) for part in (summary, following, paired, paired_next)):
        raise SystemExit("backtest_time returned no summaries")
    lines = [
        "# Forecasting horizons in time (protocol P2)",
        "",
        f"Written by `OMP_NUM_THREADS=1 python benchmarks/bench_p2.py --series {per_kind} --seed {seed} --write "
        "docs/forecast-p2.md`. The same numbers for any table: `dangercurve backtest HORIZONS --time --min-train 5`.",
        "",
        "A *record* is a model whose horizon (minutes of human work at which it succeeds half of the time) exceeds every "
        "earlier one. From each record with at least five records up to it, every later record is predicted from its "
        "release date alone. Errors are in log2 (doublings). `dangercurve` is our forecaster; `trend_bootstrap` is a line "
        "through all records with a bootstrap band, `trend_windows` the same on random windows, `ols_t5` a Student-t "
        "interval on the last five records.",
        "",
        "## Published horizons: all pairs",
        "",
        *summary_table(summary),  # type: ignore[arg-type]
        "",
        *paired_table(paired),  # type: ignore[arg-type]
        "",
        "Negative favours `dangercurve`. Pairs share targets and origins; the intervals resample both. With twelve records "
        "they are wide: the open table alone cannot certify a difference, which is why the simulated series below exist.",
        "",
        "## Published horizons: the next record only",
        "",
        *summary_table(following),  # type: ignore[arg-type]
        "",
        *paired_table(paired_next),  # type: ignore[arg-type]
        "",
        "## SIMULATED series",
        "",
        "Models appear ever more often; their log2 horizon is a curve plus noise; records are the running maximum "
        f"(`analysis/trend_simulate.py`). Seeds from {FIRST_SEED:,} on, none of which was used to choose anything. Targets: "
        "ratio at most .82, coverage .87 to .93.",
        "",
        *simulation_table(scores),
        "",
        NOTES,
    ]
    return "\n".join(lines)


NOTES = """## How the forecaster was chosen

Every choice was made on simulated series of other seeds; the open records were looked at as a report. The model is a
local linear trend (level, slope, acceleration, wandering slope, noise of a new record) whose scales are integrated out,
with a predictive distribution cut at the last record, because a target is known to be a record. Tried and kept out:

- a likelihood that treats every training record as selected (each above the one before): the next record gains a
  little where the truth is quadratic, later records lose more, since the unseen models between would have to be
  modelled as well;
- modelling those unseen models (a Poisson number of competitors before the target's date): CRPS of the next record
  rose in every kind of simulated truth;
- weighting each draw of the curve by its probability of setting a record: no gain in all pairs, a loss for the next;
- a single normal prior for the acceleration instead of an equal mixture of none and a mild positive one: equal where
  the truth accelerates, worse where it does not;

- pooling with, or averaging quantiles with, the references cut at the last record: worse on simulated series in all
  pairs and, but for a hair, in the next record.

A first full run (seeds from 100,000 on) covered .888 over all truths and .849 where the truth bends. The largest drift
was then raised from .6 to .8, judged on other seeds (from 3,000 on, 12 series a truth: coverage .895 to .906, CRPS
ratio .776 to .780), and the table above was made on seeds that no choice has seen.

A steady truth is where the forecaster gains least: the acceleration prior expects more than comes.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=40, help="simulated series of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    text = page(options.series, options.seed)
    print(text)
    if options.write:
        write_atomic(options.write, text)


if __name__ == "__main__":
    main()
