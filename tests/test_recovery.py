"""A known crossing comes back through Inspect: two fixed seeds of what `benchmarks/bench_recovery.py` does at length."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "benchmarks" / "bench_recovery.py"


@pytest.mark.parametrize(("truth", "seed"), [("smooth", 1), ("shifted", 2)])
def test_the_90_percent_interval_holds_the_stated_crossing(truth: str, seed: int) -> None:
    recover = runpy.run_path(str(BENCH))["recover"]
    found = recover(truth, seed, 10)
    assert found.status != "not_identified"
    assert found.covered is True, found
    assert found.low is not None
    assert found.low > 18, "an interval that begins below any size would hold every truth"
