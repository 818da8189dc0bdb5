"""CPU time of the hierarchical posterior: 12 families x 60 models x 20 tasks, 4 x (1000 + 1000) NUTS. SIMULATED.

python benchmarks/bench_bayes.py
"""

from __future__ import annotations

import os

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from scipy import special

from dangercurve.analysis.bayes import fit_hierarchical

PAGE = Path(__file__).parent.parent / "docs" / "speed-bayes.md"
TEXT = """# The hierarchical posterior: time and diagnostics

SIMULATED data: 12 model families, 60 models, 20 tasks, 50 runs a cell. Four chains of {warmup} + {samples} NUTS draws,
one core, compilation included; the time is CPU time, the target 150 CPU-s with every R-hat below 1.01.

| CPU-s | peak MB | worst R-hat | least ESS | divergent | diagnostics gate |
|---|---|---|---|---|---|
| {seconds:.1f} | {peak:.0f} | {r_hat:.4f} | {ess:.0f} | {divergent} | {usable} |

The true slope is {truth:.2f}; its 90 % posterior interval is {low:.2f} to {high:.2f}. Made by
`python benchmarks/bench_bayes.py` with the extra `bayes`.
"""


def main() -> None:
    """Fit once and print CPU seconds, diagnostics and the truth's place in the posterior."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warmup", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=1000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    family = np.arange(60) % 12
    x = rng.uniform(20.5, 25, 60)
    theta = 1.3 * (x - x.mean()) + rng.normal(0, 0.5, 12)[family] + rng.normal(0, 0.3, 60)
    log_a = rng.normal(0, 0.2, 20)
    truth = 1.3 * float(np.exp(log_a.mean()))  # the model takes the mean log discrimination into the slope
    p = special.expit(np.exp(log_a) * (theta[:, None] - rng.normal(0.5, 1.2, 20)))
    begin = time.process_time()
    fit = fit_hierarchical(
        rng.binomial(50, p), np.full((60, 20), 50), x, [f"f{i}" for i in family],
        n_warmup=args.warmup, n_samples=args.samples,
    )  # fmt: skip
    seconds = time.process_time() - begin
    d = fit.diagnostics
    low, high = np.quantile(fit.draws["slope"], [0.05, 0.95])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    page = TEXT.format(
        warmup=args.warmup, samples=args.samples, seconds=seconds, peak=peak, r_hat=d.r_hat, ess=d.ess,
        divergent=d.divergent, low=low, high=high, truth=truth, usable="passed" if d.ok else "FAILED",
    )  # fmt: skip
    print(page)
    if (args.warmup, args.samples) == (1000, 1000):
        PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
