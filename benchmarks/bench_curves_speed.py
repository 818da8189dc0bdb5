"""Speed of the batched curve fits: 240 curves x 1,000 bootstrap replicates of a penalised 4-parameter logistic.

    python benchmarks/bench_curves_speed.py

Prints CPU seconds of the whole process and its peak memory. SIMULATED scores.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from dangercurve.analysis.curves import FORMS, fit_replicates

CURVES, REPLICATES, POINTS = 240, 1000, 21


def main() -> None:
    rng = np.random.default_rng(0)
    u = np.linspace(-2.0, 2.0, POINTS)
    form = FORMS["logistic"]
    converged, first = 0, np.empty((CURVES, len(form.parameters)))
    for k in range(CURVES):
        truth = np.array([[rng.normal(-0.5, 1.0), rng.uniform(0.6, 2.0), 0.0, 1.0]])
        y = form.evaluate(truth, u[None], np.zeros((1, 1)))[0][0] + 0.04 * rng.standard_normal(POINTS)
        start = fit_replicates(form, u, y, np.ones((1, POINTS)), 0.04).params
        weights = rng.multinomial(POINTS, np.full(POINTS, 1 / POINTS), REPLICATES).astype(float)
        fits = fit_replicates(form, u, y, weights, 0.04, start=start)
        converged += int(fits.converged.sum())
        first[k] = np.median(fits.params, axis=0) - truth[0]
    print(
        f"{CURVES * REPLICATES} fits of {POINTS} points: {time.process_time():.2f} CPU-s (whole process), "
        f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, "
        f"converged {converged / (CURVES * REPLICATES):.4f}, "
        f"median error of the slope {np.median(first[:, 1]):+.3f}"
    )


if __name__ == "__main__":
    main()
