"""What was tried to lower the P1 scores, on development splits only (no target above 8.4e22 FLOP). Writes
`docs/forecast-p1-variants.md`.

    python benchmarks/bench_p1_variants.py --part blends        # seeds, links, blends with references, widths
    python benchmarks/bench_p1_variants.py --part models        # priors and the sampler
    python benchmarks/bench_p1_variants.py --part page
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from dangercurve._files import write_atomic
from dangercurve.analysis.backtest import Split, split_by_compute
from dangercurve.analysis.joint import Settings, forecast_with_posterior
from dangercurve.analysis.joint_fit import Effort
from dangercurve.analysis.joint_model import Prior
from dangercurve.analysis.reference import REFERENCE_METHODS
from dangercurve.analysis.scores import read_scores
from dangercurve.analysis.scoring import FloatArray, interval_score
from dangercurve.evals.verbs._common import table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "forecast-p1-variants.md"
NOT_KEPT = Path(__file__).with_name("p1_variants.md.in")
DATA = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", ROOT.parent / "shared" / "data"))
HELD_OUT = 8.4e22
SPLITS = ((1e22, HELD_OUT), (2.5e22, HELD_OUT), (4e21, 2.2e22))
P = np.linspace(0.005, 0.995, 100)
LONG = Effort(chains=6, draws=300, warmup=200, rounds=4, leapfrog=24, extra_rounds=3, rhat_limit=1.12)
MODELS = {
    "long sampler (as below)": Settings(effort=LONG),
    "regime change .5 instead of .3": Settings(effort=LONG, change_probability=0.5),
    "interaction .3 instead of .4": Settings(effort=LONG, prior=Prior(interaction_sd=0.3)),
    "noise floor .01 instead of .02": Settings(effort=LONG, prior=Prior(noise_floor=0.01)),
}
Row = dict[str, object]


def splits() -> list[Split]:
    source = DATA / "capability_vs_compute.csv"
    if not source.exists():
        sys.exit(f"skipped: no {source.name}; set DANGERCURVE_PUBLIC_DATA to the folder that holds it")
    frame = read_scores(source).frame
    found = [split_by_compute(frame, cut, cap_flops=cap, min_train=8) for cut, cap in SPLITS]
    if max(float(s.targets["flops"].max()) for s in found) > HELD_OUT:
        raise SystemExit("a development split reaches beyond the held-out cut")
    return found


def score(quantiles: FloatArray, split: Split) -> tuple[float, float, float, float]:
    """Interval score, CRPS (twice the mean pinball loss), MAE over benchmarks, coverage over cells."""
    y = split.observed
    low, mid, high = (np.array([np.interp(p, P, q) for q in quantiles.T]) for p in (0.05, 0.5, 0.95))
    miss = y[None] - quantiles
    crps = 2 * np.mean(np.maximum(P[:, None] * miss, (P[:, None] - 1) * miss), axis=0)
    cells = pd.DataFrame({"s": interval_score(low, high, y, 0.9), "c": crps, "m": np.abs(mid - y)})
    mean = cells.groupby(split.targets["benchmark"].to_numpy()).mean().mean()
    return float(mean["s"]), float(mean["c"]), float(mean["m"]), float(np.mean((y >= low) & (y <= high)))


def row(name: str, per_split: list[FloatArray], parts: list[Split]) -> Row:
    """One variant: its scores on each split, and their means."""
    found = [score(q, s) for q, s in zip(per_split, parts, strict=True)]
    mean = np.mean(found, axis=0)
    out: Row = {"variant": name}
    for (cut, _), (interval, _, _, coverage) in zip(SPLITS, found, strict=True):
        out[f"{cut:g}: interval score (coverage)"] = f"{interval:.3f} ({coverage:.2f})"
    out |= {"interval score": f"{mean[0]:.3f}", "CRPS": f"{mean[1]:.4f}", "MAE": f"{mean[2]:.3f}"}
    print(out, flush=True)
    return out


def grid(draws: FloatArray) -> FloatArray:
    return np.asarray(np.quantile(draws, P, axis=0))


def blends(parts: list[Split]) -> list[Row]:
    """Seeds and links alone, pooled and with averaged quantiles; blends with references; narrower and wider."""
    made: dict[str, list[FloatArray]] = {}
    for link in ("gompertz", "logit"):
        for seed in (0, 1, 2):
            settings = Settings(links=((link, 1.0),))
            made[f"{link} {seed}"] = [
                forecast_with_posterior(s.train, s.targets, seed, settings)[0] for s in parts
            ]
    for name, method in REFERENCE_METHODS.items():
        made[name] = [method(s.train, s.targets, 1) for s in parts]
    ours, other = [f"gompertz {k}" for k in range(3)], [f"logit {k}" for k in range(3)]

    def pooled(names: list[str]) -> list[FloatArray]:
        return [grid(np.concatenate([made[n][k] for n in names])) for k in range(len(parts))]

    def averaged(weights: dict[str, float]) -> list[FloatArray]:
        w = list(weights.values())
        return [np.average([grid(made[n][k]) for n in weights], axis=0, weights=w) for k in range(len(parts))]

    def stretched(factor: float) -> list[FloatArray]:
        middle = pooled(ours)
        return [np.clip(q[49:51].mean(0) + factor * (q - q[49:51].mean(0)), 0, 1) for q in middle]

    rows = [row(f"{n} alone", [grid(d) for d in made[n]], parts) for n in [*ours, *other, *REFERENCE_METHODS]]
    rows.append(row("three seeds, gompertz, pooled", pooled(ours), parts))
    rows.append(row("three seeds, logit, pooled", pooled(other), parts))
    rows.append(row("both links, pooled", pooled(ours + other), parts))
    rows.append(row("both links, quantiles averaged", averaged(dict.fromkeys(ours + other, 1.0)), parts))
    for share in (0.15, 0.3):
        for name in ("random_intercept", "logistic_residual", "last5_mean"):
            weights = dict.fromkeys(ours, (1 - share) / 3) | {name: share}
            rows.append(row(f"{share:.0%} {name}, quantiles averaged", averaged(weights), parts))
    rows += [row(f"width x {f:g}", stretched(f), parts) for f in (0.7, 0.8, 0.9, 1.1)]
    return rows


def models(parts: list[Split]) -> list[Row]:
    """Other priors, each with a sampler long enough that its noise does not decide."""
    rows = []
    for name, settings in MODELS.items():
        found = [forecast_with_posterior(s.train, s.targets, 5, replace(settings)) for s in parts]
        rhat = max(p[0].rhat for _, p in found)
        rows.append(row(name, [grid(d) for d, _ in found], parts) | {"worst R-hat": f"{rhat:.2f}"})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=["blends", "models", "page"], required=True)
    parser.add_argument("--keep", type=Path, default=ROOT / "build", help="Folder for the rows of each part.")
    options = parser.parse_args()
    if options.part != "page":
        begin = time.process_time()
        rows = blends(splits()) if options.part == "blends" else models(splits())
        kept = {"rows": rows, "cpu": time.process_time() - begin}
        options.keep.mkdir(parents=True, exist_ok=True)
        write_atomic(options.keep / f"p1-{options.part}.json", json.dumps(kept))
        return
    sections = []
    for name, title in (("blends", "Seeds, links, blends, widths"), ("models", "Priors and the sampler")):
        kept = options.keep / f"p1-{name}.json"
        if not kept.exists():
            print(f"{kept.name} is not there: the page goes without it", file=sys.stderr)
            continue
        part = json.loads(kept.read_text())
        sections.append(
            f"## {title}\n\n{table(part['rows'], markdown=True)}\n{part['cpu']:.0f} CPU-seconds.\n"
        )
    write_atomic(PAGE, HEAD + "\n".join([*sections, NOT_KEPT.read_text(encoding="utf-8")]))


HEAD = """# What was tried to lower the P1 scores

Development splits only: no target above 8.4e22 FLOP is read here. Columns are the interval score at a nominal 90 % with its
coverage on each split (train up to that compute), then means over the splits. Lower is better.

    python benchmarks/bench_p1_variants.py --part blends
    python benchmarks/bench_p1_variants.py --part models
    python benchmarks/bench_p1_variants.py --part page

"""
if __name__ == "__main__":
    main()
