"""Which curve form wins where: held-out score of each form; writes `docs/curve-forms.md`.

    python benchmarks/bench_forms.py

Every curve is fitted to the smaller models alone and scored on the larger. Nothing above 8.4e22 FLOP is read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from dangercurve.analysis.curves import FORMS, fit_curve
from dangercurve.analysis.scoring import crps_sample, interval_score
from dangercurve.evals.verbs._common import table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "curve-forms.md"
DATA = Path(os.environ.get("DANGERCURVE_PUBLIC_DATA", ROOT.parent / "shared" / "data"))
CAP, CUTS = 8.4e22, (1e22, 2.5e22)
CORE = ("ARC-C", "HellaSwag", "MMLU", "TruthfulQA", "Winograd", "XWinograd")
DRAWS = 400

# set, curve, training rows, held-out rows; columns x, y, family, chance
Curve = tuple[str, str, pd.DataFrame, pd.DataFrame]


def pythia() -> Iterator[Curve]:
    """Ladder over sizes (last checkpoint, up to 1.4B against larger) and over training (all checkpoints)."""
    data = pd.read_parquet(DATA / "pythia_evals.parquet")
    trained = data["flops"] > 0  # step 0 has no compute
    data = data[(data["shot"] == data["shot"].mode()[0]) & trained].rename(columns={"acc": "y"})
    data["x"] = np.log10(data["flops"])
    data["chance"] = np.nan
    last = data[data["flops"] == data.groupby("model")["flops"].transform("max")]
    for task, part in last.groupby("task"):
        small = part["N"] <= 1.5e9
        if small.sum() >= 6 and (~small).sum() >= 2:
            yield "Pythia, over sizes", str(task), part[small], part[~small]
    for task, part in data.groupby("task"):
        small = part["flops"] <= 1e21
        if small.sum() >= 15 and (~small).sum() >= 6:
            yield "Pythia, over training", str(task), part[small], part[~small]


def benchmarks() -> Iterator[Curve]:
    """Single benchmarks, and the mean of the six that nearly every model has."""
    data = pd.read_csv(DATA / "capability_vs_compute.csv")
    data = data[data["flops"] <= CAP].rename(columns={"score": "y"})
    data["x"] = np.log10(data["flops"])
    wide = data[data["benchmark"].isin(CORE)].pivot_table(
        index=["model", "family", "x", "flops"], columns="benchmark", values="y"
    )
    mean = wide.dropna().mean(axis=1).rename("y").reset_index()
    mean["chance"] = data[data["benchmark"].isin(CORE)].groupby("benchmark")["chance"].first().mean()
    for cut in CUTS:
        for name, part in data.groupby("benchmark"):
            small = part["flops"] <= cut
            if small.sum() >= 8 and (~small).sum() >= 6:
                yield "single benchmarks", f"{name}, {cut:g}", part[small], part[~small]
        small = mean["flops"] <= cut
        yield "aggregate of six", f"mean, {cut:g}", mean[small], mean[~small]


def score(train: pd.DataFrame, test: pd.DataFrame, form: str, seed: int) -> dict[str, float] | None:
    y = train["y"].to_numpy(dtype=float)
    if len(train) < FORMS[form].min_points:
        return None
    latent = form == "linear"
    chance = float(train["chance"].iloc[0])
    fit = fit_curve(
        train["x"].to_numpy(dtype=float),
        logit(np.clip(y, 0.005, 0.995)) if latent else y,
        form=form,
        floor=None if np.isnan(chance) else chance,
        family=train["family"].astype(str).tolist(),
    )
    draws = fit.draws(DRAWS, seed).value(test["x"].to_numpy(dtype=float))
    draws = expit(draws) if latent else np.clip(draws, 0.0, 1.0)
    observed = test["y"].to_numpy(dtype=float)
    lo, mid, hi = np.quantile(draws, [0.05, 0.5, 0.95], axis=0)
    return {
        "mae": float(np.abs(mid - observed).mean()),
        "crps": float(crps_sample(draws, observed).mean()),
        "interval_score90": float(interval_score(lo, hi, observed).mean()),
        "coverage90": float(((lo <= observed) & (observed <= hi)).mean()),
    }


def main() -> None:
    missing = [f for f in ("pythia_evals.parquet", "capability_vs_compute.csv") if not (DATA / f).exists()]
    if missing:
        sys.exit(f"skipped: no {missing[0]}; set DANGERCURVE_PUBLIC_DATA to the folder that holds it")
    rows = []
    for source in (pythia(), benchmarks()):
        for kind, name, train, test in source:
            for form in FORMS:
                result = score(train, test, form, seed=0)
                if result is not None:
                    rows.append({"set": kind, "curve": name, "form": form, **result})
    scores = pd.DataFrame(rows)
    parts = []
    for kind, part in scores.groupby("set", sort=False):
        wide = part.pivot_table(index="curve", columns="form", values="crps")
        won = wide.idxmin(axis=1).value_counts(normalize=True)
        mean = part.groupby("form")[["mae", "crps", "interval_score90", "coverage90"]].mean()
        lines = [
            {
                "form": form,
                "curves": int((part["form"] == form).sum()),
                **{k: f"{v:.3f}" for k, v in mean.loc[form].items()},
                "lowest crps on": f"{100 * won.get(form, 0.0):.0f} %",
            }
            for form in mean["crps"].sort_values().index
        ]
        parts.append(f"## {kind} ({wide.shape[0]} curves)\n\n{table(lines, markdown=True)}")
        print(parts[-1], flush=True)
    head = PAGE.read_text(encoding="utf-8").split("<!-- tables -->", 1)[0]
    PAGE.write_text(head + "<!-- tables -->\n\n" + "\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
