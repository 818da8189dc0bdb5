"""Known truth through the whole pipeline: simulated scale families run in Inspect, fitted, and their crossing recovered.

For each truth and seed a study of six sizes plays `ops_horizon`; the 90 % interval of the crossing of h50 = 16 steps is
compared with the stated truth. Writes `docs/recovery.md`.

    python benchmarks/bench_recovery.py [--seeds 20] [--others 5]
"""

from __future__ import annotations

import argparse
import datetime as dt
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from dangercurve._files import write_atomic
from dangercurve.analysis.forecast import Forecast, forecast
from dangercurve.analysis.points import points_from_estimates
from dangercurve.analysis.simulated import TRUTHS, true_crossing
from dangercurve.evals import pipeline
from dangercurve.evals.run import open_run, run_study
from dangercurve.evals.study import load_study

ROOT = Path(__file__).resolve().parents[1]
SIZES = (20.5, 21.0, 21.5, 22.0, 22.5, 23.0)
THRESHOLD = 16.0
AS_OF = dt.date(2026, 11, 1)


@dataclass(frozen=True)
class Recovery:
    """One study: the truth, the interval of the crossing, and whether it holds the truth (None: not identified)."""

    truth: str
    seed: int
    crossing: float
    low: float | None
    median: float | None
    high: float | None
    status: str

    @property
    def covered(self) -> bool | None:
        if self.status == "not_identified":
            return None
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return low <= self.crossing <= high


def recover(truth: str, seed: int, n: int, levels: tuple[int, ...] = (0, 1, 2, 3)) -> Recovery:
    """Run one study in a temporary folder and forecast its crossing."""
    study = {
        "name": f"recovery-{truth.replace('_', '-')}-{seed}",
        "seed": seed,
        "models": [f"sim/{truth}-s{seed}@{size:g}" for size in SIZES],
        "tasks": ["ops_horizon"],
        "levels": list(levels),
        "interfaces": ["text"],
        "n": n,
    }
    with tempfile.TemporaryDirectory() as folder:
        path, run = Path(folder) / "study.yaml", Path(folder) / "run"
        path.write_text(yaml.safe_dump(study))
        loaded, _ = load_study(path)
        open_run(path, run, loaded)
        run_study(loaded, run, lambda _: None)
        estimates = pipeline.write_estimates(run)
    compute = pipeline.compute_table([str(m) for m in study["models"]])
    found: Forecast = forecast(
        points_from_estimates(estimates, compute, "h50_steps"),
        THRESHOLD,
        as_of=AS_OF,
        predicts="curve",
        seed=seed,
    )
    low, median, high = (found.log10_c.get(q) for q in ("q05", "q50", "q95"))
    return Recovery(truth, seed, true_crossing(TRUTHS[truth], THRESHOLD), low, median, high, found.status)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20, help="Studies of the smooth truth.")
    parser.add_argument("--others", type=int, default=5, help="Studies of each other truth.")
    parser.add_argument("--n", type=int, default=15, help="Instances a level.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "recovery.md")
    arguments = parser.parse_args()
    started, rows = time.process_time(), []
    for truth in ("smooth", "broken", "saturating", "shifted"):
        for seed in range(1, (arguments.seeds if truth == "smooth" else arguments.others) + 1):
            rows.append(recover(truth, seed, arguments.n))
            print(rows[-1], rows[-1].covered, flush=True)
    lines = [
        "# Recovery of a known crossing through the whole pipeline",
        "",
        "SIMULATED scale families with stated truth play `ops_horizon` in Inspect (text interface, levels 0-3,",
        f"{arguments.n} instances a level, six sizes from 10^20.5 to 10^23 FLOP, residual sd .25 doublings a model). The",
        f"crossing of h50 = {THRESHOLD:g} steps is forecast from the estimates; covered means that the 90 % interval of",
        "the curve's crossing holds the stated truth. A not identified study is neither.",
        "",
        "    python benchmarks/bench_recovery.py",
        "",
        "| truth | true log10 FLOP | studies | covered | not identified | median error (OOM) |",
        "|---|---|---|---|---|---|",
    ]
    for truth in dict.fromkeys(r.truth for r in rows):
        mine = [r for r in rows if r.truth == truth]
        errors = sorted(
            abs(r.median - r.crossing) for r in mine if r.median is not None and math.isfinite(r.crossing)
        )
        middle = f"{errors[len(errors) // 2]:.2f}" if errors else "-"
        covered, unknown = sum(r.covered is True for r in mine), sum(r.covered is None for r in mine)
        lines.append(f"| {truth} | {mine[0].crossing:.2f} | {len(mine)} | {covered} | {unknown} | {middle} |")
    lines += ["", f"{time.process_time() - started:.0f} CPU seconds in one process.", ""]
    write_atomic(arguments.out, "\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
