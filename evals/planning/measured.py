"""What an earlier run took a sample, to plan the next one with: measured means in place of the oracle's length."""

from __future__ import annotations

import math
from pathlib import Path

from dangercurve.evals.planning.plan import Measured, PerSample
from dangercurve.evals.run_folder import locate

KEY = ["model", "family", "interface", "level"]


def measured_in(run: Path) -> Measured:
    """Means a sample of every (model, family, interface, level) in the store of `run`; seconds are of work.

    Only rows that say what they read and wrote count. Raises ConfigError or EvidenceError where there is no store.
    """
    from dangercurve.evals.store import read_observations

    frame = read_observations(locate(run))
    frame = frame[frame["input_tokens"].notna() & frame["output_tokens"].notna()]
    means = frame.groupby(KEY, sort=True)[["input_tokens", "output_tokens", "turns", "working_s"]].mean()
    found: dict[tuple[str, str, str, int], PerSample] = {}
    for key, row in zip(means.index, means.itertuples(index=False), strict=True):
        read, written, turns, seconds = (float(value) for value in row)
        model, family, interface, level = key
        found[str(model), str(family), str(interface), int(level)] = PerSample(
            read, written, 0.0 if math.isnan(turns) else turns, None if math.isnan(seconds) else seconds
        )
    return found
