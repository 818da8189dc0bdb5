"""CPU time of an interval-censored Weibull AFT on 5,000 units, ours and lifelines'. SIMULATED efforts.

OMP_NUM_THREADS=1 python benchmarks/bench_breach_speed.py
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from dangercurve.analysis.survival.aft import weibull_aft

OUT = Path(__file__).parent.parent / "docs" / "breach" / "speed.json"


def main() -> None:
    """Fit both, print CPU seconds and the largest difference between estimates, and write them for the page."""
    from lifelines import WeibullAFTFitter

    rng, n = np.random.default_rng(0), 5000
    x = rng.normal(size=(n, 2))
    t = np.exp(3 + 0.5 * x[:, 0] - 0.3 * x[:, 1] + np.log(rng.exponential(size=n)) / 1.4)
    lower = np.floor(t / 5) * 5
    upper = lower + 5
    cut = lower >= 60
    lower[cut], upper[cut] = 60.0, np.inf
    ours, theirs = [], []
    frame = pd.DataFrame({"lower": lower, "upper": upper, "a": x[:, 0], "b": x[:, 1]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(5):
            begin = time.process_time()
            fit = weibull_aft(lower, upper, x, ("a", "b"))
            ours.append(time.process_time() - begin)
            begin = time.process_time()
            oracle = WeibullAFTFitter().fit_interval_censoring(frame, "lower", "upper")
            theirs.append(time.process_time() - begin)
    names = [("lambda_", "Intercept"), ("lambda_", "a"), ("lambda_", "b"), ("rho_", "Intercept")]
    mine = [*fit.beta.tolist(), fit.log_rho]
    gap = max(abs(a - float(oracle.params_[k])) for a, k in zip(mine, names, strict=True))
    found = {
        "units": n, "ours": float(np.median(ours)), "first": ours[0], "lifelines": float(np.median(theirs)),
        "difference": gap, "left": int((lower == 0).sum()), "right": int(cut.sum()),
    }  # fmt: skip
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(found)


if __name__ == "__main__":
    main()
