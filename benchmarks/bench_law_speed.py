"""CPU time of 4,000 bootstrap refits of L = E + A/N^a + B/D^b on 240 points. SIMULATED losses.

OMP_NUM_THREADS=1 python benchmarks/bench_law_speed.py
"""

from __future__ import annotations

import resource
import time

import numpy as np

from dangercurve.analysis.law import NAMES, fit_law


def main() -> None:
    """Fit, refit, and print CPU seconds, peak memory and intervals beside the truth."""
    rng = np.random.default_rng(0)
    n = 10 ** rng.uniform(7.8, 10.2, 240)
    d = 10 ** rng.uniform(18.5, 21.5, 240) / (6 * n)
    loss = (1.8172 + 482.01 * n**-0.3478 + 2085.43 * d**-0.3658) * np.exp(0.01 * rng.standard_t(4, 240))
    begin = time.process_time()
    fit_law(n, d, loss)
    once = time.process_time() - begin
    law = fit_law(n, d, loss, n_boot=4000)
    total = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"one fit {once * 1000:.1f} ms; 4,000 refits {total:.2f} CPU-s (target 15); peak {peak:.0f} MB")
    for name, truth in zip(NAMES, (1.8172, 482.01, 2085.43, 0.3478, 0.3658), strict=True):
        low, high = law.interval(name)
        print(
            f"{name}: truth {truth}, estimate {getattr(law, name):.4g}, 90 % interval {low:.4g} to {high:.4g}"
        )


if __name__ == "__main__":
    main()
