"""CPU time of 4,000 bootstrap refits of L = E + A/N^a + B/D^b on 240 points. SIMULATED losses.

OMP_NUM_THREADS=1 python benchmarks/bench_law_speed.py
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np

from dangercurve.analysis.law import NAMES, fit_law

PAGE = Path(__file__).parent.parent / "docs" / "speed-law.md"
TEXT = """# The scaling law: time of a bootstrap

SIMULATED losses of 240 models with Student-t noise (4 degrees of freedom, scale 1 %) around
`L = E + A/N^a + B/D^b`; the objective is the Huber loss of log residuals.

One fit takes {once:.1f} ms. One fit and 4,000 bootstrap refits take {total:.2f} CPU-s on one core (target: 15); peak
memory {peak:.0f} MB.

| parameter | truth | estimate | 90 % interval |
|---|---|---|---|
{rows}

Made by `OMP_NUM_THREADS=1 python benchmarks/bench_law_speed.py`. That one start reaches the optimum of many starts of
another optimiser is a test.
"""


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
    rows = []
    for name, truth in zip(NAMES, (1.8172, 482.01, 2085.43, 0.3478, 0.3658), strict=True):
        low, high = law.interval(name)
        rows.append(f"| {name} | {truth:g} | {getattr(law, name):.4g} | {low:.4g} to {high:.4g} |")
    page = TEXT.format(once=once * 1000, total=total, peak=peak, rows="\n".join(rows))
    print(page)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
