"""Published numbers that the code must reproduce: horizons of January 2025 and two doubling times.

Run: OMP_NUM_THREADS=1 python benchmarks/bench_known_answers.py --write docs/known-answers.md
Needs the public tables (DANGERCURVE_PUBLIC_DATA, default ../shared/data).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd

from dangercurve._files import write_atomic
from dangercurve.analysis.horizon import estimate_horizons
from dangercurve.analysis.horizon_table import check_horizons, to_records
from dangercurve.analysis.runs import exclude_models, read_runs
from dangercurve.analysis.trend import doubling_time

JANUARY_2025 = {
    "GPT-4 0314": 3.66,
    "GPT-4 Turbo": 3.45,
    "Claude 3 Opus": 4.05,
    "GPT-4o": 6.98,
    "Claude 3.5 Sonnet (Old)": 22.1,
    "Claude 3.5 Sonnet (New)": 60.5,
    "o1-preview": 37.9,
    "o1": 42.4,
}


def folder() -> Path:
    path = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", Path(__file__).parents[1] / "../shared/data"))
    if not (path / "agent_runs_2025_01.parquet").is_file():
        raise SystemExit(f"public data not found in {path}; set DANGERCURVE_PUBLIC_DATA")
    return path


def horizon_rows() -> list[str]:
    runs = exclude_models(
        read_runs(folder() / "agent_runs_2025_01.parquet", {"model": "alias", "score": "score_binarized"}),
        ["human"],
    )
    strong = {row.model: row.p50 for row in estimate_horizons(runs, penalty=0.1, bootstrap=0).models}
    weak = {row.model: row for row in estimate_horizons(runs, penalty=1e-5, bootstrap=1000, seed=0).models}
    lines = [
        "| model | published | penalty 0.1 | difference | penalty 1e-5 (95 % interval) |",
        "|---|---|---|---|---|",
    ]
    for model, published in JANUARY_2025.items():
        found, row = strong[model], weak[model]
        if found is None or row.p50 is None:
            raise SystemExit(f"no horizon for {model}")
        low = "below any task" if row.p50_lo is None else f"{row.p50_lo:.2f}"
        high = "beyond any task" if row.p50_hi is None else f"{row.p50_hi:.1f}"
        lines.append(
            f"| {model} | {published:g} | {found:.2f} | {100 * (found / published - 1):+.2f} % | "
            f"{row.p50:.2f} ({low} to {high}) |"
        )
    return lines


def doubling_rows() -> list[str]:
    fits = pd.read_csv(folder() / "horizon_th10_fits.csv").rename(columns={"agent": "model"})
    draws = pd.read_csv(folder() / "horizon_th10_bootstrap.csv.gz")
    records = to_records(check_horizons(fits[fits["model"] != "human"]))
    lines = [
        "| record-setters | n | published | days | 95 %, joint bootstrap | 95 %, residuals |",
        "|---|---|---|---|---|---|",
    ]
    for label, part, published in (
        ("before April 2025", records.until("2025-04-01"), "213 (172 to 247)"),
        ("all", records, "207"),
    ):
        joint = doubling_time(
            part, draws[[f"{model}_p50" for model in part.models]].to_numpy(dtype=np.float64)
        )
        plain = doubling_time(part)
        lines.append(
            f"| {label} | {len(part)} | {published} | {joint.days:.1f} | {joint.lo:.0f} to {joint.hi:.0f} | "
            f"{plain.lo:.0f} to {plain.hi:.0f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    text = "\n".join(
        [
            "# Known answers",
            "",
            "Written by `OMP_NUM_THREADS=1 python benchmarks/bench_known_answers.py --write docs/known-answers.md` from "
            "public tables that are no part of this repository.",
            "",
            "## Horizons of January 2025, p50 in minutes",
            "",
            *horizon_rows(),
            "",
            "The published numbers used a penalty of 0.1 on the squared slope with weights that sum to 1; it moves the "
            "horizon. The default is 1e-5: `dangercurve horizon RUNS --map model=alias --map score=score_binarized "
            "--exclude human`. "
            "Intervals: 1,000 replicates of the joint hierarchical bootstrap, seed 0.",
            "",
            "## Doubling time of the horizon, days",
            "",
            *doubling_rows(),
            "",
            "Bootstrap cells that are missing or below 0.001 minutes are left out of a draw's line, as no measurement.",
            "",
        ]
    )
    print(text)
    if options.write:
        write_atomic(options.write, text)


if __name__ == "__main__":
    main()
